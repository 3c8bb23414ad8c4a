//! Messages of the queue, as an event source mapping hands them to the function.
//!
//! Lambda developer guide, "Using Lambda with Amazon SQS": with `ReportBatchItemFailures`, those that are named in the answer
//! come again, and after `maxReceiveCount` go to the queue for dead letters.

use serde::Deserialize;
use serde_json::{Value, json};

/// A message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) message_id: String,
    #[serde(default)]
    pub(super) body: String,
}

/// The answer that names what must come again.
pub(super) fn response(failed: &[String]) -> Value {
    let failures: Vec<Value> = failed.iter().map(|id| json!({ "itemIdentifier": id })).collect();
    json!({ "batchItemFailures": failures })
}
