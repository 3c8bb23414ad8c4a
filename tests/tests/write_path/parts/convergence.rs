//! Random histories of images, parts and deletes, in any order, doubled, in any batches: on Postgres, on the twin, and by
//! an oracle that looks at each column by itself.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tributary_core::cell::{Cell, Key};
use tributary_core::change::{Change, Op, Patch};
use tributary_core::memory::Memory;
use tributary_core::register::Registers;
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::table::{Column, DeleteMode, Role, Table};
use tributary_core::version::Version;
use tributary_tests::Database;

use super::*;
use crate::convergence::delivered;
use crate::fenced::{fenced, runner};

/// A change of a row: its columns known or not, with notes or not.
fn a_change() -> impl Strategy<Value = Change> {
    let cells = (prop::option::of("[a-c]{1,2}"), prop::option::of(0..9i64), prop::option::of("[x-z]"));
    let known = prop::collection::vec(any::<bool>(), 5);
    let kind = 0..4u8;
    (0..3i64, 0..12u128, kind, cells, known, any::<bool>(), any::<bool>()).prop_map(
        |(id, version, kind, (a, b, c), known, flag, noted)| {
            let a = a.map_or(Cell::Null, |a| text(&a));
            let (b, c) = (b.map_or(Cell::Null, Cell::Int), c.map_or(text("default"), |c| text(&c)));
            let live = [a.clone(), b.clone(), c.clone(), Cell::Bool(flag), Cell::Null];
            let notes = noted.then(|| format!("{{\"a\":\"note {version}\"}}").into());
            let op = match kind {
                0 => Op::Upsert(Box::new(live), notes),
                1 => Op::Delete(Box::new([a, b, c, Cell::Bool(true), Cell::Micros(version as i64)])),
                _ => {
                    let table = parts(KEEP);
                    let cells = live.into_iter().zip(&known).zip(&table.columns);
                    let row = cells.map(|((cell, known), column)| if *known { cell } else { column.unknown() });
                    let notes = notes.filter(|_| known[0]);
                    Op::Patch(Patch { row: row.collect(), known: known.into(), notes })
                }
            };
            change(0, id, version, op)
        },
    )
}

fn deliveries() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let history = prop::collection::vec(a_change(), 1..25).prop_map(|changes| {
        let unique: BTreeMap<_, _> = changes.into_iter().map(|c| ((c.key.clone(), c.version), c)).collect();
        unique.into_values().collect::<Vec<_>>()
    });
    history.prop_flat_map(delivered)
}

/// What a change says of a column; `None` when it says nothing.
fn says(change: &Change, position: usize, column: &Column, mode: DeleteMode) -> Option<Cell> {
    match &change.op {
        Op::Upsert(row, _) => Some(row[position].clone()),
        Op::Patch(patch) => patch.known[position].then(|| patch.row[position].clone()),
        Op::Delete(row) if column.role != Role::Data => Some(row[position].clone()),
        Op::Delete(_) if mode == CLEAR => Some(column.default.clone().unwrap_or(Cell::Null)),
        Op::Delete(row) => Some(row[position].clone()).filter(|cell| !cell.is_null() && column.default.is_none()),
        Op::Replace(_) => None,
    }
}

