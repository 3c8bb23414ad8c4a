//! What an on-failure destination gets of a batch that is given up.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tributary_sources::dynamodb::arn::StreamArn;

use super::record::{Record, event};
use crate::clock::unix_micros;

/// Why a batch was given up, in Lambda's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Reason {
    /// It failed as often as it may.
    RetryAttemptsExhausted,
    /// It is older than it may be.
    RecordAgeExceeded,
}

/// A batch that was given up.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Discarded {
    record: Value,
}

impl Discarded {
    pub(super) fn new(shard: &str, records: &[Record], reason: Reason, invocations: u32) -> Self {
        let number = |record: Option<&Record>| record.and_then(Record::number).map(str::to_owned);
        let stream = records.iter().find_map(Record::stream).unwrap_or_default();
        let function = stream.parse::<StreamArn>().map_or_else(
            |_| "dynamodb-stream".to_owned(),
            |arn| {
                let (partition, region, account) = (arn.partition(), arn.region(), arn.account());
                format!("arn:{partition}:lambda:{region}:{account}:function:dynamodb-stream")
            },
        );
        let failed = match reason {
            Reason::RetryAttemptsExhausted => json!({
                "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
            }),
            Reason::RecordAgeExceeded => Value::Null,
        };
        let payload = event(records);
        let record = json!({
            "requestContext": {
                "requestId": format!("{:032x}", fastrand::u128(..)),
                "functionArn": function,
                "condition": reason,
                "approximateInvokeCount": invocations,
            },
            "responseContext": failed,
            "version": "1.0",
            "timestamp": iso(Some(unix_micros())),
            "DDBStreamBatchInfo": {
                "shardId": shard,
                "startSequenceNumber": number(records.first()),
                "endSequenceNumber": number(records.last()),
                "approximateArrivalOfFirstRecord": iso(records.first().and_then(Record::at)),
                "approximateArrivalOfLastRecord": iso(records.last().and_then(Record::at)),
                "batchSize": records.len(),
                "streamArn": stream,
            },
            "payload": String::from_utf8_lossy(&payload),
        });
        Discarded { record }
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        match self.record["requestContext"]["condition"].as_str() {
            Some("RecordAgeExceeded") => Reason::RecordAgeExceeded,
            _ => Reason::RetryAttemptsExhausted,
        }
    }

    /// The record that S3 gets: `DDBStreamBatchInfo` with shard and range, and as `payload` the whole event.
    pub fn whole(&self) -> &Value {
        &self.record
    }

    /// The record that SQS and SNS get: the same without the event.
    pub fn metadata(&self) -> Value {
        let mut record = self.record.clone();
        if let Value::Object(fields) = &mut record {
            fields.remove("payload");
        }
        record
    }

    /// How many records it had.
    pub fn records(&self) -> u64 {
        self.record["DDBStreamBatchInfo"]["batchSize"].as_u64().unwrap_or(0)
    }
}

fn iso(micros: Option<i64>) -> Option<String> {
    let at = Timestamp::from_microsecond(micros?).ok()?;
    Some(format!("{at:.3}"))
}
