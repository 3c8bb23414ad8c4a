//! What is kept, for how long, and what it is worth later: dead letters, receipts.

use std::sync::Arc;

use serde_json::{Value, json};
use tributary_core::pipeline::SecretRef;
use tributary_core::sink::Unlimited;
use tributary_core::{Error, Result};
use tributary_postgres::connect::{Policy, Target};
use tributary_postgres::{Made, Postgres, Which};
use tributary_runtime::replay::replay;
use tributary_runtime::secrets::{Secret, Secrets};
use tributary_runtime::sinks::Sinks;
use tributary_runtime::webhook::{Handler, pipelines};
use tributary_tests::Database;
use tributary_tests::gateway::event;

use crate::fixture::*;

/// A hook that lets everybody in, and whose versions are times of receipt.
const NOTES: &str = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
pipelines:
  notes:
    source: { type: webhook, verify: none, envelope: plain, id: { header: X-Id } }
    sink:
      datastore: warehouse
      tables: { notes: { key: { id: bigint }, columns: { text: text } } }
";

struct Nothing;

impl Secrets for Nothing {
    async fn get(&self, _: &SecretRef) -> Result<Secret> {
        Err(Error::config("there are no secrets here"))
    }

    fn evict(&self, _: &SecretRef) {}
}

/// The handler in this process.
fn handler(database: &Database) -> Handler<Target, Nothing> {
    let mapping = Arc::new(mapping_of(NOTES));
    let target = Target::from_url(database.url(), &Policy::default()).unwrap();
    let sinks = Sinks::new(&mapping, pipelines(&mapping), |_, _| target.clone());
    Handler::new(mapping, sinks, Arc::new(Nothing)).unwrap()
}

fn request(id: &str, text: &str) -> String {
    let body = json!({ "id": 1, "text": text }).to_string();
    let headers = [("content-type", "application/json"), ("x-id", id)];
    let headers = headers.into_iter().filter(|(_, value)| !value.is_empty());
    event("POST", "/hooks/notes", headers, body.as_bytes()).to_string()
}

/// As the edge has put it on the queue, `received` in microseconds since 1970.
fn message(id: &str, text: &str, received: i64) -> Value {
    let body = json!({ "id": 1, "text": text }).to_string();
    let message = json!({ "hook": "notes", "received": received, "headers": { "x-id": id }, "text": body });
    json!({ "messageId": id, "eventSource": "aws:sqs", "body": message.to_string() })
}

/// Bad text is refused until somebody mends the table.
const REFUSE: &str = "alter table notes add constraint fine check (text <> 'bad')";
const MEND: &str = "alter table notes drop constraint fine";

#[tokio::test]
async fn a_letter_is_replayed_as_of_when_it_was_received() {
    let database = database_of("as_of", mapping_of(NOTES)).await;
    database.execute(REFUSE).await;
    let mut handler = handler(&database);
    let hour = 3_600_000_000;
    let now = 1_767_225_600_000_000;
    let target = Target::from_url(database.url(), &Policy::default()).unwrap();
    let mapping = mapping_of(NOTES);
    let mut sink = Postgres::new(target, mapping.pipelines[0].tables.clone(), false);
    let mut again = async || {
        let letters = sink.letters(Which::Of("notes"), 10).await.unwrap();
        replay(&mapping, &mut sink, "notes", letters, &Unlimited).await.unwrap()
    };
    // Both have waited in the queue, and the first try of the older one is later than either time.
    let mut work = async |message: Value| {
        let done = handler.handle(&json!({ "Records": [message] }).to_string(), &Unlimited).await.unwrap();
        assert!(!done.failed(), "{done:?}");
    };
    work(message("a", "bad", now - hour)).await;
    let kept =
        "select position, (extract(epoch from received_at) * 1000000)::bigint, attempts from tributary.dead_letter";
    assert_eq!(database.rows(kept).await, [format!("a | {} | 1", now - hour)]);
    assert_eq!(again().await.dead, 1);
    assert_eq!(database.rows(kept).await, [format!("a | {} | 2", now - hour)], "another try, the same time");
    work(message("b", "newer", now)).await;
    database.execute(MEND).await;
    assert_eq!(again().await.applied, 1);
    assert_eq!(database.rows("select text from notes").await, ["newer"], "it is no newer than it was");
    assert_eq!(database.rows("select count(*) from tributary.dead_letter").await, ["0"]);
}

