//! The databases that a command works on: the mapping's sinks, or the one of `--database-url` in place of them all.

use std::sync::Arc;

use tributary_core::Error;
use tributary_core::pipeline::{Datastore, Mapping, Pipeline, PostgresStore, SecretRef};
use tributary_postgres::Postgres;
use tributary_runtime::database::Database;
use tributary_runtime::secrets::Secret;
use tributary_runtime::vault::Vault;

use crate::args::Args;

/// A database with the pipelines that write it.
pub(crate) struct Sink<'m> {
    /// The datastore's name.
    pub(crate) name: String,
    /// The pipelines, in the order of the mapping.
    pub(crate) pipelines: Vec<&'m Pipeline>,
    /// The database. Not connected yet.
    pub(crate) postgres: Postgres<Database<Vault>>,
}

/// All databases of the mapping, each once.
///
/// # Errors
/// `Config` when the sink of a pipeline is no Postgres datastore.
pub(crate) fn all<'m>(args: &Args, mapping: &'m Mapping) -> Result<Vec<Sink<'m>>, Error> {
    let mut names: Vec<&str> = Vec::new();
    for pipeline in &mapping.pipelines {
        if !names.contains(&pipeline.sink.as_str()) {
            names.push(&pipeline.sink);
        }
    }
    if args.database_url.is_some() {
        // The first one's settings stand for it.
        names.truncate(1);
    }
    let vault = Arc::new(Vault::new());
    let sink = |name: &str| {
        let of_it = |pipeline: &&Pipeline| args.database_url.is_some() || pipeline.sink == name;
        let pipelines: Vec<&Pipeline> = mapping.pipelines.iter().filter(of_it).collect();
        let tables = pipelines.iter().flat_map(|pipeline| pipeline.tables.iter().cloned()).collect();
        let database = Database::new(store(mapping, name)?.clone(), Arc::clone(&vault), "cli")
            .with_url(args.database_url.as_deref().map(Secret::new));
        let name = if args.database_url.is_some() { "--database-url".to_owned() } else { name.to_owned() };
        // A command migrates when it is asked to, and only then.
        Ok(Sink { name, pipelines, postgres: Postgres::new(database, tables, false) })
    };
    names.into_iter().map(sink).collect()
}

fn store<'m>(mapping: &'m Mapping, name: &str) -> Result<&'m PostgresStore, Error> {
    match mapping.datastores.get(name) {
        Some(Datastore::Postgres(store)) => Ok(store),
        _ => Err(Error::config(format!("the datastore `{name}` is no postgres"))),
    }
}

/// Whether every sink takes its URL from a variable that is not set: then nobody has named a database, and the local
/// runner may use one of its own.
pub(crate) fn none_at_hand(args: &Args, mapping: &Mapping) -> bool {
    let unset = |pipeline: &Pipeline| {
        let url = store(mapping, &pipeline.sink).ok().and_then(|store| store.url.as_ref());
        matches!(url, Some(SecretRef::Env(name)) if std::env::var_os(name).is_none_or(|value| value.is_empty()))
    };
    args.database_url.is_none() && mapping.pipelines.iter().all(unset)
}
