//! Changes of one key in a chunk, folded into one line: what they say together.
//!
//! Only of tables that take parts of items. Elsewhere the newest change of a key is all there is to say.

use tributary_core::cell::{Cell, Row};
use tributary_core::change::{Change, Notes, Op};
use tributary_core::register::fold;
use tributary_core::table::Table;
use tributary_core::version::Version;

use crate::encode::Line;

/// What changes of a key say together.
#[derive(Debug)]
pub(crate) struct Folded {
    version: Version,
    deleted: bool,
    at: Option<i64>,
    row: Row,
    notes: Notes,
    versions: Option<Box<str>>,
}

impl Folded {
    /// One change a key, and with it what all of that key say together; nothing where that is a whole image.
    pub(crate) fn by_key<'a>(table: &Table, changes: &[&'a Change]) -> (Vec<&'a Change>, Vec<Option<Folded>>) {
        let of_key = |changes: &[&'a Change]| match changes {
            [whole] if matches!(whole.op, Op::Upsert(..)) => (*whole, None),
            all => (all[0], Folded::of(table, all)),
        };
        changes.chunk_by(|a, b| a.key == b.key).map(of_key).unzip()
    }

    fn of(table: &Table, changes: &[&Change]) -> Option<Self> {
        let registers = fold(table, changes.iter().copied())?;
        Some(Folded {
            version: registers.version,
            deleted: registers.deleted,
            at: registers.at,
            row: registers.row(),
            notes: registers.notes(table),
            versions: registers.versions(table),
        })
    }

    /// The line of this key.
    pub(crate) fn line<'a>(&'a self, key: &'a [Cell]) -> Line<'a> {
        let Folded { version, deleted, at, row, notes, versions } = self;
        Line {
            key,
            row,
            notes: notes.as_deref(),
            version: *version,
            at: *at,
            deleted: *deleted,
            ledger_key: "",
            versions: versions.as_deref(),
        }
    }
}