#[tokio::test]
async fn a_letter_that_is_the_newest_wins_when_it_is_replayed() {
    let database = database_of("newest", mapping_of(NOTES)).await;
    database.execute(REFUSE).await;
    let mut handler = handler(&database);
    for (id, text) in [("a", "first"), ("b", "bad")] {
        handler.handle(&request(id, text), &Unlimited).await.unwrap();
    }
    database.execute(MEND).await;
    let mapping = Arc::clone(handler.mapping());
    let sink = handler.sinks().get("warehouse").unwrap();
    let letters = sink.letters(Which::Of("notes"), 10).await.unwrap();
    replay(&mapping, sink, "notes", letters, &Unlimited).await.unwrap();
    assert_eq!(database.rows("select text from notes").await, ["bad"]);
}

#[tokio::test]
async fn receipts_are_purged_by_requests_and_by_the_worker() {
    let database = database_of("purged", mapping_of(NOTES)).await;
    let old = || database.execute("update tributary.receipt set received_at = now() - interval '8 days'");
    let receipts = async || database.rows("select sender_id from tributary.receipt order by 1").await;
    for by_queue in [false, true] {
        let mut handler = handler(&database);
        let payload = |id: &str| match by_queue {
            true => json!({ "Records": [message(id, "x", 1)] }).to_string(),
            false => request(id, "x"),
        };
        for id in ["a", "b"] {
            assert!(!handler.handle(&payload(id), &Unlimited).await.unwrap().failed());
        }
        old().await;
        assert_eq!(receipts().await, ["a", "b"], "not at once: the sender waits");
        handler.make_housekeeping_due();
        assert!(!handler.handle(&payload("c"), &Unlimited).await.unwrap().failed());
        assert_eq!(receipts().await, ["c"], "by queue: {by_queue}");
        database.execute("delete from tributary.receipt").await;
    }
}

#[tokio::test]
async fn the_same_bytes_without_an_id_are_no_redelivery() {
    let database = database_of("no_id", mapping_of(NOTES)).await;
    let mut handler = handler(&database);
    for text in ["first", "second", "first"] {
        let done = handler.handle(&request("", text), &Unlimited).await.unwrap();
        assert_eq!((done.summary().applied, done.summary().duplicates), (1, 0), "{text}");
    }
    assert_eq!(database.rows("select text from notes").await, ["first"]);
    assert_eq!(database.rows("select count(*) from tributary.receipt").await, ["0"]);
}

#[tokio::test]
async fn the_status_tells_of_the_last_delivery() {
    let database = database_of("told", mapping_of(NOTES)).await;
    let mut handler = handler(&database);
    let status = async |handler: &mut Handler<Target, Nothing>| {
        let sink = handler.sinks().get("warehouse").unwrap();
        sink.settle().await;
        sink.status(&["notes"]).await.unwrap().remove(0)
    };
    assert_eq!(status(&mut handler).await.last, None);
    for _ in 0..2 {
        handler.handle(&request("a", "x"), &Unlimited).await.unwrap();
    }
    let told = status(&mut handler).await;
    assert!(told.last.is_some() && told.checkpoints.is_empty(), "{told:?}");
    assert_eq!((told.day.applied, told.day.stale, told.day.dead), (1, 0, 0));
}

#[tokio::test]
async fn a_table_that_is_made_anew_takes_again_what_is_sent_again() {
    let database = database_of("anew", mapping_of(NOTES)).await;
    let mut handler = handler(&database);
    let sent = [request("a", "first"), request("b", "second")];
    for request in &sent {
        handler.handle(request, &Unlimited).await.unwrap();
    }
    let mapping = Arc::clone(handler.mapping());
    let sink = handler.sinks().get("warehouse").unwrap();
    let tables = &mapping.pipelines[0].tables;
    sink.recreate("notes", &[], Made { tables, known: tables, views: &[] }).await.unwrap();
    assert_eq!(database.rows("select count(*) from notes").await, ["0"]);
    for request in &sent {
        assert_eq!(handler.handle(request, &Unlimited).await.unwrap().summary().applied, 1);
    }
    assert_eq!(database.rows("select text from notes").await, ["second"]);
}
