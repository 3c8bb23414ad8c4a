//! The mapping of the repository, its tables, and the function that serves them.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tributary_core::pipeline::Mapping;
use tributary_postgres::Postgres;
use tributary_postgres::connect::{Policy, Target};
use tributary_tests::{Database, Function, Invocation, RuntimeApi};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).canonicalize().unwrap()
}

pub(crate) fn mapping() -> Mapping {
    tributary_runtime::settings::load(&root().join("tributary.yaml")).unwrap()
}

/// A sample event.
pub(crate) fn event(name: &str) -> String {
    std::fs::read_to_string(root().join("events/dynamodb-stream").join(name)).unwrap()
}

/// The answer to a batch that is done.
pub(crate) fn all_done() -> Value {
    json!({ "batchItemFailures": [] })
}

/// A database with the mapping's tables.
pub(crate) async fn database(test: &str) -> Database {
    let database = Database::new(test).await;
    let tables = mapping().pipelines.into_iter().flat_map(|pipeline| pipeline.tables).collect();
    let target = Target::from_url(database.url(), &Policy::default()).unwrap();
    Postgres::new(target, tables, false).migrate().await.unwrap();
    database
}

/// The function, writing to this database.
pub(crate) fn function(api: &RuntimeApi, url: &str) -> Function {
    let mapping = root().join("tributary.yaml");
    Function::spawn("dynamodb-stream", api, &[("DATABASE_URL", url), ("TRIBUTARY_MAPPING", mapping.to_str().unwrap())])
}

/// Delivers an event; the answer must be a response.
pub(crate) async fn deliver(api: &RuntimeApi, event: String) -> Value {
    let invocation: Invocation = api.invoke(event, PATIENCE).await;
    invocation.json()
}
