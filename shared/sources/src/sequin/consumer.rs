//! A queue of Sequin's over HTTP: receive, acknowledge, give back. Both products, whose addresses and words differ.
//!
//! Receiving leases what it returns: it comes again unless it is acknowledged in time. Acknowledging what is unknown or
//! was acknowledged before is no error to Sequin, so a lease that was lost stays unnoticed; what is acknowledged must
//! therefore be committed already.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use tributary_core::pipeline::SequinProtocol;
use tributary_core::sink::Budget;
use tributary_core::{Error, Kind, Result};

use super::collection::{Collection, collections};
use crate::http::{Client, Patience, Request, Response, StatusCode};

/// The most messages that one `receive` returns (Sequin Stream's limit; the former Sequin documents none).
pub const MOST_MESSAGES: u32 = 1_000;
/// Tokens of one acknowledgement. Sequin Stream reads bodies of up to 8 MB.
const TOKENS_AT_ONCE: usize = 1_000;
/// How long an answer may take. Both answer at once when nothing is there.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Two attempts at receiving: what the first one leased and didn't deliver stays away for a while.
const RECEIVING: Patience =
    Patience { attempts: 2, first: Duration::from_millis(300), longest: Duration::from_secs(2) };
const ACKNOWLEDGING: Patience =
    Patience { attempts: 3, first: Duration::from_millis(200), longest: Duration::from_secs(2) };

/// A consumer at a server.
#[derive(Clone, Debug)]
pub struct Consumer {
    base: String,
    path: String,
    name: String,
    protocol: SequinProtocol,
}

/// What becomes of received messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// They are done with.
    Ack,
    /// They are to be delivered again, at once.
    Nack,
}

impl Consumer {
    /// The consumer of this name or id at `base_url`.
    pub fn new(base_url: &str, protocol: &SequinProtocol, name: &str) -> Self {
        let base = base_url.trim_end_matches('/').to_owned();
        let id = encoded(name);
        let path = match protocol {
            SequinProtocol::Stream => format!("{base}/api/sequin_streams/{id}"),
            SequinProtocol::Legacy { .. } => format!("{base}/v1/http-consumers/{id}"),
        };
        Consumer { base, path, name: name.to_owned(), protocol: protocol.clone() }
    }

    /// Receives up to so many messages: the answer's bytes, of at most `limit`. None waiting is an answer without messages.
    ///
    /// # Errors
    /// `Auth` when the token is refused, `Config` when there is no such consumer, `Unavailable` when the server is in
    /// trouble, `Data` when the answer is longer than `limit`.
    pub async fn receive(
        &self,
        http: &Client,
        token: &str,
        most: u32,
        limit: usize,
        budget: &impl Budget,
    ) -> Result<Bytes> {
        // `wait_for` is left out: Sequin Stream refuses 0, which its documents call the default.
        let mut request = match &self.protocol {
            SequinProtocol::Stream => {
                Request::post_json(format!("{}/receive", self.path), &json!({ "max_batch_size": most }))?
            }
            SequinProtocol::Legacy { .. } => Request::get(format!("{}/next?batch_size={most}", self.path)),
        };
        request.limit = limit;
        self.ask(http, request, token, &RECEIVING, budget).await.map(|answer| answer.body)
    }

    /// Acknowledges messages, or gives them back.
    ///
    /// # Errors
    /// As [`Consumer::receive`].
    pub async fn settle(
        &self,
        http: &Client,
        token: &str,
        how: Settle,
        ids: &[impl AsRef<str>],
        budget: &impl Budget,
    ) -> Result<()> {
        let verb = match how {
            Settle::Ack => "ack",
            Settle::Nack => "nack",
        };
        let field = match &self.protocol {
            SequinProtocol::Stream => "ack_ids",
            SequinProtocol::Legacy { .. } => "ack_tokens",
        };
        for some in ids.chunks(TOKENS_AT_ONCE) {
            let some: Vec<&str> = some.iter().map(AsRef::as_ref).collect();
            let request = Request::post_json(format!("{}/{verb}", self.path), &Tokens { field, some: &some })?;
            self.ask(http, request, token, &ACKNOWLEDGING, budget).await?;
        }
        Ok(())
    }

    /// The collections of the credential that the datastore names; none for Sequin Stream, which has no such thing.
    ///
    /// # Errors
    /// As [`Consumer::receive`]; `Data` when the answer is no list of collections.
    pub async fn collections(&self, http: &Client, token: &str, budget: &impl Budget) -> Result<Vec<Collection>> {
        let SequinProtocol::Legacy { credential } = &self.protocol else { return Ok(Vec::new()) };
        let request = Request::get(format!("{}/v1/collections/{}", self.base, encoded(credential)));
        let answer = self.ask(http, request, token, &Patience::default(), budget).await;
        let answer = answer.map_err(|error| match error.kind() {
            Kind::Config => Error::config(format!("Sequin has no collections of the credential `{credential}`"))
                .with_hint("check `credential` of the datastore: it says which fields records may have")
                .with_source(error),
            _ => error,
        })?;
        collections(&answer.body)
    }

