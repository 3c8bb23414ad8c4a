//! Repairs: what a scan heals, what it leaves alone, what it buries, and who wins when a stream writes meanwhile.

mod burial;
mod equality;
mod lost;
mod race;

use std::time::Duration;

use tributary_core::batch::{Checkpoint, Fence, Outcome};
use tributary_core::change::Change;
use tributary_core::sink::Unlimited;
use tributary_core::table::{DeleteMode, Table};
use tributary_core::{Kind, Result};
use tributary_postgres::connect::Target;
use tributary_postgres::{Burial, Postgres, Unseen};
use tributary_tests::Database;

use crate::fixture::*;

const TERM: Duration = Duration::from_secs(60);

/// A repair under way.
struct Run {
    database: Database,
    tables: [Table; 1],
    sink: Postgres<Target>,
    fence: Fence,
    began: String,
}

impl Run {
    /// What the stream has brought, then the beginning of a repair.
    async fn begin(name: &str, table: Table, before: Vec<Change>) -> Self {
        let database = Database::new(name).await;
        let tables = [table];
        let mut sink = sink(&database, &tables);
        apply(&mut sink, &tables, before).await;
        let fence = sink.acquire("test/backfill", "a", TERM).await.unwrap();
        let began = sink.begin_repair("test", &fence).await.unwrap();
        Run { database, tables, sink, fence, began }
    }

    async fn stream(&mut self, changes: Vec<Change>) -> Outcome {
        apply(&mut self.sink, &self.tables, changes).await
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        let fence = Some(self.fence.clone());
        Some(Checkpoint { partition: "repair/0".into(), position: "read".into(), at: None, fence })
    }

    async fn try_scan(&mut self, changes: Vec<Change>) -> Result<Outcome> {
        let mut batch = batch(&self.tables, changes);
        batch.checkpoint = self.checkpoint();
        self.sink.repair(&batch, &self.began, &Unlimited).await
    }

    /// Applied and stale.
    async fn scan(&mut self, changes: Vec<Change>) -> (u64, u64) {
        let outcome = self.try_scan(changes).await.unwrap();
        (outcome.applied, outcome.stale)
    }

    async fn bury(&mut self, allow_mass_delete: bool) -> Result<Burial> {
        let unseen = Unseen {
            pipeline: "test",
            tables: &self.tables,
            began: &self.began,
            fence: &self.fence,
            allow_mass_delete,
        };
        self.sink.bury_unseen(&unseen, &Unlimited).await
    }

    /// `id | name | version | deleted`, and `line` after `id` for children.
    async fn rows(&self) -> Vec<String> {
        let line = if self.tables[0].children.is_some() { "line, " } else { "" };
        let query = format!("select id, {line}name, _version, _deleted from t order by id, {line}1");
        self.database.rows(&query).await
    }

    async fn live(&self) -> Vec<String> {
        self.rows().await.into_iter().filter(|row| row.ends_with("| f")).collect()
    }

    /// `key | deleted` of the ledger, which the purge goes by.
    async fn ledger(&self) -> Vec<String> {
        self.database.rows("select key, deleted from tributary.ledger order by key").await
    }

    /// How many rows nobody has written since the beginning.
    async fn unseen(&self) -> String {
        let query = format!("select count(*) from t where _synced_at < '{}' and not _deleted", self.began);
        self.database.rows(&query).await.remove(0)
    }
}

const ROWS: [DeleteMode; 3] = [KEEP, CLEAR, DeleteMode::Hard];
const SETS: [DeleteMode; 3] = ROWS;

#[tokio::test]
async fn a_stale_row_is_healed_a_right_one_touched_and_a_missing_one_inserted() {
    for mode in ROWS {
        let mut run = Run::begin("heal", table("t", mode), vec![put(1, 5, "stale"), put(2, 5, "right")]).await;
        let page = || vec![put(1, 0, "true"), put(2, 0, "right"), put(3, 0, "missing")];
        assert_eq!(run.scan(page()).await, (2, 1), "{mode:?}");
        let healed = ["1 | true | 5 | f", "2 | right | 5 | f", "3 | missing | 0 | f"];
        assert_eq!(run.rows().await, healed, "{mode:?}");
        assert_eq!(run.unseen().await, "0", "{mode:?}");
        assert_eq!(run.scan(page()).await, (0, 3), "{mode:?}: the acknowledgement was lost");
        // The lost events' neighbours come late, or twice.
        run.stream(vec![put(1, 5, "stale"), put(2, 4, "old")]).await;
        assert_eq!(run.rows().await, healed, "{mode:?}");
        run.stream(vec![put(1, 6, "later")]).await;
        assert_eq!(run.rows().await[0], "1 | later | 6 | f", "{mode:?}");
    }
}

