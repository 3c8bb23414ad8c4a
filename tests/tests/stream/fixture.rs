//! Mappings, their tables, events, and the function that serves them.

use std::time::Duration;

use serde_json::{Value, json};
use tributary_core::pipeline::Mapping;
use tributary_postgres::Postgres;
use tributary_postgres::connect::{Policy, Target};
use tributary_tests::{Database, RuntimeApi};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const ARN: &str = "arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2026-01-01T00:00:00.000";

/// The answer to a batch that is done.
pub(crate) fn all_done() -> Value {
    json!({ "batchItemFailures": [] })
}

/// A database with a mapping's tables.
pub(crate) async fn database_of(test: &str, mapping: &Mapping) -> Database {
    let database = Database::new(test).await;
    migrate(&database, mapping).await;
    database
}

/// Makes a mapping's tables.
pub(crate) async fn migrate(database: &Database, mapping: &Mapping) {
    let tables = mapping.pipelines.iter().flat_map(|pipeline| pipeline.tables.iter().cloned()).collect();
    let target = Target::from_url(database.url(), &Policy::default()).unwrap();
    Postgres::new(target, tables, false).migrate().await.unwrap();
}

/// An event of these records.
pub(crate) fn event_of(records: &[impl AsRef<str>]) -> String {
    let records: Vec<&str> = records.iter().map(AsRef::as_ref).collect();
    format!("{{\"Records\":[{}]}}", records.join(","))
}

/// Delivers an event; the answer must be a response.
pub(crate) async fn deliver(api: &RuntimeApi, event: String) -> Value {
    api.invoke(event, PATIENCE).await.json()
}

/// One item in tables of every kind: what a delete does, sub-documents, lists, a condition.
pub(crate) const EVERY_KIND: &str = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  app: { type: dynamodb }
pipelines:
  users:
    source: { datastore: app, table: users, key: id }
    sink:
      datastore: warehouse
      tables:
        kept:
          key: { id: text }
          columns: { name: text, score: numeric, seen: timestamptz, part: jsonb }
          delete: { mode: soft, column: gone, at: gone_at, reason: why }
        cleared:
          key: { id: text }
          columns: { name: text, lines: jsonb }
          delete: { mode: soft, keep: false }
        hard:
          key: { id: text }
          columns: { name: text, score: double precision }
          delete: hard
        high:
          key: { id: text }
          columns: { rank: int }
          when: rank is defined and rank > 50
        part:
          from: part
          key: { id: { from: $root.id, type: text } }
          columns: { mode: text, weight: numeric }
        line:
          from: lines[]
          key: { id: { from: $root.id, type: text }, position: { from: $index, type: int } }
          columns: { sku: text, n: numeric }
          delete: hard
        stock:
          from: lines[]
          key: { id: { from: $root.id, type: text }, position: { from: $index, type: int } }
          columns: { sku: text }
";

/// The mapping of one item into tables of every kind.
pub(crate) fn every_kind_of_table() -> Mapping {
    let checked = tributary_core::mapping::load("every-kind.yaml", EVERY_KIND);
    let findings: Vec<String> = checked.findings.iter().map(|finding| finding.render(EVERY_KIND)).collect();
    checked.mapping.unwrap_or_else(|| panic!("{}", findings.join("\n")))
}
