//! With finite attempts and age, a batch whose function fails ends in the on-failure destination, and the shard goes on.
//! `tributary redrive` gives back what is there.
//!
//! Of the settings the emulator obeys the age alone. It writes to queues, not to buckets; for those see `outage`.

use std::time::Duration;

use serde_json::{Value, json};
use tributary_tests::{Aws, Bundle, Database};

use crate::fixture::*;

#[tokio::test]
async fn parameters_that_would_lose_records_are_refused() {
    let mapping = one_table("refused");
    let aws = Aws::with_functions().await;
    let stream = aws.create_table("refused").await;
    let bucket = [("OnFailureBucket", "b"), ("OnFailureQueueArn", "arn:aws:sqs:us-east-2:000000000000:q")];
    let both = [&bucket[..], &[("StreamArn", &stream)]].concat();
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&both, "What is given up goes to one place"),
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
async fn a_failing_batch_ends_in_the_queue_and_is_given_back() {
    let mapping = one_table("given-up");
    let database = Database::alone("given_up", false, &[]).await;
    let warehouse = Warehouse::new("given-up", &mapping, database, None).await;
    let aws = warehouse.aws;
    let stream = aws.create_table("given-up").await;
    let (queue, queue_arn) = aws.create_queue("given-up").await;
    let parameters = [
        ("StreamArn", &*stream),
        ("SecretArns", &warehouse.secret_arn),
        ("StreamRecordAge", "60"),
        ("OnFailureQueueArn", &queue_arn),
        ("StreamTimeout", "15"),
    ];
    let bundle = Bundle::deploy("given-up", &mapping, &parameters).await;
    let names = "select string_agg(name, ' ' order by name) from thing";
    put(aws, "given-up", item(&json!({ "id": "1", "name": "a" }))).await;
    warehouse.awaits(names, "a", SECONDS).await;

    let source = bundle.event_source_mappings(STREAM).await.remove(0);
    assert_eq!(source["MaximumRecordAgeInSeconds"], "60", "{source:#}");
    assert_eq!(source["DestinationConfig"], json!({ "OnFailure": { "Destination": queue_arn } }), "{source:#}");
    let alarms = bundle.alarms().await;
    let of_this = json!([{ "Name": "EventSourceMappingUUID", "Value": source["UUID"] }]);
    let alarm = |alarm: &Value| {
        alarm["MetricName"] == "OnFailureDestinationDeliveredEventCount" && alarm["Dimensions"] == of_this
    };
    assert!(alarms.iter().any(alarm), "{alarms:#?}");
    // A minute is the least that AWS takes, and long for a test.
    let uuid = source["UUID"].as_str().unwrap();
    bundle.change_event_source_mapping(uuid, &json!({ "MaximumRecordAgeInSeconds": 3 })).await;

    warehouse.put_secret("wrong").await;
    warehouse.change_password("other").await;
    warehouse.disconnect().await;
    put(aws, "given-up", item(&json!({ "id": "2", "name": "b" }))).await;
    given_up(aws, &queue).await;
    warehouse.put_secret("other").await;
    put(aws, "given-up", item(&json!({ "id": "3", "name": "c" }))).await;
    warehouse.awaits(names, "a c", SECONDS).await;

    let output = tributary(&warehouse, &mapping, &["redrive", "--queue", &queue]).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(warehouse.database.rows(names).await, ["a b c"]);
    assert_eq!(waiting(aws, &queue).await, 0, "it is deleted");
}

/// Waits until a message is there.
async fn given_up(aws: &Aws, queue: &str) {
    for _ in 0..300 {
        if waiting(aws, queue).await > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing is given up: {}", aws.log());
}

/// How many messages a queue has, taken by somebody or not.
async fn waiting(aws: &Aws, queue: &str) -> u64 {
    let wanted = json!({ "QueueUrl": queue, "AttributeNames": ["All"] });
    let answer = aws.call("sqs", "AmazonSQS.GetQueueAttributes", &wanted).await;
    let count = |name: &str| answer["Attributes"][name].as_str().and_then(|text| text.parse::<u64>().ok()).unwrap();
    count("ApproximateNumberOfMessages") + count("ApproximateNumberOfMessagesNotVisible")
}
