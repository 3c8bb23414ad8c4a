//! What is away comes back: the database, the secrets.

use std::time::{Duration, Instant};

use tributary_tests::Proxy;

use crate::fixture::*;

const ORDER: &str = r#"{"id": 1, "status": "a", "revision": 1}"#;

#[tokio::test]
async fn while_the_database_is_away_the_sender_is_told_to_come_again() {
    let database = database_of("away", mapping_of(HOOKS)).await;
    let proxy = Proxy::start(database.url()).await;
    let served = serve(HOOKS, proxy.url(), 1, &[]).await;
    let order = post("orders", ORDER);
    proxy.refuse(true);
    proxy.cut();
    let begin = Instant::now();
    let response = served.send(&served.request(&order)).await;
    assert_eq!(response.status.as_u16(), 503, "{}", served.log());
    assert_eq!(response.headers["retry-after"], "30");
    assert_eq!(&response.body[..], br#"{"error":"try again later"}"#);
    assert!(begin.elapsed() < Duration::from_secs(10), "a sender has given up by now");
    // Without the database too, nobody gets in who may not.
    assert_eq!(served.post(&post("orders", ORDER).secret("whsec_AAAA")).await.0, 401);
    proxy.refuse(false);
    assert_eq!(served.taken(&order).await["applied"], 1);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_not_applied_twice() {
    let database = database_of("lost", mapping_of(HOOKS)).await;
    let proxy = Proxy::start(database.url()).await;
    let served = serve(HOOKS, proxy.url(), 1, &[]).await;
    for round in 0..20 {
        let body = format!(r#"{{"data": [{{"id": {round}, "text": "a"}}]}}"#);
        let note = post("notes", body);
        let cut = async {
            tokio::time::sleep(Duration::from_micros(fastrand::u64(0..6_000))).await;
            proxy.cut();
        };
        let (answer, ()) = tokio::join!(served.post(&note), cut);
        if answer.0 == 503 {
            served.taken(&note).await;
        } else {
            assert_eq!(answer.0, 200, "{answer:?}");
        }
        // What was answered is there, and the sender's copy changes nothing.
        let again = served.taken(&note).await;
        assert_eq!(again["applied"], 0, "{answer:?}");
        let there = format!("select count(*) from notes where id = {round}");
        let receipts = format!("select * from tributary.receipt where sender_id = '{}'", note.id);
        let receipts = database.rows(&receipts).await;
        assert_eq!(database.rows(&there).await, ["1"], "{answer:?}, then {again}, {receipts:?} {}", served.log());
    }
}

#[tokio::test]
async fn tables_that_disagree_with_the_mapping_are_our_fault_and_not_told() {
    let database = database_of("disagree", mapping_of(HOOKS)).await;
    database.execute("alter table orders alter column status type integer using null").await;
    let served = serve(HOOKS, database.url(), 1, &[]).await;
    let (status, body) = served.post(&post("orders", ORDER)).await;
    assert_eq!((status, body.to_string()), (500, r#"{"error":"the hook is out of order"}"#.to_owned()));
    assert!(served.log().contains("column status is integer"), "{}", served.log());
}

#[tokio::test]
async fn a_rotated_secret_is_taken_up_without_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("secret");
    std::fs::write(&file, "one\n").unwrap();
    let text = HOOKS.replace(
        "verify: { scheme: github, secret: { env: SECRET } }",
        "verify: { scheme: github, secrets: [ { file: FILE }, { env: SECRET } ] }",
    );
    let text = text.replace("FILE", file.to_str().unwrap());
    let database = database_of("rotated", mapping_of(&text)).await;
    let served = serve(&text, database.url(), 1, &[]).await;
    let push = |secret: &str| post("github", "{}").header("x-github-event", "ping").secret(secret);
    for secret in ["one", SECRET] {
        assert_eq!(served.post(&push(secret)).await.0, 200, "{secret}: {}", served.log());
    }
    std::fs::write(&file, "two\n").unwrap();
    assert_eq!(served.post(&push("two")).await.0, 200, "{}", served.log());
    assert_eq!(served.post(&push("one")).await.0, 401);
    assert!(served.log().contains("the secrets of a hook have changed"));
}
