//! What a sender hears. Nothing of the body, of a secret or of the database stands in it.

use serde::Serialize;
use serde_json::{Value, json};

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers beside the content type.
    pub headers: Vec<(&'static str, String)>,
    /// The body; `None`: there is none.
    pub body: Option<Value>,
}

/// What became of a delivery's records, of all pipelines of the hook together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Records in the body.
    pub records: u64,
    /// Rows written.
    pub applied: u64,
    /// Changes that were not newer than their rows.
    pub stale: u64,
    /// Events that were applied before.
    pub duplicates: u64,
    /// Events that could not be applied and are kept as dead letters.
    pub dead: u64,
    /// Records that no pipeline of the hook takes.
    pub skipped: u64,
}

/// After how many seconds a sender may try again.
const RETRY_AFTER: u32 = 30;

impl Summary {
    pub(super) fn add(&mut self, applied: u64, stale: u64, duplicates: u64, dead: u64) {
        self.applied += applied;
        self.stale += stale;
        self.duplicates += duplicates;
        self.dead += dead;
    }
}

impl Answer {
    fn new(status: u16, body: Value) -> Self {
        Answer { status, headers: Vec::new(), body: Some(body) }
    }

    fn problem(status: u16, reason: &str) -> Self {
        Answer::new(status, json!({ "error": reason }))
    }

    /// All is committed.
    pub(super) fn applied(summary: &Summary) -> Self {
        Answer::new(200, json!(summary))
    }

    /// The queue has it.
    pub(super) fn queued() -> Self {
        Answer::new(202, json!({ "queued": true }))
    }

    /// These pipelines have been told to run.
    pub(super) fn told(pipelines: &[&str]) -> Self {
        Answer::new(202, json!({ "runs": pipelines }))
    }

    /// As the sender wants it that takes nothing but 200 and 204, with no body (Airtable, "Webhooks: Notification ping").
    pub(super) fn nothing() -> Self {
        Answer { status: 204, headers: Vec::new(), body: None }
    }

    /// It isn't JSON of the hook's kind, for this reason.
    pub(super) fn malformed(reason: &str) -> Self {
        Answer::problem(400, reason)
    }

    /// Who sends is not who it should be.
    pub(super) fn unauthorized(reason: &str) -> Self {
        Answer::problem(401, reason)
    }

    /// There is no such hook.
    pub(super) fn unknown() -> Self {
        Answer::problem(404, "there is no such hook")
    }

    /// A hook takes POST.
    pub(super) fn wrong_method() -> Self {
        Answer { headers: vec![("allow", "POST".to_owned())], ..Answer::problem(405, "a hook takes POST") }
    }

    /// It is too large, for this reason.
    pub(super) fn too_large(reason: &str) -> Self {
        Answer::problem(413, reason)
    }

    /// It is of a kind that isn't read here.
    pub(super) fn unsupported(reason: &str) -> Self {
        Answer::problem(415, reason)
    }

    /// Something is wrong on our side, and will be until somebody mends it. The log says what.
    pub(super) fn broken() -> Self {
        Answer::problem(500, "the hook is out of order")
    }

    /// Something is away and will come back.
    pub(super) fn away() -> Self {
        let headers = vec![("retry-after", RETRY_AFTER.to_string())];
        Answer { headers, ..Answer::problem(503, "try again later") }
    }

    /// The answer in the form of payload format 2.0.
    pub fn to_response(&self) -> Value {
        let mut headers = serde_json::Map::new();
        if self.body.is_some() {
            headers.insert("content-type".to_owned(), "application/json".into());
        }
        headers.extend(self.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())));
        let body = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        json!({ "statusCode": self.status, "headers": headers, "body": body, "isBase64Encoded": false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_response_of_payload_format_2() {
        let check = |answer: Answer, expect: Value| assert_eq!(answer.to_response(), expect);
        check(
            Answer::away(),
            json!({
                "statusCode": 503, "headers": { "content-type": "application/json", "retry-after": "30" },
                "body": r#"{"error":"try again later"}"#, "isBase64Encoded": false
            }),
        );
        check(Answer::nothing(), json!({ "statusCode": 204, "headers": {}, "body": "", "isBase64Encoded": false }));
        assert_eq!(Answer::wrong_method().to_response()["headers"]["allow"], "POST");
        let summary = Summary { applied: 2, ..Summary::default() };
        assert_eq!(
            Answer::applied(&summary).to_response()["body"],
            r#"{"applied":2,"dead":0,"duplicates":0,"records":0,"skipped":0,"stale":0}"#
        );
    }
}
