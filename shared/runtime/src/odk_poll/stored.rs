//! What the tables hold: which rows of the source, as of which version, and what the server said of them then.
//!
//! Read as a stream from the first table whose rows are whole items.

use tributary_core::Result;
use tributary_core::cell::Cell;
use tributary_core::path::Path;
use tributary_core::pipeline::{ELEMENT_ID, From, OdkSource, Pipeline, RECORD_ID, SYSTEM_COLUMN, Scope};
use tributary_core::table::Table;
use tributary_core::value::Value;
use tributary_postgres::{Credentials, Postgres};
use tributary_sources::json;
use tributary_sources::odk::first_of;

use super::digest::digest;

/// The table that is compared with the source.
#[derive(Debug)]
pub(super) struct Ledger {
    table: Table,
    id: Place,
    /// Where the item's own id stands among the key's columns.
    key: Option<usize>,
    has_system: bool,
    /// Whether items that are there may have no row.
    pub(super) is_partial: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Key(usize),
    Column(String),
}

/// A row of the table, or its tombstone.
#[derive(Debug)]
pub(super) struct Stored {
    /// The item's `__id`.
    pub(super) id: Box<str>,
    /// The item's `$id`, where the key has it.
    pub(super) key: Option<Box<str>>,
    /// The first part of its version; 0 for a row that was there before the table was adopted.
    pub(super) first: u64,
    pub(super) is_live: bool,
    /// What the server said of it, where it was asked for.
    pub(super) system: Option<Value>,
}

impl Stored {
    /// Whether this is the tombstone of a row that is at the source: the mapping wants none of it.
    pub(super) fn was_left_out(&self) -> bool {
        let deleted_at = self.system.as_ref().and_then(|system| system.get("deletedAt"));
        !self.is_live && deleted_at == Some(&Value::Null)
    }

    /// What the server said of it, in short.
    pub(super) fn digest(&self) -> u64 {
        self.system.as_ref().map_or(0, digest)
    }
}

impl Ledger {
    /// That of a pipeline; `None` where no table tells whose rows it holds.
    pub(super) fn of(pipeline: &Pipeline, source: &OdkSource) -> Option<Self> {
        let tables = pipeline.tables.iter().zip(&pipeline.routes);
        let mut roots: Vec<_> = tables.filter(|(_, route)| matches!(route.scope, Scope::Root)).collect();
        // One that has a row of every item, if there is such.
        roots.sort_by_key(|(_, route)| route.when.is_some());
        let (own, item) = (Path::field(ELEMENT_ID), Path::field(RECORD_ID));
        let is = |from: &From, path: &Path| matches!(from, From::Row(at) | From::Root(at) if at == path);
        roots.into_iter().find_map(|(table, route)| {
            let key = route.key.iter().position(|binding| is(&binding.from, &item));
            let by_id = |from: &From| is(from, &own) || (source.is_keyed_by_id() && is(from, &item));
            let in_key = route.key.iter().position(|binding| by_id(&binding.from)).map(Place::Key);
            let column = route.columns.iter().position(|binding| by_id(&binding.from));
            let id = in_key.or_else(|| Some(Place::Column(table.columns.get(column?)?.name.clone())))?;
            let has_system = table.columns.iter().any(|column| column.name == SYSTEM_COLUMN);
            Some(Ledger { table: table.clone(), id, key, has_system, is_partial: route.when.is_some() })
        })
    }

    /// Whether it keeps what the server said of each row.
    pub(super) fn has_system(&self) -> bool {
        self.has_system
    }

    /// Visits all that is stored. With `system`, what the server said of it is read too.
    pub(super) async fn visit<C: Credentials>(
        &self,
        sink: &mut Postgres<C>,
        system: bool,
        mut visit: impl FnMut(Stored),
    ) -> Result<()> {
        let mut columns: Vec<&str> = Vec::new();
        if let Place::Column(name) = &self.id {
            columns.push(name);
        }
        let system = system && self.has_system;
        if system {
            columns.push(SYSTEM_COLUMN);
        }
        sink.stored_with(&self.table, &columns, |key, version, is_tombstone, row| {
            let id = match &self.id {
                Place::Key(at) => key.get(*at),
                Place::Column(_) => row.first(),
            };
            // A row without an id isn't the source's: somebody else's, from before the table was adopted.
            let Some(id) = id.and_then(text) else { return Ok(()) };
            let system = if system { row.last().and_then(text) } else { None };
            visit(Stored {
                id,
                key: self.key.and_then(|at| key.get(at)).and_then(text),
                first: version.as_ref().map_or(0, first_of),
                is_live: !is_tombstone,
                system: system.and_then(|text| json::read(&text).ok()),
            });
            Ok(())
        })
        .await
    }
}

/// An id as the source writes it.
fn text(cell: &Cell) -> Option<Box<str>> {
    match cell {
        Cell::Text(text) => Some(text.clone()),
        Cell::Uuid(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Some([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-").into())
        }
        _ => None,
    }
}
