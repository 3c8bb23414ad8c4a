//! The only writer of a table: what is newer and says the same is not written, and what was done is counted.

mod convergence;

use std::time::Duration;

use tributary_core::Kind;
use tributary_core::batch::{Batch, Checkpoint, Counts, Fence, Outcome};
use tributary_core::cell::Cell;
use tributary_core::change::{Change, Op, Patch};
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::table::{Column, DeleteMode, Role, Table};
use tributary_postgres::Postgres;
use tributary_postgres::connect::Target;
use tributary_tests::Database;

use crate::fixture::*;

/// A sink that holds the lease `poll`.
pub(crate) async fn runner(database: &Database, tables: &[Table]) -> (Postgres<Target>, Fence) {
    let mut sink = sink(database, tables);
    let fence = sink.acquire("poll", "me", Duration::from_secs(600)).await.unwrap();
    (sink, fence)
}

pub(crate) fn fenced<'t>(tables: &'t [Table], fence: &Fence, changes: Vec<Change>) -> Batch<'t> {
    let fence = Some(fence.clone());
    let checkpoint = Some(Checkpoint { partition: String::new(), position: "page".into(), at: None, fence });
    Batch { checkpoint, only_writer: true, ..batch(tables, changes) }
}

async fn sweep(sink: &mut Postgres<Target>, tables: &[Table], fence: &Fence, changes: Vec<Change>) -> Outcome {
    sink.apply(&fenced(tables, fence, changes), &Unlimited).await.unwrap()
}

/// Inserted, updated, deleted, restored, unchanged.
fn figures(counts: &Counts) -> [u64; 5] {
    [counts.inserted, counts.updated, counts.deleted, counts.restored, counts.unchanged]
}

#[tokio::test]
async fn what_became_of_each_row_is_counted() {
    for mode in [KEEP, CLEAR, DeleteMode::Hard] {
        let database = Database::new("counted").await;
        let tables = [table("t", mode)];
        let (mut sink, fence) = runner(&database, &tables).await;
        let first = (1..=4).map(|id| put(id, 1, "first")).collect();
        assert_eq!(figures(&sweep(&mut sink, &tables, &fence, first).await.counts[0]), [4, 0, 0, 0, 0]);
        let second = vec![put(1, 2, "first"), put(2, 2, "other"), gone(3, 2), put(5, 2, "new"), put(4, 0, "stale")];
        let outcome = sweep(&mut sink, &tables, &fence, second).await;
        assert_eq!(figures(&outcome.counts[0]), [1, 1, 1, 0, 1], "{mode:?}");
        assert_eq!((outcome.applied, outcome.unchanged, outcome.stale, outcome.dead), (3, 1, 1, 0));
        let third = vec![gone(3, 3), put(5, 3, "new")];
        assert_eq!(figures(&sweep(&mut sink, &tables, &fence, third).await.counts[0]), [0, 0, 0, 0, 2], "{mode:?}");
        let back = vec![put(3, 4, "back")];
        assert_eq!(figures(&sweep(&mut sink, &tables, &fence, back).await.counts[0]), [0, 0, 0, 1, 0], "{mode:?}");
        let live = database.rows("select id, name, _version from t where not _deleted order by id").await;
        assert_eq!(live, ["1 | first | 1", "2 | other | 2", "3 | back | 4", "4 | first | 1", "5 | new | 2"]);
    }
}

