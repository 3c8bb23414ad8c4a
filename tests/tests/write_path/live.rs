//! Listing the rows that are there, and tables that become known at run time.

use std::collections::BTreeMap;

use tributary_core::cast::cast;
use tributary_core::cell::{Cell, Key, Row};
use tributary_core::change::{Change, Op};
use tributary_core::table::{Column, DeleteMode, Table};
use tributary_core::value::Value;
use tributary_core::version::Version;
use tributary_core::{Error, Kind};
use tributary_postgres::Postgres;
use tributary_postgres::connect::Target;
use tributary_tests::Database;

use crate::fixture::*;

async fn live(sink: &mut Postgres<Target>, table: &Table) -> BTreeMap<Key, Option<Version>> {
    let mut rows = BTreeMap::new();
    let visit = |key, version| {
        assert!(rows.insert(key, version).is_none(), "a key came twice");
        Ok(())
    };
    sink.live(table, visit).await.unwrap();
    rows
}

#[tokio::test]
async fn tombstones_are_not_listed_and_rows_from_before_have_no_version() {
    let database = Database::new("listed").await;
    database.execute("create table t (id integer primary key, name text); insert into t values (9, 'before')").await;
    let tables = [table("t", KEEP), table("u", DeleteMode::Hard), children("v", DeleteMode::Hard)];
    let mut sink = sink(&database, &tables);
    let big = Version::new(1_714_000_000_000_000, "1000000000000000000000").unwrap();
    let newest = Change { version: big, ..put(3, 0, "c") };
    let mut changes = vec![put(1, 5, "a"), put(2, 5, "b"), gone(2, 6), newest];
    changes.push(change(1, 1, 7, Op::Upsert(row("hard"), None)));
    changes.push(Change { table: 2, ..set(1, 8, &[(0, "x"), (1, "y")]) });
    apply(&mut sink, &tables, changes).await;
    let expect = |rows: Vec<(Key, Option<Version>)>| rows.into_iter().collect::<BTreeMap<_, _>>();
    let at = |version| Some(Version::from_u128(0, version));
    assert_eq!(live(&mut sink, &tables[0]).await, expect(vec![(key(1), at(5)), (key(3), Some(big)), (key(9), None)]));
    assert_eq!(live(&mut sink, &tables[1]).await, expect(vec![(key(1), at(7))]));
    let child = |line| -> Key { Box::new([Cell::Int(1), Cell::Int(line)]) };
    assert_eq!(live(&mut sink, &tables[2]).await, expect(vec![(child(0), at(8)), (child(1), at(8))]));
}

#[tokio::test]
async fn keys_come_back_as_the_cast_gives_them() {
    let all = [
        ("text", "text", Value::from("ä ")),
        ("varchar(5)", "varchar(5)", Value::from("abc")),
        ("char(5)", "char(5)", Value::from("abc")),
        ("boolean", "boolean", Value::from(true)),
        ("smallint", "smallint", Value::from(-7)),
        ("integer", "bigint", Value::from(7)),
        ("bigint", "numeric", Value::from(i64::MAX)),
        ("numeric", "numeric", Value::from("123456789012345678901234567890.5")),
        ("numeric(9,3)", "numeric(9,3)", Value::from("1.5")),
        ("real", "double precision", Value::from("0.1")),
        ("double precision", "double precision", Value::from("1e300")),
        ("bytea", "bytea", Value::Bytes([0, 255].into())),
        ("uuid", "uuid", Value::from("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11")),
        ("date", "date", Value::from("1999-12-31")),
        ("time", "time", Value::from("12:34:56.789")),
        ("timestamp", "timestamp", Value::from("2026-02-03T04:05:06.7")),
        ("timestamptz", "timestamptz", Value::from("2026-02-03T04:05:06.7+02:00")),
        ("inet", "inet", Value::from("10.0.0.1")),
    ];
    let database = Database::new("keys").await;
    let mut tables = Vec::new();
    for (number, (ty, stored_as, _)) in all.iter().enumerate() {
        let name = format!("t{number}");
        database.execute(&format!("create table {name} (id {stored_as} primary key, name {stored_as})")).await;
        let (key, columns) = (vec![column("id", ty)], vec![column("name", ty)]);
        tables.push(Table { key, columns, ..table(&name, KEEP) });
    }
    let mut sink = sink(&database, &tables);
    for (number, (ty, _, value)) in all.iter().enumerate() {
        let cell = cast(value, &tables[number].key[0].ty).unwrap();
        let key: Key = Box::new([cell.clone()]);
        let op = Op::Upsert(Box::new([cell.clone()]), None);
        apply(&mut sink, &tables, vec![Change { key: key.clone(), ..change(number as u16, 0, 1, op) }]).await;
        assert_eq!(live(&mut sink, &tables[number]).await.into_keys().collect::<Vec<_>>(), [key], "{ty}");
        let mut names = Vec::new();
        let visit = |_, _, row| {
            names.push(row);
            Ok(())
        };
        sink.live_with(&tables[number], &["name"], visit).await.unwrap();
        assert_eq!(names, [Box::from([cell])], "{ty}");
    }
}

