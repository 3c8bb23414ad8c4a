//! Rows in the order of their making, found by id: what both submissions and entities stand in.

use std::collections::{BTreeMap, HashMap};

use super::filter::Operand;

/// Where a row stands: when it was made, and after which others.
pub(super) type Key = (i64, u64);

/// What can be listed.
pub(super) trait Row {
    fn id(&self) -> &str;
    fn key(&self) -> Key;
    fn is_deleted(&self) -> bool;
    /// What a filter sees of it; `None` for a field that no filter knows.
    fn operand(&self, field: &str) -> Option<Operand<'_>>;
    /// The number of the last event of it.
    fn event(&self) -> u64;
}

/// Rows.
#[derive(Debug)]
pub(super) struct Store<T> {
    rows: BTreeMap<Key, T>,
    keys: HashMap<String, Key>,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Store { rows: BTreeMap::new(), keys: HashMap::new() }
    }
}

impl<T: Row> Store<T> {
    pub(super) fn insert(&mut self, row: T) {
        let before = self.keys.insert(row.id().to_owned(), row.key());
        assert!(before.is_none(), "there is one of the id {} already", row.id());
        self.rows.insert(row.key(), row);
    }

    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(self.keys.get(id)?)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(self.keys.get(id)?)
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<T> {
        self.rows.remove(&self.keys.remove(id)?)
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &T> {
        self.rows.values().rev()
    }

    /// Those that were made before this one, newest first.
    pub(super) fn before(&self, key: Key) -> impl Iterator<Item = &T> {
        self.rows.range(..key).rev().map(|(_, row)| row)
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.values_mut()
    }
}
