//! A value in the form of its column: what the write path encodes, compares and hashes.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::decimal::Decimal;

/// Microseconds from 1970-01-01 to 2000-01-01 UTC, where Postgres starts to count
/// (`POSTGRES_EPOCH_JDATE` in its `timestamp.h`).
pub const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A value cast to its column's type. Keys are compared in this form, so that `1` and `1.0`, or a uuid in two
/// spellings, are one key.
#[derive(Clone, Debug)]
pub enum Cell {
    /// SQL NULL.
    Null,
    /// `boolean`.
    Bool(bool),
    /// `smallint`, `integer`, `bigint`; the cast has checked the range.
    Int(i64),
    /// `real`, `double precision`.
    Float(f64),
    /// `numeric`.
    Numeric(Decimal),
    /// `text`, `varchar`, `json`, `jsonb`; and the literal of a type that the server reads itself (arrays, enums, …).
    Text(Box<str>),
    /// `bytea`.
    Bytes(Box<[u8]>),
    /// `uuid`.
    Uuid([u8; 16]),
    /// `date`: days since 2000-01-01. `i32::MIN` and `MAX` are −infinity and infinity.
    Date(i32),
    /// `time`, `timestamp`, `timestamptz`: microseconds since midnight, or since 2000-01-01 (UTC for `timestamptz`).
    /// `i64::MIN` and `MAX` are −infinity and infinity.
    Micros(i64),
}

impl Cell {
    /// A `timestamptz` from microseconds since 1970.
    pub fn from_unix_micros(micros: i64) -> Self {
        Cell::Micros(micros.saturating_sub(POSTGRES_EPOCH_MICROS))
    }

    /// Whether this is SQL NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Cell::Null)
    }

    fn rank(&self) -> u8 {
        match self {
            Cell::Null => 0,
            Cell::Bool(_) => 1,
            Cell::Int(_) => 2,
            Cell::Float(_) => 3,
            Cell::Numeric(_) => 4,
            Cell::Text(_) => 5,
            Cell::Bytes(_) => 6,
            Cell::Uuid(_) => 7,
            Cell::Date(_) => 8,
            Cell::Micros(_) => 9,
        }
    }
}

/// A total order, the same in every process: writers that take row locks in it cannot deadlock. It need not be the
/// order of any Postgres collation.
impl Ord for Cell {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
            (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
            (Cell::Uuid(a), Cell::Uuid(b)) => a.cmp(b),
            (Cell::Bool(a), Cell::Bool(b)) => a.cmp(b),
            (Cell::Float(a), Cell::Float(b)) => a.total_cmp(b),
            (Cell::Numeric(a), Cell::Numeric(b)) => a.cmp(b),
            (Cell::Bytes(a), Cell::Bytes(b)) => a.cmp(b),
            (Cell::Date(a), Cell::Date(b)) => a.cmp(b),
            (Cell::Micros(a), Cell::Micros(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Cell {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cell {}

impl Hash for Cell {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Cell::Null => {}
            Cell::Bool(value) => value.hash(state),
            Cell::Int(value) => value.hash(state),
            Cell::Float(value) => value.to_bits().hash(state),
            Cell::Numeric(value) => value.hash(state),
            Cell::Text(value) => value.hash(state),
            Cell::Bytes(value) => value.hash(state),
            Cell::Uuid(value) => value.hash(state),
            Cell::Date(value) => value.hash(state),
            Cell::Micros(value) => value.hash(state),
        }
    }
}

/// The key of a row: its key columns' cells, in the order of the table.
pub type Key = Box<[Cell]>;

/// The cells of a row besides its key, in the order of the table's columns.
pub type Row = Box<[Cell]>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_three_words() {
        assert!(size_of::<Cell>() <= 24, "{}", size_of::<Cell>());
    }

    #[test]
    fn equal_values_are_equal_keys() {
        let one = |text: &str| Cell::Numeric(Decimal::parse(text).unwrap());
        assert_eq!(one("1"), one("1.0"));
        assert_ne!(one("1"), one("-1"));
    }
}
