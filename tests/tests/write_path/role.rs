//! The least-privilege roles of `infra/role.sql`: one makes the tables, the other fills them and can change none.

use tributary_core::Kind;
use tributary_core::sink::{Sink as _, Unlimited};
use tributary_core::table::DeleteMode;
use tributary_postgres::Postgres;
use tributary_tests::Database;

use crate::fixture::*;

const ROLES: &str = include_str!("../../../infra/role.sql");

/// The database's URL for another user.
fn url_of(database: &Database, user: &str) -> String {
    let (_, place) = database.url().split_once('@').unwrap();
    format!("postgres://{user}:secret@{place}")
}

#[tokio::test]
async fn the_function_writes_rows_and_changes_no_table() {
    // Roles are of the whole server.
    let database = Database::alone("role", false, &[]).await;
    for _ in 0..2 {
        database.execute(ROLES).await;
    }
    for role in ["tributary_migrate", "tributary_sync"] {
        database.execute(&format!("alter role {role} login password 'secret'")).await;
    }
    let tables = [table("t", KEEP), table("h", DeleteMode::Hard), children("c", DeleteMode::Hard)];
    let as_role = |role: &str, auto| Postgres::new(target(&url_of(&database, role)), tables.to_vec(), auto);
    let mut early = as_role("tributary_sync", true);
    assert_eq!(early.warm_up().await.unwrap_err().kind(), Kind::Config, "it may not migrate");

    as_role("tributary_migrate", false).migrate().await.unwrap();
    let mut sync = as_role("tributary_sync", true);
    let changes = |v: u128| {
        let of = |table, change| tributary_core::change::Change { table, ..change };
        vec![put(1, v, "a"), of(1, put(1, v, "b")), of(1, gone(2, v)), of(2, set(1, v, &[(0, "c")])), gone(3, v)]
    };
    assert_eq!(apply(&mut sync, &tables, changes(1)).await.applied, 5);
    assert_eq!(apply(&mut sync, &tables, changes(2)).await.applied, 5);
    let receipts = vec![tributary_core::batch::Receipt { sender: "evt".into(), events: 0..1 }];
    let delivered = tributary_core::batch::Batch { receipts, ..batch(&tables, vec![put(5, 1, "d")]) };
    for duplicates in [0, 1] {
        assert_eq!(sync.apply(&delivered, &Unlimited).await.unwrap().duplicates, duplicates);
    }
    let fence = sync.acquire("poll", "me", std::time::Duration::from_secs(1)).await.unwrap();
    sync.release(&fence).await.unwrap();
    sync.purge("test", &tables).await.unwrap();
    sync.settle().await;
    let status = sync.status(&["test"]).await.unwrap();
    assert_eq!(status[0].hour.applied, 11);

    let (client, connection) =
        tokio_postgres::connect(&url_of(&database, "tributary_sync"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for forbidden in ["create table x (id int)", "alter table t add column x int", "drop table t", "truncate t"] {
        let error = client.batch_execute(forbidden).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{forbidden}: {error:?}");
    }
}
