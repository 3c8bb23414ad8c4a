//! By a queue: taken at once, applied by a worker in batches.

use std::collections::BTreeMap;

use aws_sdk_s3::types::CreateBucketConfiguration;
use aws_sdk_sqs::types::Message;
use serde_json::{Value, json};
use tributary_core::pipeline::DynamodbStore;
use tributary_tests::{Aws, Database};

use crate::fixture::*;

/// The hooks, of which these go by a queue.
pub(crate) fn queued(too_large: &str) -> String {
    let by_queue = format!("type: webhook\n      mode: queue\n      too_large: {too_large}");
    HOOKS.split("  # Two pipelines of one hook.").next().unwrap().replace("type: webhook", &by_queue)
}

pub(crate) struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
    bucket: String,
    s3: aws_sdk_s3::Client,
    aws: &'static Aws,
}

impl Queue {
    pub(crate) async fn new() -> Self {
        let aws = Aws::start().await;
        let store = DynamodbStore { region: Some(Aws::REGION.to_owned()), endpoint: Some(aws.endpoint().to_owned()) };
        let config =
            tributary_runtime::aws::config_of(&store).await.into_builder().endpoint_url(aws.endpoint()).build();
        let client = aws_sdk_sqs::Client::new(&config);
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        let s3 = aws_sdk_s3::Client::from_conf(s3);
        let name = format!("hooks-{:08x}", fastrand::u32(..));
        let url = client.create_queue().queue_name(&name).send().await.unwrap().queue_url.unwrap();
        // Where a region is not the first one, a bucket must be told.
        let place = CreateBucketConfiguration::builder().location_constraint(Aws::REGION.into()).build();
        s3.create_bucket().bucket(&name).create_bucket_configuration(place).send().await.unwrap();
        Queue { client, url, bucket: name, s3, aws }
    }

    pub(crate) async fn serve(&self, text: &str, database: &Database, processes: usize) -> Served {
        let own = [("TRIBUTARY_WEBHOOK_QUEUE", self.url.as_str()), ("TRIBUTARY_WEBHOOK_BUCKET", &self.bucket)];
        let environment = self.aws.environment();
        let variables: Vec<(&str, &str)> = environment.into_iter().chain(own).collect();
        serve(text, database.url(), processes, &variables).await
    }

    /// Up to ten messages.
    async fn receive(&self) -> Vec<Message> {
        let asked =
            self.client.receive_message().queue_url(&self.url).max_number_of_messages(10).visibility_timeout(60);
        asked.send().await.unwrap().messages.unwrap_or_default()
    }

    /// All of them, as an event source mapping takes them.
    pub(crate) async fn drain(&self) -> Vec<Message> {
        let mut all = Vec::new();
        loop {
            let some = self.receive().await;
            if some.is_empty() {
                return all;
            }
            all.extend(some);
        }
    }
}

/// As Lambda hands messages to a function.
pub(crate) fn event(messages: &[Message]) -> Value {
    let records: Vec<Value> = messages
        .iter()
        .map(|message| {
            json!({
                "messageId": message.message_id, "receiptHandle": message.receipt_handle, "body": message.body,
                "attributes": { "ApproximateReceiveCount": "1" }, "messageAttributes": {},
                "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-2:000000000000:hooks", "awsRegion": "us-east-2"
            })
        })
        .collect();
    json!({ "Records": records })
}

async fn work(served: &Served, event: &Value) -> Value {
    served.apis[0].invoke(event.to_string(), PATIENCE).await.json()
}

#[tokio::test]
async fn a_burst_is_taken_at_once_and_applied_in_batches() {
    let text = queued("refuse");
    let database = database_of("burst", mapping_of(&text)).await;
    let queue = Queue::new().await;
    let served = queue.serve(&text, &database, 1).await;
    let mut newest: BTreeMap<u32, u32> = BTreeMap::new();
    for number in 1..=60 {
        newest.insert(number % 7, number);
        let body = json!({ "id": number % 7, "status": format!("s{number}"), "revision": number }).to_string();
        let order = post("orders", body).id(&format!("msg_{number}"));
        for _ in 0..=number % 2 {
            assert_eq!(served.post(&order).await, (202, json!({ "queued": true })), "{}", served.log());
        }
    }
    assert_eq!(database.rows("select count(*) from orders").await, ["0"], "nothing is written at the edge");
    if !database.single_connection() {
        let ours = "select count(*) from pg_stat_activity where datname = current_database() and application_name like 'tributary/%'";
        assert_eq!(database.rows(ours).await, ["0"], "a request that goes by the queue needs no database");
    }
    assert_eq!(served.post(&post("orders", "{").secret("whsec_AAAA")).await.0, 401);
    assert_eq!(served.post(&post("orders", "{")).await.0, 400);
    let mut messages = queue.drain().await;
    assert_eq!(messages.len(), 90);
    fastrand::shuffle(&mut messages);
    for some in messages.chunks(25) {
        assert_eq!(work(&served, &event(some)).await, json!({ "batchItemFailures": [] }), "{}", served.log());
    }
    let rows = database.rows("select id, status from orders order by id").await;
    let expect: Vec<String> = newest.iter().map(|(id, number)| format!("{id} | s{number}")).collect();
    assert_eq!(rows, expect);
    assert_eq!(database.rows("select count(*) from tributary.receipt").await, ["60"]);
    // All of it again.
    assert_eq!(work(&served, &event(&messages)).await, json!({ "batchItemFailures": [] }));
    assert_eq!(database.rows("select id, status from orders order by id").await, expect);
}

