//! Repairs: what a scan heals, what it leaves alone, what it buries, and who wins when a stream writes meanwhile.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tributary_core::batch::{Checkpoint, Fence, Outcome};
use tributary_core::cell::{Cell, Row};
use tributary_core::change::{Change, Op};
use tributary_core::decimal::Decimal;
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::table::{DeleteMode, Role, Table};
use tributary_core::{Kind, Result};
use tributary_postgres::connect::Target;
use tributary_postgres::{Burial, Postgres, Unseen};
use tributary_tests::Database;

use crate::convergence::{deliveries, newest};
use crate::fixture::*;
use crate::interleaving::wait_for_waiters;

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
async fn an_unseen_row_is_buried_and_comes_back_only_by_a_newer_event() {
    for mode in ROWS {
        let mut run = Run::begin("bury", table("t", mode), vec![put(1, 5, "seen"), put(2, 5, "lost")]).await;
        run.stream(vec![put(3, 5, "new")]).await;
        run.scan(vec![put(1, 0, "seen")]).await;
        assert_eq!(run.bury(false).await.unwrap(), Burial { rows: 1, spared: vec![] }, "{mode:?}");
        let left = ["1 | seen | 5 | f", "3 | new | 5 | f"];
        assert_eq!(run.live().await, left, "{mode:?}");
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
        run.stream(vec![set(2, 5, &[(0, "lost"), (1, "lost")])]).await;
        assert_eq!(run.live().await, ["1 | 0 | seen | 5 | f"], "{mode:?}");
        run.stream(vec![set(2, 6, &[(1, "again")])]).await;
        assert_eq!(run.live().await[1..], ["2 | 1 | again | 6 | f"], "{mode:?}");
    }
}