#[tokio::test]
async fn a_stale_set_of_children_is_healed() {
    for mode in SETS {
        let stale = || vec![set(1, 5, &[(0, "stale"), (1, "gone"), (3, "right")]), set(2, 5, &[(0, "right")])];
        let mut run = Run::begin("heal_set", children("t", mode), stale()).await;
        let page = || {
            let missing = set(3, 0, &[(0, "missing")]);
            vec![set(1, 0, &[(0, "true"), (2, "new"), (3, "right")]), set(2, 0, &[(0, "right")]), missing]
        };
        // A set that was missing, and three rows of another.
        assert_eq!(run.scan(page()).await.0, 4, "{mode:?}");
        let healed = [
            "1 | 0 | true | 5 | f",
            "1 | 2 | new | 5 | f",
            "1 | 3 | right | 5 | f",
            "2 | 0 | right | 5 | f",
            "3 | 0 | missing | 0 | f",
        ];
        assert_eq!(run.live().await, healed, "{mode:?}");
        assert_eq!(run.rows().await.len(), if mode == DeleteMode::Hard { 5 } else { 6 }, "{mode:?}");
        assert_eq!(run.unseen().await, "0", "{mode:?}");
        assert_eq!(run.scan(page()).await, (0, 3), "{mode:?}");
        run.stream(stale()).await;
        run.stream(vec![set(2, 4, &[(9, "old")])]).await;
        assert_eq!(run.live().await, healed, "{mode:?}: a set that comes again undoes nothing");
        run.stream(vec![set(1, 6, &[(1, "later")]), set(2, 6, &[]), set(3, 6, &[])]).await;
        assert_eq!(run.live().await, ["1 | 1 | later | 6 | f"], "{mode:?}");
    }
}

#[tokio::test]
async fn what_was_written_since_the_beginning_is_left_alone() {
    for mode in ROWS {
        let mut run = Run::begin("newer", table("t", mode), vec![put(1, 5, "a"), put(2, 5, "b")]).await;
        run.stream(vec![put(1, 6, "newer"), gone(2, 6), put(3, 6, "new")]).await;
        let page = vec![put(1, 0, "older"), put(2, 0, "b"), gone(3, 0)];
        assert_eq!(run.scan(page).await, (0, 3), "{mode:?}");
        assert_eq!(run.live().await, ["1 | newer | 6 | f", "3 | new | 6 | f"], "{mode:?}");
        assert_eq!(run.bury(false).await.unwrap(), Burial::default(), "{mode:?}");
    }
    for mode in SETS {
        let mut run = Run::begin("newer_set", children("t", mode), vec![set(1, 5, &[(0, "a")])]).await;
        run.stream(vec![set(1, 6, &[(1, "newer")])]).await;
        assert_eq!(run.scan(vec![set(1, 0, &[(0, "older"), (2, "older")])]).await, (0, 1), "{mode:?}");
        assert_eq!(run.live().await, ["1 | 1 | newer | 6 | f"], "{mode:?}");
    }
}

#[tokio::test]
async fn a_deleted_row_that_is_there_is_revived() {
    for mode in ROWS {
        let mut run = Run::begin("revive", table("t", mode), vec![put(1, 4, "was"), gone(1, 5)]).await;
        assert_eq!(run.scan(vec![put(1, 0, "alive")]).await, (1, 0), "{mode:?}");
        assert_eq!(run.rows().await, ["1 | alive | 5 | f"], "{mode:?}");
        if mode == DeleteMode::Hard {
            assert_eq!(run.ledger().await, ["1 | f"]);
        }
        run.stream(vec![gone(1, 5)]).await;
        assert_eq!(run.rows().await, ["1 | alive | 5 | f"], "{mode:?}: the delete that comes again");
        run.stream(vec![gone(1, 6)]).await;
        assert!(run.live().await.is_empty(), "{mode:?}");
    }
    for mode in SETS {
        let before = vec![set(1, 4, &[(0, "was")])];
        let mut run = Run::begin("revive_set", children("t", mode), before).await;
        run.stream(vec![set(1, 5, &[])]).await;
        run.fence = run.sink.acquire("test/backfill", "a", TERM).await.unwrap();
        run.sink.forget_checkpoints("test", "repair/").await.unwrap();
        run.began = run.sink.begin_repair("test", &run.fence).await.unwrap();
        run.scan(vec![set(1, 0, &[(0, "alive"), (1, "new")])]).await;
        let live = run.live().await;
        assert_eq!(live.len(), 2, "{mode:?}: {live:?}");
        assert_eq!(run.ledger().await, ["1 | f"], "{mode:?}");
        run.stream(vec![set(1, 5, &[])]).await;
        assert_eq!(run.live().await, live, "{mode:?}: the empty set that comes again");
    }
}

