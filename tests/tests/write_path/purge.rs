//! Tombstones whose time is up go; those that a dead letter may still need stay.

use std::time::Duration;

use tributary_core::sink::{Sink, Unlimited};
use tributary_core::table::DeleteMode;
use tributary_tests::Database;

use crate::fixture::*;

const MONTH: Duration = Duration::from_secs(30 * 86_400);

#[tokio::test]
async fn tombstones_go_when_their_time_is_up() {
    let database = Database::new("purge").await;
    let mut soft = table("t", KEEP);
    soft.delete.purge_after = Some(MONTH);
    let tables = [soft, table("for_ever", KEEP), table("h", DeleteMode::Hard)];
    let mut sink = sink(&database, &tables);
    let mut changes = vec![put(1, 1, "lives"), put(2, 1, "dies"), put(3, 1, "died lately")];
    changes.extend([gone(2, 2), gone(3, 2)]);
    for table in [1, 2] {
        let of_table = changes.clone().into_iter().take(5).filter(|change| change.table == 0);
        let copies: Vec<_> = of_table.map(|change| tributary_core::change::Change { table, ..change }).collect();
        changes.extend(copies);
    }
    apply(&mut sink, &tables, changes).await;
    for aged in ["t", "for_ever", "tributary.ledger"] {
        let key = if aged == "tributary.ledger" { "key" } else { "id::text" };
        let age = format!("update {aged} set _synced_at = now() - interval '31 days' where {key} in ('1', '2')");
        database.execute(&age.replace("_synced_at", if key == "key" { "synced_at" } else { "_synced_at" })).await;
    }

    let mut stopped = batch(&tables, vec![put(9, 1, "fine")]);
    stopped.rejected = vec![tributary_core::batch::Rejected { event: 0, table: None, error: "bad".into() }];
    sink.apply(&stopped, &Unlimited).await.unwrap();
    assert_eq!(sink.purge("test", &tables).await.unwrap(), 0, "a dead letter is open");

    sink.discard(tributary_postgres::Which::Of("test")).await.unwrap();
    assert_eq!(sink.purge("test", &tables).await.unwrap(), 2);
    assert_eq!(database.rows("select id from t order by id").await, ["1", "3", "9"]);
    assert_eq!(database.rows("select id from for_ever order by id").await, ["1", "2", "3"]);
    assert_eq!(database.rows("select key from tributary.ledger order by key").await, ["1", "3"]);
}

#[tokio::test]
async fn children_that_left_their_set_go_too() {
    let database = Database::new("purge_children").await;
    let mut soft = children("c", KEEP);
    soft.delete.purge_after = Some(MONTH);
    let tables = [soft];
    let mut sink = sink(&database, &tables);
    apply(&mut sink, &tables, vec![set(1, 1, &[(0, "a"), (1, "b")])]).await;
    apply(&mut sink, &tables, vec![set(1, 2, &[(0, "a")])]).await;
    database.execute("update c set _synced_at = now() - interval '31 days'").await;
    assert_eq!(sink.purge("test", &tables).await.unwrap(), 1);
    assert_eq!(database.rows("select line, _deleted from c").await, ["0 | f"]);
}