#[tokio::test]
async fn a_set_that_is_as_it_was_is_left_alone_and_loses_nobody() {
    for mode in [KEEP, DeleteMode::Hard] {
        let database = Database::new("same_set").await;
        let tables = [children("t", mode)];
        let (mut sink, fence) = runner(&database, &tables).await;
        let sets =
            |version, second: &[(i64, &str)]| vec![set(1, version, &[(0, "a"), (1, "b")]), set(2, version, second)];
        let shown = "select id, line, name, _version from t where not _deleted order by 1, 2";
        let outcome = sweep(&mut sink, &tables, &fence, sets(1, &[(0, "x"), (1, "y")])).await;
        assert_eq!(figures(&outcome.counts[0]), [2, 0, 0, 0, 0]);
        // One element changes, one goes, one comes; the other set is as it was.
        let outcome = sweep(&mut sink, &tables, &fence, sets(2, &[(1, "z"), (2, "new")])).await;
        assert_eq!(figures(&outcome.counts[0]), [0, 1, 0, 0, 1]);
        let expect = ["1 | 0 | a | 1", "1 | 1 | b | 1", "2 | 1 | z | 2", "2 | 2 | new | 2"];
        assert_eq!(database.rows(shown).await, expect, "{mode:?}");
        let outcome = sweep(&mut sink, &tables, &fence, sets(3, &[(1, "z"), (2, "new")])).await;
        assert_eq!(figures(&outcome.counts[0]), [0, 0, 0, 0, 2]);
        assert_eq!(database.rows(shown).await, expect, "{mode:?}");
        // Its first element again, whose row may be a tombstone.
        let outcome = sweep(&mut sink, &tables, &fence, sets(4, &[(0, "x"), (1, "z"), (2, "new")])).await;
        assert_eq!(figures(&outcome.counts[0]), [0, 1, 0, 0, 1]);
        assert_eq!(database.rows(shown).await.len(), 5);
        let outcome = sweep(&mut sink, &tables, &fence, sets(5, &[])).await;
        assert_eq!(figures(&outcome.counts[0]), [0, 0, 1, 0, 1]);
        assert_eq!(database.rows(shown).await, ["1 | 0 | a | 1", "1 | 1 | b | 1"], "{mode:?}");
        let outcome = sweep(&mut sink, &tables, &fence, sets(6, &[])).await;
        assert_eq!(figures(&outcome.counts[0]), [0, 0, 0, 0, 2]);
        let outcome = sweep(&mut sink, &tables, &fence, sets(7, &[(0, "again")])).await;
        assert_eq!(figures(&outcome.counts[0]), [0, 0, 0, 1, 1]);
        // Any other batch goes on from there by the versions.
        apply(&mut sink, &tables, vec![set(1, 8, &[(1, "b"), (2, "c")])]).await;
        assert_eq!(database.rows(shown).await, ["1 | 1 | b | 8", "1 | 2 | c | 8", "2 | 0 | again | 7"], "{mode:?}");
    }
}

#[tokio::test]
async fn a_second_sweep_of_the_same_rows_leaves_no_trace_in_the_log() {
    let database = Database::alone("sweep", false, &[("autovacuum", "off")]).await;
    if database.client().await.batch_execute("create extension if not exists pg_walinspect").await.is_err() {
        // Without that extension of Postgres 15 the rows' places below have to do.
    }
    let tables = [table("t", KEEP), children("v", DeleteMode::Hard), children("w", KEEP), table("u", DeleteMode::Hard)];
    let (mut sink, fence) = runner(&database, &tables).await;
    let changes = |version: u128| {
        let mut changes: Vec<_> = (0..800).map(|id| put(id, version, "x")).collect();
        for number in [1, 2] {
            let of_set = |id| Change { table: number, ..set(id, version, &[(0, "a"), (1, "b")]) };
            changes.extend((0..600).map(of_set));
        }
        changes.extend((0..300).map(|id| Change { table: 3, ..put(id, version, "hard") }));
        changes.extend((800..900).map(|id| gone(id, version)));
        changes
    };
    sweep(&mut sink, &tables, &fence, changes(1)).await;
    sink.settle().await;
    for name in ["t", "u", "v", "w", "tributary.ledger"] {
        database.execute(&format!("vacuum (freeze) {name}")).await;
    }
    database.execute("checkpoint").await;
    let places = "select string_agg(concat(x.r, x.ctid, x.xmin, x.xmax), ',' order by x.r, x.ctid) from (\
        select 't' r, ctid, xmin, xmax from t union all select 'u', ctid, xmin, xmax from u union all \
        select 'v', ctid, xmin, xmax from v union all select 'w', ctid, xmin, xmax from w union all \
        select 'l', ctid, xmin, xmax from tributary.ledger) x";
    let (before, client) = (database.rows(places).await, database.client().await);
    let from: String = client.query_one("select pg_current_wal_insert_lsn()::text", &[]).await.unwrap().get(0);
    let outcome = sweep(&mut sink, &tables, &fence, changes(2)).await;
    assert_eq!((outcome.applied, outcome.stale, outcome.unchanged), (0, 0, 2400));
    assert_eq!(database.rows(places).await, before);
    let query = format!(
        "select count(*) from pg_get_wal_records_info('{from}', pg_current_wal_flush_lsn()) r, pg_class c \
         left join pg_index i on i.indexrelid = c.oid \
         where coalesce(i.indrelid, c.oid) in ('t'::regclass, 'u'::regclass, 'v'::regclass, 'w'::regclass, \
           'tributary.ledger'::regclass) and r.block_ref like '%/' || c.relfilenode || ' %'"
    );
    if let Ok(row) = client.query_one(&query, &[]).await {
        assert_eq!(row.get::<_, i64>(0), 0);
    }
}

