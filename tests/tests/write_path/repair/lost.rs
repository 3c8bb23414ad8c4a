//! Random histories of which parts are lost.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tributary_core::change::{Change, Op};
use tributary_core::table::{DeleteMode, Table};

use super::Run;
use crate::convergence::{deliveries, newest};
use crate::fixture::*;

/// Whatever was lost of a history: after a repair the rows are as at the source, and they stay so whatever comes late.
fn converges(name: &str, table: &Table) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = runtime.block_on(Run::begin(name, table.clone(), vec![]));
    let run = tokio::sync::Mutex::new(run);
    let strategy = (deliveries(table.children.is_some()), any::<u64>());
    let mut runner = TestRunner::new(Config { cases: 48, ..Config::default() });
    let truth = |batches: &[Vec<Change>]| {
        let without_version = |row: &String| row.split(" | ").take(2).collect::<Vec<_>>().join(" | ");
        newest(batches).iter().map(without_version).collect::<Vec<_>>()
    };
    let result = runner.run(&strategy, |(batches, lost)| {
        let (healed, later) = runtime.block_on(async {
            let run = &mut *run.lock().await;
            run.database.execute("truncate t, tributary.ledger, tributary.checkpoint").await;
            for (_, batch) in batches.iter().enumerate().filter(|(at, _)| lost >> (at % 64) & 1 == 0) {
                run.stream(batch.clone()).await;
            }
            run.began = run.sink.begin_repair("test", &run.fence).await.unwrap();
            run.scan(scanned(&batches)).await;
            run.bury(true).await.unwrap();
            let query = "select id, name from t where not _deleted";
            let mut healed = run.database.rows(query).await;
            for batch in &batches {
                run.stream(batch.clone()).await;
            }
            let mut later = run.database.rows(query).await;
            healed.sort();
            later.sort();
            (healed, later)
        });
        prop_assert_eq!(healed, truth(&batches), "the repair left something stale");
        prop_assert_eq!(later, truth(&batches), "what came late undid the repair");
        Ok(())
    });
    result.unwrap();
}

/// What a scan reads at the end of a history: the items that are there.
fn scanned(batches: &[Vec<Change>]) -> Vec<Change> {
    let mut newest: std::collections::BTreeMap<_, &Change> = std::collections::BTreeMap::new();
    for change in batches.iter().flatten() {
        let slot = newest.entry(change.key.clone()).or_insert(change);
        if change.version > slot.version {
            *slot = change;
        }
    }
    let live = newest.into_values().filter(|change| !matches!(change.op, Op::Delete(_)));
    live.map(|change| Change { version: tributary_core::version::Version::ZERO, ..change.clone() }).collect()
}

#[test]
fn whatever_was_lost_is_healed_and_stays_so() {
    converges("lost_soft", &table("t", KEEP));
    converges("lost_clear", &table("t", CLEAR));
    converges("lost_hard", &table("t", DeleteMode::Hard));
}

#[test]
fn whatever_was_lost_of_children_is_healed_and_stays_so() {
    converges("lost_children_soft", &children("t", KEEP));
    converges("lost_children_hard", &children("t", DeleteMode::Hard));
}
