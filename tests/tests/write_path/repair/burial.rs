//! What a repair didn't see: buried, unless it is too much or not known.

use tributary_core::Kind;
use tributary_core::cell::{Cell, Row};
use tributary_core::change::{Change, Op};
use tributary_core::sink::Unlimited;
use tributary_core::table::{DeleteMode, Role};
use tributary_postgres::Burial;

use super::{ROWS, Run, SETS};
use crate::fixture::*;

#[tokio::test]
async fn an_unseen_row_is_buried_and_comes_back_only_by_a_newer_event() {
    for mode in ROWS {
        let mut run = Run::begin("bury", table("t", mode), vec![put(1, 5, "seen"), put(2, 5, "lost")]).await;
        run.stream(vec![put(3, 5, "new")]).await;
        run.scan(vec![put(1, 0, "seen")]).await;
        assert_eq!(run.bury(false).await.unwrap(), Burial { rows: 1, spared: vec![] }, "{mode:?}");
        let left = ["1 | seen | 5 | f", "3 | new | 5 | f"];
        assert_eq!(run.live().await, left, "{mode:?}");
        if mode == DeleteMode::Hard {
            assert_eq!(run.ledger().await, ["1 | f", "2 | t", "3 | f"]);
        }
        run.stream(vec![put(2, 5, "lost")]).await;
        run.stream(vec![put(2, 4, "older")]).await;
        assert_eq!(run.live().await, left, "{mode:?}");
        let tombstone = match mode {
            DeleteMode::Soft { keep: true } => vec!["2 | lost | 5 | t"],
            DeleteMode::Soft { keep: false } => vec!["2 | ∅ | 5 | t"],
            _ => vec![],
        };
        assert_eq!(run.rows().await.into_iter().filter(|row| row.ends_with("| t")).collect::<Vec<_>>(), tombstone);
        run.stream(vec![put(2, 6, "again")]).await;
        assert_eq!(run.live().await[1], "2 | again | 6 | f", "{mode:?}");
    }
    for mode in SETS {
        let before = vec![set(1, 5, &[(0, "seen")]), set(2, 5, &[(0, "lost"), (1, "lost")])];
        let mut run = Run::begin("bury_set", children("t", mode), before).await;
        run.scan(vec![set(1, 0, &[(0, "seen")])]).await;
        assert_eq!(run.bury(false).await.unwrap().rows, 2, "{mode:?}");
        assert_eq!(run.ledger().await, ["1 | f", "2 | t"], "{mode:?}");
        run.stream(vec![set(2, 5, &[(0, "lost"), (1, "lost")])]).await;
        assert_eq!(run.live().await, ["1 | 0 | seen | 5 | f"], "{mode:?}");
        run.stream(vec![set(2, 6, &[(1, "again")])]).await;
        assert_eq!(run.live().await[1..], ["2 | 1 | again | 6 | f"], "{mode:?}");
    }
}

#[tokio::test]
async fn a_tombstone_tells_when_and_why() {
    let with_roles = |mode| {
        let mut table = table("t", mode);
        let role = |name: &str, ty: &str, role| tributary_core::table::Column { role, ..column(name, ty) };
        table.columns.push(role("gone", "boolean", Role::DeletedFlag));
        table.columns.push(role("gone_at", "timestamptz", Role::DeletedAt));
        table.columns.push(role("why", "text", Role::DeletedReason));
        let mut score = column("score", "integer");
        score.default = Some(Cell::Int(7));
        table.columns.push(score);
        table
    };
    for (mode, score) in [(KEEP, "3"), (CLEAR, "7")] {
        let row: Row = Box::new([Cell::Text("x".into()), Cell::Bool(false), Cell::Null, Cell::Null, Cell::Int(3)]);
        let before = vec![change(0, 1, 5, Op::Upsert(row, None))];
        let mut run = Run::begin("why", with_roles(mode), before).await;
        assert_eq!(run.bury(false).await.unwrap().rows, 1);
        let query = "select gone, gone_at = _synced_at, why, score, _source_at from t";
        assert_eq!(run.database.rows(query).await, [format!("t | t | deleted | {score} | ∅")], "{mode:?}");
    }
}

