//! A row as registers: what a table that takes parts of items stores, and how two states of one row become one.
//!
//! One register for the row itself (its version, whether it is a tombstone, when the source made it so) and one a column.
//! Of each, the greater version wins; of equal ones the one that is there. So merging doesn't depend on order, repetition
//! or grouping. Postgres does the same in one statement (`shared/postgres/src/sql/merge.rs`); the in-memory twin does it
//! here, and the Postgres sink folds the changes of one key in a batch here. A table without parts needs none of it.

use serde_json::{Map, Value as Json};

use crate::cell::{Cell, Row};
use crate::change::{Change, Notes, Op};
use crate::table::{Column, DeleteMode, Role, Table};
use crate::version::Version;

/// A row, or what a change says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Registers {
    /// The greatest version of all.
    pub version: Version,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// When the source made it so, in microseconds since 1970.
    pub at: Option<i64>,
    /// The columns besides the key, in the order of the table.
    pub columns: Vec<Register>,
}

/// A column of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Register {
    /// Its value.
    pub cell: Cell,
    /// The version at which that was said; `None` when nobody has said anything.
    pub version: Option<Version>,
    /// Why it is NULL or cut although the source had a value.
    pub note: Option<Json>,
}

impl Registers {
    /// What a change of a row says.
    pub fn of(table: &Table, change: &Change) -> Self {
        let version = change.version;
        let said = |cell: &Cell| Register { cell: cell.clone(), version: Some(version), note: None };
        let unknown = |column: &Column| Register { cell: column.unknown(), version: None, note: None };
        let (mut columns, notes, deleted): (Vec<Register>, &Notes, bool) = match &change.op {
            Op::Upsert(row, notes) => (row.iter().map(said).collect(), notes, false),
            Op::Patch(patch) => {
                let register = |((cell, known), column): ((&Cell, &bool), &Column)| {
                    if *known { said(cell) } else { unknown(column) }
                };
                let cells = patch.row.iter().zip(&patch.known).zip(&table.columns);
                (cells.map(register).collect(), &patch.notes, false)
            }
            Op::Delete(row) => {
                let clears = table.delete.mode == DeleteMode::Soft { keep: false };
                let register = |(cell, column): (&Cell, &Column)| match column.role {
                    Role::Data if clears => said(&column.unknown()),
                    // The values of a tombstone are what the source knew at last, and NULL says nothing. Nor does the value
                    // of a column with a default, which stands in for NULL.
                    Role::Data if cell.is_null() || column.default.is_some() => unknown(column),
                    _ => said(cell),
                };
                (row.iter().zip(&table.columns).map(register).collect(), &None, true)
            }
            // A set isn't a row, and its tables have no registers.
            Op::Replace(_) => (table.columns.iter().map(unknown).collect(), &None, false),
        };
        if let Some(Ok(Json::Object(mut notes))) = notes.as_deref().map(serde_json::from_str) {
            for (register, column) in columns.iter_mut().zip(&table.columns) {
                register.note = notes.remove(&column.name);
            }
        }
        Registers { version, deleted, at: change.at, columns }
    }

    /// Takes over what is newer in another state of the same row; whether anything was.
    pub fn merge(&mut self, table: &Table, other: &Registers) -> bool {
        let newer = other.version > self.version;
        let deleted = if newer { other.deleted } else { self.deleted };
        let mut changed = newer;
        for ((mine, theirs), column) in self.columns.iter_mut().zip(&other.columns).zip(&table.columns) {
            let wins = theirs.version > mine.version;
            changed |= wins;
            if wins {
                *mine = theirs.clone();
            }
            // What a tombstone says of when and why it is one has no meaning for a row that lives again.
            let of_tombstone = if wins { other.deleted } else { self.deleted };
            if column.role != Role::Data && of_tombstone && !deleted {
                mine.cell = if column.role == Role::DeletedFlag { Cell::Bool(false) } else { Cell::Null };
            }
        }
        if newer {
            (self.version, self.deleted, self.at) = (other.version, deleted, other.at);
        }
        changed
    }

    /// The values.
    pub fn row(&self) -> Row {
        self.columns.iter().map(|register| register.cell.clone()).collect()
    }

    /// The notes of all columns, as the `_errors` column holds them.
    pub fn notes(&self, table: &Table) -> Notes {
        let note = |(register, column): (&Register, &Column)| Some((column.name.clone(), register.note.clone()?));
        object(self.columns.iter().zip(&table.columns).filter_map(note).collect())
    }

    /// The versions of columns that are older than the row's, as the `_versions` column holds them.
    pub fn versions(&self, table: &Table) -> Option<Box<str>> {
        let older = self.columns.iter().zip(&table.columns).filter(|(r, _)| r.version != Some(self.version));
        let entry = |(register, column): (&Register, &Column)| {
            let version = register.version.map_or_else(|| "-1".to_owned(), |version| version.to_string());
            (column.name.clone(), Json::String(version))
        };
        object(older.map(entry).collect())
    }
}

fn object(fields: Map<String, Json>) -> Option<Box<str>> {
    (!fields.is_empty()).then(|| Json::Object(fields).to_string().into())
}

/// What changes of one key say together; `None` of no changes.
pub fn fold<'c>(table: &Table, changes: impl IntoIterator<Item = &'c Change>) -> Option<Registers> {
    let states = changes.into_iter().map(|change| Registers::of(table, change));
    states.reduce(|mut folded, next| {
        folded.merge(table, &next);
        folded
    })
}
