//! Thousands of posts at once, several of each, in any order, against several processes: straight to the rows, and by the
//! queue. `TRIBUTARY_FLOOD` says how many deliveries there are, each of which comes three times to two hooks.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tributary_tests::Database;

use crate::fixture::*;
use crate::queue::{Queue, event, queued};

const COPIES: u64 = 3;
const ROWS: u64 = 60;
const PROCESSES: usize = 4;

fn deliveries(usual: u64) -> u64 {
    std::env::var("TRIBUTARY_FLOOD").map_or(usual, |number| number.parse().expect("TRIBUTARY_FLOOD is a number"))
}

/// All copies of all deliveries in no order, and the newest of each row of `orders`. To `notes`, which has no version, each
/// sends a row of its own.
fn posts(deliveries: u64) -> (Vec<Post>, BTreeMap<u64, u64>) {
    let mut posts = Vec::new();
    let mut newest = BTreeMap::new();
    for number in 1..=deliveries {
        let row = number % ROWS;
        newest.insert(row, number);
        let body = json!({ "id": row, "status": format!("s{number}"), "total": number, "revision": number });
        let order = post("orders", body.to_string()).id(&format!("msg_{number}"));
        let note = post("notes", json!({ "data": [{ "id": number, "text": "n" }] }).to_string());
        let note = note.id(&format!("msg_{number}"));
        posts.extend((0..COPIES).flat_map(|_| [order.clone(), note.clone()]));
    }
    fastrand::shuffle(&mut posts);
    (posts, newest)
}

/// Posts all of them, many at once; what each was answered.
async fn flood(served: &Arc<Served>, posts: Vec<Post>) -> Vec<(String, u16, Value)> {
    let at_once = Arc::new(Semaphore::new(64));
    let mut tasks = JoinSet::new();
    for post in posts {
        let (served, at_once) = (Arc::clone(served), Arc::clone(&at_once));
        tasks.spawn(async move {
            let _turn = at_once.acquire().await.unwrap();
            let (status, body) = served.post(&post).await;
            (post.hook, status, body)
        });
    }
    tasks.join_all().await
}

/// Notes every write of a row of `notes`, so that one that was written twice shows.
async fn watch(database: &Database) {
    let sql = "create table written (id bigint);
        create function note() returns trigger language plpgsql as
          $$begin insert into written values (new.id); return null; end$$;
        create trigger note after insert or update on notes for each row execute function note()";
    database.execute(sql).await;
}

/// Whether all is there, once, and the newest.
async fn check(database: &Database, deliveries: u64, newest: &BTreeMap<u64, u64>) {
    let rows = database.rows("select id, status, revision from orders order by id").await;
    let expect: Vec<String> = newest.iter().map(|(row, number)| format!("{row} | s{number} | {number}")).collect();
    assert_eq!(rows, expect);
    let written = database.rows("select count(*), count(distinct id) from written").await;
    assert_eq!(written, [format!("{deliveries} | {deliveries}")], "each id is applied once");
    let receipts = database.rows("select pipeline, count(*) from tributary.receipt group by 1 order by 1").await;
    assert_eq!(receipts, [format!("notes | {deliveries}"), format!("orders | {deliveries}")]);
    assert_eq!(database.rows("select count(*) from tributary.dead_letter").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_posts_converge_and_each_id_is_applied_once() {
    let database = database_of("flood", mapping_of(HOOKS)).await;
    if database.single_connection() {
        return;
    }
    watch(&database).await;
    let served = Arc::new(serve(HOOKS, database.url(), PROCESSES, &[]).await);
    let deliveries = deliveries(1_000);
    let (posts, newest) = posts(deliveries);
    let mut sums: BTreeMap<(String, &str), u64> = BTreeMap::new();
    for (hook, status, answer) in flood(&served, posts).await {
        assert_eq!(status, 200, "{answer} {}", served.log());
        for field in ["applied", "stale", "duplicates", "dead"] {
            *sums.entry((hook.clone(), field)).or_default() += answer[field].as_u64().unwrap();
        }
    }
    let sum = |hook: &str, field| sums.get(&(hook.to_owned(), field)).copied().unwrap_or_default();
    for hook in ["orders", "notes"] {
        assert_eq!(sum(hook, "duplicates"), deliveries * (COPIES - 1), "{hook}: {sums:?}");
        assert_eq!(sum(hook, "applied") + sum(hook, "stale"), deliveries, "{hook}: {sums:?}");
    }
    assert_eq!(sum("notes", "applied"), deliveries);
    check(&database, deliveries, &newest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_by_the_queue() {
    let text = queued("refuse");
    let database = database_of("flood_queue", mapping_of(&text)).await;
    if database.single_connection() {
        return;
    }
    watch(&database).await;
    let queue = Queue::new().await;
    let served = Arc::new(queue.serve(&text, &database, PROCESSES).await);
    let deliveries = deliveries(350);
    let (posts, newest) = posts(deliveries);
    for (_, status, answer) in flood(&served, posts).await {
        assert_eq!((status, answer), (202, json!({ "queued": true })), "{}", served.log());
    }
    let mut messages = queue.drain().await;
    assert_eq!(messages.len() as u64, deliveries * COPIES * 2);
    // Every message is handed out twice, to workers that run at once.
    messages.extend(messages.clone());
    fastrand::shuffle(&mut messages);
    let mut workers = JoinSet::new();
    let share = messages.len().div_ceil(PROCESSES);
    for (number, share) in messages.chunks(share).enumerate() {
        let events: Vec<String> = share.chunks(100).map(|some| event(some).to_string()).collect();
        let served = Arc::clone(&served);
        workers.spawn(async move {
            for event in events {
                let answer = served.apis[number].invoke(event, PATIENCE).await.json();
                assert_eq!(answer, json!({ "batchItemFailures": [] }), "{}", served.log());
            }
        });
    }
    workers.join_all().await;
    check(&database, deliveries, &newest).await;
}