#[tokio::test]
async fn most_of_a_table_is_buried_only_on_request() {
    for mode in [KEEP, DeleteMode::Hard] {
        let before = (0..210).map(|id| put(id, 1, "x")).collect();
        let mut run = Run::begin("mass", table("t", mode), before).await;
        run.scan((0..104).map(|id| put(id, 0, "x")).collect()).await;
        let error = run.bury(false).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        assert!(error.to_string().contains("106 of 210") && error.hint().unwrap().contains("--allow-mass-delete"));
        assert_eq!(run.live().await.len(), 210, "nothing has changed");
        assert_eq!(run.bury(true).await.unwrap().rows, 106);
        assert_eq!(run.live().await.len(), 104);
    }
    let before = (0..100).map(|id| put(id, 1, "x")).collect();
    let mut run = Run::begin("few", table("t", KEEP), before).await;
    assert_eq!(run.bury(false).await.unwrap().rows, 100, "a small table may become empty");
    let before = (0..300).map(|id| put(id, 1, "x")).collect();
    let mut run = Run::begin("half", table("t", KEEP), before).await;
    run.scan((0..150).map(|id| put(id, 0, "x")).collect()).await;
    assert_eq!(run.bury(false).await.unwrap().rows, 150, "half of a table may go");
}

#[tokio::test]
async fn a_bad_row_stops_nobody_and_spares_its_table() {
    for (table, before, page) in [
        (table("t", KEEP), put(9, 5, "unread"), vec![put(1, 0, "good"), put(2, 0, "bad")]),
        (table("t", DeleteMode::Hard), put(9, 5, "unread"), vec![put(1, 0, "good"), put(2, 0, "bad")]),
        (children("t", KEEP), set(9, 5, &[(0, "unread")]), vec![set(1, 0, &[(0, "good")]), set(2, 0, &[(0, "bad")])]),
    ] {
        let stale: Vec<Change> =
            page.iter().map(|change| Change { version: before.version, ..change.clone() }).collect();
        let mut all = vec![before];
        all.extend(stale);
        let mut run = Run::begin("bad", table, all).await;
        run.database.execute("update t set name = 'stale' where id < 9; alter table t add check (name <> 'bad')").await;
        let outcome = run.try_scan(page).await.unwrap();
        assert_eq!((outcome.applied, outcome.stale, outcome.dead), (1, 0, 1));
        let burial = run.bury(true).await.unwrap();
        assert_eq!((burial.rows, burial.spared.len()), (0, 1), "{burial:?}");
        let names = run.database.rows("select name from t where not _deleted order by id").await;
        assert_eq!(names, ["good", "stale", "unread"]);
    }
}

#[tokio::test]
async fn an_item_that_cannot_be_routed_spares_every_table() {
    let mut run = Run::begin("unrouted", table("t", KEEP), vec![put(1, 5, "unread")]).await;
    let mut batch = batch(&run.tables, vec![put(2, 0, "read")]);
    batch.rejected = vec![tributary_core::batch::Rejected { event: 0, table: None, error: "broken".into() }];
    run.sink.repair(&batch, &run.began, &Unlimited).await.unwrap();
    let burial = run.bury(true).await.unwrap();
    assert_eq!((burial.rows, burial.spared.len()), (0, 1));
    assert_eq!(run.live().await.len(), 2);
}

#[tokio::test]
async fn where_expired_rows_stay_nothing_is_buried() {
    let mut expiring = table("t", KEEP);
    expiring.delete.ttl = false;
    for table in [expiring, table("t", DeleteMode::Ignore)] {
        let mut run = Run::begin("expired", table, vec![put(1, 5, "expired")]).await;
        assert_eq!(run.bury(true).await.unwrap().rows, 0);
        assert_eq!(run.live().await, ["1 | expired | 5 | f"]);
    }
}