#[tokio::test]
async fn a_live_row_whose_item_the_mapping_deletes_is_buried() {
    for (mode, left) in [(KEEP, vec!["1 | was | 5 | t"]), (CLEAR, vec!["1 | ∅ | 5 | t"]), (DeleteMode::Hard, vec![])]
    {
        let mut run = Run::begin("filtered", table("t", mode), vec![put(1, 5, "was")]).await;
        assert_eq!(run.scan(vec![gone(1, 0)]).await, (1, 0), "{mode:?}");
        assert_eq!(run.rows().await, left, "{mode:?}");
        assert_eq!(run.scan(vec![gone(1, 0)]).await, (0, 1), "{mode:?}");
        if mode == DeleteMode::Hard {
            assert_eq!(run.ledger().await, ["1 | t"]);
        }
        run.stream(vec![put(1, 5, "was")]).await;
        assert_eq!(run.rows().await, left, "{mode:?}");
    }
}

#[tokio::test]
async fn rows_that_the_ledger_has_never_seen_are_healed_and_not_buried() {
    for (table, right, page) in [
        (table("t", DeleteMode::Hard), put(2, 5, "right"), vec![put(1, 0, "true"), put(2, 0, "right")]),
        (
            children("t", DeleteMode::Hard),
            set(2, 5, &[(0, "right")]),
            vec![set(1, 0, &[(0, "true")]), set(2, 0, &[(0, "right")])],
        ),
    ] {
        let stale = Change { version: right.version, ..page[0].clone() };
        let mut run = Run::begin("no_entry", table, vec![stale, right]).await;
        // As after a change from soft to hard deletes.
        run.database.execute("update t set name = 'stale' where id = 1; delete from tributary.ledger").await;
        run.scan(page).await;
        assert_eq!(run.bury(true).await.unwrap().rows, 0);
        assert_eq!(run.database.rows("select name, _version from t order by id").await, ["true | 5", "right | 5"]);
    }
}

#[tokio::test]
async fn an_interrupted_repair_keeps_its_beginning() {
    let mut run = Run::begin("resumed", table("t", KEEP), vec![put(1, 5, "stale")]).await;
    run.scan(vec![put(1, 0, "true")]).await;
    let mut other = sink(&run.database, &run.tables);
    // Whatever way the session shows a time.
    run.database.execute(&format!("alter database \"{}\" set datestyle = 'sql, dmy'", run.database.name())).await;
    run.database
        .execute(&format!("alter database \"{}\" set timezone = 'America/New_York'", run.database.name()))
        .await;
    assert_eq!(other.begin_repair("test", &run.fence).await.unwrap(), run.began);
    let now = format!("select now() - '{}'::timestamptz between '0 s' and '60 s'", run.began);
    assert_eq!(run.database.rows(&now).await, ["t"]);
    run.bury(false).await.unwrap();
    assert!(run.database.rows("select partition from tributary.checkpoint").await.is_empty(), "all is forgotten");
    assert!(other.begin_repair("test", &run.fence).await.unwrap() > run.began);
}

#[tokio::test]
async fn who_lost_the_lease_repairs_nothing() {
    let mut run = Run::begin("lost", table("t", KEEP), vec![put(1, 5, "stale"), put(2, 5, "unseen")]).await;
    let mut other = sink(&run.database, &run.tables);
    run.sink.release(&run.fence).await.unwrap();
    other.acquire("test/backfill", "b", TERM).await.unwrap();
    let before = run.rows().await;
    assert_eq!(run.try_scan(vec![put(1, 0, "true")]).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(run.bury(true).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(run.sink.begin_repair("test", &run.fence).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(run.rows().await, before);
    assert_eq!(run.database.rows("select partition from tributary.checkpoint").await, ["repair/began"]);
}
