//! A Sequin server of our own, both products of that name: what its code and documents say, traps included.
//!
//! Behind Sequin Stream stands a little Postgres ([`Source`]) whose changes become messages, so that a test can compare
//! what arrived with what the source holds. The former Sequin has records of collections ([`Legacy`]).
//!
//! Leases run by a clock that tests may put forward. Anything may be made to fail ([`Fault`]).

mod fault;
mod http;
mod legacy;
mod source;
mod store;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use fault::Fault;
pub use legacy::{Collection, Legacy, Record};
pub use source::{Dml, Row, Shape, Source, Table};
pub use store::Store;

use fault::Faults;

/// The token that the server takes unless it is told another one.
pub const TOKEN: &str = "a-token";

/// Everything that the server knows.
#[derive(Debug)]
pub struct World {
    /// The database whose changes are streamed.
    pub source: Source,
    /// The sinks of Sequin Stream by name.
    pub consumers: BTreeMap<String, Consumer>,
    /// The former Sequin's records and collections.
    pub legacy: Legacy,
    /// The tokens that are taken.
    pub tokens: Vec<String>,
    /// Requests by kind: `receive`, `ack`, `nack`, `next`, `collections`.
    pub requests: BTreeMap<&'static str, u64>,
    offset: Duration,
}

/// A sink of Sequin Stream.
#[derive(Debug)]
pub struct Consumer {
    /// Its messages.
    pub store: Store,
    /// The tables whose changes it gets, `schema.table`; all when empty.
    pub tables: Vec<String>,
    /// How its messages look.
    pub shape: Shape,
}

impl World {
    /// Now, by the server's clock.
    pub fn now(&self) -> Instant {
        Instant::now() + self.offset
    }

    /// Puts the clock forward: leases end.
    pub fn advance(&mut self, time: Duration) {
        self.offset += time;
    }

    /// Makes a sink.
    pub fn consumer(&mut self, name: &str, ack_wait: Duration, tables: &[&str]) -> &mut Consumer {
        let tables = tables.iter().map(|table| (*table).to_owned()).collect();
        let consumer = Consumer { store: Store::new(ack_wait), tables, shape: Shape::Nested };
        self.consumers.insert(name.to_owned(), consumer);
        self.consumers.get_mut(name).expect("just inserted")
    }

    /// The messages of a sink.
    pub fn store(&mut self, consumer: &str) -> &mut Store {
        &mut self.consumers.get_mut(consumer).expect("a consumer of this name").store
    }

    /// Commits a transaction at the source. Its changes become messages.
    pub fn commit(&mut self, changes: Vec<Dml>) {
        for change in self.source.commit(changes) {
            for consumer in self.consumers.values_mut().filter(|consumer| consumer.takes(&change.table)) {
                consumer.store.push(change.group(), change.json(consumer.shape), false);
            }
        }
    }

    /// Runs a backfill of a table for a sink.
    pub fn backfill(&mut self, consumer: &str, table: &str) {
        let consumer = self.consumers.get_mut(consumer).expect("a consumer of this name");
        for change in self.source.read(table) {
            consumer.store.push(change.group(), change.json(consumer.shape), true);
        }
    }

    /// Restarts Sequin: what was not acknowledged gets new ids, and so does what was acknowledged and not yet flushed to the
    /// replication slot, which is delivered again.
    pub fn restart(&mut self) {
        self.consumers.values_mut().for_each(|consumer| consumer.store.restart());
    }
}

impl Consumer {
    fn takes(&self, table: &str) -> bool {
        self.tables.is_empty() || self.tables.iter().any(|wanted| wanted == table)
    }
}

/// A running server. It ends when it is dropped.
pub struct Sequin {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

struct Shared {
    world: Mutex<World>,
    faults: Faults,
}

impl Sequin {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let address = listener.local_addr().expect("an address");
        let world = World {
            source: Source::default(),
            consumers: BTreeMap::new(),
            legacy: Legacy::default(),
            tokens: vec![TOKEN.to_owned()],
            requests: BTreeMap::new(),
            offset: Duration::ZERO,
        };
        let shared = Arc::new(Shared { world: Mutex::new(world), faults: Faults::default() });
        let listener = tokio::spawn(http::serve(listener, Arc::clone(&shared)));
        Sequin { address, shared, listener }
    }

    /// The `base_url` of a datastore.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the server knows. Don't keep it over an await.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world.lock().expect("no panic while it was held")
    }

    /// Makes the next request of a kind (`receive`, `ack`, `nack`, `next`, `collections`) fail. Faults of one kind wait in
    /// line.
    pub fn fault(&self, kind: &'static str, fault: Fault) {
        self.shared.faults.add(kind, fault);
    }

    /// Forgets the faults that nothing has met.
    pub fn heal(&self) {
        self.shared.faults.clear();
    }

    /// Waits until a request is held ([`Fault::Hold`], [`Fault::HoldAnswer`]).
    pub async fn held(&self) {
        self.shared.faults.held().await;
    }

    /// Lets the requests go on that are held.
    pub fn release(&self) {
        self.shared.faults.release();
    }
}

impl Drop for Sequin {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
