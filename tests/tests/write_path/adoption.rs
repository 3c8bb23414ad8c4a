//! Tables that were there before: adopted as they are, completed, or refused with a remedy.

use tributary_core::Kind;
use tributary_core::cell::Cell;
use tributary_core::change::{Change, Op, Patch};
use tributary_core::table::{DeleteMode, MetaColumns, Role, Table, VersionType};
use tributary_tests::Database;

use crate::fixture::*;

#[tokio::test]
async fn rows_from_before_are_older_than_anything() {
    let database = Database::new("before").await;
    database.execute("create table t (id integer primary key, name text, extra text default 'mine')").await;
    database.execute("insert into t values (1, 'old'), (2, 'stays')").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    apply(&mut sink, &tables, vec![put(1, 0, "backfilled"), put(3, 0, "new")]).await;
    let rows = database.rows("select id, name, _version, extra from t order by id").await;
    assert_eq!(rows, ["1 | backfilled | 0 | mine", "2 | stays | -1 | mine", "3 | new | 0 | mine"]);
}

#[tokio::test]
async fn a_table_without_a_key_gets_one_and_one_with_another_key_gets_an_index() {
    let database = Database::new("keys").await;
    database.execute("create table t (id integer, name text)").await;
    database
        .execute("create table u (own uuid primary key default gen_random_uuid(), id integer not null, name text)")
        .await;
    let tables = [table("t", KEEP), table("u", KEEP)];
    let mut sink = sink(&database, &tables);
    let changes = |v| vec![put(1, v, "a"), change(1, 1, v, Op::Upsert(row("b"), None))];
    apply(&mut sink, &tables, changes(1)).await;
    apply(&mut sink, &tables, changes(2)).await;
    assert_eq!(database.rows("select id, name from t union all select id, name from u").await, ["1 | a", "1 | b"]);
}

#[tokio::test]
async fn the_databases_default_stands_in_where_a_column_may_not_be_null() {
    let database = Database::new("defaults").await;
    database.execute("create table t (id integer primary key, name text not null default 'unnamed')").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    let unnamed = |id, v| change(0, id, v, Op::Upsert(Box::new([Cell::Null]), None));
    apply(&mut sink, &tables, vec![unnamed(1, 1), put(2, 1, "named"), gone(3, 1)]).await;
    apply(&mut sink, &tables, vec![gone(2, 2)]).await;
    let expect = ["1 | unnamed | 1 | f", "2 | named | 2 | t", "3 | unnamed | 1 | t"];
    assert_eq!(rows(&database, "t").await, expect);
}

#[tokio::test]
async fn a_version_may_be_a_bigint_that_was_there_or_is_made() {
    let small = |name: &str, mode| {
        let meta =
            MetaColumns { version: "updated_idx".into(), version_type: VersionType::Bigint, ..MetaColumns::default() };
        Table { meta, ..table(name, mode) }
    };
    let database = Database::new("bigint").await;
    database.execute("create table t (id integer primary key, name text, updated_idx bigint not null)").await;
    database.execute("create table u (id integer primary key, name text, updated_idx numeric not null)").await;
    database.execute("insert into t values (1, 'old', 2631314208), (2, 'stays', 2631314210)").await;
    let tables = [small("t", KEEP), small("u", KEEP), small("v", DeleteMode::Hard)];
    let mut sink = sink(&database, &tables);
    let to = |table, change: Change| Change { table, ..change };
    let newest = i64::MAX as u128;
    apply(&mut sink, &tables, vec![put(1, 2_631_314_210, "new"), to(1, put(1, newest, "a")), to(2, put(1, 7, "b"))])
        .await;
    apply(&mut sink, &tables, vec![put(2, 2_631_314_209, "late"), to(1, put(1, 5, "c")), to(2, gone(1, 8))]).await;
    let part = |name| Op::Patch(Patch { row: row(name), known: [true].into(), notes: None });
    apply(
        &mut sink,
        &tables,
        vec![change(0, 1, 2_631_314_212, part("part")), change(0, 1, 2_631_314_200, part("old"))],
    )
    .await;
    apply(&mut sink, &tables, vec![gone(2, 2_631_314_211), to(2, put(1, 6, "d")), to(2, put(3, 1, "e"))]).await;
    let expect = ["1 | part | 2631314212 | f", "2 | stays | 2631314211 | t"];
    assert_eq!(database.rows("select id, name, updated_idx, _deleted from t order by id").await, expect);
    assert_eq!(database.rows("select id, name, updated_idx from u").await, ["1 | a | 9223372036854775807"]);
    let types = "select id, name, updated_idx, pg_typeof(updated_idx) from v";
    assert_eq!(database.rows(types).await, ["3 | e | 1 | bigint"]);
}

