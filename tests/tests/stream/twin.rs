//! The tables as the in-memory twin computes them from a history, once and in order, against those in Postgres.

use tributary_core::batch::Batch;
use tributary_core::cast::cell_text;
use tributary_core::cell::Cell;
use tributary_core::memory::{Memory, Stored};
use tributary_core::pipeline::Mapping;
use tributary_core::route::route;
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::table::{Column, DeleteMode, Role, Table};
use tributary_sources::dynamodb::stream::decode;
use tributary_tests::Database;

use crate::fixture::event_of;

/// What the twin holds after these records, in this order.
pub(crate) async fn twin(mapping: &Mapping, records: &[impl AsRef<str>]) -> Memory {
    let pipeline = &mapping.pipelines[0];
    let mut memory = Memory::default();
    for some in records.chunks(500) {
        let (mut changes, mut rejected, mut origins) = (Vec::new(), Vec::new(), Vec::new());
        for (position, record) in (0u32..).zip(decode(event_of(some).into()).unwrap()) {
            let event = record.decoded.unwrap();
            route(pipeline, &event, position, 0, &mut changes, &mut rejected);
            origins.push(event.origin);
        }
        assert!(rejected.is_empty(), "{rejected:?}");
        let (tables, name) = (&pipeline.tables, &pipeline.name);
        let batch = Batch {
            pipeline: name,
            tables,
            origins,
            changes,
            rejected,
            checkpoint: None,
            replay: false,
            only_writer: false,
            receipts: Vec::new(),
            received: Vec::new(),
        };
        memory.apply(&batch, &Unlimited).await.unwrap();
    }
    memory
}

/// How the database differs from the twin: a few rows of each table, none if it doesn't. All values of living rows must
/// agree. What a tombstone keeps of its last values is whatever had arrived by then.
pub(crate) async fn differences(database: &Database, mapping: &Mapping, memory: &Memory) -> Vec<String> {
    let mut found = Vec::new();
    for table in &mapping.pipelines[0].tables {
        let rows = memory.table(&table.name);
        let rows: Vec<String> = rows.iter().map(|(key, stored)| row_sql(table, key, stored)).collect();
        let columns = columns(table).map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ");
        let (name, compared) = (quoted(&table.name), compared(table));
        let insert = |some: &[String]| {
            format!("insert into expected ({columns}, _version, _deleted) values {};", some.join(","))
        };
        let script = format!(
            "create temp table expected (like {name}); {}
             with a as (select {compared} from {name}), b as (select {compared} from expected)
             select '{} stored: ' || x::text from (select * from a except select * from b) x union all
             select '{} expected: ' || x::text from (select * from b except select * from a) x limit 6",
            rows.chunks(500).map(insert).collect::<String>(),
            table.name,
            table.name
        );
        found.extend(database.rows(&script).await);
    }
    found
}

fn columns(table: &Table) -> impl Iterator<Item = &Column> {
    table.key.iter().chain(&table.columns)
}

fn row_sql(table: &Table, key: &[Cell], stored: &Stored) -> String {
    let cells = columns(table).zip(key.iter().chain(&stored.row));
    let cells = cells.map(|(column, cell)| match cell_text(cell, &column.ty) {
        Some(text) => format!("'{}'::{}", text.replace('\'', "''"), column.ty),
        None => format!("null::{}", column.ty),
    });
    format!("({}, {}, {})", cells.collect::<Vec<_>>().join(", "), stored.version, stored.deleted)
}

fn compared(table: &Table) -> String {
    let cleared = table.delete.mode == DeleteMode::Soft { keep: false };
    let column = |column: &Column| {
        let name = quoted(&column.name);
        let is_key = table.key.iter().any(|key| key.name == column.name);
        match column.role {
            _ if is_key => name,
            Role::DeletedFlag => name,
            Role::Data if cleared => name,
            _ => format!("case when not _deleted then {name} end"),
        }
    };
    let all: Vec<String> = columns(table).map(column).chain(["_version".into(), "_deleted".into()]).collect();
    all.join(", ")
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}
