//! Redeliveries: what came under an id of the sender's comes once, whoever delivers it again and when.

use tributary_core::batch::{Batch, Checkpoint, Outcome, Receipt, Rejected};
use tributary_core::change::{Change, Op};
use tributary_core::memory::Memory;
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::table::{DeleteMode, Table};
use tributary_tests::{Database, Proxy};

use crate::fixture::*;
use crate::interleaving::wait_for_waiters;

const RECEIPTS: &str = "select pipeline, sender_id from tributary.receipt order by 2";

fn receipt(sender: &str, events: std::ops::Range<u32>) -> Receipt {
    Receipt { sender: sender.into(), events }
}

/// A batch of one delivery.
fn delivered<'t>(tables: &'t [Table], sender: &str, changes: Vec<Change>) -> Batch<'t> {
    let events = 0..changes.len() as u32;
    Batch { receipts: vec![receipt(sender, events)], ..batch(tables, changes) }
}

fn figures(outcome: &Outcome) -> (u64, u64, u64, u64) {
    (outcome.applied, outcome.stale, outcome.dead, outcome.duplicates)
}

#[tokio::test]
async fn a_redelivery_is_left_out_whatever_its_version() {
    let database = Database::new("redelivery").await;
    let tables = [table("t", KEEP), table("h", DeleteMode::Hard)];
    let mut sink = sink(&database, &tables);
    let mut twin = Memory::default();
    let of_h = |change: Change| Change { table: 1, ..change };
    let put = |version: u128, name: &str| vec![put(1, version, name), of_h(put(2, version, name))];
    for (sender, version, name, expect) in [
        // A, then B, then A again by the time of receipt: the redelivery is newer, and says what is no more.
        ("evt_a", 1, "a", (2, 0, 0, 0)),
        ("evt_b", 2, "b", (2, 0, 0, 0)),
        ("evt_a", 3, "a", (0, 0, 0, 1)),
        ("evt_c", 4, "c", (2, 0, 0, 0)),
    ] {
        let batch = delivered(&tables, sender, put(version, name));
        let outcome = sink.apply(&batch, &Unlimited).await.unwrap();
        assert_eq!(figures(&outcome), expect, "{sender}");
        assert_eq!(figures(&twin.apply(&batch, &Unlimited).await.unwrap()), expect, "{sender} in the twin");
    }
    assert_eq!(rows(&database, "t").await, ["1 | c | 4 | f"]);
    assert_eq!(rows(&database, "h").await, ["2 | c | 4 | f"]);
    assert_eq!(database.rows(RECEIPTS).await, ["test | evt_a", "test | evt_b", "test | evt_c"]);
    // Another pipeline has deliveries of its own.
    let other = Batch { pipeline: "other", ..delivered(&tables, "evt_a", put(5, "o")) };
    assert_eq!(figures(&sink.apply(&other, &Unlimited).await.unwrap()), (2, 0, 0, 0));
}

#[tokio::test]
async fn of_several_deliveries_in_a_batch_only_the_known_ones_are_left_out() {
    let database = Database::new("several").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    sink.apply(&delivered(&tables, "known", vec![put(1, 1, "first")]), &Unlimited).await.unwrap();
    let mut mixed = batch(
        &tables,
        vec![
            put(1, 9, "again"),
            put(1, 5, "new"),
            put(2, 5, "new"),
            put(3, 5, "no id"),
            put(4, 1, "x"),
            put(4, 2, "y"),
        ],
    );
    mixed.receipts = vec![
        receipt("known", 0..1),
        receipt("new", 1..3),
        // The same delivery twice in one batch: the first counts.
        receipt("twice", 4..5),
        receipt("twice", 5..6),
        receipt("empty", 6..6),
    ];
    mixed.rejected = vec![
        Rejected { event: 0, table: None, error: "known".into() },
        Rejected { event: 2, table: None, error: "new".into() },
    ];
    assert_eq!(figures(&sink.apply(&mixed, &Unlimited).await.unwrap()), (4, 0, 1, 2));
    assert_eq!(
        rows(&database, "t").await,
        ["1 | new | 5 | f", "2 | new | 5 | f", "3 | no id | 5 | f", "4 | x | 1 | f"]
    );
    assert_eq!(database.rows("select position, error from tributary.dead_letter").await, ["p2 | new"]);
    assert_eq!(
        database.rows("select sender_id from tributary.receipt order by 1").await,
        ["empty", "known", "new", "twice"]
    );
}

