//! Errors of a real server become ours: the right kind, a remedy, and never a value of a row.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;
use tributary_core::{Error, Kind};
use tributary_postgres::connect::{Cause, Policy, Target, classify, connect};

const TABLES: &str = "
    create temp table parent (id text primary key);
    create temp table t (
        id text primary key, note varchar(5) not null default '', u uuid, n int check (n < 100),
        p text references parent
    );
    create function pg_temp.refuse() returns trigger language plpgsql as
        $$ begin raise exception 'refused: %', new.id; end $$;
    create temp table guarded (id text);
    create trigger refuse before insert on guarded for each row execute function pg_temp.refuse();
    insert into t (id) values ('secret');
";

#[tokio::test]
async fn no_value_of_a_row_gets_out() {
    let Some(server) = crate::server() else { return };
    let client = crate::client(server.url()).await;
    client.batch_execute(TABLES).await.unwrap();
    let check = async |sql: &str, kind: Kind, sqlstate: SqlState, expect: &str| {
        let error = classify(client.batch_execute(sql).await.unwrap_err(), "write");
        assert_eq!(error.kind(), kind, "{sql}: {error:#}");
        let cause = Cause::of(&error).unwrap();
        assert_eq!(cause.sqlstate.as_deref(), Some(sqlstate.code()), "{sql}");
        for printed in
            [format!("{error:#}"), format!("{error:?}"), format!("{cause:?}"), error.hint().unwrap_or("").into()]
        {
            assert!(!printed.contains("secret"), "{sql}: {printed}");
        }
        assert!(error.chain().starts_with("cannot write: "), "{error:#}");
        assert!(error.chain().contains(expect), "{sql}: {error:#}");
    };
    let data = Kind::Data;
    check("insert into t (id) values ('secret')", data, SqlState::UNIQUE_VIOLATION, "constraint t_pkey").await;
    check("insert into t (id, note) values ('a', null)", data, SqlState::NOT_NULL_VIOLATION, "column note").await;
    check("insert into t (id, n) values ('secret2', 100)", data, SqlState::CHECK_VIOLATION, "constraint t_n_check")
        .await;
    check("insert into t (id, p) values ('a', 'secret')", data, SqlState::FOREIGN_KEY_VIOLATION, "t_p_fkey").await;
    check(
        "insert into t (id, note) values ('a', 'secrets')",
        data,
        SqlState::STRING_DATA_RIGHT_TRUNCATION,
        "varying(5)",
    )
    .await;
    check(
        "select 'secret'::uuid",
        data,
        SqlState::INVALID_TEXT_REPRESENTATION,
        "invalid input syntax for type uuid: …",
    )
    .await;
    check(r#"select 'a"secret"b'::json"#, data, SqlState::INVALID_TEXT_REPRESENTATION, "type json").await;
    check("select 'secret'::timestamptz", data, SqlState::INVALID_DATETIME_FORMAT, "time zone").await;
    check("select 99999999999::int", data, SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range").await;
    check("insert into guarded values ('secret')", data, SqlState::RAISE_EXCEPTION, "withheld").await;
    check(
        "insert into t (id) select string_agg(md5(i::text || 'secret'), '') from generate_series(1, 500) i",
        data,
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        "index row",
    )
    .await;
    check("insert into nowhere values (1)", Kind::Config, SqlState::UNDEFINED_TABLE, r#"relation "nowhere""#).await;
    check("insert into t (nothing) values (1)", Kind::Config, SqlState::UNDEFINED_COLUMN, r#"column "nothing""#).await;
    let twice = "insert into t (id) values ('secret3'), ('secret3') on conflict (id) do update set note = ''";
    check(twice, Kind::Bug, SqlState::CARDINALITY_VIOLATION, "second time").await;
    let readonly = "begin read only; insert into pg_catalog.pg_class select * from pg_class";
    check(readonly, Kind::Unavailable, SqlState::READ_ONLY_SQL_TRANSACTION, "read-only").await;
    client.batch_execute("rollback; set statement_timeout = 20").await.unwrap();
    check("select pg_sleep(5)", Kind::Unavailable, SqlState::QUERY_CANCELED, "statement timeout").await;
}

#[tokio::test]
async fn a_value_of_the_wrong_type_is_our_own_mistake() {
    let Some(server) = crate::server() else { return };
    let client = crate::client(server.url()).await;
    let error = client.query_one("select $1::int4", &[&"secret"]).await.unwrap_err();
    let error = classify(error, "ask");
    assert_eq!(error.kind(), Kind::Bug);
    assert!(error.chain().contains("the Postgres type `int4`"), "{error:#}");
}

#[tokio::test]
async fn a_connection_that_was_cut_may_be_tried_again() {
    let Some(server) = crate::server() else { return };
    let (client, killer) = (crate::client(server.url()).await, crate::client(server.url()).await);
    let pid: i32 = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    killer.execute("select pg_terminate_backend($1)", &[&pid]).await.unwrap();
    let error = loop {
        if let Err(error) = client.batch_execute("select 1").await {
            break classify(error, "ask");
        }
    };
    assert!(error.retry(), "{error:?}");
    while !client.is_closed() {
        tokio::task::yield_now().await;
    }
    let error = classify(client.batch_execute("select 1").await.unwrap_err(), "ask");
    assert_eq!(error.chain(), "cannot ask: connection closed");
    assert!(error.retry());
}

async fn refusal(url: &str) -> Error {
    let target = Target::from_url(url, &Policy::default()).unwrap();
    connect(&target.with_connect_timeout(Duration::from_millis(300))).await.err().unwrap()
}

#[tokio::test]
async fn a_refused_connection_says_who_has_to_act() {
    let Some(server) = crate::server() else { return };
    let check = async |url: &str, kind: Kind, expect: &str| {
        let error = refusal(url).await;
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.chain().contains(expect), "{error:#}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    };
    let (user, address) = server.url().split_once("://").unwrap().1.split_once('@').unwrap();
    let address = address.split('/').next().unwrap();
    check(&format!("postgres://{user}@{address}/nowhere"), Kind::Config, "sqlstate 3D000").await;
    let user = user.split(':').next().unwrap();
    check(&format!("postgres://{user}:hunter2@{address}/postgres"), Kind::Auth, "sqlstate 28P01").await;
    check(&format!("postgres://{user}@{address}/postgres"), Kind::Config, "password missing").await;
    let unknown = server.url().to_owned() + "&options=-c%20no_such_setting%3D1";
    check(&unknown, Kind::Config, "no_such_setting").await;
    check("postgres://a:hunter2@localhost:1/x", Kind::Unavailable, "refused").await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let begin = Instant::now();
    let error = refusal(&format!("postgres://a@{}/x", silent.local_addr().unwrap())).await;
    assert!(error.retry() && error.chain().contains("no answer within 300 ms"), "{error:?}");
    assert!(begin.elapsed() < Duration::from_secs(3));
}
