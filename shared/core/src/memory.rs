//! The in-memory twin of the Postgres sink: the same version rule without a server. Property tests compare the two, and
//! what they must agree on is written here in its plainest form.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::batch::{Batch, Outcome, Rejected};
use crate::cell::{Cell, Key, Row};
use crate::change::{Change, Notes, Op, compact};
use crate::error::Result;
use crate::register::Registers;
use crate::sink::{Budget, Sink};
use crate::table::{DeleteMode, Role, Table};
use crate::version::Version;

/// A row of the twin.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its version.
    pub version: Version,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Its values besides the key.
    pub row: Row,
    /// Why columns are NULL or cut.
    pub notes: Notes,
}

/// Tables in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    tables: BTreeMap<String, BTreeMap<Key, Stored>>,
    parts: BTreeMap<String, BTreeMap<Key, Registers>>,
    ledger: BTreeMap<(String, Key), Version>,
    dead: BTreeMap<String, Vec<Rejected>>,
    receipts: BTreeSet<(String, Box<str>)>,
}

impl Memory {
    /// The rows of a table by key, tombstones included.
    pub fn table(&self, name: &str) -> BTreeMap<Key, Stored> {
        self.tables.get(name).cloned().unwrap_or_default()
    }

    /// The rows of a table that takes parts.
    pub fn registers(&self, name: &str) -> BTreeMap<Key, Registers> {
        self.parts.get(name).cloned().unwrap_or_default()
    }

    /// The rejections by source position.
    pub fn dead(&self) -> &BTreeMap<String, Vec<Rejected>> {
        &self.dead
    }

    /// What a table says, whatever its versions are.
    fn content(&self, name: &str) -> Vec<(&Key, bool, Row, Notes)> {
        let rows = self.tables.get(name).into_iter().flatten();
        let rows = rows.map(|(key, stored)| (key, stored.deleted, stored.row.clone(), stored.notes.clone()));
        let parts = self.parts.get(name).into_iter().flatten();
        let notes = |registers: &Registers| {
            let notes: Vec<String> = registers.columns.iter().map(|register| format!("{:?}", register.note)).collect();
            Some(notes.join(" ").into())
        };
        rows.chain(parts.map(|(key, row)| (key, row.deleted, row.row(), notes(row)))).collect()
    }

    /// Applies the changes of one key, the newest first; whether any was newer, and whether they said anything new. What
    /// says nothing new is not stored in a batch of an only writer.
    fn key(&mut self, batch: &Batch<'_>, changes: &[&Change]) -> (bool, bool) {
        let table = &batch.tables[usize::from(changes[0].table)];
        let before = batch.only_writer.then(|| self.clone());
        let newer = changes.iter().filter(|change| self.change(table, change)).count() > 0;
        let name = table.qualified_name();
        match before {
            Some(before) if self.content(&name) == before.content(&name) => {
                *self = before;
                (newer, false)
            }
            _ => (newer, newer),
        }
    }

    /// Applies one change; whether it was newer than what is stored.
    fn change(&mut self, table: &Table, change: &Change) -> bool {
        let name = table.qualified_name();
        if table.takes_parts() {
            let said = Registers::of(table, change);
            return match self.parts.entry(name).or_default().entry(change.key.clone()) {
                Entry::Occupied(mut stored) => stored.get_mut().merge(table, &said),
                Entry::Vacant(place) => {
                    place.insert(said);
                    true
                }
            };
        }
        if table.uses_ledger() {
            let stored = self.ledger.entry((name.clone(), change.key.clone())).or_insert(change.version);
            if *stored > change.version {
                return false;
            }
            *stored = change.version;
        }
        let rows = self.tables.entry(name).or_default();
        match &change.op {
            Op::Upsert(row, notes) => {
                let (version, row, notes) = (change.version, row.clone(), notes.clone());
                upsert(rows, change, &change.key, Stored { version, deleted: false, row, notes })
            }
            // Nothing routes a part to a table that keeps no version per column.
            Op::Patch(_) => false,
            Op::Delete(_) if table.delete.mode == DeleteMode::Hard => {
                rows.remove(&change.key);
                true
            }
            Op::Delete(row) => {
                let row = match rows.get(&change.key) {
                    Some(stored) => bury(table, stored, row),
                    None => row.clone(),
                };
                upsert(rows, change, &change.key, Stored { version: change.version, deleted: true, row, notes: None })
            }
            Op::Replace(elements) => {
                for element in elements {
                    let (row, notes) = (element.row.clone(), element.notes.clone());
                    upsert(rows, change, &element.key, Stored { version: change.version, deleted: false, row, notes });
                }
                let positions = table.children.as_ref().map(|children| children.parent.clone()).unwrap_or_default();
                let of_parent = |key: &Key| positions.iter().map(|p| &key[*p]).eq(change.key.iter());
                if table.delete.mode == DeleteMode::Hard {
                    rows.retain(|key, stored| !of_parent(key) || stored.version >= change.version);
                } else {
                    let left = rows
                        .iter_mut()
                        .filter(|(key, stored)| of_parent(key) && stored.version < change.version && !stored.deleted);
                    left.for_each(|(_, stored)| sweep(table, stored, change));
                }
                true
            }
        }
    }
}

