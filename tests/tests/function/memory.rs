//! The largest event that Lambda delivers: 6 MB, or 10 000 records. Its memory is bounded, whatever is in it.

use tributary_sources::dynamodb::arn::StreamArn;
use tributary_sources::dynamodb::generate::{KEY, Users};
use tributary_sources::dynamodb::record::record_json;
use tributary_tests::RuntimeApi;

use crate::fixture::*;

const LARGEST: usize = 6 * 1024 * 1024;
const MOST_RECORDS: usize = 10_000;
const ARN: &str = "arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2026-01-01T00:00:00.000";

/// Whole users with both images: 6 MB long before there are 10 000.
fn full_records() -> String {
    let arn: StreamArn = ARN.parse().unwrap();
    let mut users = Users::new(1);
    let mut event = String::from("{\"Records\":[");
    while event.len() < LARGEST - 8_192 {
        let operation = users.next(1_767_225_600_000_000);
        let record = record_json(operation.change(), &KEY, &arn, &users.sequence_number(), Some(1_767_225_600_000_000));
        event.push_str(&record.unwrap());
        event.push(',');
    }
    event.pop();
    event + "]}"
}

/// As many records as there may be, each of a row of its own.
fn small_records() -> String {
    let record = |at: usize| {
        let id = format!("00000000-0000-4000-8000-{at:012}");
        format!(
            r#"{{"eventName":"INSERT","eventSource":"aws:dynamodb","eventSourceARN":"{ARN}","dynamodb":{{"ApproximateCreationDateTime":1767225600,"Keys":{{"id":{{"S":"{id}"}}}},"NewImage":{{"id":{{"S":"{id}"}},"name":{{"S":"Someone number {at}"}},"handle":{{"S":"handle{at}"}},"location":{{"S":"somewhere"}},"createdAt":{{"N":"1767225600"}},"repScore":{{"N":"12.5"}}}},"SequenceNumber":"{}","SizeBytes":200,"StreamViewType":"NEW_AND_OLD_IMAGES"}}}}"#,
            800_000_000_000_000_000_000u128 + at as u128
        )
    };
    let records: Vec<String> = (0..MOST_RECORDS).map(record).collect();
    format!("{{\"Records\":[{}]}}", records.join(","))
}

#[tokio::test]
async fn the_largest_event_needs_less_than_forty_megabytes() {
    for (what, event) in [("full records", full_records()), ("small records", small_records())] {
        assert!((LARGEST / 2..LARGEST).contains(&event.len()), "{what}: {} bytes", event.len());
        let database = database("memory").await;
        let api = RuntimeApi::start().await;
        let function = function(&api, database.url());
        assert_eq!(deliver(&api, event).await, all_done(), "{what}");
        let Some(peak) = function.peak_memory() else { return };
        assert!(peak < 40_000_000, "{what}: {peak} bytes");
    }
}
