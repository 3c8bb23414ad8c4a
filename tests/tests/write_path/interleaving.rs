//! Two writers in each other's way: every order of arrival and of commit that the measurements of the write path showed
//! to be dangerous. The first writer is held before its commit by a lock on the checkpoints; the second one starts then.

use std::time::Duration;

use tributary_core::batch::Checkpoint;
use tributary_core::change::Change;
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::table::{DeleteMode, Table};
use tributary_tests::Database;

use crate::fixture::*;

const ROWS: &str = "select id, name, _version, _deleted from t order by 1, 2";

/// Applies `first` and holds its commit, starts `second`, lets both finish; then what the query says.
pub(crate) async fn race(
    name: &str,
    table: Table,
    before: Vec<Change>,
    first: Change,
    second: Change,
    query: &str,
) -> Vec<String> {
    let database = Database::new(name).await;
    let tables = [table];
    let (mut a, mut b) = (sink(&database, &tables), sink(&database, &tables));
    a.warm_up().await.unwrap();
    b.warm_up().await.unwrap();
    if !before.is_empty() {
        apply(&mut a, &tables, before).await;
    }
    let gate = database.client().await;
    gate.batch_execute("begin; lock table tributary.checkpoint in access exclusive mode").await.unwrap();
    let mut held = batch(&tables, vec![first]);
    held.checkpoint = Some(Checkpoint { partition: String::new(), position: "1".into(), at: None, fence: None });
    let late = batch(&tables, vec![second]);
    let held = a.apply(&held, &Unlimited);
    let late = async {
        // The first writer has sent everything by now and waits for the gate alone.
        wait_for_waiters(&database, 1).await;
        b.apply(&late, &Unlimited).await
    };
    let open = async {
        wait_for_waiters(&database, 2).await;
        gate.batch_execute("commit").await.unwrap();
    };
    let (first, second, ()) = tokio::join!(held, late, open);
    first.unwrap();
    second.unwrap();
    database.rows(query).await
}

/// Waits until so many backends of this database wait for a lock, for 10 s at most.
pub(crate) async fn wait_for_waiters(database: &Database, count: usize) {
    let query = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    for _ in 0..1000 {
        if database.rows(query).await.len() >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{count} writers never came to wait");
}

#[tokio::test]
async fn of_two_inserts_in_flight_the_newer_stays() {
    let t = || table("t", KEEP);
    assert_eq!(race("newer_second", t(), vec![], put(1, 1, "old"), put(1, 2, "new"), ROWS).await, ["1 | new | 2 | f"]);
    assert_eq!(race("newer_first", t(), vec![], put(1, 2, "new"), put(1, 1, "old"), ROWS).await, ["1 | new | 2 | f"]);
}

#[tokio::test]
async fn a_late_insert_loses_to_a_delete_in_flight() {
    for mode in [KEEP, CLEAR] {
        assert_eq!(
            race("soft", table("t", mode), vec![], gone(1, 5), put(1, 4, "late"), ROWS).await,
            ["1 | ∅ | 5 | t"]
        );
    }
    assert!(race("hard", table("t", DeleteMode::Hard), vec![], gone(1, 5), put(1, 4, "late"), ROWS).await.is_empty());
}

#[tokio::test]
async fn a_delete_wins_over_an_insert_in_flight() {
    assert_eq!(race("soft", table("t", KEEP), vec![], put(1, 4, "late"), gone(1, 5), ROWS).await, ["1 | late | 5 | t"]);
    assert_eq!(race("clear", table("t", CLEAR), vec![], put(1, 4, "late"), gone(1, 5), ROWS).await, ["1 | ∅ | 5 | t"]);
    assert!(race("hard", table("t", DeleteMode::Hard), vec![], put(1, 4, "late"), gone(1, 5), ROWS).await.is_empty());
}

#[tokio::test]
async fn a_deleted_row_comes_back_only_by_a_newer_insert() {
    for mode in [KEEP, DeleteMode::Hard] {
        let before = || vec![put(1, 1, "first")];
        let expect = ["1 | again | 6 | f"];
        assert_eq!(race("back", table("t", mode), before(), gone(1, 5), put(1, 6, "again"), ROWS).await, expect);
        assert_eq!(race("back", table("t", mode), before(), put(1, 6, "again"), gone(1, 5), ROWS).await, expect);
    }
}

#[tokio::test]
async fn a_late_set_of_children_brings_none_back() {
    for (mode, left) in [(DeleteMode::Hard, vec!["1 | a | 5 | f"]), (KEEP, vec!["1 | a | 5 | f"])] {
        let newer = || set(1, 5, &[(0, "a")]);
        let older = || set(1, 4, &[(0, "x"), (1, "zombie")]);
        assert_eq!(race("newer_first", children("t", mode), vec![], newer(), older(), ROWS).await, left);
        let rows = race("older_first", children("t", mode), vec![], older(), newer(), ROWS).await;
        let live: Vec<_> = rows.into_iter().filter(|row| row.ends_with("| f")).collect();
        assert_eq!(live, left);
    }
}

#[tokio::test]
async fn an_emptied_list_leaves_no_child() {
    let before = vec![set(1, 3, &[(0, "a"), (1, "b")])];
    let late = set(1, 4, &[(0, "c")]);
    assert!(race("emptied", children("t", DeleteMode::Hard), before, set(1, 5, &[]), late, ROWS).await.is_empty());
}

#[tokio::test]
async fn an_equal_value_still_raises_the_version() {
    let database = Database::new("equal_value").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    for change in [put(1, 1, "A"), put(1, 3, "A"), put(1, 2, "B")] {
        apply(&mut sink, &tables, vec![change]).await;
    }
    assert_eq!(rows(&database, "t").await, ["1 | A | 3 | f"]);
}

#[tokio::test]
async fn a_key_that_comes_twice_in_a_batch_is_no_error() {
    let database = Database::new("twice").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    let outcome = apply(&mut sink, &tables, vec![put(1, 2, "new"), put(1, 1, "old"), put(1, 2, "new")]).await;
    assert_eq!((outcome.applied, outcome.stale), (1, 2));
    assert_eq!(rows(&database, "t").await, ["1 | new | 2 | f"]);
}

#[tokio::test]
async fn versions_compare_as_numbers_of_forty_digits() {
    let database = Database::new("digits").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    for (seq, name) in
        [("999999999999999999999", "older"), ("1000000000000000000000", "newer"), ("999999999999999999999", "older")]
    {
        let mut change = put(1, 0, name);
        change.version = tributary_core::version::Version::new(1_714_000_000_000_000, seq).unwrap();
        apply(&mut sink, &tables, vec![change]).await;
    }
    let rows = database.rows("select name, _version from t").await;
    assert_eq!(rows, ["newer | 17140000000000000000000000000000001000000000000000000000"]);
}

#[tokio::test]
async fn an_equal_version_is_a_duplicate_and_writes_nothing() {
    let database = Database::new("equal_version").await;
    let tables = [table("t", KEEP), table("h", DeleteMode::Hard)];
    let mut sink = sink(&database, &tables);
    let both = |name: &str| vec![put(1, 7, name), Change { table: 1, ..put(1, 7, name) }];
    assert_eq!(apply(&mut sink, &tables, both("first")).await.applied, 2);
    let written = "select xmin from t union all select xmin from h union all select xmin from tributary.ledger";
    let before = database.rows(written).await;
    let again = apply(&mut sink, &tables, both("second")).await;
    assert_eq!((again.applied, again.stale), (0, 2));
    assert_eq!(database.rows(written).await, before);
    assert_eq!(rows(&database, "t").await, ["1 | first | 7 | f"]);
}