#[tokio::test]
async fn an_only_writer_without_a_lease_is_refused_and_one_that_lost_it_stores_nothing() {
    let database = Database::new("no_lease").await;
    let tables = [table("t", KEEP)];
    let (mut sink, fence) = runner(&database, &tables).await;
    let mut careless = fenced(&tables, &fence, vec![put(1, 1, "a")]);
    careless.checkpoint = None;
    assert_eq!(sink.apply(&careless, &Unlimited).await.unwrap_err().kind(), Kind::Bug);
    sink.release(&fence).await.unwrap();
    sink.acquire("poll", "other", Duration::from_secs(600)).await.unwrap();
    let late = fenced(&tables, &fence, vec![put(1, 1, "a")]);
    assert_eq!(sink.apply(&late, &Unlimited).await.unwrap_err().kind(), Kind::Conflict);
    assert!(rows(&database, "t").await.is_empty());
}

#[tokio::test]
async fn one_bad_row_of_a_sweep_stops_nobody_and_the_rest_is_counted() {
    let database = Database::new("bad_sweep").await;
    let tables = [table("t", KEEP), children("v", DeleteMode::Hard)];
    let (mut sink, fence) = runner(&database, &tables).await;
    let changes = |version: u128, bad: &str| {
        let mut changes: Vec<_> = (0..40).map(|id| put(id, version, "x")).collect();
        changes.push(put(99, version, bad));
        changes.push(Change { table: 1, ..set(1, version, &[(0, "a"), (1, "b")]) });
        changes
    };
    sweep(&mut sink, &tables, &fence, changes(1, "good")).await;
    database.execute("alter table t add check (name <> 'bad')").await;
    let outcome = sweep(&mut sink, &tables, &fence, changes(2, "bad")).await;
    assert_eq!((outcome.applied, outcome.unchanged, outcome.stale, outcome.dead), (0, 41, 0, 1));
    assert_eq!(database.rows("select name from t where id = 99").await, ["good"]);
}

