//! Rows that the database refuses: found, dead-lettered, and everything else applied.

use tributary_core::batch::{Checkpoint, Rejected};
use tributary_core::sink::{Sink, Unlimited};
use tributary_tests::Database;

use crate::fixture::*;

#[tokio::test]
async fn one_bad_row_among_many_stops_nobody() {
    let database = Database::new("one_bad").await;
    let tables = [table("t", KEEP), table("u", KEEP)];
    let mut sink = sink(&database, &tables);
    sink.warm_up().await.unwrap();
    database.execute("alter table t add constraint no_seven check (name <> 'v7')").await;
    let mut changes: Vec<_> = (0..1200).map(|id| put(id, 1, &format!("v{id}"))).collect();
    changes.push(change(1, 1, 1, tributary_core::change::Op::Upsert(row("other"), None)));
    let mut batch = batch(&tables, changes);
    batch.checkpoint = Some(Checkpoint { partition: "p".into(), position: "9".into(), at: Some(1), fence: None });
    let outcome = sink.apply(&batch, &Unlimited).await.unwrap();
    assert_eq!((outcome.applied, outcome.stale, outcome.dead), (1200, 0, 1));
    assert_eq!(database.rows("select count(*) from t").await, ["1199"]);
    assert_eq!(rows(&database, "u").await, ["1 | other | 1 | f"]);
    assert_eq!(database.rows("select partition, position from tributary.checkpoint").await, ["p | 9"]);
    let letters = database
        .rows("select position, key, tables, convert_from(payload, 'utf8'), retry_at from tributary.dead_letter")
        .await;
    assert_eq!(letters, ["p7 | k7 | {t} | payload 7 | ∅"]);
    let error = database.rows("select error from tributary.dead_letter").await;
    assert!(error[0].contains("no_seven") && !error[0].contains("v7"), "{error:?}");
}

#[tokio::test]
async fn where_the_newest_is_refused_the_one_before_it_stands() {
    let database = Database::new("fallback").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    sink.warm_up().await.unwrap();
    database.execute("alter table t add check (name <> 'bad')").await;
    let outcome =
        apply(&mut sink, &tables, vec![put(1, 1, "a"), put(1, 2, "b"), put(1, 3, "bad"), put(2, 1, "c")]).await;
    assert_eq!((outcome.applied, outcome.stale, outcome.dead), (2, 1, 1));
    assert_eq!(rows(&database, "t").await, ["1 | b | 2 | f", "2 | c | 1 | f"]);
}

#[tokio::test]
async fn a_row_that_waits_for_another_is_tried_again_later() {
    let database = Database::new("order").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    sink.warm_up().await.unwrap();
    database.execute("create table parent (name text primary key); alter table t add foreign key (name) references parent deferrable initially deferred").await;
    let outcome = apply(&mut sink, &tables, vec![put(1, 1, "missing")]).await;
    assert_eq!(outcome.dead, 1);
    let due = "select retry_at > now() and retry_at < now() + interval '2 minutes' from tributary.dead_letter";
    assert_eq!(database.rows(due).await, ["t"]);
}

#[tokio::test]
async fn a_letter_that_comes_again_is_one_letter() {
    let database = Database::new("again").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    for error in ["first", "second"] {
        let mut batch = batch(&tables, vec![put(1, 1, "fine")]);
        batch.origins[0].key = "with\0nul".into();
        batch.rejected = vec![
            Rejected { event: 0, table: Some("u".into()), error: error.into() },
            Rejected { event: 0, table: Some("v".into()), error: "other".into() },
        ];
        assert_eq!(sink.apply(&batch, &Unlimited).await.unwrap().dead, 1);
    }
    let letters = database.rows("select position, key, tables, error, attempts from tributary.dead_letter").await;
    assert_eq!(letters, ["p0 | with\u{fffd}nul | {u,v} | u: second; v: other | 2"]);
    assert_eq!(rows(&database, "t").await, ["1 | fine | 1 | f"]);
}
