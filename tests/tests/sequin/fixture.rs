//! A shop at the source, the pipelines that copy it, and what runs them in process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tributary_core::pipeline::{Mapping, SecretRef};
use tributary_core::sink::{Budget, Unlimited};
use tributary_postgres::Postgres;
use tributary_postgres::connect::{Policy, Target};
use tributary_runtime::secrets::{Secret, Secrets};
use tributary_runtime::sequin_poll::SequinPoll;
use tributary_runtime::sinks::Sinks;
use tributary_runtime::tick::{Poller, Report, Request, Ticker};
use tributary_tests::Database;
use tributary_tests::sequin::{Dml, Row, Sequin, TOKEN, Table};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const CONSUMER: &str = "shop";
pub(crate) const ORDERS: &str = "public.orders";
pub(crate) const ITEMS: &str = "public.items";
/// Sequin's default.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(30);

/// Two tables by one consumer: of `orders` the log has parts only, of `items` whole rows.
pub(crate) const SHOP: &str = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  cdc: { type: sequin, base_url: 'URL', token: { env: SEQUIN_TOKEN } }
pipelines:
  orders:
    source: { datastore: cdc, consumer: shop, table: public.orders }
    sink:
      datastore: warehouse
      tables:
        orders:
          key: { id: bigint }
          columns: { status: text, total: numeric, notes: text, tags: jsonb }
  items:
    source: { datastore: cdc, consumer: shop, table: public.items, replica_identity: full }
    sink:
      datastore: warehouse
      tables:
        items:
          key: { order_id: bigint, line: int }
          columns: { sku: text, quantity: int, notes: text }
";

pub(crate) fn mapping_of(text: &str, sequin: &Sequin) -> Mapping {
    let text = text.replace("URL'", &format!("{}'", sequin.url()));
    let checked = tributary_core::mapping::load("shop.yaml", &text);
    let findings: Vec<String> = checked.findings.iter().map(|finding| finding.render(&text)).collect();
    checked.mapping.unwrap_or_else(|| panic!("{}", findings.join("\n")))
}

/// A server with an empty shop.
pub(crate) async fn shop() -> Sequin {
    let sequin = Sequin::start().await;
    {
        let mut world = sequin.world();
        let key = |columns: &[&str]| columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>();
        let toast = key(&["notes"]);
        let orders = Table { key: key(&["id"]), toast: toast.clone(), unreadable: key(&["tags"]), ..Table::default() };
        let items = Table { key: key(&["order_id", "line"]), toast, full: true, ..Table::default() };
        world.source.create(ORDERS, orders);
        world.source.create(ITEMS, items);
        world.consumer(CONSUMER, ACK_WAIT, &[]);
    }
    sequin
}

pub(crate) fn row(value: Value) -> Row {
    let Value::Object(row) = value else { panic!("a row is an object") };
    row
}

pub(crate) fn order(id: u64, status: &str) -> Row {
    row(
        json!({"id": id, "status": status, "total": format!("{id}.5"), "notes": format!("note {id}"), "tags": [id, "a"]}),
    )
}

pub(crate) fn insert(id: u64) -> Dml {
    Dml::Insert(ORDERS.to_owned(), order(id, "new"))
}

pub(crate) fn update(id: u64, values: Value) -> Dml {
    Dml::Update(ORDERS.to_owned(), id.to_string(), row(values))
}

pub(crate) fn delete(id: u64) -> Dml {
    Dml::Delete(ORDERS.to_owned(), id.to_string())
}

/// A token that may change.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) current: Mutex<String>,
    pub(crate) kept: Mutex<Option<String>>,
}

impl Token {
    pub(crate) fn new(text: &str) -> Arc<Self> {
        Arc::new(Token { current: Mutex::new(text.to_owned()), kept: Mutex::default() })
    }
}

impl Secrets for Token {
    async fn get(&self, _reference: &SecretRef) -> tributary_core::Result<Secret> {
        let current = self.current.lock().unwrap().clone();
        Ok(Secret::new(self.kept.lock().unwrap().get_or_insert(current).clone()))
    }

    fn evict(&self, _reference: &SecretRef) {
        *self.kept.lock().unwrap() = None;
    }
}

/// A database with a mapping's tables.
pub(crate) async fn database_of(test: &str, mapping: &Mapping) -> Database {
    let database = Database::new(test).await;
    let tables = mapping.pipelines.iter().flat_map(|pipeline| pipeline.tables.iter().cloned()).collect();
    let target = Target::from_url(database.url(), &Policy::default()).unwrap();
    Postgres::new(target, tables, false).migrate().await.unwrap();
    database
}

pub(crate) type Shop = Ticker<SequinPoll<Token>, Target>;

/// What the function does, in this process.
pub(crate) fn ticker(mapping: &Arc<Mapping>, url: &str, token: Arc<Token>) -> Shop {
    let poller = SequinPoll::new(token);
    let target = Target::from_url(url, &Policy::default()).unwrap();
    let jobs = Poller::<Target>::jobs(&poller, mapping);
    let sinks = Sinks::new(mapping, jobs.iter().flat_map(|job| job.pipelines.iter().copied()), |_, _| target.clone());
    drop(jobs);
    Ticker::new(Arc::clone(mapping), sinks, poller).unwrap()
}

/// A tick with all the time in the world.
pub(crate) async fn tick(shop: &mut Shop) -> Report {
    tick_within(shop, &Unlimited).await
}

pub(crate) async fn tick_within(shop: &mut Shop, budget: &impl Budget) -> Report {
    Box::pin(shop.tick(&Request::default(), budget)).await.unwrap()
}

/// A tick of which every pipeline must be drained.
pub(crate) async fn drained(shop: &mut Shop) -> Report {
    let report = tick(shop).await;
    assert!(report.pipelines().iter().all(|progress| progress.state == "drained"), "{report:?}");
    report
}

/// Everything that a test of the whole shop needs.
pub(crate) struct Stage {
    pub(crate) sequin: Sequin,
    pub(crate) database: Database,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) shop: Shop,
}

impl Stage {
    pub(crate) async fn new(test: &str) -> Self {
        Stage::of(test, SHOP).await
    }

    pub(crate) async fn of(test: &str, text: &str) -> Self {
        let sequin = shop().await;
        let mapping = Arc::new(mapping_of(text, &sequin));
        let database = database_of(test, &mapping).await;
        let shop = ticker(&mapping, database.url(), Token::new(TOKEN));
        Stage { sequin, database, mapping, shop }
    }

    pub(crate) fn commit(&self, changes: Vec<Dml>) {
        self.sequin.world().commit(changes);
    }

    pub(crate) async fn orders(&self) -> Vec<String> {
        self.database.rows("select id, status, total, notes, tags from orders where not _deleted order by id").await
    }
}

/// Ends the lease of a runner that has died, as two minutes would.
pub(crate) async fn free_lease(database: &Database) {
    database.execute("update tributary.lease set expires_at = now() - interval '1 second'").await;
}