/// A stored value and one that the source may send: whether the row is written.
#[tokio::test]
async fn values_are_compared_as_the_column_holds_them() {
    let cell = |text: &str| Cell::Text(text.into());
    let all = [
        ("json", cell(r#"{"a": 1}"#), cell(r#"{"a": 1}"#), false),
        ("json", cell(r#"{"a": 1}"#), cell(r#"{"a":1}"#), true),
        ("jsonb", cell(r#"{"a": 1}"#), cell(r#"{"a":1}"#), false),
        ("xml", cell("<a/>"), cell("<a/>"), false),
        ("point", cell("(1,2)"), cell("1,2"), false),
        ("point", cell("(1,2)"), cell("(1,3)"), true),
        ("text[]", cell("{a,b}"), cell("{a,b}"), false),
        ("text[]", cell("{a,b}"), cell("{a,c}"), true),
        ("char(3)", cell("a"), cell("a"), false),
        ("numeric(5,2)", Cell::Numeric(tributary_core::decimal::Decimal::parse("1.5").unwrap()), Cell::Null, true),
        ("double precision", Cell::Float(f64::NAN), Cell::Float(f64::NAN), false),
        ("text", Cell::Null, Cell::Null, false),
        ("text", Cell::Null, cell(""), true),
    ];
    let database = Database::new("compared").await;
    let of = |(number, (ty, ..)): (usize, &(&str, _, _, _))| Table {
        columns: vec![column("name", ty)],
        ..table(&format!("t{number}"), KEEP)
    };
    let tables: Vec<Table> = all.iter().enumerate().map(of).collect();
    let (mut sink, fence) = runner(&database, &tables).await;
    for (number, (ty, stored, sent, differs)) in all.iter().enumerate() {
        let put = |version, cell: &Cell| change(number as u16, 1, version, Op::Upsert(Box::new([cell.clone()]), None));
        sweep(&mut sink, &tables, &fence, vec![put(1, stored)]).await;
        let outcome = sweep(&mut sink, &tables, &fence, vec![put(2, sent)]).await;
        assert_eq!((outcome.applied, outcome.unchanged), (u64::from(*differs), u64::from(!differs)), "{ty} {sent:?}");
    }
}

#[tokio::test]
async fn notes_and_defaults_of_the_database_are_part_of_the_row() {
    let database = Database::new("noted_sweep").await;
    database.execute("create table t (id integer primary key, name text not null default 'unnamed')").await;
    let mut noted = table("t", KEEP);
    noted.meta.errors = Some("_errors".into());
    noted.columns.push(Column { role: Role::DeletedAt, ..column("gone_at", "timestamptz") });
    let tables = [noted];
    let (mut sink, fence) = runner(&database, &tables).await;
    let put = |version, name: Cell, note: Option<&str>| {
        change(0, 1, version, Op::Upsert(Box::new([name, Cell::Null]), note.map(Into::into)))
    };
    let named = || Cell::Text("named".into());
    for (version, name, note, expect) in [
        (1, Cell::Null, None, "1 | unnamed | ∅"),
        (2, Cell::Null, None, "1 | unnamed | ∅"),
        (3, named(), None, "3 | named | ∅"),
        (4, Cell::Null, None, "4 | unnamed | ∅"),
        (5, Cell::Null, Some(r#"{"name":"bad"}"#), r#"5 | unnamed | {"name": "bad"}"#),
        (6, Cell::Null, Some(r#"{"name":"bad"}"#), r#"5 | unnamed | {"name": "bad"}"#),
        (7, Cell::Null, None, "7 | unnamed | ∅"),
    ] {
        sweep(&mut sink, &tables, &fence, vec![put(version, name, note)]).await;
        assert_eq!(database.rows("select _version, name, _errors from t").await, [expect]);
    }
    let tombstone =
        |version| change(0, 1, version, Op::Delete(Box::new([Cell::Null, Cell::Micros(version as i64 * 1_000_000)])));
    for version in [8, 9] {
        sweep(&mut sink, &tables, &fence, vec![tombstone(version)]).await;
        assert_eq!(database.rows("select _version, name, _deleted from t").await, ["8 | unnamed | t"]);
    }
}

#[tokio::test]
async fn of_many_parts_of_a_row_in_a_sweep_the_newest_stands() {
    let database = Database::new("many_parts").await;
    let mut taking = table("t", KEEP);
    taking.meta.versions = Some("_versions".into());
    let tables = [taking];
    let (mut sink, fence) = runner(&database, &tables).await;
    sweep(&mut sink, &tables, &fence, vec![put(1, 1, "same")]).await;
    let part = |version: u128| {
        let name = if version == 1500 { "same" } else { "other" };
        let (row, known) = (row(name), Box::new([true]));
        change(0, 1, version, Op::Patch(Patch { row, known, notes: None }))
    };
    let outcome = sweep(&mut sink, &tables, &fence, (2..=1500).map(part).collect()).await;
    assert_eq!((outcome.applied, outcome.unchanged), (0, 1));
    assert_eq!(rows(&database, "t").await, ["1 | same | 1 | f"]);
}

#[tokio::test]
async fn columns_beside_the_mapped_ones_stay_as_somebody_else_wrote_them() {
    for mode in [KEEP, DeleteMode::Hard] {
        let database = Database::new("beside").await;
        let tables = [children("t", mode)];
        let (mut sink, fence) = runner(&database, &tables).await;
        sweep(&mut sink, &tables, &fence, vec![set(1, 1, &[(0, "a"), (1, "b"), (2, "c")])]).await;
        database.execute("alter table t add state text not null default 'pending', add location text").await;
        database.execute("update t set state = 'stored', location = 'at ' || line").await;
        // A row that changes, one that is as it was, one that goes, one that is new.
        sweep(&mut sink, &tables, &fence, vec![set(1, 2, &[(0, "a"), (1, "other"), (3, "new")])]).await;
        let shown = "select line, name, state, location from t where not _deleted order by line";
        let expect = ["0 | a | stored | at 0", "1 | other | stored | at 1", "3 | new | pending | ∅"];
        assert_eq!(database.rows(shown).await, expect, "{mode:?}");
        // One that comes back is the same row where it stayed as a tombstone.
        sweep(&mut sink, &tables, &fence, vec![set(1, 3, &[(1, "other"), (2, "c")])]).await;
        let back = if mode == KEEP { "2 | c | stored | at 2" } else { "2 | c | pending | ∅" };
        assert_eq!(database.rows(shown).await, ["1 | other | stored | at 1", back], "{mode:?}");
    }
}
