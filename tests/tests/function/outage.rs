//! A database that goes away and comes back: the stream delivers again, nothing is lost.

use std::time::Duration;

use serde_json::{Value, json};
use tributary_tests::{Database, Proxy, RuntimeApi};

use crate::fixture::*;

/// The lowest sequence number of an event.
fn lowest(event: &str) -> String {
    let event: Value = serde_json::from_str(event).unwrap();
    let numbers =
        event["Records"].as_array().unwrap().iter().map(|r| r["dynamodb"]["SequenceNumber"].as_str().unwrap());
    numbers.min_by_key(|number| (number.len(), *number)).unwrap().to_owned()
}

async fn count(database: &Database) -> String {
    database.rows("select count(*) from profile").await.remove(0)
}

#[tokio::test]
async fn while_the_database_is_away_the_batch_comes_again() {
    let database = database("away").await;
    let proxy = Proxy::start(database.url()).await;
    let api = RuntimeApi::start().await;
    let _function = function(&api, proxy.url());
    let insert = event("insert.json");
    assert_eq!(deliver(&api, event("modify.json")).await, all_done());
    proxy.refuse(true);
    proxy.cut();
    let answer = api.invoke(insert.clone(), Duration::from_secs(4)).await.json();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": lowest(&insert) }] }));
    proxy.refuse(false);
    assert_eq!(deliver(&api, insert).await, all_done());
    assert_ne!(count(&database).await, "0");
}

#[tokio::test]
async fn a_database_that_is_down_at_the_start_is_not_fatal() {
    let database = database("down").await;
    let proxy = Proxy::start(database.url()).await;
    proxy.refuse(true);
    let api = RuntimeApi::start().await;
    let mut function = function(&api, proxy.url());
    assert!(function.says("cannot connect yet", PATIENCE).await, "{}", function.stderr());
    proxy.refuse(false);
    assert_eq!(deliver(&api, event("insert.json")).await, all_done());
}

#[tokio::test]
async fn a_connection_that_breaks_between_events_is_replaced() {
    let database = database("broken").await;
    let proxy = Proxy::start(database.url()).await;
    let api = RuntimeApi::start().await;
    let _function = function(&api, proxy.url());
    for name in ["insert.json", "modify.json", "remove.json"] {
        assert_eq!(deliver(&api, event(name)).await, all_done());
        proxy.cut();
    }
}

#[tokio::test]
async fn tables_that_disagree_with_the_mapping_fail_the_invocation() {
    let database = database("disagree").await;
    database.execute("alter table profile alter column bio type integer using null").await;
    let api = RuntimeApi::start().await;
    let _function = function(&api, database.url());
    let answer = api.invoke(event("insert.json"), PATIENCE).await;
    let tributary_tests::Invocation::Error { body, .. } = answer else { panic!("{answer:?}") };
    let body = String::from_utf8_lossy(&body).into_owned();
    assert!(body.contains("column bio is integer"), "{body}");
}
