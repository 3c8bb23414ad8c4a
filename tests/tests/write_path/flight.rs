//! One round trip a warm batch, all or nothing, and no trace of a replay.

use tributary_core::batch::Checkpoint;
use tributary_core::change::Op;
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::table::DeleteMode;
use tributary_tests::Database;
use tributary_tests::Proxy;

use crate::fixture::*;

fn checkpoint() -> Option<Checkpoint> {
    Some(Checkpoint { partition: "shard".into(), position: "7".into(), at: Some(1_714_564_800_000_000), fence: None })
}

#[tokio::test]
async fn a_warm_batch_is_one_round_trip_whatever_it_holds() {
    let database = Database::new("round_trip").await;
    let tables = [table("t", KEEP), table("u", DeleteMode::Hard), children("v", DeleteMode::Hard)];
    let proxy = Proxy::start(database.url()).await;
    let mut sink = tributary_postgres::Postgres::new(target(proxy.url()), tables.to_vec(), true);
    sink.warm_up().await.unwrap();
    // Answers come later than the client's pauses between chunks: what it sends without waiting counts as one trip.
    proxy.delay(std::time::Duration::ZERO, std::time::Duration::from_millis(80));
    let changes = |version: u128| {
        let mut changes: Vec<_> = (0..1500).map(|id| put(id, version, "x")).collect();
        changes.push(gone(7, version + 1));
        changes.push(change(1, 1, version, Op::Upsert(row("hard"), None)));
        changes.push(change(1, 2, version, Op::Delete(row("hard"))));
        changes.push(tributary_core::change::Change { table: 2, ..set(1, version, &[(0, "a")]) });
        changes
    };
    for round in 1..=4u128 {
        let mut batch = batch(&tables, changes(round * 10));
        batch.checkpoint = checkpoint();
        batch.rejected = vec![tributary_core::batch::Rejected { event: 3, table: None, error: "bad".into() }];
        sink.settle().await;
        let before = proxy.round_trips();
        let outcome = sink.apply(&batch, &Unlimited).await.unwrap();
        let taken = proxy.round_trips() - before;
        assert_eq!((outcome.dead, outcome.stale), (1, 1));
        // The first batches of a connection may prepare what they found unprepared.
        if round > 2 {
            assert_eq!(taken, 1, "round {round}");
        }
    }
}

#[tokio::test]
async fn rows_letters_and_checkpoint_commit_together_or_not_at_all() {
    let database = Database::new("together").await;
    let tables = [table("t", KEEP), table("u", KEEP)];
    let mut sink = sink(&database, &tables);
    sink.warm_up().await.unwrap();
    // The last statement of the flush fails, and not by the fault of a row.
    database.execute("alter table tributary.checkpoint rename to elsewhere").await;
    let mut batch = batch(&tables, vec![put(1, 1, "a"), change(1, 1, 1, Op::Upsert(row("b"), None))]);
    batch.checkpoint = checkpoint();
    batch.rejected = vec![tributary_core::batch::Rejected { event: 0, table: None, error: "bad".into() }];
    assert!(sink.apply(&batch, &Unlimited).await.is_err());
    assert!(rows(&database, "t").await.is_empty());
    assert!(rows(&database, "u").await.is_empty());
    assert!(database.rows("select 1 from tributary.dead_letter").await.is_empty());
    database.execute("alter table tributary.elsewhere rename to checkpoint").await;
    let outcome = sink.apply(&batch, &Unlimited).await.unwrap();
    assert_eq!((outcome.applied, outcome.dead), (2, 1));
    assert_eq!(database.rows("select partition, position from tributary.checkpoint").await, ["shard | 7"]);
}

#[tokio::test]
async fn an_acknowledgement_that_is_lost_costs_a_no_op() {
    let database = Database::new("lost_ack").await;
    let tables = [table("t", KEEP)];
    let proxy = Proxy::start(database.url()).await;
    let mut sink = tributary_postgres::Postgres::new(target(proxy.url()), tables.to_vec(), true);
    sink.warm_up().await.unwrap();
    proxy.cut_before_answer_to("commit\0");
    let outcome = apply(&mut sink, &tables, (0..10).map(|id| put(id, 1, "once")).collect()).await;
    // The first attempt committed, its answer was lost, the second found everything in place.
    assert_eq!((outcome.applied, outcome.stale), (0, 10));
    assert_eq!(database.rows("select count(*), max(_version) from t").await, ["10 | 1"]);
}

#[tokio::test]
async fn a_replay_writes_nothing_into_the_tables() {
    let database = Database::alone("replay", false, &[("autovacuum", "off")]).await;
    let tables = [table("t", KEEP), children("v", DeleteMode::Hard)];
    let mut sink = sink(&database, &tables);
    let changes = || {
        let mut changes: Vec<_> = (0..800).map(|id| put(id, 5, "x")).collect();
        changes
            .extend((0..50).map(|id| tributary_core::change::Change { table: 1, ..set(id, 5, &[(0, "a"), (1, "b")]) }));
        changes
    };
    apply(&mut sink, &tables, changes()).await;
    sink.settle().await;
    for command in ["vacuum (freeze) t", "vacuum (freeze) v", "checkpoint"] {
        database.execute(command).await;
    }
    let mut batch = batch(&tables, changes());
    batch.replay = true;
    let client = database.client().await;
    let before = client.query_one("select pg_current_wal_insert_lsn()::text", &[]).await.unwrap().get::<_, String>(0);
    let outcome = sink.apply(&batch, &Unlimited).await.unwrap();
    sink.settle().await;
    assert_eq!((outcome.applied, outcome.stale), (0, 850));
    // Only the statistics of the batch are logged: one row, its index entry, and the first touch of their pages.
    let query = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::text::pg_lsn)::int8";
    let bytes: i64 = client.query_one(query, &[&before]).await.unwrap().get(0);
    assert!(bytes < 20_000, "{bytes} bytes of WAL");
}
