//! A request as Lambda hands it to a function: payload format 2.0, of function URLs and of HTTP APIs alike.
//!
//! Own types, of as much as is needed: a body of 4.5 MB is in memory once as text and once as bytes, and no more.
//!
//! Lambda developer guide, "Invoking Lambda function URLs"; API Gateway developer guide, "Working with AWS Lambda proxy
//! integrations for HTTP APIs".

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use tributary_core::{Error, Result};
use tributary_sources::webhook::Headers;

use super::worker::Record;

/// What the function was invoked with.
#[derive(Debug)]
pub(super) enum Event {
    /// A request.
    Request(Request),
    /// Messages of a queue, in their order.
    Messages(Vec<Record>),
}

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path below the stage, as it was written in the URL.
    pub(super) path: String,
    pub(super) headers: Headers,
    /// The body as it was sent; `None` when it is said to be base64 and isn't.
    pub(super) body: Option<Bytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(rename = "Records")]
    records: Option<Vec<Record>>,
    raw_path: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    request_context: Option<Context>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
struct Context {
    http: Option<Http>,
    stage: Option<String>,
}

#[derive(Deserialize)]
struct Http {
    method: String,
}

impl Event {
    /// Reads a payload.
    ///
    /// # Errors
    /// `Data` when it is neither.
    pub(super) fn of_payload(payload: &str) -> Result<Event> {
        // The parser's own error may quote a header.
        let wire: Wire = serde_json::from_str(payload).map_err(|_| unknown())?;
        if let Some(records) = wire.records {
            return Ok(Event::Messages(records));
        }
        let (Some(path), Some(Context { http: Some(http), stage })) = (wire.raw_path, wire.request_context) else {
            return Err(unknown());
        };
        let body = wire.body.unwrap_or_default();
        let body = if wire.is_base64_encoded { STANDARD.decode(body).ok().map(Bytes::from) } else { Some(body.into()) };
        let path = below(path, stage.as_deref());
        Ok(Event::Request(Request { method: http.method, path, headers: Headers::new(wire.headers), body }))
    }
}

/// The path without the stage of an HTTP API, which stands in it unless it is the default one.
fn below(path: String, stage: Option<&str>) -> String {
    let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage)).filter(|rest| rest.starts_with('/'));
    rest.map(str::to_owned).unwrap_or(path)
}

fn unknown() -> Error {
    Error::data("the event is neither a request in payload format 2.0 nor messages of SQS")
        .with_hint("put the function behind a function URL, an HTTP API (not a REST API), or a queue")
}

impl Request {
    /// The hook that the path names, `/hooks/{name}`.
    pub(super) fn hook(&self) -> Option<&str> {
        let name = self.path.strip_prefix("/hooks/")?;
        let name = name.strip_suffix('/').unwrap_or(name);
        (!name.is_empty() && !name.contains('/')).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(payload: &str) -> Request {
        match Event::of_payload(payload).unwrap() {
            Event::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_path_names_a_hook_below_the_stage() {
        let check = |path: &str, stage: &str, expect: Option<&str>| {
            let context = format!(r#"{{"http": {{"method": "POST"}}, "stage": "{stage}"}}"#);
            let request = request(&format!(r#"{{"rawPath": "{path}", "requestContext": {context}}}"#));
            assert_eq!(request.hook(), expect, "{path} {stage}");
        };
        check("/hooks/stripe", "$default", Some("stripe"));
        check("/hooks/stripe/", "$default", Some("stripe"));
        check("/prod/hooks/stripe", "prod", Some("stripe"));
        check("/prod/hooks/stripe", "$default", None);
        check("/hooks/stripe", "hooks", None);
        check("/hooks/", "$default", None);
        check("/hooks/a/b", "$default", None);
        check("/Hooks/a", "$default", None);
        check("/", "$default", None);
        check("hooks/a", "$default", None);
    }

    #[test]
    fn a_body_is_the_bytes_that_were_sent() {
        let check = |fields: &str, expect: Option<&[u8]>| {
            let payload = format!(r#"{{"rawPath": "/", "requestContext": {{"http": {{"method": "POST"}}}}{fields}}}"#);
            assert_eq!(request(&payload).body.as_deref(), expect, "{fields}");
        };
        check("", Some(b""));
        check(r#", "body": null"#, Some(b""));
        check(r#", "body": "{\"a\":\"\u00e9\\n\"}""#, Some("{\"a\":\"é\\n\"}".as_bytes()));
        check(r#", "body": "H4sA/w==", "isBase64Encoded": true"#, Some(&[0x1f, 0x8b, 0, 0xff]));
        check(r#", "body": "!", "isBase64Encoded": true"#, None);
    }

    #[test]
    fn what_is_neither_request_nor_message_is_said_without_its_content() {
        for payload in [
            "",
            "[]",
            "{}",
            r#"{"httpMethod": "POST", "path": "/hooks/a"}"#,
            r#"{"headers": {"authorization": ["hunter2"]}}"#,
        ] {
            let error = Event::of_payload(payload).unwrap_err();
            assert!(error.to_string().contains("neither"), "{payload}: {error}");
            assert!(!error.chain().contains("hunter2"), "{error:?}");
        }
    }
}
