//! What an on-failure destination got of a batch that an event source mapping has given up: S3 whole, SQS and SNS
//! without the event.
//!
//! The form is that of the Lambda developer guide, "Retain discarded records for a DynamoDB event source". It only reads;
//! `command::redrive` applies.

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_core::{Error, Result};
use tributary_runtime::stream_driver::Record;
use tributary_sources::dynamodb::arn::StreamArn;

/// A batch that was given up.
#[derive(Debug)]
pub(crate) struct GivenUp {
    /// The stream.
    pub(crate) stream: StreamArn,
    /// How many records it had.
    pub(crate) size: u64,
    /// Its first sequence number, unless that record is broken.
    pub(crate) first: Option<String>,
    /// Its last.
    pub(crate) last: Option<String>,
    /// The records, or where they are.
    pub(crate) content: Content,
}

/// What there is of the records.
#[derive(Debug)]
pub(crate) enum Content {
    /// They are here.
    Whole(Vec<Record>),
    /// They stand in the stream.
    Range(Range),
}

/// Where records stand in a stream.
#[derive(Debug)]
pub(crate) struct Range {
    /// The shard.
    pub(crate) shard: String,
    /// The first sequence number.
    pub(crate) first: String,
    /// The last; it belongs to the range.
    pub(crate) last: String,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: BatchInfo,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo {
    shard_id: Option<String>,
    start_sequence_number: Option<String>,
    end_sequence_number: Option<String>,
    batch_size: Option<u64>,
    stream_arn: String,
}

impl GivenUp {
    /// Reads a document.
    ///
    /// # Errors
    /// `Data` when it is none of a DynamoDB stream's batch, or lacks what it takes to find the records.
    pub(crate) fn read(document: &[u8]) -> Result<GivenUp> {
        // The parser's own words may quote the payload.
        let Document { batch, payload } = serde_json::from_slice(document).map_err(|e| {
            let (line, column) = (e.line(), e.column());
            Error::data(format!("not a batch of a DynamoDB stream that was given up: line {line}, column {column}"))
                .with_hint("an on-failure destination gets a JSON object with `DDBStreamBatchInfo`")
        })?;
        let BatchInfo { shard_id, start_sequence_number: first, end_sequence_number: last, batch_size, stream_arn } =
            batch;
        let stream = stream_arn.parse()?;
        let content = match payload {
            Some(payload) => Content::Whole(records(payload)?),
            None => Content::Range(range(shard_id, first.as_deref(), last.as_deref())?),
        };
        let size = match &content {
            Content::Whole(records) => records.len() as u64,
            Content::Range(_) => 1,
        };
        Ok(GivenUp { stream, size: batch_size.unwrap_or(size), first, last, content })
    }
}

/// The event is the text of a JSON document; one that somebody has unfolded will do.
fn records(payload: &RawValue) -> Result<Vec<Record>> {
    let folded: Option<String> = serde_json::from_str(payload.get()).ok();
    Record::of_event(folded.as_deref().unwrap_or(payload.get()).as_bytes())
}

fn range(shard: Option<String>, first: Option<&str>, last: Option<&str>) -> Result<Range> {
    let number = |number: Option<&str>| {
        number.filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())).map(str::to_owned)
    };
    match (shard.filter(|shard| !shard.is_empty()), number(first), number(last)) {
        (Some(shard), Some(first), Some(last)) => Ok(Range { shard, first, last }),
        _ => Err(Error::data("the batch has neither its records nor their shard and sequence numbers")
            .with_hint("S3 gets `payload`; SQS gets `shardId`, `startSequenceNumber` and `endSequenceNumber`")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const STREAM: &str = "arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2026-01-01T00:00:00.000";

    fn document(changes: &Value) -> Value {
        let mut batch = json!({
            "shardId": "shardId-1", "startSequenceNumber": "99", "endSequenceNumber": "100", "batchSize": 2,
            "streamArn": STREAM, "approximateArrivalOfFirstRecord": "2026-01-01T00:00:01Z",
        });
        let mut document = json!({ "version": "1.0", "requestContext": { "condition": "RecordAgeExceeded" } });
        for (name, value) in changes.as_object().unwrap().clone() {
            match name.as_str() {
                "payload" => document[name] = value,
                _ => batch[name] = value,
            }
        }
        document["DDBStreamBatchInfo"] = batch;
        document
    }

    #[test]
    fn reads_what_s3_and_what_sqs_gets() {
        let event = json!({ "Records": [{ "dynamodb": { "SequenceNumber": "99" } }, {}] });
        let check = |changes: Value, expect: &str| {
            let read = GivenUp::read(document(&changes).to_string().as_bytes());
            let said = match read {
                Ok(GivenUp { size, content: Content::Whole(records), .. }) => {
                    format!("{} of {size}, {:?}", records.len(), records[0].number())
                }
                Ok(GivenUp { size, content: Content::Range(Range { shard, first, last }), .. }) => {
                    format!("{shard} {first} to {last}, {size}")
                }
                Err(error) => error.chain(),
            };
            assert_eq!(said, expect);
        };
        check(json!({}), "shardId-1 99 to 100, 2");
        check(json!({ "payload": null }), "shardId-1 99 to 100, 2");
        check(json!({ "payload": event.to_string() }), "2 of 2, Some(\"99\")");
        check(json!({ "payload": event }), "2 of 2, Some(\"99\")");
        // A record without a number is no reason to lose the others, as long as they are here.
        check(json!({ "payload": event, "startSequenceNumber": null, "batchSize": 3 }), "2 of 3, Some(\"99\")");
        let nowhere = "the batch has neither its records nor their shard and sequence numbers";
        check(json!({ "startSequenceNumber": null }), nowhere);
        check(json!({ "endSequenceNumber": "1e9" }), nowhere);
        check(json!({ "shardId": "" }), nowhere);
        check(json!({ "streamArn": "arn:aws:kinesis:us-east-2:1:stream/x" }), "not the ARN of a DynamoDB stream");
        // The secret must not get into a message.
        check(json!({ "payload": "secret" }), "not the event of a DynamoDB stream: line 1, column 1");
    }

    #[test]
    fn refuses_what_is_no_batch() {
        for bad in ["", "secret", "[]", "{}", r#"{"KinesisBatchInfo":{"secret":1}}"#, r#"{"DDBStreamBatchInfo":{}}"#] {
            let error = GivenUp::read(bad.as_bytes()).unwrap_err();
            assert!(error.chain().starts_with("not a batch of a DynamoDB stream"), "{bad}: {}", error.chain());
            assert!(!error.chain().contains("secret"), "{}", error.chain());
        }
    }
}