fn upsert(rows: &mut BTreeMap<Key, Stored>, change: &Change, key: &Key, new: Stored) -> bool {
    match rows.get(key) {
        Some(stored) if stored.version >= change.version => false,
        _ => {
            rows.insert(key.clone(), new);
            true
        }
    }
}

/// The values of a tombstone over those of the row that was there.
fn bury(table: &Table, stored: &Stored, tombstone: &Row) -> Row {
    let keep = table.delete.mode == DeleteMode::Soft { keep: true };
    let columns = table.columns.iter().zip(tombstone).zip(&stored.row);
    let cells = columns.map(|((column, new), old)| match column.role {
        Role::Data if keep && (new.is_null() || column.default.is_some()) => old.clone(),
        Role::DeletedAt | Role::DeletedReason if stored.deleted => old.clone(),
        _ => new.clone(),
    });
    cells.collect()
}

fn sweep(table: &Table, stored: &mut Stored, change: &Change) {
    let keep = table.delete.mode == DeleteMode::Soft { keep: true };
    for (column, cell) in table.columns.iter().zip(stored.row.iter_mut()) {
        match column.role {
            Role::DeletedFlag => *cell = Cell::Bool(true),
            Role::DeletedAt => *cell = change.at.map_or(Cell::Null, Cell::from_unix_micros),
            Role::DeletedReason => *cell = Cell::Text("absent".into()),
            Role::Data if keep => {}
            Role::Data => *cell = column.default.clone().unwrap_or(Cell::Null),
        }
    }
    (stored.version, stored.deleted) = (change.version, true);
}

impl Sink for Memory {
    async fn apply(&mut self, batch: &Batch<'_>, _budget: &impl Budget) -> Result<Outcome> {
        let mut known = Vec::new();
        for receipt in &batch.receipts {
            if !self.receipts.insert((batch.pipeline.to_owned(), receipt.sender.clone())) {
                known.push(&receipt.events);
            }
        }
        let mut fresh = batch.clone();
        fresh.changes.retain(|change| !known.iter().any(|events| events.contains(&change.event)));
        fresh.rejected.retain(|rejected| !known.iter().any(|events| events.contains(&rejected.event)));
        let (batch, duplicates) = (&fresh, known.len() as u64);
        let survivors = compact(&batch.changes, batch.tables);
        let (mut applied, mut unchanged) = (0, 0);
        let changes: Vec<&Change> = survivors.iter().map(|position| &batch.changes[*position as usize]).collect();
        for of_key in changes.chunk_by(|a, b| (a.table, &a.key) == (b.table, &b.key)) {
            let (newer, news) = self.key(batch, of_key);
            applied += u64::from(newer && news);
            unchanged += u64::from(newer && !news);
        }
        for rejection in &batch.rejected {
            let position = batch.origins[rejection.event as usize].position.to_string();
            self.dead.entry(position).or_default().push(rejection.clone());
        }
        Ok(Outcome {
            applied,
            stale: batch.changes.len() as u64 - applied - unchanged,
            unchanged,
            dead: batch.rejected.len() as u64,
            duplicates,
            ..Outcome::default()
        })
    }
}
