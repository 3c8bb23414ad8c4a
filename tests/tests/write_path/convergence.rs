//! Random histories, shuffled, doubled and cut into random batches: invariants 1 to 4 against the in-memory twin, and
//! against what the newest change of each key says.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tributary_core::change::{Change, Op};
use tributary_core::memory::Memory;
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::table::{DeleteMode, Table};
use tributary_tests::Database;

use crate::fixture::*;

/// One change: of a row table, or of a set of children.
fn a_change(children: bool) -> impl Strategy<Value = Change> {
    let name = "[a-c]{1,2}";
    let lines = prop::collection::btree_map(0..4i64, name, 0..4);
    (0..5i64, 0..12u128, name, any::<bool>(), lines).prop_map(move |(id, version, name, delete, lines)| {
        // A history has one change a version: everything about it follows from key and version.
        if children {
            let lines: Vec<(i64, String)> = lines.into_iter().collect();
            let lines: Vec<(i64, &str)> = lines.iter().map(|(line, name)| (*line, name.as_str())).collect();
            set(id, version, &lines)
        } else if delete {
            gone(id, version)
        } else {
            put(id, version, &name)
        }
    })
}

/// Deliveries: changes of a history, in any order, some of them twice, in batches.
pub(crate) fn deliveries(children: bool) -> impl Strategy<Value = Vec<Vec<Change>>> {
    let history = prop::collection::vec(a_change(children), 1..30).prop_map(|changes| {
        let unique: BTreeMap<_, _> = changes.into_iter().map(|c| ((c.key.clone(), c.version), c)).collect();
        unique.into_values().collect::<Vec<_>>()
    });
    history.prop_flat_map(delivered)
}

/// These changes in any order, some of them twice, in batches.
pub(crate) fn delivered(history: Vec<Change>) -> impl Strategy<Value = Vec<Vec<Change>>> {
    (Just(history), any::<prop::sample::Index>()).prop_flat_map(|(history, twice)| {
        let mut all = history.clone();
        all.extend(history.iter().skip(twice.index(history.len())).cloned());
        let cuts = prop::collection::vec(1..8usize, all.len());
        (Just(all).prop_shuffle(), cuts).prop_map(|(mut all, cuts)| {
            let mut batches = Vec::new();
            for cut in cuts {
                if all.is_empty() {
                    break;
                }
                batches.push(all.split_off(all.len().saturating_sub(cut)));
            }
            batches
        })
    })
}

/// What the newest change of each key says, without any machinery: live rows only.
pub(crate) fn newest(batches: &[Vec<Change>]) -> Vec<String> {
    let mut newest: BTreeMap<_, &Change> = BTreeMap::new();
    for change in batches.iter().flatten() {
        let slot = newest.entry(change.key.clone()).or_insert(change);
        if change.version > slot.version {
            *slot = change;
        }
    }
    let mut rows: Vec<String> = Vec::new();
    for change in newest.values() {
        let (id, version) = (text(&change.key[0]), change.version);
        match &change.op {
            Op::Upsert(row, _) => rows.push(format!("{id} | {} | {version} | f", text(&row[0]))),
            Op::Delete(_) | Op::Patch(_) => {}
            Op::Replace(set) => rows.extend(set.iter().map(|e| format!("{id} | {} | {version} | f", text(&e.row[0])))),
        }
    }
    rows.sort();
    rows
}

fn text(cell: &tributary_core::cell::Cell) -> String {
    use tributary_core::cell::Cell;
    match cell {
        Cell::Int(number) => number.to_string(),
        Cell::Text(text) => text.to_string(),
        Cell::Null => "∅".into(),
        other => panic!("{other:?}"),
    }
}

fn twin_rows(memory: &Memory, table: &Table) -> Vec<String> {
    let rows = memory.table(&table.name);
    let mut rows: Vec<String> = rows
        .iter()
        .map(|(key, stored)| {
            let deleted = if stored.deleted { "t" } else { "f" };
            format!("{} | {} | {} | {deleted}", text(&key[0]), text(&stored.row[0]), stored.version)
        })
        .collect();
    rows.sort();
    rows
}

fn converges(name: &str, table: &Table) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(Database::new(name));
    let tables = [table.clone()];
    // The connection is made once; each case takes it out and puts it back.
    let place = std::cell::Cell::new(None);
    let mut runner = TestRunner::new(Config { cases: 64, ..Config::default() });
    let result = runner.run(&deliveries(table.children.is_some()), |batches| {
        let mut memory = Memory::default();
        let stored = runtime.block_on(async {
            let mut sink = place.take().unwrap_or_else(|| sink(&database, &tables));
            sink.warm_up().await.unwrap();
            database.execute(&format!("truncate {}, tributary.ledger", table.name)).await;
            for (at, changes) in batches.iter().enumerate() {
                let mut batch = batch(&tables, changes.clone());
                batch.replay = at % 3 == 1;
                sink.apply(&batch, &Unlimited).await.unwrap();
                memory.apply(&batch, &Unlimited).await.unwrap();
            }
            let mut rows = database.rows(&format!("select id, name, _version, _deleted from {}", table.name)).await;
            rows.sort();
            place.set(Some(sink));
            rows
        });
        prop_assert_eq!(&stored, &twin_rows(&memory, table), "the twin disagrees");
        let live: Vec<String> = stored.into_iter().filter(|row| row.ends_with("| f")).collect();
        prop_assert_eq!(live, newest(&batches), "a row is not at its newest version");
        Ok(())
    });
    result.unwrap();
}

#[test]
fn soft_deletes_converge() {
    converges("soft", &table("t", KEEP));
    converges("clear", &table("t", CLEAR));
}

#[test]
fn hard_deletes_converge() {
    converges("hard", &table("t", DeleteMode::Hard));
}

#[test]
fn children_converge() {
    converges("children_hard", &children("t", DeleteMode::Hard));
    converges("children_soft", &children("t", KEEP));
}
