//! The collections of the former Sequin: which fields a record may have. Read once and kept for a while.
//!
//! An absent cell is empty only if its collection still has the field. So the collections are read anew when a record has a
//! field that they don't know, and what the mapping names and they don't is said.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use tributary_core::pipeline::{From, Pipeline, Scope, SourceKind};
use tributary_core::sink::Budget;
use tributary_core::{Error, Result};
use tributary_postgres::Credentials;
use tributary_sources::sequin::collection::Collection;

use super::message::Message;
use super::portion::Portion;
use super::queue::Queue;
use crate::secrets::Secrets;
use crate::tick::Turn;

/// How long collections are believed. A field that is removed in that time looks empty.
const KEPT: Duration = Duration::from_secs(120);

/// The collections by datastore.
#[derive(Debug, Default)]
pub(super) struct Catalogs {
    kept: HashMap<String, Catalog>,
}

#[derive(Debug)]
struct Catalog {
    collections: Vec<Collection>,
    read: Instant,
    /// Whether it was read in this turn: then reading it again tells nothing new.
    is_of_turn: bool,
    /// Whether what the mapping names and it lacks was said in this turn.
    compared: bool,
}

impl Catalogs {
    /// What is known of the collections of a datastore; none for Sequin Stream.
    pub(super) fn get(&self, store: &str) -> &[Collection] {
        self.kept.get(store).map_or(&[], |catalog| &catalog.collections)
    }

    /// To be called when a turn begins.
    ///
    /// # Errors
    /// What asking for them fails with; `Config` when a pipeline names a collection that isn't there.
    pub(super) async fn open<S: Secrets, C: Credentials>(
        &mut self,
        store: &str,
        queue: &Queue<'_, S>,
        turn: &Turn<'_, C>,
        budget: &impl Budget,
    ) -> Result<()> {
        if !queue.has_collections() {
            return Ok(());
        }
        match self.kept.get_mut(store) {
            Some(catalog) if catalog.read.elapsed() < KEPT => (catalog.is_of_turn, catalog.compared) = (false, false),
            _ => self.read(store, queue, budget).await?,
        }
        for pipeline in turn.pipelines() {
            let SourceKind::SequinLegacy(source) = &pipeline.source.kind else { continue };
            // Sequin's own ids, `provider:…`, are compared with the records themselves.
            let wanted = &source.collection;
            if !wanted.contains(':') && !self.get(store).iter().any(|collection| collection.is(wanted)) {
                let known: Vec<&str> = self.get(store).iter().take(20).map(|collection| &*collection.name).collect();
                return Err(Error::config(format!("Sequin's credential has no collection `{wanted}`"))
                    .with_hint(format!("it has {}", known.join(", "))));
            }
        }
        Ok(())
    }

    /// To be called before a portion is decoded: reads the collections anew when a record has a field that they lack.
    pub(super) async fn keep_up<S: Secrets, C: Credentials>(
        &mut self,
        store: &str,
        portion: &Portion,
        queue: &Queue<'_, S>,
        turn: &mut Turn<'_, C>,
        budget: &impl Budget,
    ) -> Result<()> {
        let Some(catalog) = self.kept.get(store) else { return Ok(()) };
        if !catalog.is_of_turn && portion.messages().iter().any(|message| catalog.is_behind(message)) {
            self.read(store, queue, budget).await?;
        }
        if let Some(catalog) = self.kept.get_mut(store).filter(|catalog| !catalog.compared) {
            catalog.compared = true;
            for pipeline in turn.pipelines() {
                let missing = catalog.missing(pipeline);
                if !missing.is_empty() {
                    let text = format!(
                        "the collection has no field {}: it was renamed or removed, and the columns keep their values",
                        missing.join(", ")
                    );
                    turn.note(pipeline, text);
                }
            }
        }
        Ok(())
    }

    async fn read<S: Secrets>(&mut self, store: &str, queue: &Queue<'_, S>, budget: &impl Budget) -> Result<()> {
        let collections = queue.collections(budget).await?;
        let catalog = Catalog { collections, read: Instant::now(), is_of_turn: true, compared: false };
        self.kept.insert(store.to_owned(), catalog);
        Ok(())
    }
}

impl Catalog {
    fn is_behind(&self, message: &Message) -> bool {
        let Message::Record(record) = message else { return false };
        let Some(collection) = self.collections.iter().find(|collection| *collection.id == *record.collection) else {
            return true;
        };
        let known: HashSet<&str> = collection.fields.iter().map(|field| &*field.name).collect();
        record.field_names().iter().any(|name| !known.contains(&**name))
    }

    /// The fields that a pipeline's tables are made of and its collection lacks.
    fn missing(&self, pipeline: &Pipeline) -> Vec<String> {
        let SourceKind::SequinLegacy(source) = &pipeline.source.kind else { return Vec::new() };
        let Some(collection) = self.collections.iter().find(|collection| collection.is(&source.collection)) else {
            return Vec::new();
        };
        let reserved = pipeline.source.kind.reserved_fields();
        let mut missing: Vec<String> = Vec::new();
        for route in &pipeline.routes {
            let scope = match &route.scope {
                Scope::Root => None,
                Scope::Document(path) | Scope::Elements(path) => path.first_field(),
            };
            let of_binding = |from: &'_ From| match from {
                From::Row(path) => scope.or(path.first_field()).map(str::to_owned),
                From::Root(path) => path.first_field().map(str::to_owned),
                From::Whole => scope.map(str::to_owned),
                From::Program(_) | From::Index | From::Nothing => None,
            };
            let fields = route.key.iter().chain(&route.columns).filter_map(|binding| of_binding(&binding.from));
            for field in fields {
                let shown = format!("`{field}`");
                if !reserved.contains(&field.as_str())
                    && collection.field(&field).is_none()
                    && !missing.contains(&shown)
                {
                    missing.push(shown);
                }
            }
        }
        missing
    }
}