    async fn ask(
        &self,
        http: &Client,
        mut request: Request,
        token: &str,
        patience: &Patience,
        budget: &impl Budget,
    ) -> Result<Response> {
        request.timeout = TIMEOUT;
        let answer = http.send_patiently(&request.bearer(token)?, patience, budget).await;
        let answer = answer.map_err(|error| match (error.kind(), error.hint()) {
            (Kind::Unavailable, None) => {
                error.with_hint("look at the server and the network to it; messages wait there for the next tick")
            }
            _ => error,
        })?;
        if answer.status.is_success() { Ok(answer) } else { Err(self.refused(&answer)) }
    }

    /// What a status means and what to do about it. The server's own words are kept: they are about the request.
    fn refused(&self, answer: &Response) -> Error {
        let (status, name) = (answer.status, &self.name);
        let error = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Error::new(Kind::Auth, format!("Sequin refuses the token, with status {}", status.as_u16())).with_hint(
                    "make a new API token in Sequin's console, and put it where `token:` of the datastore points",
                )
            }
            StatusCode::NOT_FOUND => {
                Error::config(format!("Sequin has no consumer `{name}`")).with_hint(match self.protocol {
                    SequinProtocol::Stream => {
                        "`consumer` is the name or id of a sink of the type `sequin_stream`; `base_url` has no path"
                    }
                    SequinProtocol::Legacy { .. } => {
                        "`consumer` is the id of an HTTP consumer; `base_url` ends before `/v1`"
                    }
                })
            }
            _ if status.is_server_error()
                || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) =>
            {
                Error::unavailable(format!("Sequin answers with status {}", status.as_u16()))
                    .with_hint("look at the server's own log and health; messages wait there meanwhile")
            }
            _ if status.is_redirection() => {
                Error::config(format!("Sequin answers with a redirect, status {}", status.as_u16()))
                    .with_hint("`base_url` must be the final address, with the right scheme and port")
            }
            _ => Error::config(format!("Sequin refuses the request, with status {}", status.as_u16())).with_hint(
                "look whether `base_url` is the Sequin server itself, and `protocol` the one that it speaks",
            ),
        };
        match summary(&answer.body) {
            Some(said) => error.with_source(said),
            None => error,
        }
    }
}

/// `{"ack_ids": […]}`, or under the older name.
struct Tokens<'a> {
    field: &'static str,
    some: &'a [&'a str],
}

impl Serialize for Tokens<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.field, self.some)])
    }
}

/// The short explanation that Sequin puts into its errors.
fn summary(body: &Bytes) -> Option<String> {
    const LONGEST: usize = 200;
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let said = body.get("summary")?.as_str()?;
    Some(said.chars().filter(|c| !c.is_control()).take(LONGEST).collect())
}

/// A name as a segment of a path: RFC 3986, all but the unreserved characters.
fn encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_of_the_path() {
        let check = |protocol: &SequinProtocol, expect: &str| {
            let consumer = Consumer::new("https://a.example:7376//", protocol, "or/ders ä");
            assert_eq!(consumer.path, expect);
        };
        check(&SequinProtocol::Stream, "https://a.example:7376/api/sequin_streams/or%2Fders%20%C3%A4");
        let legacy = SequinProtocol::Legacy { credential: "c".into() };
        check(&legacy, "https://a.example:7376/v1/http-consumers/or%2Fders%20%C3%A4");
    }

    #[test]
    fn tokens_have_the_name_of_their_protocol() {
        let tokens = Tokens { field: "ack_ids", some: &["a", "b"] };
        assert_eq!(serde_json::to_string(&tokens).unwrap(), r#"{"ack_ids":["a","b"]}"#);
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let consumer = Consumer::new("https://a.example", &SequinProtocol::Stream, "orders");
        let check = |status: u16, body: &'static str, kind: Kind, words: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Response { status, headers: Default::default(), body: body.into() };
            let error = consumer.refused(&answer);
            assert_eq!(error.kind(), kind, "{error:?}");
            let shown = format!("{} / {}", error.chain(), error.hint().unwrap());
            assert!(shown.contains(words), "{shown}");
        };
        check(
            401,
            r#"{"summary":"Unauthorized"}"#,
            Kind::Auth,
            "refuses the token, with status 401: Unauthorized / make a",
        );
        check(
            404,
            r#"{"summary":"Not found"}"#,
            Kind::Config,
            "no consumer `orders`: Not found / `consumer` is the name",
        );
        check(400, r#"{"summary":"Invalid ack_ids"}"#, Kind::Config, "status 400: Invalid ack_ids");
        check(500, "<html>", Kind::Unavailable, "status 500 / look at the server");
        check(429, "", Kind::Unavailable, "status 429");
        check(302, "", Kind::Config, "a redirect");
    }
}
