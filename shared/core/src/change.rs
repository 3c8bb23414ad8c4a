//! What an event means for one row of one table, and the newest changes of a batch.

use std::cmp::Reverse;

use crate::cell::{Key, Row};
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

/// The order of the write path: by table, then key, then the newest first. Writers that lock rows in one order cannot
/// deadlock, and one statement must not name a key twice.
///
/// Returns the positions of the survivors, the newest of each key, in that order; of equal versions the first that
/// arrived. The others stay where they are: when a survivor turns out to be bad, the next older one takes its place.
pub fn compact(changes: &[Change]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..changes.len() as u32).collect();
    let at = |position: &u32| &changes[*position as usize];
    order.sort_unstable_by(|a, b| {
        let rank = |position: &u32| (Reverse(at(position).version), *position);
        (at(a).table, &at(a).key).cmp(&(at(b).table, &at(b).key)).then_with(|| rank(a).cmp(&rank(b)))
    });
    order.dedup_by(|next, kept| at(next).table == at(kept).table && at(next).key == at(kept).key);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Cell;

    fn change(table: u16, key: i64, version: u128) -> Change {
        Change {
            table,
            event: 0,
            key: Box::new([Cell::Int(key)]),
            version: Version::from_u128(0, version),
            at: None,
            op: Op::Upsert(Box::new([]), None),
        }
    }

    #[test]
    fn keeps_the_newest_of_each_key_sorted_by_table_and_key() {
        let changes =
            [change(1, 1, 5), change(0, 2, 1), change(0, 1, 1), change(0, 2, 3), change(0, 2, 3), change(0, 2, 2)];
        assert_eq!(compact(&changes), [2, 3, 0]);
    }
}
