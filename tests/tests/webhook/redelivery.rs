//! Twice, out of order, and from two processes at once.

use serde_json::json;

use crate::fixture::*;

fn note(text: &str) -> Post {
    post("notes", json!({ "data": [{ "id": 1, "text": text }] }).to_string())
}

#[tokio::test]
async fn a_redelivery_writes_nothing_although_it_arrives_last() {
    let database = database_of("redelivery", mapping_of(HOOKS)).await;
    let served = serve(HOOKS, database.url(), 2, &[]).await;
    let first = note("first").id("msg_1");
    assert_eq!(served.taken(&first).await["applied"], 1);
    assert_eq!(served.taken(&note("second").id("msg_2")).await["applied"], 1);
    // Without the sender's id it would be the newest: the version is the time of receipt.
    for _ in 0..3 {
        let again = served.taken(&first).await;
        assert_eq!((&again["applied"], &again["duplicates"]), (&0.into(), &1.into()), "{again}");
    }
    assert_eq!(database.rows("select text from notes").await, ["second"]);
    // The same state again is news: A, B, A.
    assert_eq!(served.taken(&note("first").id("msg_3")).await["applied"], 1);
    assert_eq!(database.rows("select text from notes").await, ["first"]);
    assert_eq!(database.rows("select count(*) from tributary.receipt where pipeline = 'notes'").await, ["3"]);
}

#[tokio::test]
async fn one_id_at_two_processes_at_once_is_applied_once() {
    let database = database_of("race", mapping_of(HOOKS)).await;
    let served = serve(HOOKS, database.url(), 4, &[]).await;
    for round in 0..40 {
        // Different bodies under one id tell who won; a sender wouldn't.
        let posts: Vec<Post> = (0..4).map(|n| note(&format!("{round}.{n}")).id(&format!("msg_{round}"))).collect();
        let answers = futures_util::future::join_all(posts.iter().map(|post| served.taken(post))).await;
        let sum = |field: &str| answers.iter().map(|answer| answer[field].as_u64().unwrap()).sum::<u64>();
        assert_eq!((sum("applied"), sum("duplicates")), (1, 3), "{answers:?}");
    }
}

#[tokio::test]
async fn a_version_settles_what_arrives_late() {
    let database = database_of("late", mapping_of(HOOKS)).await;
    let served = serve(HOOKS, database.url(), 2, &[]).await;
    let mut revisions: Vec<u32> = (1..=20).collect();
    fastrand::shuffle(&mut revisions);
    for revision in revisions {
        let body = json!({ "id": 1, "status": format!("r{revision}"), "revision": revision });
        served.taken(&post("orders", body.to_string())).await;
    }
    assert_eq!(database.rows("select status, revision from orders").await, ["r20 | 20"]);
}