/// The rows that a history means: each column by itself, by the newest change that speaks of it.
fn oracle(batches: &[Vec<Change>], table: &Table) -> Vec<String> {
    let mut by_key: BTreeMap<Key, Vec<&Change>> = BTreeMap::new();
    for change in batches.iter().flatten() {
        by_key.entry(change.key.clone()).or_default().push(change);
    }
    let row = |(key, changes): (&Key, &Vec<&Change>)| {
        let newest = changes.iter().max_by_key(|change| change.version).unwrap();
        let deleted = matches!(newest.op, Op::Delete(_));
        let (mut cells, mut versions, mut notes) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for (position, column) in table.columns.iter().enumerate() {
            let speaking = changes.iter().filter(|c| says(c, position, column, table.delete.mode).is_some());
            let last = speaking.max_by_key(|change| change.version);
            let cell = match last {
                None if column.role == Role::DeletedFlag => Cell::Bool(false),
                None => column.default.clone().unwrap_or(Cell::Null),
                Some(last) if column.role != Role::Data && matches!(last.op, Op::Delete(_)) && !deleted => {
                    if column.role == Role::DeletedFlag { Cell::Bool(false) } else { Cell::Null }
                }
                Some(last) => says(last, position, column, table.delete.mode).unwrap(),
            };
            cells.push(shown(&cell));
            let version = last.map_or("-1".to_owned(), |last| last.version.to_string());
            if version != newest.version.to_string() {
                versions.insert(column.name.clone(), version);
            }
            if let Some(Change { op: Op::Upsert(_, Some(note)) | Op::Patch(Patch { notes: Some(note), .. }), .. }) =
                last
                && column.name == "a"
            {
                notes.extend(serde_json::from_str::<BTreeMap<String, String>>(note).unwrap());
            }
        }
        line(&shown(&key[0]), &cells, &newest.version.to_string(), deleted, &versions, &notes)
    };
    by_key.iter().map(row).collect()
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Null => "∅".into(),
        Cell::Bool(value) => value.to_string(),
        Cell::Int(number) | Cell::Micros(number) => number.to_string(),
        Cell::Text(text) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

type Named = BTreeMap<String, String>;

fn line(key: &str, cells: &[String], version: &str, deleted: bool, versions: &Named, notes: &Named) -> String {
    format!("{key} | {} | {version} | {deleted} | {versions:?} | {notes:?}", cells.join(" | "))
}

fn named(json: Option<&str>) -> Named {
    json.map(|json| serde_json::from_str(json).unwrap()).unwrap_or_default()
}

fn twin_rows(memory: &Memory, table: &Table) -> Vec<String> {
    let row = |(key, registers): (&Key, &Registers)| {
        let cells: Vec<String> = registers.columns.iter().map(|register| shown(&register.cell)).collect();
        let (versions, notes) = (registers.versions(table), registers.notes(table));
        let Registers { version, deleted, .. } = registers;
        line(
            &shown(&key[0]),
            &cells,
            &version.to_string(),
            *deleted,
            &named(versions.as_deref()),
            &named(notes.as_deref()),
        )
    };
    memory.registers(&table.name).iter().map(row).collect()
}

async fn rows(database: &Database) -> Vec<String> {
    let query = "select id::text, a, b::text, c, gone::text, \
        ((extract(epoch from gone_at) - 946684800) * 1000000)::int8::text, _version::text, _deleted, \
        _versions::text, _errors::text from t order by id";
    let rows = database.client().await.query(query, &[]).await.unwrap();
    let row = |row: &tokio_postgres::Row| {
        let text = |at: usize| row.get::<_, Option<String>>(at);
        let cells: Vec<String> = (1..=COLUMNS.len()).map(|at| text(at).unwrap_or("∅".into())).collect();
        let (versions, notes) = (named(text(8).as_deref()), named(text(9).as_deref()));
        line(&text(0).unwrap(), &cells, &text(6).unwrap(), row.get(7), &versions, &notes)
    };
    rows.iter().map(row).collect()
}

fn converges(name: &str, mode: DeleteMode, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(Database::new(name));
    let table = parts(mode);
    let tables = [table.clone()];
    let place = std::cell::Cell::new(None);
    let mut runner = TestRunner::new(Config { cases, ..Config::default() });
    let result = runner.run(&deliveries(), |batches| {
        let mut memory = Memory::default();
        let stored = runtime.block_on(async {
            let mut sink = place.take().unwrap_or_else(|| sink(&database, &tables));
            sink.warm_up().await.unwrap();
            database.execute("truncate t").await;
            for (at, changes) in batches.iter().enumerate() {
                let mut batch = batch(&tables, changes.clone());
                batch.replay = at % 3 == 1;
                let outcome = sink.apply(&batch, &Unlimited).await.unwrap();
                assert!(outcome.refused.is_empty(), "{outcome:?}");
                memory.apply(&batch, &Unlimited).await.unwrap();
            }
            place.set(Some(sink));
            rows(&database).await
        });
        prop_assert_eq!(&stored, &oracle(&batches, &table), "not what the history means");
        prop_assert_eq!(&stored, &twin_rows(&memory, &table), "the twin disagrees");
        Ok(())
    });
    result.unwrap();
}

#[test]
fn parts_converge_where_tombstones_keep_values() {
    converges("parts_keep", KEEP, 100);
}

#[test]
fn parts_converge_where_tombstones_are_cleared() {
    converges("parts_clear", CLEAR, 100);
}

#[test]
fn parts_converge_where_deletes_count_for_nothing() {
    converges("parts_ignore", DeleteMode::Ignore, 30);
}

/// A line without its versions.
fn content(line: &str) -> String {
    let parts: Vec<&str> = line.split(" | ").collect();
    let kept = parts.iter().enumerate().filter(|(at, _)| ![1 + COLUMNS.len(), 3 + COLUMNS.len()].contains(at));
    kept.map(|(_, part)| *part).collect::<Vec<_>>().join(" | ")
}

#[test]
fn parts_of_an_only_writer_converge() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(Database::new("parts_fenced"));
    for mode in [KEEP, CLEAR] {
        let table = parts(mode);
        let tables = [table.clone()];
        let place = std::cell::Cell::new(Some(runtime.block_on(runner(&database, &tables))));
        let mut tests = TestRunner::new(Config { cases: 50, ..Config::default() });
        let pages = prop::collection::vec(prop::collection::vec(a_change(), 1..6), 1..10);
        let result = tests.run(&pages, |mut pages| {
            // An observation is newer than all before it.
            for (version, change) in pages.iter_mut().flatten().enumerate() {
                change.version = Version::from_u128(0, version as u128);
            }
            let mut memory = Memory::default();
            let stored = runtime.block_on(async {
                let (mut sink, fence) = place.take().unwrap();
                sink.warm_up().await.unwrap();
                database.execute("truncate t").await;
                for page in &pages {
                    let batch = fenced(&tables, &fence, page.clone());
                    let outcome = sink.apply(&batch, &Unlimited).await.unwrap();
                    let twin = memory.apply(&batch, &Unlimited).await.unwrap();
                    assert_eq!((outcome.applied, outcome.unchanged), (twin.applied, twin.unchanged), "{page:?}");
                }
                place.set(Some((sink, fence)));
                rows(&database).await
            });
            let stored: Vec<String> = stored.iter().map(|line| content(line)).collect();
            let expect: Vec<String> = oracle(&pages, &table).iter().map(|line| content(line)).collect();
            prop_assert_eq!(&stored, &expect, "not what the history means");
            let twin: Vec<String> = twin_rows(&memory, &table).iter().map(|line| content(line)).collect();
            prop_assert_eq!(&stored, &twin, "the twin disagrees");
            Ok(())
        });
        result.unwrap();
    }
}
