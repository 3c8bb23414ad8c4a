//! A small table in each of its kinds, and changes for it.

use tributary_core::batch::{Batch, Outcome};
use tributary_core::cell::{Cell, Key, Row};
use tributary_core::change::{Change, Element, Op};
use tributary_core::column_type::ColumnType;
use tributary_core::event::Origin;
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::table::{Children, Column, DeleteMode, DeletePolicy, MetaColumns, Role, Table};
use tributary_core::version::Version;
use tributary_postgres::Postgres;
use tributary_postgres::connect::{Policy, Target};
use tributary_tests::Database;

pub(crate) const KEEP: DeleteMode = DeleteMode::Soft { keep: true };
pub(crate) const CLEAR: DeleteMode = DeleteMode::Soft { keep: false };

pub(crate) fn column(name: &str, ty: &str) -> Column {
    Column { name: name.into(), ty: ColumnType::parse(ty).unwrap(), role: Role::Data, default: None }
}

/// `(id integer, name text)`.
pub(crate) fn table(name: &str, mode: DeleteMode) -> Table {
    Table {
        schema: None,
        name: name.into(),
        key: vec![column("id", "integer")],
        columns: vec![column("name", "text")],
        delete: DeletePolicy { mode, ttl: true, purge_after: None },
        meta: MetaColumns::default(),
        children: None,
    }
}

/// `(id integer, line integer, name text)`, the rows of a list in the item `id`.
pub(crate) fn children(name: &str, mode: DeleteMode) -> Table {
    let key = vec![column("id", "integer"), column("line", "integer")];
    Table { key, children: Some(Children { parent: vec![0] }), ..table(name, mode) }
}

pub(crate) fn key(id: i64) -> Key {
    Box::new([Cell::Int(id)])
}

pub(crate) fn row(name: &str) -> Row {
    Box::new([Cell::Text(name.into())])
}

pub(crate) fn change(table: u16, id: i64, version: u128, op: Op) -> Change {
    Change { table, event: 0, key: key(id), version: Version::from_u128(0, version), at: None, op }
}

pub(crate) fn put(id: i64, version: u128, name: &str) -> Change {
    change(0, id, version, Op::Upsert(row(name), None))
}

/// A delete of which no image is known.
pub(crate) fn gone(id: i64, version: u128) -> Change {
    change(0, id, version, Op::Delete(Box::new([Cell::Null])))
}

/// The list of item `id` now has these lines.
pub(crate) fn set(id: i64, version: u128, lines: &[(i64, &str)]) -> Change {
    let element = |(line, name): &(i64, &str)| Element {
        key: Box::new([Cell::Int(id), Cell::Int(*line)]),
        row: row(name),
        notes: None,
    };
    change(0, id, version, Op::Replace(lines.iter().map(element).collect()))
}

/// A batch whose events stand at positions `p0`, `p1`, …, one a change.
pub(crate) fn batch(tables: &[Table], mut changes: Vec<Change>) -> Batch<'_> {
    changes.iter_mut().enumerate().for_each(|(event, change)| change.event = event as u32);
    let origins = (0..changes.len())
        .map(|at| Origin {
            position: format!("p{at}").into(),
            key: format!("k{at}").into(),
            payload: format!("payload {at}").into(),
        })
        .collect();
    Batch {
        pipeline: "test",
        tables,
        origins,
        changes,
        rejected: Vec::new(),
        checkpoint: None,
        replay: false,
        only_writer: false,
        receipts: Vec::new(),
        received: Vec::new(),
    }
}

pub(crate) fn target(url: &str) -> Target {
    Target::from_url(url, &Policy::default()).unwrap()
}

/// A sink that creates what it lacks.
pub(crate) fn sink(database: &Database, tables: &[Table]) -> Postgres<Target> {
    Postgres::new(target(database.url()), tables.to_vec(), true)
}

pub(crate) async fn apply(sink: &mut Postgres<Target>, tables: &[Table], changes: Vec<Change>) -> Outcome {
    sink.apply(&batch(tables, changes), &Unlimited).await.unwrap()
}

/// `id | name | version | deleted` of the table, by id.
pub(crate) async fn rows(database: &Database, table: &str) -> Vec<String> {
    database.rows(&format!("select id, name, _version, _deleted from {table} order by id")).await
}