/// Holds the commit of one delivery while another of the same id arrives; `commits` says how the first ends.
async fn at_once(name: &str, commits: bool) -> (Option<Outcome>, Outcome, Vec<String>) {
    let database = Database::new(name).await;
    let tables = [table("t", KEEP)];
    let (mut a, mut b) = (sink(&database, &tables), sink(&database, &tables));
    a.warm_up().await.unwrap();
    b.warm_up().await.unwrap();
    let gate = database.client().await;
    gate.batch_execute("begin; lock table tributary.checkpoint in access exclusive mode").await.unwrap();
    let checkpoint = Some(Checkpoint { partition: String::new(), position: "1".into(), at: None, fence: None });
    let held = Batch { checkpoint, ..delivered(&tables, "evt", vec![put(1, 1, "first")]) };
    let late = delivered(&tables, "evt", vec![put(1, 2, "second")]);
    let first = async {
        if commits {
            return Some(a.apply(&held, &Unlimited).await.unwrap());
        }
        // A process that dies in the middle of its transaction.
        let gone = async { wait_for_waiters(&database, 2).await };
        tokio::select! { _ = a.apply(&held, &Unlimited) => panic!("it was held"), () = gone => None }
    };
    let second = async {
        wait_for_waiters(&database, 1).await;
        b.apply(&late, &Unlimited).await.unwrap()
    };
    let open = async {
        // Both wait: the first for the gate, the second for the first.
        wait_for_waiters(&database, 2).await;
        if !commits {
            let kill = "select pg_terminate_backend(pid)::text from pg_stat_activity where datname = current_database() \
                        and wait_event_type = 'Lock' and query like '%tributary.checkpoint%'";
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            database.rows(kill).await;
        }
        gate.batch_execute("commit").await.unwrap();
    };
    let (first, second, ()) = tokio::join!(first, second, open);
    (first, second, rows(&database, "t").await)
}

#[tokio::test]
async fn of_two_deliveries_at_once_one_is_applied() {
    let (first, second, rows) = at_once("at_once", true).await;
    assert_eq!((figures(&first.unwrap()), figures(&second)), ((1, 0, 0, 0), (0, 0, 0, 1)));
    assert_eq!(rows, ["1 | first | 1 | f"]);
}

#[tokio::test]
async fn when_the_first_of_two_dies_the_second_is_applied() {
    let (_, second, rows) = at_once("first_dies", false).await;
    assert_eq!(figures(&second), (1, 0, 0, 0));
    assert_eq!(rows, ["1 | second | 2 | f"]);
}

#[tokio::test]
async fn what_is_not_committed_leaves_no_receipt_and_a_lost_answer_leaves_a_duplicate() {
    let database = Database::new("receipt_crash").await;
    let tables = [table("t", KEEP)];
    let proxy = Proxy::start(database.url()).await;
    let mut sink = tributary_postgres::Postgres::new(target(proxy.url()), tables.to_vec(), true);
    sink.warm_up().await.unwrap();
    database.execute("alter table tributary.checkpoint rename to elsewhere").await;
    let mut batch = delivered(&tables, "evt", vec![put(1, 1, "a")]);
    batch.checkpoint = Some(Checkpoint { partition: String::new(), position: "1".into(), at: None, fence: None });
    assert!(sink.apply(&batch, &Unlimited).await.is_err());
    assert!(database.rows(RECEIPTS).await.is_empty() && rows(&database, "t").await.is_empty());
    database.execute("alter table tributary.elsewhere rename to checkpoint").await;

    // The command with its end: `read committed` goes ahead of it in a flush of its own.
    proxy.cut_before_answer_to("commit\0");
    let outcome = sink.apply(&batch, &Unlimited).await.unwrap();
    assert_eq!(figures(&outcome), (0, 0, 0, 1), "the first attempt committed, the second found its receipt");
    assert_eq!(rows(&database, "t").await, ["1 | a | 1 | f"]);
}