async fn refused(name: &str, ddl: &str, tables: Vec<Table>) -> String {
    let database = Database::new(name).await;
    database.execute(ddl).await;
    let mut sink = sink(&database, &tables);
    let plan = sink.plan().await.unwrap();
    let error = sink.migrate().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(
        database.rows("select 1 from pg_namespace where nspname = 'tributary'").await.is_empty(),
        "something was changed"
    );
    plan.refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn what_cannot_be_right_is_refused_with_a_remedy() {
    let check = async |name: &str, ddl: &str, expect: &str| {
        let said = refused(name, ddl, vec![table("t", KEEP)]).await;
        assert!(said.contains(expect), "{name}: {said}");
    };
    check("type", "create table t (id integer primary key, name uuid)", "write `type: uuid`").await;
    check("tombstone", "create table t (id integer primary key, name text not null)", "drop not null").await;
    check(
        "unmapped",
        "create table t (id integer primary key, name text, must text not null)",
        "column must is not null",
    )
    .await;
    check("view", "create view t as select 1 as id, 'x'::text as name", "it is no table").await;
    check(
        "foreign",
        "create table t (id integer primary key, name text, _version bigint not null)",
        "keeps numeric there",
    )
    .await;
    check(
        "computed",
        "create table t (id integer primary key, n text, name text generated always as (n) stored)",
        "computed by the database",
    )
    .await;
}

#[tokio::test]
async fn a_hard_delete_needs_no_tombstone_and_so_no_value() {
    let database = Database::new("hard_not_null").await;
    database.execute("create table t (id integer primary key, name text not null)").await;
    let tables = [table("t", DeleteMode::Hard)];
    let mut sink = sink(&database, &tables);
    apply(&mut sink, &tables, vec![put(1, 1, "a"), gone(2, 1)]).await;
    apply(&mut sink, &tables, vec![gone(1, 2), put(2, 0, "late")]).await;
    assert!(database.rows("select id from t").await.is_empty());
}

#[tokio::test]
async fn a_second_tombstone_keeps_when_and_why_of_the_first() {
    let database = Database::new("tombstones").await;
    let mut soft = table("t", KEEP);
    for (name, ty, role) in [
        ("deleted", "boolean", Role::DeletedFlag),
        ("at", "timestamptz", Role::DeletedAt),
        ("why", "text", Role::DeletedReason),
    ] {
        soft.columns.push(tributary_core::table::Column { role, ..column(name, ty) });
    }
    let tables = [soft];
    let mut sink = sink(&database, &tables);
    let cells = |name: Cell, deleted: bool, at: Cell, why: &str| -> Box<[Cell]> {
        let why = if why.is_empty() { Cell::Null } else { Cell::Text(why.into()) };
        Box::new([name, Cell::Bool(deleted), at, why])
    };
    let live = Op::Upsert(cells(Cell::Text("kept".into()), false, Cell::Null, ""), None);
    let dead = |seconds: i64, why: &str| Op::Delete(cells(Cell::Null, true, Cell::Micros(seconds * 1_000_000), why));
    for (version, op) in [(1, live), (2, dead(60, "deleted")), (3, dead(120, "absent"))] {
        apply(&mut sink, &tables, vec![change(0, 1, version, op)]).await;
    }
    let rows = database.rows("select name, deleted, at at time zone 'utc', why, _version from t").await;
    assert_eq!(rows, ["kept | t | 2000-01-01 00:01:00 | deleted | 3"]);
}

#[tokio::test]
async fn functions_that_start_together_migrate_once() {
    let database = Database::new("together").await;
    let tables = [table("t", KEEP)];
    let mut sinks: Vec<_> = (0..4).map(|_| sink(&database, &tables)).collect();
    let starts = sinks.iter_mut().map(|sink| sink.warm_up());
    for start in futures_util::future::join_all(starts).await {
        start.unwrap();
    }
}

#[tokio::test]
async fn without_auto_migrate_nothing_is_created() {
    let database = Database::new("manual").await;
    let mut sink = tributary_postgres::Postgres::new(target(database.url()), vec![table("t", KEEP)], false);
    let error = sink.warm_up().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.hint().unwrap().contains("tributary migrate"), "{error:?}");
    assert!(database.rows("select 1 from pg_class where relname = 't'").await.is_empty());
}

#[tokio::test]
async fn a_login_named_as_our_schema_makes_no_table_in_it() {
    let database = Database::alone("own_name", false, &[]).await;
    database.execute("create role tributary superuser login password 'secret'").await;
    let (_, place) = database.url().split_once('@').unwrap();
    let target = target(&format!("postgres://tributary:secret@{place}"));
    let plain = table("t", KEEP);
    let mut sink = tributary_postgres::Postgres::new(target.clone(), vec![plain.clone()], true);
    let error = sink.warm_up().await.unwrap_err();
    assert!(error.to_string().contains("write `schema: public`"), "{error:?}");
    let named = Table { schema: Some("public".into()), ..plain };
    tributary_postgres::Postgres::new(target, vec![named], true).warm_up().await.unwrap();
    assert_eq!(database.rows("select schemaname from pg_tables where tablename = 't'").await, ["public"]);
}