#[tokio::test]
async fn the_time_of_receipt_is_that_at_the_edge() {
    let text = queued("refuse");
    let database = database_of("edge_time", mapping_of(&text)).await;
    let queue = Queue::new().await;
    let served = queue.serve(&text, &database, 1).await;
    for text in ["first", "second"] {
        let body = json!({ "data": [{ "id": 1, "text": text }] }).to_string();
        assert_eq!(served.post(&post("notes", body)).await.0, 202);
    }
    let mut messages = queue.drain().await;
    messages.sort_by_key(|message| message.body().is_some_and(|body| body.contains("first")));
    assert!(messages[0].body().unwrap().contains("second"));
    for message in messages {
        work(&served, &event(&[message])).await;
    }
    assert_eq!(database.rows("select text from notes").await, ["second"]);
}

#[tokio::test]
async fn a_body_larger_than_a_message_goes_by_the_bucket_or_is_refused() {
    let large = json!({ "id": 1, "status": "x".repeat(1_200_000), "revision": 1 }).to_string();
    for (too_large, status) in [("refuse", 413), ("s3", 202)] {
        let text = queued(too_large);
        let database = database_of(too_large, mapping_of(&text)).await;
        let queue = Queue::new().await;
        let served = queue.serve(&text, &database, 1).await;
        assert_eq!(served.post(&post("orders", &large)).await.0, status, "{}", served.log());
        let messages = queue.drain().await;
        if status == 413 {
            assert!(messages.is_empty());
            continue;
        }
        assert!(messages[0].body().unwrap().len() < 1_000, "a pointer is short");
        for _ in 0..2 {
            assert_eq!(work(&served, &event(&messages)).await, json!({ "batchItemFailures": [] }), "{}", served.log());
        }
        assert_eq!(database.rows("select id, length(status) from orders").await, ["1 | 1200000"]);
        // The bucket's lifecycle takes it: the message may come a third time.
        let listed = queue.s3.list_objects_v2().bucket(&queue.bucket).send().await.unwrap();
        assert_eq!(listed.contents().len(), 1);
    }
}

#[tokio::test]
async fn what_fails_comes_again_and_nothing_else() {
    let text = queued("refuse");
    let database = database_of("partial", mapping_of(&text)).await;
    let queue = Queue::new().await;
    let served = queue.serve(&text, &database, 1).await;
    served.post(&post("orders", r#"{"id": 1, "status": "a", "revision": 1}"#)).await;
    served.post(&post("notes", r#"{"data": [{"id": 1, "text": "n"}]}"#)).await;
    let messages = queue.drain().await;
    let mut event = event(&messages);
    let mut foreign = event["Records"][0].clone();
    (foreign["messageId"], foreign["body"]) = ("foreign".into(), r#"{"Type": "Notification"}"#.into());
    let mut unknown = event["Records"][0].clone();
    unknown["messageId"] = "unknown".into();
    let body = unknown["body"].as_str().unwrap().replace(r#""hook":"orders""#, r#""hook":"gone""#);
    unknown["body"] = body.replace(r#""hook":"notes""#, r#""hook":"gone""#).into();
    let records = event["Records"].as_array_mut().unwrap();
    records.extend([foreign, unknown]);
    let refuse = "create function refuse() returns trigger language plpgsql as
          $$begin raise insufficient_privilege; end$$;
        create trigger refuse before insert on orders for each row execute function refuse()";
    database.execute(refuse).await;
    let id_of = |word: &str| {
        let found = messages.iter().find(|message| message.body().unwrap().contains(word)).unwrap();
        found.message_id().unwrap().to_owned()
    };
    let failures = |answer: &Value| {
        let failures = answer["batchItemFailures"].as_array().unwrap().iter();
        let mut ids: Vec<String> = failures.map(|f| f["itemIdentifier"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let mut expect = ["foreign".to_owned(), "unknown".to_owned(), id_of("orders")];
    expect.sort();
    let answer = work(&served, &event).await;
    assert_eq!(failures(&answer), expect, "{}", served.log());
    assert_eq!(database.rows("select id, text from notes").await, ["1 | n"], "the other hook's are committed");
    database.execute("drop trigger refuse on orders").await;
    let answer = work(&served, &event).await;
    assert_eq!(failures(&answer), ["foreign", "unknown"], "{}", served.log());
    assert_eq!(database.rows("select id, status from orders").await, ["1 | a"]);
    assert_eq!(database.rows("select id, text from notes").await, ["1 | n"]);
}

#[tokio::test]
async fn without_a_queue_the_function_does_not_start() {
    let mut served = serve(&queued("refuse"), "postgres://127.0.0.1:1/x", 1, &[]).await;
    assert!(served.functions[0].says("TRIBUTARY_WEBHOOK_QUEUE is not set", PATIENCE).await, "{}", served.log());
    let own = [("TRIBUTARY_WEBHOOK_QUEUE", "http://127.0.0.1:1/q")];
    let mut served = serve(&queued("s3"), "postgres://127.0.0.1:1/x", 1, &own).await;
    assert!(served.functions[0].says("TRIBUTARY_WEBHOOK_BUCKET is not set", PATIENCE).await, "{}", served.log());
}
