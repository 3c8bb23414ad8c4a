//! Thousands of posts at once, several of each, in any order, against several processes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::Semaphore;

use crate::fixture::*;

const DELIVERIES: u64 = 1_000;
const COPIES: u64 = 3;
const ROWS: u64 = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_posts_converge_and_each_id_is_applied_once() {
    let database = database_of("flood", mapping_of(HOOKS)).await;
    if database.single_connection() {
        return;
    }
    let served = Arc::new(serve(HOOKS, database.url(), 4, &[]).await);
    let mut posts = Vec::new();
    let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
    for number in 1..=DELIVERIES {
        let row = number % ROWS;
        newest.insert(row, number);
        let body = json!({ "id": row, "status": format!("s{number}"), "total": number, "revision": number });
        let order = post("orders", body.to_string()).id(&format!("msg_{number}"));
        // The same rows to a hook without a version: which wins is open, that each counts once isn't.
        let note = post("notes", json!({ "data": [{ "id": number, "text": "n" }] }).to_string());
        let note = note.id(&format!("msg_{number}"));
        posts.extend((0..COPIES).flat_map(|_| [order.clone(), note.clone()]));
    }
    fastrand::shuffle(&mut posts);
    let at_once = Arc::new(Semaphore::new(64));
    let mut tasks = tokio::task::JoinSet::new();
    for post in posts {
        let (served, at_once) = (Arc::clone(&served), Arc::clone(&at_once));
        tasks.spawn(async move {
            let _turn = at_once.acquire().await.unwrap();
            (post.hook.clone(), served.taken(&post).await)
        });
    }
    let mut sums: BTreeMap<(String, &str), u64> = BTreeMap::new();
    while let Some(done) = tasks.join_next().await {
        let (hook, answer) = done.unwrap();
        for field in ["applied", "stale", "duplicates", "dead"] {
            *sums.entry((hook.clone(), field)).or_default() += answer[field].as_u64().unwrap();
        }
    }
    let sum = |hook: &str, field| sums.get(&(hook.to_owned(), field)).copied().unwrap_or_default();
    for hook in ["orders", "notes"] {
        assert_eq!(sum(hook, "duplicates"), DELIVERIES * (COPIES - 1), "{hook}: {sums:?}");
        assert_eq!(sum(hook, "applied") + sum(hook, "stale"), DELIVERIES, "{hook}: {sums:?}");
        assert_eq!(sum(hook, "dead"), 0);
    }
    assert_eq!(sum("notes", "applied"), DELIVERIES);
    let rows = database.rows("select id, status, revision from orders order by id").await;
    let expect: Vec<String> = newest.iter().map(|(row, number)| format!("{row} | s{number} | {number}")).collect();
    assert_eq!(rows, expect);
    let receipts = database.rows("select pipeline, count(*) from tributary.receipt group by 1 order by 1").await;
    assert_eq!(receipts, [format!("notes | {DELIVERIES}"), format!("orders | {DELIVERIES}")]);
}
