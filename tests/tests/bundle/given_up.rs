//! With finite attempts and age, a batch whose function fails ends in the on-failure destination, and the shard goes on.
//!
//! The emulator knows no S3 for that, and of the settings obeys the age alone: what is deployed is looked at, and then the
//! same mapping is led to a queue.

use std::time::Duration;

use serde_json::{Value, json};
use tributary_tests::{Bundle, Database};

use crate::fixture::*;

const BUCKET: &str = "given-up-batches";

#[tokio::test]
async fn without_a_bucket_nothing_finite_is_deployed() {
    let mapping = one_table("refused");
    let aws = tributary_tests::Aws::with_functions().await;
    let stream = aws.create_table("refused").await;
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("StreamArn", &stream), ("StreamRetryAttempts", "3")], "Name an OnFailureBucket for them"),
        (&[("StreamArn", &stream), ("StreamRecordAge", "3600")], "Name an OnFailureBucket for them"),
        (&[], "DynamodbStream is on and StreamArn is empty"),
        (&[("StreamArn", &stream), ("SubnetIds", "subnet-1")], "SubnetIds without SecurityGroupIds"),
    ];
    for (number, (parameters, words)) in cases.into_iter().enumerate() {
        let said = Bundle::refused(&format!("refused-{number}"), &mapping, parameters).await;
        assert!(said.contains(words), "{parameters:?}: {said}");
    }
}

#[tokio::test]
async fn a_failing_batch_ends_in_the_destination_and_can_be_read_again() {
    let mapping = one_table("given-up");
    let database = Database::alone("given_up", false, &[]).await;
    let warehouse = Warehouse::new("given-up", &mapping, database, None).await;
    let aws = warehouse.aws;
    let stream = aws.create_table("given-up").await;
    aws.create_bucket(BUCKET).await;
    let parameters = [
        ("StreamArn", &*stream),
        ("SecretArns", &warehouse.secret_arn),
        ("StreamRetryAttempts", "3"),
        ("StreamRecordAge", "60"),
        ("OnFailureBucket", BUCKET),
        ("StreamTimeout", "15"),
    ];
    let bundle = Bundle::deploy("given-up", &mapping, &parameters).await;
    let names = "select string_agg(name, ' ' order by name) from thing";
    put(aws, "given-up", item(&json!({ "id": "1", "name": "a" }))).await;
    warehouse.awaits(names, "a", SECONDS).await;

    let source = bundle.event_source_mappings(STREAM).await.remove(0);
    let settings = ["MaximumRetryAttempts", "MaximumRecordAgeInSeconds"].map(|name| source[name].as_str().unwrap());
    assert_eq!(settings, ["3", "60"]);
    assert_eq!(
        source["DestinationConfig"],
        json!({ "OnFailure": { "Destination": format!("arn:aws:s3:::{BUCKET}") } })
    );
    let (queue, queue_arn) = bundle.queue("batches").await;
    let to_queue = json!({
        "DestinationConfig": { "OnFailure": { "Destination": queue_arn } }, "MaximumRecordAgeInSeconds": 3,
    });
    bundle.change_event_source_mapping(source["UUID"].as_str().unwrap(), &to_queue).await;

    warehouse.put_secret("wrong").await;
    warehouse.change_password("other").await;
    warehouse.disconnect().await;
    put(aws, "given-up", item(&json!({ "id": "2", "name": "b" }))).await;
    let record = first_message(&bundle, &queue).await;
    assert_eq!(record["requestContext"]["functionArn"], bundle.function(STREAM).await["FunctionArn"], "{record:#}");
    let range = &record["DDBStreamBatchInfo"];
    assert_eq!((&range["streamArn"], &range["batchSize"]), (&json!(stream), &json!(1)), "{record:#}");

    warehouse.put_secret("other").await;
    put(aws, "given-up", item(&json!({ "id": "3", "name": "c" }))).await;
    warehouse.awaits(names, "a c", SECONDS).await;

    // The queue has a range only, which the stream keeps for 24 hours.
    let [from, to] = ["startSequenceNumber", "endSequenceNumber"].map(|name| range[name].as_str().unwrap().to_owned());
    let within = |record: &&Value| {
        let number = record["dynamodb"]["SequenceNumber"].as_str().unwrap();
        // The emulator's numbers are all of one length.
        (&*from..=&*to).contains(&number)
    };
    let records: Vec<Value> = records_of(aws, &stream).await.iter().filter(within).cloned().collect();
    assert_eq!(records.len(), 1, "{record:#}");
    let answer = bundle.invoke(STREAM, json!({ "Records": records }).to_string()).await.json();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert_eq!(warehouse.database.rows(names).await, ["a b c"]);
}

async fn first_message(bundle: &Bundle, queue: &str) -> Value {
    for _ in 0..30 {
        if let Some(message) = bundle.messages(queue).await.into_iter().next() {
            return message;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing is given up: {}", bundle.aws().log());
}
