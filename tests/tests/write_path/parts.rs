//! Parts of items: a version per column, on a table with every role that a column can have.

mod convergence;
mod interleaving;
mod plain;
mod refusal;

use tributary_core::cell::Cell;
use tributary_core::change::{Change, Op, Patch};
use tributary_core::table::{Column, DeleteMode, MetaColumns, Role, Table};
use tributary_tests::Database;

use crate::fixture::*;

/// The columns of [`parts`], in its order.
const COLUMNS: [&str; 5] = ["a", "b", "c", "gone", "gone_at"];

/// `(id integer, a text, b integer, c text, gone boolean, gone_at timestamptz)`; `c` has a default.
fn parts(mode: DeleteMode) -> Table {
    let columns = vec![
        column("a", "text"),
        column("b", "integer"),
        Column { default: Some(Cell::Text("default".into())), ..column("c", "text") },
        Column { role: Role::DeletedFlag, ..column("gone", "boolean") },
        Column { role: Role::DeletedAt, ..column("gone_at", "timestamptz") },
    ];
    let meta =
        MetaColumns { errors: Some("_errors".into()), versions: Some("_versions".into()), ..MetaColumns::default() };
    Table { columns, meta, ..table("t", mode) }
}

fn text(value: &str) -> Cell {
    Cell::Text(value.into())
}

/// The whole row, alive.
fn whole(id: i64, version: u128, a: &str, b: i64) -> Change {
    let row = Box::new([text(a), Cell::Int(b), text("c"), Cell::Bool(false), Cell::Null]);
    change(0, id, version, Op::Upsert(row, None))
}

/// Only these columns are known.
fn part(id: i64, version: u128, known: &[(&str, Cell)]) -> Change {
    let table = parts(KEEP);
    let of = |column: &Column| known.iter().find(|(name, _)| *name == column.name).map(|(_, cell)| cell.clone());
    let row = table.columns.iter().map(|column| of(column).unwrap_or(column.unknown())).collect();
    // The delete policy's columns come from nowhere, so every part knows that the row lives.
    let known = table.columns.iter().map(|column| column.role != Role::Data || of(column).is_some()).collect();
    change(0, id, version, Op::Patch(Patch { row, known, notes: None }))
}

fn only_a(id: i64, version: u128, a: &str) -> Change {
    part(id, version, &[("a", text(a))])
}

fn only_b(id: i64, version: u128, b: i64) -> Change {
    part(id, version, &[("b", Cell::Int(b))])
}

/// A delete of which no image is known.
fn deleted(id: i64, version: u128) -> Change {
    let row = Box::new([Cell::Null, Cell::Null, text("default"), Cell::Bool(true), Cell::Micros(version as i64)]);
    change(0, id, version, Op::Delete(row))
}

/// `id | a | b | c | version | deleted | versions`.
async fn stored(database: &Database) -> Vec<String> {
    database.rows("select id, a, b, c, _version, _deleted, _versions from t order by id").await
}
