//! What an event means for one row of one table, and the newest changes of a batch.

use std::cmp::Reverse;

use crate::cell::{Key, Row};
use crate::table::{DeleteMode, Table};
use crate::version::Version;

/// One row of one table at one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Position of the table in the pipeline.
    pub table: u16,
    /// Position of the event in its batch.
    pub event: u32,
    /// The row's key; for a table of children, the parent's part of it.
    pub key: Key,
    /// The version of the row after this change.
    pub version: Version,
    /// When the source made the change, in microseconds since 1970.
    pub at: Option<i64>,
    /// What the row becomes.
    pub op: Op,
}

/// What a row becomes.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// These values.
    Upsert(Row, Notes),
    /// Some values; the other columns stay as they are. Only on tables that keep a version per column
    /// ([`crate::table::MetaColumns::versions`]).
    Patch(Patch),
    /// A tombstone. The values are the last that the source knew, or NULL; the delete columns are filled in.
    Delete(Row),
    /// For children: the parent's elements are these and no others.
    Replace(Vec<Element>),
}

/// A row of which some columns are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The values; where a column is not known, what an insert puts there: its default, or NULL.
    pub row: Row,
    /// Which columns are known at the change's version, parallel to `row`.
    pub known: Box<[bool]>,
    /// What didn't fit, of known columns.
    pub notes: Notes,
}

/// One element of a list: a row of a table of children.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// The whole key: the parent's part and the element's own.
    pub key: Key,
    /// The values.
    pub row: Row,
    /// What didn't fit.
    pub notes: Notes,
}

/// Why columns are NULL or cut although the source had a value: a JSON object for the `_errors` column.
pub type Notes = Option<Box<str>>;

/// Why a row is deleted; what a `reason` column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody deleted the item.
    Deleted,
    /// The item expired (DynamoDB TTL).
    Expired,
    /// The item has no such sub-document, or it is null.
    Absent,
    /// `when` doesn't hold.
    Filtered,
}

impl Reason {
    /// The word that a `reason` column shows.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Deleted => "deleted",
            Reason::Expired => "expired",
            Reason::Absent => "absent",
            Reason::Filtered => "filtered",
        }
    }
}

impl Change {
    /// Whether older changes of the same row don't matter beside this one. A part of an item leaves room for what an older
    /// one said of other columns, and so does a tombstone that keeps the values.
    pub fn supersedes(&self, table: &Table) -> bool {
        match self.op {
            Op::Upsert(..) | Op::Replace(_) => true,
            Op::Patch(_) => false,
            Op::Delete(_) => !table.takes_parts() || table.delete.mode == DeleteMode::Soft { keep: false },
        }
    }
}

/// The order of the write path: by table, then key, then the newest first. Writers that lock rows in one order cannot
/// deadlock, and one statement must not name a key twice.
///
/// Returns the positions of the survivors in that order: of each key the newest, and where that doesn't supersede the
/// older ones, those down to the newest that does. Of equal versions the first that arrived comes first. The others stay
/// where they are: when a survivor turns out to be bad, the next older one takes its place.
pub fn compact(changes: &[Change], tables: &[Table]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..changes.len() as u32).collect();
    let at = |position: &u32| &changes[*position as usize];
    order.sort_unstable_by(|a, b| {
        let rank = |position: &u32| (Reverse(at(position).version), *position);
        (at(a).table, &at(a).key).cmp(&(at(b).table, &at(b).key)).then_with(|| rank(a).cmp(&rank(b)))
    });
    order.dedup_by(|next, kept| {
        let (next, kept) = (at(next), at(kept));
        next.table == kept.table && next.key == kept.key && kept.supersedes(&tables[usize::from(kept.table)])
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Cell;
    use crate::table::{DeletePolicy, MetaColumns};

    fn table(mode: DeleteMode, versions: Option<&str>) -> Table {
        Table {
            schema: None,
            name: "t".into(),
            key: Vec::new(),
            columns: Vec::new(),
            delete: DeletePolicy { mode, ttl: true, purge_after: None },
            meta: MetaColumns { versions: versions.map(str::to_owned), ..MetaColumns::default() },
            children: None,
        }
    }

    fn change(table: u16, key: i64, version: u128, op: Op) -> Change {
        let (key, version) = (Box::new([Cell::Int(key)]), Version::from_u128(0, version));
        Change { table, event: 0, key, version, at: None, op }
    }

    fn put(table: u16, key: i64, version: u128) -> Change {
        change(table, key, version, Op::Upsert(Box::new([]), None))
    }

    #[test]
    fn keeps_the_newest_of_each_key_sorted_by_table_and_key() {
        let tables = [table(DeleteMode::Hard, None), table(DeleteMode::Hard, None)];
        let changes = [put(1, 1, 5), put(0, 2, 1), put(0, 1, 1), put(0, 2, 3), put(0, 2, 3), put(0, 2, 2)];
        assert_eq!(compact(&changes, &tables), [2, 3, 0]);
    }

    #[test]
    fn a_part_leaves_room_for_older_changes_down_to_a_whole_one() {
        let part = |key, version| {
            let patch = Patch { row: Box::new([]), known: Box::new([]), notes: None };
            change(0, key, version, Op::Patch(patch))
        };
        let gone = |key, version| change(0, key, version, Op::Delete(Box::new([])));
        let check = |keep, changes: &[Change], expect: &[u32]| {
            assert_eq!(compact(changes, &[table(DeleteMode::Soft { keep }, Some("_versions"))]), expect);
        };
        check(true, &[put(0, 1, 1), put(0, 1, 2), part(1, 3), part(1, 4)], &[3, 2, 1]);
        check(true, &[put(0, 1, 2), gone(1, 3), put(0, 1, 1)], &[1, 0]);
        check(false, &[put(0, 1, 2), gone(1, 3), part(1, 4)], &[2, 1]);
    }
}