#[tokio::test]
async fn a_listing_ends_with_the_visitors_error_and_the_sink_goes_on() {
    let database = Database::new("stopped").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    apply(&mut sink, &tables, (0..5000).map(|id| put(id, 1, "a")).collect()).await;
    let mut seen = 0;
    let visit = |_, _| {
        seen += 1;
        if seen == 10 { Err(Error::data("enough")) } else { Ok(()) }
    };
    assert_eq!(sink.live(&tables[0], visit).await.unwrap_err().to_string(), "enough");
    assert_eq!(seen, 10);
    assert_eq!(apply(&mut sink, &tables, vec![put(1, 2, "b")]).await.applied, 1);
    let unknown = sink.live_with(&tables[0], &["nobody"], |_, _, _| Ok(())).await;
    assert_eq!(unknown.unwrap_err().kind(), Kind::Bug);
}

#[tokio::test]
async fn a_listing_of_all_that_is_stored_tells_tombstones() {
    let database = Database::new("stored").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    apply(&mut sink, &tables, vec![put(1, 1, "a"), put(2, 1, "b"), put(3, 1, "c")]).await;
    apply(&mut sink, &tables, vec![gone(2, 2)]).await;
    let mut seen = Vec::new();
    let visit = |_: Key, version: Option<Version>, is_tombstone: bool, row: Row| {
        seen.push((version.map(|version| version.to_string()), is_tombstone, row));
        Ok(())
    };
    sink.stored_with(&tables[0], &["name"], visit).await.unwrap();
    seen.sort_by_key(|(_, _, row)| format!("{row:?}"));
    let expect = [("1", false, "a"), ("2", true, "b"), ("1", false, "c")];
    let of = |(version, is_tombstone, name): (&str, bool, &str)| {
        (Some(version.to_owned()), is_tombstone, Box::from([Cell::Text(name.into())]))
    };
    assert_eq!(seen, expect.map(of));
}

/// The table with further columns, as a source's schema might say later.
fn grown(names: &[&str]) -> Table {
    let mut grown = table("t", KEEP);
    grown.columns.extend(names.iter().map(|name| column(name, "text")));
    grown
}

fn filled(table: &Table, id: i64, version: u128) -> Change {
    let text = |column: &Column| Cell::Text(format!("{} {version}", column.name).into());
    change(0, id, version, Op::Upsert(table.columns.iter().map(text).collect(), None))
}

#[tokio::test]
async fn a_table_that_grows_is_adopted_and_written() {
    let database = Database::new("adopt").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    apply(&mut sink, &tables, vec![put(1, 1, "a")]).await;
    let tables = [grown(&["more"]), Table { name: "new".into(), ..table("t", DeleteMode::Hard) }];
    sink.adopt(&tables, true).await.unwrap();
    apply(&mut sink, &tables, vec![filled(&tables[0], 1, 2), change(1, 1, 2, Op::Upsert(row("n"), None))]).await;
    assert_eq!(database.rows("select id, name, more from t").await, ["1 | name 2 | more 2"]);
    assert_eq!(rows(&database, "new").await, ["1 | n | 2 | f"]);
    // The new definition also holds on a connection that is opened anew.
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
        where datname = current_database() and pid <> pg_backend_pid()";
    database.execute(kill).await;
    apply(&mut sink, &tables, vec![filled(&tables[0], 1, 3)]).await;
    assert_eq!(database.rows("select id, name, more from t").await, ["1 | name 3 | more 3"]);
}

#[tokio::test]
async fn what_is_known_already_costs_no_question() {
    let database = Database::new("adopt_again").await;
    let proxy = tributary_tests::Proxy::start(database.url()).await;
    let tables = [grown(&["more"])];
    let mut sink = Postgres::new(target(proxy.url()), tables.to_vec(), true);
    sink.warm_up().await.unwrap();
    let before = proxy.round_trips();
    sink.adopt(&tables, true).await.unwrap();
    assert_eq!(proxy.round_trips(), before);
}

#[tokio::test]
async fn a_table_that_does_not_fit_is_refused_and_the_sink_stays_as_it_was() {
    let database = Database::new("adopt_refused").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    apply(&mut sink, &tables, vec![put(1, 1, "a")]).await;
    let missing = sink.adopt(&[grown(&["more"])], false).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::Config);
    assert!(missing.to_string().contains("column more of table t is missing"), "{missing}");
    database.execute("alter table t add column odd integer").await;
    let odd = sink.adopt(&[grown(&["odd"])], true).await.unwrap_err();
    assert!(odd.to_string().contains("column odd is integer in the database and text in the mapping"), "{odd}");
    assert_eq!(apply(&mut sink, &tables, vec![put(1, 2, "b")]).await.applied, 1);
}

#[tokio::test]
async fn two_sinks_that_adopt_one_column_at_once_both_succeed() {
    let database = Database::new("adopt_race").await;
    let tables = [table("t", KEEP)];
    let mut first = sink(&database, &tables);
    first.warm_up().await.unwrap();
    let mut second = sink(&database, &tables);
    second.warm_up().await.unwrap();
    let new = [grown(&["more"])];
    let (a, b) = tokio::join!(first.adopt(&new, true), second.adopt(&new, true));
    a.unwrap();
    b.unwrap();
    apply(&mut second, &new, vec![filled(&new[0], 1, 1)]).await;
}

/// Kilobytes of memory that this process holds.
fn held() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn a_listing_takes_no_memory_that_grows_with_the_table() {
    let database = Database::new("large").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    sink.warm_up().await.unwrap();
    database.execute("insert into t select i, repeat('x', 50), i from generate_series(1, 500000) i").await;
    let before = held();
    let mut seen = 0u64;
    let visit = |_, _| {
        seen += 1;
        Ok(())
    };
    sink.live(&tables[0], visit).await.unwrap();
    assert_eq!(seen, 500_000);
    let grown = held() - before;
    assert!(grown < 16_000, "{grown} kB");
}