#[tokio::test]
async fn without_a_transaction_nothing_is_taken() {
    let database = Database::new("receipt_begin").await;
    let tables = [table("t", KEEP)];
    let proxy = Proxy::start(database.url()).await;
    let mut sink = tributary_postgres::Postgres::new(target(proxy.url()), tables.to_vec(), true);
    sink.warm_up().await.unwrap();
    let batch = delivered(&tables, "evt", vec![put(1, 1, "a")]);
    // What follows is on its way already.
    proxy.garble("begin isolation", "bogus isolation");
    assert!(sink.apply(&batch, &Unlimited).await.is_err());
    assert!(database.rows(RECEIPTS).await.is_empty(), "whoever delivers it again would be told that it is there");
    assert_eq!(figures(&sink.apply(&batch, &Unlimited).await.unwrap()), (1, 0, 0, 0));
    assert_eq!(rows(&database, "t").await, ["1 | a | 1 | f"]);
}

#[tokio::test]
async fn statistics_that_fail_take_no_delivery_with_them() {
    let database = Database::new("receipt_statistics").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    // Until all is prepared, and nothing but the transaction itself goes over the wire.
    for version in 1..=3 {
        let batch = delivered(&tables, &format!("evt_{version}"), vec![put(1, version, "a")]);
        sink.apply(&batch, &Unlimited).await.unwrap();
    }
    database.execute("alter table tributary.tally add check (applied < 0) not valid").await;
    // On their way, and nobody waits for them: they must not get into the next transaction.
    sink.post();
    let outcome = sink.apply(&delivered(&tables, "evt_4", vec![put(2, 1, "b")]), &Unlimited).await.unwrap();
    assert_eq!(figures(&outcome), (1, 0, 0, 0));
    assert_eq!(rows(&database, "t").await, ["1 | a | 3 | f", "2 | b | 1 | f"]);
}

/// Cuts the connection behind every few bytes of a delivery's conversation, and after the commit without its answer.
#[tokio::test]
async fn wherever_the_connection_is_cut_a_receipt_is_there_with_its_rows_or_not_at_all() {
    let database = Database::new("receipt_cut").await;
    if database.single_connection() {
        return;
    }
    let tables = [table("t", KEEP)];
    let proxy = Proxy::start(database.url()).await;
    let mut sink = tributary_postgres::Postgres::new(target(proxy.url()), tables.to_vec(), true);
    let apply = async |sink: &mut tributary_postgres::Postgres<_>, id: i64| {
        let sender = format!("evt_{id}");
        let batch = delivered(&tables, &sender, vec![put(id, 1, "a")]);
        let outcome = sink.apply(&batch, &Unlimited).await.unwrap();
        assert_eq!(outcome.applied + outcome.duplicates, 1, "{id}: {outcome:?}");
        outcome.duplicates
    };
    for id in 0..3 {
        apply(&mut sink, id).await;
    }
    let before = proxy.bytes_up();
    apply(&mut sink, 3).await;
    let length = (proxy.bytes_up() - before) as usize;
    let cuts: Vec<Option<usize>> = (1..=length).step_by(7).map(Some).chain([None; 4]).collect();
    let mut known = 0;
    for (id, cut) in (4..).zip(&cuts) {
        // The statements are prepared again, so that the conversation is the one that was measured.
        for warm in [10_000, 20_000] {
            apply(&mut sink, warm + id).await;
        }
        match cut {
            Some(bytes) => proxy.cut_after(*bytes),
            None => proxy.cut_before_answer_to("commit\0"),
        }
        known += apply(&mut sink, id).await;
        let sql = format!(
            "select (select count(*) from t where id = {id}), (select count(*) from tributary.receipt where sender_id = 'evt_{id}')"
        );
        assert_eq!(database.rows(&sql).await, ["1 | 1"], "{cut:?} of {length}");
        assert_eq!(apply(&mut sink, id).await, 1, "{cut:?} of {length}");
    }
    assert!(proxy.cuts() as usize + 4 >= cuts.len(), "{} of {}", proxy.cuts(), cuts.len());
    assert!(known >= 4, "a lost answer to the commit is known by the receipt: {known}");
}

