//! What an answer that is no success means, and what to do about it.

use std::fmt;

use serde_json::Value as Json;
use tributary_core::{Error, Kind};

/// Why a request brought nothing.
#[derive(Debug)]
pub enum Trouble {
    /// What is left of the budget doesn't do for the wait that Airtable asks for, or for the request.
    OutOfTime,
    /// The workspace's monthly quota of calls is used up. Asking again is of no use before the next month.
    Quota,
    /// Airtable says no.
    Refused(Refusal),
    /// There was no answer, or none that can be read.
    Failed(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Trouble::Failed(error)
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::OutOfTime => Error::unavailable("Airtable asks for more patience than there is time")
                .with_hint("the next tick goes on; give the function more time, or share the base with fewer clients"),
            Trouble::Quota => Error::unavailable("the Airtable workspace has used up its API calls of this month")
                .with_hint("wait for the next month, or upgrade the workspace's plan"),
            Trouble::Refused(refusal) => refusal.into_error(),
            Trouble::Failed(error) => error,
        }
    }
}

/// An answer by which Airtable says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Airtable's word for the reason, `INVALID_REQUEST`; empty when the body has none.
    pub code: String,
    /// What was asked for, and what that takes.
    pub action: Action,
}

/// Something that is asked of Airtable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// As a message says it: `list the records of tblX in appY`.
    pub doing: String,
    /// The token's scope that allows it.
    pub scope: &'static str,
    /// The least role in the base.
    pub role: &'static str,
}

impl Refusal {
    /// Whether there is no such thing, or none that the token may see. Airtable doesn't tell the two apart.
    pub fn is_missing(&self) -> bool {
        self.status == 404 || self.code.contains("NOT_FOUND")
    }

    /// Whether the place in a listing has expired: it begins anew.
    pub fn is_expired_offset(&self) -> bool {
        matches!(self.code.as_str(), "LIST_RECORDS_ITERATOR_NOT_AVAILABLE" | "INVALID_OFFSET_VALUE")
    }

    /// Whether a field that was named isn't there any more.
    pub fn is_unknown_field(&self) -> bool {
        self.code == "UNKNOWN_FIELD_NAME"
    }

    fn into_error(self) -> Error {
        let Refusal { status, code, action: Action { doing, scope, role } } = &self;
        let code = if code.is_empty() { "no reason given" } else { code };
        match status {
            401 => Error::new(Kind::Auth, "Airtable refuses the token").with_hint(
                "it was revoked, has expired or is mistyped (API keys ended in February 2024): make a personal access \
                 token at airtable.com/create/tokens and store it where the datastore's `token:` points",
            ),
            403 | 404 => Error::config(format!("Airtable doesn't let the token {doing}, or it isn't there ({code})"))
                .with_hint(format!(
                    "check the ids in the mapping, give the token the scope {scope} and access to the base, and its user \
                     the role {role} in it"
                )),
            422 if code == "TOO_MANY_WEBHOOKS_IN_BASE" => {
                Error::config(format!("Airtable cannot {doing}: the base has its ten webhooks")).with_hint(
                    "delete one that nobody uses, or name one of them in the mapping: `feed: { webhook: ach… }`",
                )
            }
            408 | 429 | 500..=599 => Error::unavailable(format!("Airtable cannot {doing} now: status {status}, {code}"))
                .with_hint("the next tick tries again; see status.airtable.com"),
            _ => Error::config(format!("Airtable refuses to {doing}: status {status}, {code}"))
                .with_hint("check the base, the table and the fields that the mapping names"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}, {}", self.status, self.code)
    }
}

/// The reason in an error's body: `{"error": {"type": "…", "message": "…"}}`, or `{"error": "NOT_FOUND"}`. The message
/// may quote values, so only the word is kept, if it is one.
pub(super) fn code(body: &[u8]) -> String {
    let Ok(body) = serde_json::from_slice::<Json>(body) else { return String::new() };
    let error = &body["error"];
    let first = &body["errors"][0]["error"];
    let word = error.as_str().or_else(|| error["type"].as_str()).or_else(|| first.as_str()).unwrap_or_default();
    let is_word = word.len() <= 80 && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if is_word { word.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_in_every_form_of_body() {
        let check = |body: &str, expect: &str| assert_eq!(code(body.as_bytes()), expect, "{body}");
        check(r#"{"error":{"type":"INVALID_REQUEST","message":"about Ada's salary"}}"#, "INVALID_REQUEST");
        check(r#"{"error":"NOT_FOUND"}"#, "NOT_FOUND");
        check(r#"{"errors":[{"error":"RATE_LIMIT_REACHED","message":"…"}]}"#, "RATE_LIMIT_REACHED");
        check(r#"{"error":"something of Ada's"}"#, "");
        check("<html>", "");
        check("", "");
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        let check = |status: u16, code: &str, kind: Kind, hint: &str| {
            let action = Action { doing: "make a webhook in app1".into(), scope: "webhook:manage", role: "creator" };
            let error = Error::from(Trouble::Refused(Refusal { status, code: code.into(), action }));
            assert_eq!(error.kind(), kind, "{status} {code}");
            assert!(error.hint().unwrap().contains(hint), "{status} {code}: {:?}", error.hint());
        };
        check(401, "AUTHENTICATION_REQUIRED", Kind::Auth, "create/tokens");
        check(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", Kind::Config, "the scope webhook:manage");
        check(404, "NOT_FOUND", Kind::Config, "check the ids");
        check(422, "TOO_MANY_WEBHOOKS_IN_BASE", Kind::Config, "feed: { webhook: ach… }");
        check(422, "INVALID_REQUEST", Kind::Config, "the mapping names");
        check(503, "", Kind::Unavailable, "next tick");
    }
}
