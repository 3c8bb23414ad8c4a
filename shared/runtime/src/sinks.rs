//! The sinks of a mapping: one connection a datastore, shared by all pipelines that write it.

use tributary_core::pipeline::{Datastore, Mapping, Pipeline, PostgresStore};
use tributary_core::table::Table;
use tributary_core::{Error, Kind, Result};
use tributary_postgres::{Credentials, Postgres};

/// The sinks of a mapping by the name of their datastore.
pub struct Sinks<C> {
    stores: Vec<(String, Postgres<C>)>,
}

impl<C: Credentials> Sinks<C> {
    /// The sinks that these pipelines write. `credentials` is asked once a datastore.
    pub fn new<'m>(
        mapping: &'m Mapping,
        pipelines: impl Iterator<Item = &'m Pipeline>,
        mut credentials: impl FnMut(&str, &PostgresStore) -> C,
    ) -> Self {
        let pipelines: Vec<&Pipeline> = pipelines.collect();
        let mut stores = Vec::new();
        for (name, store) in &mapping.datastores {
            let Datastore::Postgres(store) = store else { continue };
            let of_store = pipelines.iter().filter(|pipeline| pipeline.sink == *name);
            let tables: Vec<Table> = of_store.flat_map(|pipeline| pipeline.tables.iter().cloned()).collect();
            if !tables.is_empty() {
                stores.push((name.clone(), Postgres::new(credentials(name, store), tables, store.auto_migrate)));
            }
        }
        Sinks { stores }
    }

    /// The sink of this name.
    ///
    /// # Errors
    /// `Bug` when it was not made: the checker lets no pipeline name a sink that doesn't exist.
    pub fn get(&mut self, name: &str) -> Result<&mut Postgres<C>> {
        let found = self.stores.iter_mut().find(|(store, _)| store == name);
        found.map(|(_, sink)| sink).ok_or_else(|| Error::new(Kind::Bug, format!("there is no sink `{name}`")))
    }

    /// Each sink with the name of its datastore.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Postgres<C>)> {
        self.stores.iter_mut().map(|(name, sink)| (name.as_str(), sink))
    }

    /// Connects all of them. A database that is down is not fatal here: the first event tries again, and its source
    /// keeps what could not be applied.
    pub async fn warm_up(&mut self) {
        for (name, sink) in &mut self.stores {
            if let Err(error) = sink.warm_up().await {
                tracing::warn!(datastore = name, error = %error.chain(), hint = error.hint(), "cannot connect yet");
            }
        }
    }

    /// Sends statistics without waiting.
    pub fn post(&mut self) {
        self.stores.iter_mut().for_each(|(_, sink)| sink.post());
    }

    /// Waits until statistics are stored.
    pub async fn settle(&mut self) {
        for (_, sink) in &mut self.stores {
            sink.settle().await;
        }
    }
}