#[tokio::test]
async fn a_delivery_with_a_bad_row_is_taken_once_too() {
    let database = Database::new("receipt_bad_row").await;
    let tables = [table("t", KEEP), table("u", KEEP)];
    let mut sink = sink(&database, &tables);
    sink.warm_up().await.unwrap();
    database.execute("alter table t add check (name <> 'bad')").await;
    sink.apply(&delivered(&tables, "known", vec![put(1, 1, "old")]), &Unlimited).await.unwrap();
    let in_u = change(1, 7, 1, Op::Upsert(row("other"), None));
    let mut mixed = batch(&tables, vec![put(1, 9, "again"), put(2, 1, "bad"), in_u, put(3, 1, "good")]);
    mixed.receipts = vec![receipt("known", 0..1), receipt("half", 1..3), receipt("good", 3..4)];
    assert_eq!(figures(&sink.apply(&mixed, &Unlimited).await.unwrap()), (2, 0, 1, 1));
    assert_eq!(rows(&database, "t").await, ["1 | old | 1 | f", "3 | good | 1 | f"]);
    assert_eq!(rows(&database, "u").await, ["7 | other | 1 | f"]);
    assert_eq!(figures(&sink.apply(&mixed, &Unlimited).await.unwrap()), (0, 0, 0, 3), "nothing is taken again");
    assert_eq!(database.rows("select position, attempts from tributary.dead_letter").await, ["p1 | 1"]);
}

#[tokio::test]
async fn a_redelivery_writes_nothing() {
    let database = Database::alone("receipt_wal", false, &[("autovacuum", "off")]).await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    let batch = |version: u128| delivered(&tables, "evt", (0..800).map(|id| put(id, version, "x")).collect());
    sink.apply(&batch(1), &Unlimited).await.unwrap();
    sink.settle().await;
    for command in ["vacuum (freeze) t", "vacuum (freeze) tributary.receipt", "checkpoint"] {
        database.execute(command).await;
    }
    let client = database.client().await;
    let before = client.query_one("select pg_current_wal_insert_lsn()::text", &[]).await.unwrap().get::<_, String>(0);
    assert_eq!(figures(&sink.apply(&batch(2), &Unlimited).await.unwrap()), (0, 0, 0, 1));
    let query = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::text::pg_lsn)::int8";
    let bytes: i64 = client.query_one(query, &[&before]).await.unwrap().get(0);
    // The statistics of the first batch, with the first touch of their pages.
    assert!(bytes < 20_000, "{bytes} bytes of WAL");
    let versions = "select count(*), max(_version) from t";
    assert_eq!(database.rows(versions).await, ["800 | 1"]);
}

#[tokio::test]
async fn receipts_are_forgotten_after_a_week() {
    let database = Database::new("receipt_purge").await;
    let tables = [table("t", KEEP)];
    let mut sink = sink(&database, &tables);
    for (id, sender) in ["old", "new"].into_iter().enumerate() {
        sink.apply(&delivered(&tables, sender, vec![put(id as i64, 1, "x")]), &Unlimited).await.unwrap();
    }
    for (sender, age) in [("old", "7 days 1 minute"), ("new", "6 days 23 hours")] {
        let age =
            format!("update tributary.receipt set received_at = now() - interval '{age}' where sender_id = '{sender}'");
        database.execute(&age).await;
    }
    assert_eq!(sink.purge("other", &tables).await.unwrap(), 0);
    assert_eq!(sink.purge("test", &tables).await.unwrap(), 1);
    assert_eq!(database.rows(RECEIPTS).await, ["test | new"]);
}
