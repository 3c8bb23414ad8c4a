//! A fake Sequin on a thread of its own, and a durable Postgres.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::json;
use tokio_postgres::{Client, NoTls};
use tributary_core::pipeline::Mapping;
use tributary_local::Options;
use tributary_tests::sequin::{Dml, Sequin, Table};

use crate::Failure;

pub(crate) const CONSUMER: &str = "shop";
const TABLE: &str = "public.orders";

/// What the messages are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum History {
    /// A row each.
    Inserts,
    /// Ten changes of each row, which is deleted in the end in one of ten cases.
    Changes,
    /// Changes of a hundred rows: Sequin hands out one of each row at a time.
    Hot,
}

pub(crate) const HISTORIES: &[(&str, History)] =
    &[("inserts", History::Inserts), ("ten changes a row", History::Changes), ("a hundred hot rows", History::Hot)];

const MAPPING: &str = "
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
          columns: { status: text, total: numeric, notes: text, tags: jsonb, customer: text, placed: timestamptz }
";

/// Everything that both ways need.
pub(crate) struct Stage {
    pub(crate) sequin: Arc<Sequin>,
    pub(crate) observer: Client,
    pub(crate) mapping: Arc<Mapping>,
    url: String,
    _local: tributary_local::Postgres,
}

impl Stage {
    pub(crate) async fn start(url: Option<String>) -> Result<Self, Failure> {
        let settings = [("shared_buffers", "512MB"), ("max_wal_size", "8GB"), ("checkpoint_timeout", "30min")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let options = Options { url, durable: true, settings, ..Options::default() };
        let local = tokio::task::spawn_blocking(move || tributary_local::Postgres::find_or_start(&options)).await??;
        let url = local.url().to_owned();
        let sequin = Arc::new(serve()?);
        let text = MAPPING.replace("URL'", &format!("{}'", sequin.url()));
        let mapping = tributary_core::mapping::load("shop.yaml", &text).mapping.ok_or("the mapping has findings")?;
        let observer = connect(&url).await?;
        observer.batch_execute("drop table if exists orders, by_hand").await?;
        Ok(Stage { sequin, observer, mapping: Arc::new(mapping), url, _local: local })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn version(&self) -> Result<String, Failure> {
        let version: String = self.observer.query_one("select version()", &[]).await?.get(0);
        Ok(version.split(' ').take(2).collect::<Vec<_>>().join(" "))
    }

    /// A fingerprint of the living rows; 0 when there are none.
    pub(crate) async fn rows(&self, table: &str) -> Result<i64, Failure> {
        let living = if table == "orders" { "where not _deleted" } else { "" };
        let query = format!(
            "select coalesce(sum(hashtextextended(concat_ws('|', id, status, total, notes, tags, customer, placed), 0) >> 16), 0)::bigint
             from {table} {living}"
        );
        Ok(self.observer.query_one(&query, &[]).await?.get(0))
    }

    /// Makes messages of a history, the same for the same number.
    pub(crate) fn fill(&self, history: History, messages: u64) {
        let rows = match history {
            History::Inserts => messages,
            History::Changes => messages.div_ceil(10),
            History::Hot => 100.min(messages),
        };
        let mut world = self.sequin.world();
        world.source = Default::default();
        world.source.create(TABLE, Table { key: vec!["id".into()], toast: vec!["notes".into()], ..Table::default() });
        world.consumer(CONSUMER, Duration::from_secs(30), &[]);
        for number in 0..messages {
            let (id, round) = (number % rows, number / rows);
            let last = number + rows >= messages;
            let change = match round {
                0 => Dml::Insert(TABLE.into(), order(id)),
                _ if last && id.is_multiple_of(10) && history == History::Changes => {
                    Dml::Delete(TABLE.into(), id.to_string())
                }
                _ => {
                    let values = json!({"status": format!("state {round}"), "total": format!("{round}.25")});
                    Dml::Update(TABLE.into(), id.to_string(), values.as_object().cloned().unwrap_or_default())
                }
            };
            world.commit(vec![change]);
        }
    }
}

fn order(id: u64) -> serde_json::Map<String, serde_json::Value> {
    let row = json!({
        "id": id, "status": "new", "total": format!("{}.5", id % 1_000), "notes": format!("{id}: {}", "a note ".repeat(12)),
        "tags": ["a", id % 7], "customer": format!("customer {}", id % 5_000), "placed": "2026-01-01T12:00:00.123456Z",
    });
    row.as_object().cloned().unwrap_or_default()
}

/// A server on a thread of its own, for as long as the program runs.
fn serve() -> Result<Sequin, Failure> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            // The receiver waits for just this.
            let _ = send.send(Sequin::start().await);
            std::future::pending::<()>().await;
        });
    });
    Ok(receive.recv()?)
}

pub(crate) async fn connect(url: &str) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // A connection that breaks is seen by its client.
    tokio::spawn(connection);
    Ok(client)
}
