//! An answer before it is a response, and Central's words for what it refuses.

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value as Json, json};

use super::digest::md5;

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// Whether its length is told before; feeds are streamed and don't know it.
    pub(super) sized: bool,
}

impl Answer {
    pub(super) fn new(status: u16, headers: Vec<(&'static str, String)>, body: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(status).expect("a status");
        Answer { status, headers, body: body.into(), sized: true }
    }

    /// JSON with the ETag that the framework makes of each body.
    pub(super) fn json(status: u16, body: &Json) -> Self {
        let text = body.to_string();
        let etag = format!("W/\"{:x}-{}\"", text.len(), &md5(text.as_bytes())[..27]);
        let headers = vec![("content-type", "application/json; charset=utf-8".to_owned()), ("etag", etag)];
        Answer::new(status, headers, text)
    }

    pub(super) fn problem(status: u16, code: f64, message: &str) -> Self {
        Answer::json(status, &json!({ "message": message, "code": code }))
    }

    pub(super) fn unsupported(feature: &str) -> Self {
        let message = format!("The requested feature {feature} is not supported by this server.");
        Answer::json(501, &json!({ "message": message, "code": 501.1, "details": { "feature": feature } }))
    }

    pub(super) fn not_found() -> Self {
        Answer::problem(404, 404.1, "Could not find the resource you were looking for.")
    }

    pub(super) fn unknown_user() -> Self {
        Answer::problem(401, 401.2, "Could not authenticate with the provided credentials.")
    }

    pub(super) fn basic_over_http() -> Self {
        Answer::problem(401, 401.3, "This authentication method is only available over HTTPS")
    }

    pub(super) fn forbidden() -> Self {
        let words = "The authentication you provided does not have rights to perform that action.";
        Answer::problem(403, 403.1, words)
    }

    /// What nginx says when nobody answers behind it.
    pub(super) fn html(status: u16) -> Self {
        let body = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1>nginx</body></html>");
        Answer::new(status, vec![("content-type", "text/html".to_owned())], body)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
