//! An ODK Central that isn't one: forms, submissions, attachments and entities, as its API was observed and as its source
//! says. It holds state and answers by it; nothing is canned.
//!
//! What it does on purpose, because the real one does: `updatedAt` is null until somebody edits; a restore moves no time,
//! a file no ETag, a publication neither; ids of repeats are positions; no repeat is absent, not empty; a submission is
//! dated before it is seen; nextLinks lead to another host; a place whose row was purged is followed by nothing; an error
//! while it streams is a 200 that breaks off; files lie on another host that wants no token.

mod account;
mod answer;
mod clock;
mod digest;
mod entity;
mod fault;
mod feed;
mod filter;
mod form;
mod http;
mod picture;
mod query;
mod release;
mod route;
mod store;
mod submission;
mod submitting;
pub mod survey;
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use account::Right;
pub use fault::Fault;
pub use form::Field;
pub use picture::picture;
pub use release::Release;
pub use submitting::Expected;
pub use world::World;

use http::{Seen, Shared};

/// The one project.
pub const PROJECT: u64 = 1;
/// A user who may read.
pub const EMAIL: &str = "sync@example.org";
/// The password of that user.
pub const PASSWORD: &str = "correct horse battery";

const SUBMITTER: u64 = 5;
const SUBMITTER_NAME: &str = "admin@example.org";

/// A running fake of ODK Central. It ends when it is dropped.
pub struct Odk {
    address: SocketAddr,
    shared: Arc<Shared>,
    listeners: [JoinHandle<()>; 2],
}

impl Odk {
    /// Listens on a free port, and on another one as the host of files; there are no forms yet.
    pub async fn start() -> Self {
        let central = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let files = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let address = central.local_addr().expect("an address");
        let s3 = format!("http://{}", files.local_addr().expect("an address"));
        let mut world = World::default();
        // Whoever follows a nextLink is seen there.
        world.set_domain(&s3);
        let shared = Arc::new(Shared { world: Mutex::new(world), plans: Mutex::default(), seen: Mutex::default(), s3 });
        let listeners = [
            tokio::spawn(http::serve(central, Arc::clone(&shared), false)),
            tokio::spawn(http::serve(files, Arc::clone(&shared), true)),
        ];
        Odk { address, shared, listeners }
    }

    /// Its address, as a datastore's `base_url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What there is, to look at and to change. Nothing is answered while it is held.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world()
    }

    /// Answers the next request of a kind so; `*` is any. Several of the same kind take their turns.
    ///
    /// Kinds are `session`, `card`, `fields`, `gate` (`$select=__id`), `manifest` (`$select` with `__system`), `count`
    /// (`$top=0`), `ids` (a filter by `__id`), `window` (another filter), `page`, `single`, `attachments` (a list),
    /// `attachment`, `dataset`, `s3` (the host of files), `version` and `other`.
    pub fn fail(&self, kind: &str, fault: Fault) {
        self.shared.plans().fail(kind, fault);
    }

    /// Does something as soon as so many more requests of a kind were answered.
    pub fn after(&self, kind: &str, requests: u32, act: impl FnOnce(&mut World) + Send + 'static) {
        self.shared.plans().after(kind, requests, Box::new(act));
    }

    /// Forgets the faults that are still to come, and what was to be done.
    pub fn recover(&self) {
        self.shared.plans().clear();
    }

    /// The requests so far, as `GET /v1/…?…`, decoded.
    pub fn requests(&self) -> Vec<String> {
        self.shared.seen().requests.clone()
    }

    /// How many requests came so far; those to the host of files don't count.
    pub fn count(&self) -> usize {
        self.shared.seen().requests.len()
    }

    /// How many requests of each kind came so far.
    pub fn kinds(&self) -> BTreeMap<&'static str, usize> {
        self.shared.seen().kinds.clone()
    }

    /// The most requests that were served at once so far.
    pub fn peak(&self) -> usize {
        self.shared.seen().peak
    }

    /// How many files were fetched from the host of files.
    pub fn files_fetched(&self) -> usize {
        self.shared.seen().files
    }

    /// How often a token came to the other host. It must stay 0.
    pub fn leaks(&self) -> usize {
        self.shared.seen().leaks
    }

    /// How often something else than a file was asked of the other host, such as a nextLink. It must stay 0.
    pub fn strays(&self) -> usize {
        self.shared.seen().strays
    }

    /// Forgets what was counted.
    pub fn forget(&self) {
        let mut seen = self.shared.seen();
        *seen = Seen { now: seen.now, ..Seen::default() };
    }
}

impl Drop for Odk {
    fn drop(&mut self) {
        self.listeners.iter().for_each(JoinHandle::abort);
    }
}
