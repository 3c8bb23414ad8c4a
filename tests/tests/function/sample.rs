//! The sample events, one after the other, as README and demo show them.

use serde_json::json;
use tributary_tests::{Database, Invocation, RuntimeApi};

use crate::fixture::*;

const USERS: &str = "select name, location, website is null, deleted, _deleted from profile order by name";

#[tokio::test]
async fn the_samples_end_in_the_newest_rows_in_any_order_and_twice() {
    let orders: [&[&str]; 2] = [
        &["insert.json", "modify.json", "remove.json", "out-of-order.json", "insert.json", "modify.json"],
        &["out-of-order.json", "remove.json", "modify.json", "insert.json", "remove.json"],
    ];
    let mut ends = Vec::new();
    for order in orders {
        let database = database("samples").await;
        let api = RuntimeApi::start().await;
        let _function = function(&api, database.url());
        for name in order {
            assert_eq!(deliver(&api, event(name)).await, all_done(), "{name}");
        }
        ends.push(content(&database).await);
    }
    assert_eq!(ends[0], ends[1], "the order of arrival shows");
    insta::assert_debug_snapshot!(ends[0]);
}

/// All three tables: the users, and how many rows live of the others.
async fn content(database: &Database) -> Vec<String> {
    let mut rows = database.rows(USERS).await;
    for table in ["appearance_settings", "notification_settings"] {
        let query = format!(
            "select '{table}', p.name, s._deleted from {table} s join profile p on p.id = s.profile_id order by p.name"
        );
        rows.extend(database.rows(&query).await);
    }
    rows
}

#[tokio::test]
async fn poison_is_kept_with_its_reason_and_stops_nobody() {
    let database = database("poison").await;
    let api = RuntimeApi::start().await;
    let function = function(&api, database.url());
    assert_eq!(deliver(&api, event("poison.json")).await, all_done());
    let letters = database.rows("select tables, error from tributary.dead_letter order by position").await;
    insta::assert_debug_snapshot!(letters);
    assert_eq!(database.rows("select count(*) from profile where not _deleted").await, ["2"]);
    assert_eq!(deliver(&api, event("poison.json")).await, all_done());
    assert_eq!(database.rows("select count(*), min(attempts) from tributary.dead_letter").await, ["6 | 2"]);
    let logs = function.stderr();
    for secret in ["Lovelace", "ada@", "not-a-uuid"] {
        assert!(!logs.contains(secret), "a row's value is in the log: {logs}");
    }
}

#[tokio::test]
async fn an_unknown_stream_is_an_error_that_names_it() {
    let database = database("unknown").await;
    let api = RuntimeApi::start().await;
    let _function = function(&api, database.url());
    let answer = api.invoke(event("unknown-stream.json"), PATIENCE).await;
    let Invocation::Error { body, .. } = answer else { panic!("{answer:?}") };
    let body = String::from_utf8_lossy(&body).into_owned();
    assert!(body.contains("arn:aws:dynamodb:") && body.contains("the mapping reads users"), "{body}");
}

#[tokio::test]
async fn what_is_no_event_is_an_error() {
    let database = database("no_event").await;
    let api = RuntimeApi::start().await;
    let _function = function(&api, database.url());
    for payload in ["[]", "{}", r#"{"Records": 7}"#, r#"{"backfill": {"pipeline": "users", "speed": 1}}"#] {
        assert!(matches!(api.invoke(payload, PATIENCE).await, Invocation::Error { .. }), "{payload}");
    }
    assert_eq!(deliver(&api, json!({ "Records": [] }).to_string()).await, all_done());
}
