//! Random sweeps of an only writer, against the twin and against what was observed last.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tributary_core::memory::Memory;

use super::*;

/// What each page of each sweep observes, the version apart.
#[derive(Clone, Debug)]
enum Seen {
    Row(i64, String),
    Gone(i64),
    Set(i64, Vec<(i64, String)>),
}

fn seen(sets: bool) -> impl Strategy<Value = Seen> {
    let lines = prop::collection::btree_map(0..4i64, "[ab]", 0..3);
    (0..4i64, "[ab]", 0..4u8, lines).prop_map(move |(id, name, kind, lines)| match kind {
        _ if sets => Seen::Set(id, lines.into_iter().collect()),
        0 => Seen::Gone(id),
        _ => Seen::Row(id, name),
    })
}

fn change_of(seen: &Seen, version: u128) -> Change {
    match seen {
        Seen::Row(id, name) => put(*id, version, name),
        Seen::Gone(id) => gone(*id, version),
        Seen::Set(id, lines) => {
            let lines: Vec<(i64, &str)> = lines.iter().map(|(line, name)| (*line, name.as_str())).collect();
            set(*id, version, &lines)
        }
    }
}

/// The live rows as they were observed last.
fn last(pages: &[Vec<Seen>]) -> Vec<String> {
    let mut last: BTreeMap<i64, &Seen> = BTreeMap::new();
    for seen in pages.iter().flatten() {
        let (Seen::Row(id, _) | Seen::Gone(id) | Seen::Set(id, _)) = seen;
        last.insert(*id, seen);
    }
    let rows = last.values().flat_map(|seen| match seen {
        Seen::Row(id, name) => vec![format!("{id} | ∅ | {name}")],
        Seen::Gone(_) => Vec::new(),
        Seen::Set(id, lines) => lines.iter().map(|(line, name)| format!("{id} | {line} | {name}")).collect(),
    });
    rows.collect()
}

fn converges(name: &str, table: &Table) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(Database::new(name));
    let tables = [table.clone()];
    let sets = table.children.is_some();
    let place = std::cell::Cell::new(Some(runtime.block_on(runner(&database, &tables))));
    let mut tests = TestRunner::new(Config { cases: 32, ..Config::default() });
    let pages = prop::collection::vec(prop::collection::vec(seen(sets), 1..6), 1..12);
    let line = if sets { "line::text" } else { "'∅'" };
    let query = format!("select id, {line}, name from {} where not _deleted order by 1, 2", table.name);
    let result = tests.run(&pages, |pages| {
        let mut memory = Memory::default();
        let stored = runtime.block_on(async {
            let (mut sink, fence) = place.take().unwrap();
            database.execute(&format!("truncate {}, tributary.ledger", table.name)).await;
            let mut version = 0;
            for page in &pages {
                let mut changes = Vec::new();
                for seen in page {
                    version += 1;
                    changes.push(change_of(seen, version));
                }
                let batch = fenced(&tables, &fence, changes);
                let outcome = sink.apply(&batch, &Unlimited).await.unwrap();
                let twin = memory.apply(&batch, &Unlimited).await.unwrap();
                let counts = outcome.counts[0];
                assert_eq!((counts.written(), counts.unchanged), (outcome.applied, outcome.unchanged));
                assert_eq!(
                    (outcome.applied, outcome.unchanged, outcome.stale),
                    (twin.applied, twin.unchanged, twin.stale),
                    "{page:?}"
                );
            }
            let rows = database.rows(&query).await;
            place.set(Some((sink, fence)));
            rows
        });
        prop_assert_eq!(stored, last(&pages));
        Ok(())
    });
    result.unwrap();
}

#[test]
fn rows_of_an_only_writer_converge() {
    converges("fenced_keep", &table("t", KEEP));
    converges("fenced_clear", &table("t", CLEAR));
    converges("fenced_hard", &table("t", DeleteMode::Hard));
}

#[test]
fn sets_of_an_only_writer_converge() {
    converges("fenced_set_hard", &children("t", DeleteMode::Hard));
    converges("fenced_set_soft", &children("t", KEEP));
}