#[tokio::test]
async fn a_deleted_row_that_is_there_is_revived() {
    for mode in ROWS {
        let mut run = Run::begin("revive", table("t", mode), vec![put(1, 4, "was"), gone(1, 5)]).await;
        assert_eq!(run.scan(vec![put(1, 0, "alive")]).await, (1, 0), "{mode:?}");
        assert_eq!(run.rows().await, ["1 | alive | 5 | f"], "{mode:?}");
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
        run.stream(vec![put(1, 5, "was")]).await;
        assert_eq!(run.rows().await, left, "{mode:?}");
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
async fn equal_is_what_the_column_would_hold() {
    let types = [
        ("json", r#"{"b": 1,  "a": 2}"#, r#"{"b": 1}"#),
        ("jsonb", r#"{"b": 1,  "a": 2}"#, r#"{"a": 2}"#),
        ("char(5)", "ab", "ac"),
        ("varchar(5)", "ab", "AB"),
        ("text[]", "{a,NULL}", "{a}"),
        ("varchar(3)[]", "{abc}", "{ab}"),
        ("json[]", r#"{"{\"a\": 1}"}"#, "{}"),
        ("point", "(1,2)", "(1,3)"),
        ("box", "(1,1),(0,0)", "(2,2),(1,1)"),
        ("interval", "1 day", "24:00"),
        ("xml", "<a/>", "<b/>"),
        ("bit(4)", "1010", "1011"),
    ];
    for (ty, value, other) in types {
        let mut table = table("t", KEEP);
        table.columns = vec![column("c", ty)];
        let put = |text: &str| {
            let row: Row = Box::new([Cell::Text(text.into())]);
            change(0, 1, 0, Op::Upsert(row, None))
        };
        let mut run = Run::begin("equal", table, vec![put(value)]).await;
        assert_eq!(run.scan(vec![put(value)]).await, (0, 1), "{ty}");
        run.database.execute("update t set _synced_at = null").await;
        assert_eq!(run.scan(vec![put(other)]).await, (1, 0), "{ty}");
    }
    // The scale of the column rounds what is stored.
    let mut table = table("t", KEEP);
    table.columns = vec![column("c", "numeric(4,1)")];
    let put = || {
        let row: Row = Box::new([Cell::Numeric(Decimal::parse("1.26").unwrap())]);
        change(0, 1, 0, Op::Upsert(row, None))
    };
    let mut run = Run::begin("rounded", table, vec![put()]).await;
    assert_eq!(run.scan(vec![put()]).await, (0, 1));
}

#[tokio::test]
async fn where_the_database_has_a_default_the_stored_value_stays() {
    for (mode, buried) in [(KEEP, vec!["mine"]), (CLEAR, vec!["standard"]), (DeleteMode::Hard, vec![])] {
        let database = Database::new("default").await;
        let tables = [table("t", mode)];
        sink(&database, &tables).warm_up().await.unwrap();
        database
            .execute("alter table t alter column name set default 'standard', alter column name set not null")
            .await;
        let mut sink = sink(&database, &tables);
        apply(&mut sink, &tables, vec![put(1, 5, "mine")]).await;
        let fence = sink.acquire("test/backfill", "a", TERM).await.unwrap();
        let began = sink.begin_repair("test", &fence).await.unwrap();
        let mut run = Run { database, tables, sink, fence, began };
        let null = || Op::Upsert(Box::new([Cell::Null]), None);
        assert_eq!(run.scan(vec![change(0, 1, 0, null()), change(0, 2, 0, null())]).await, (1, 1), "{mode:?}");
        assert_eq!(run.rows().await, ["1 | mine | 5 | f", "2 | standard | 0 | f"], "{mode:?}");
        run.database
            .execute("update t set _synced_at = null; update tributary.ledger set synced_at = '-infinity'")
            .await;
        run.scan(vec![gone(1, 0)]).await;
        assert_eq!(run.database.rows("select name from t where id = 1").await, buried, "{mode:?}");
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

/// One writer is held before its commit, the other one comes to wait for it.
async fn race(table: Table, before: Change, scanned: Change, event: Change, stream_first: bool) -> Vec<String> {
    let mut run = Run::begin("race", table, vec![before]).await;
    let mut stream = sink(&run.database, &run.tables);
    stream.warm_up().await.unwrap();
    let gate = run.database.client().await;
    gate.batch_execute("begin; lock table tributary.checkpoint in access exclusive mode").await.unwrap();
    let mut event = batch(&run.tables, vec![event]);
    event.checkpoint = Some(Checkpoint { partition: String::new(), position: "1".into(), at: None, fence: None });
    let mut scanned = batch(&run.tables, vec![scanned]);
    scanned.checkpoint = run.checkpoint();
    let event = async {
        wait_for_waiters(&run.database, usize::from(!stream_first)).await;
        stream.apply(&event, &Unlimited).await.unwrap();
    };
    let scan = async {
        wait_for_waiters(&run.database, usize::from(stream_first)).await;
        run.sink.repair(&scanned, &run.began, &Unlimited).await.unwrap();
    };
    let open = async {
        wait_for_waiters(&run.database, 2).await;
        gate.batch_execute("commit").await.unwrap();
    };
    tokio::join!(event, scan, open);
    run.live().await
}

#[tokio::test]
async fn an_event_between_the_scan_and_its_commit_wins() {
    for stream_first in [true, false] {
        for mode in ROWS {
            let race = |scanned, event| race(table("t", mode), put(1, 5, "stale"), scanned, event, stream_first);
            assert_eq!(race(put(1, 0, "read"), put(1, 6, "event")).await, ["1 | event | 6 | f"], "{mode:?}");
            assert!(race(put(1, 0, "read"), gone(1, 6)).await.is_empty(), "{mode:?}");
            assert_eq!(race(gone(1, 0), put(1, 6, "event")).await, ["1 | event | 6 | f"], "{mode:?}");
        }
        for mode in SETS {
            let (scanned, event) = (set(1, 0, &[(0, "read"), (1, "read")]), set(1, 6, &[(0, "event")]));
            let live = race(children("t", mode), set(1, 5, &[(2, "stale")]), scanned, event, stream_first).await;
            assert_eq!(live, ["1 | 0 | event | 6 | f"], "{mode:?}");
        }
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

/// Whatever was lost of a history: after a repair the rows are as at the source, and they stay so whatever comes late.
fn converges(name: &str, table: &Table) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = runtime.block_on(Run::begin(name, table.clone(), vec![]));
    let run = std::cell::RefCell::new(run);
    let strategy = (deliveries(table.children.is_some()), any::<u64>());
    let mut runner = TestRunner::new(Config { cases: 48, ..Config::default() });
    let truth = |batches: &[Vec<Change>]| {
        let without_version = |row: &String| row.split(" | ").take(2).collect::<Vec<_>>().join(" | ");
        newest(batches).iter().map(without_version).collect::<Vec<_>>()
    };
    let result = runner.run(&strategy, |(batches, lost)| {
        let (healed, later) = runtime.block_on(async {
            let run = &mut *run.borrow_mut();
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
