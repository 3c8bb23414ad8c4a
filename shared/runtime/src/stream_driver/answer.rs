//! What a function's response means to an event source mapping with `ReportBatchItemFailures`.

use serde_json::Value;

use super::record::{Record, lowest};

/// What a response means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All is done.
    Done,
    /// From this sequence number on, the lowest that was named, it is not.
    From(String),
    /// Nothing is done, and why.
    Failed(String),
}

/// Reads a response. Nothing, `null`, `{}`, and a list that is empty or `null` are a success; a failure without a
/// number of the batch fails it whole.
pub(super) fn read(response: &[u8], batch: &[Record]) -> Verdict {
    let failed = |why: &str| Verdict::Failed(why.to_owned());
    if response.iter().all(u8::is_ascii_whitespace) {
        return Verdict::Done;
    }
    let answer = match serde_json::from_slice(response) {
        Ok(Value::Null) => return Verdict::Done,
        Ok(Value::Object(answer)) => answer,
        Ok(_) => return failed("the response is no object"),
        Err(_) => return failed("the response is no JSON"),
    };
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Verdict::Done,
        Some(Value::Array(failures)) => failures,
        Some(_) => return failed("batchItemFailures is no list"),
    };
    let mut numbers = Vec::with_capacity(failures.len());
    for failure in failures {
        match failure.get("itemIdentifier").and_then(Value::as_str) {
            None | Some("") => return failed("a failure has no itemIdentifier"),
            Some(number) if !batch.iter().any(|record| record.number() == Some(number)) => {
                return failed("an itemIdentifier is no sequence number of the batch");
            }
            Some(number) => numbers.push(number),
        }
    }
    lowest(numbers.into_iter()).map_or(Verdict::Done, |number| Verdict::From(number.to_owned()))
}
