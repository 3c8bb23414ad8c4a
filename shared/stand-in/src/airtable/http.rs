//! The Web API: who may ask, for what, how often, and what goes wrong on the way.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use super::limits::Refused;
use super::world::World;
use super::{Airtable, Doer};

/// What happens to an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Another answer.
    Answer(u16, &'static str),
    /// The right answer, late.
    Late(Duration),
    /// Half of the right answer, then the connection ends.
    Cut,
    /// The connection ends before any answer, although the request was served.
    Lost,
}

/// An answer.
pub(super) struct Answer {
    status: u16,
    body: String,
    retry_after: Option<u64>,
}

impl Answer {
    fn new(status: u16, body: String) -> Self {
        Answer { status, body, retry_after: None }
    }

    pub(super) fn ok(body: &Json) -> Self {
        Answer::new(200, body.to_string())
    }

    fn error(status: u16, code: &str) -> Self {
        Answer::new(
            status,
            json!({ "error": { "type": code, "message": "Words about \"hunter2\", a cell of Ada's" } }).to_string(),
        )
    }

    /// A request that makes no sense.
    pub(super) fn invalid(code: &str) -> Self {
        Answer::error(422, code)
    }

    /// What isn't there, or may not be seen.
    pub(super) fn missing() -> Self {
        Answer::error(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")
    }

    /// The other form of error.
    pub(super) fn not_found() -> Self {
        Answer::new(404, json!({ "error": "NOT_FOUND" }).to_string())
    }
}

type Body = BoxBody<Bytes, io::Error>;

pub(super) async fn serve(listener: TcpListener, world: Arc<Mutex<World>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let world = Arc::clone(&world);
        let service = hyper::service::service_fn(move |request| {
            let world = Arc::clone(&world);
            async move { Ok::<_, Infallible>(answer(&world, request).await) }
        });
        connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(world: &Mutex<World>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (answer, fault) = {
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        let path = head.uri.path().to_owned();
        world.log.push(format!("{} {path}", head.method));
        let fault = match world.faults.front() {
            Some((words, _)) if path.contains(words.as_str()) => world.faults.pop_front().map(|(_, fault)| fault),
            _ => None,
        };
        let bearer = head.headers.get("authorization").and_then(|value| value.to_str().ok());
        let answer = match fault {
            Some(Fault::Answer(status, body)) => Answer::new(status, body.to_owned()),
            _ => routed(&mut world, &head.method, &path, head.uri.query().unwrap_or_default(), &body, bearer),
        };
        act(&mut world, &path);
        (answer, fault)
    };
    if let Some(Fault::Late(time)) = fault {
        tokio::time::sleep(time).await;
    }
    let whole = Bytes::from(answer.body);
    let cut = |part: Bytes| {
        let end = async {
            // Until what was sent is on its way.
            tokio::time::sleep(Duration::from_millis(20)).await;
            Err(io::Error::from(io::ErrorKind::ConnectionReset))
        };
        BoxBody::new(StreamBody::new(stream::iter([Ok(Frame::data(part))]).chain(stream::once(end))))
    };
    let body = match fault {
        Some(Fault::Cut) => cut(whole.slice(..whole.len() / 2)),
        Some(Fault::Lost) => cut(Bytes::new()),
        _ => Full::new(whole.clone()).map_err(|never| match never {}).boxed(),
    };
    let mut response = Response::builder()
        .status(StatusCode::from_u16(answer.status).expect("a status"))
        .header("content-type", "application/json");
    if matches!(fault, Some(Fault::Cut | Fault::Lost)) {
        response = response.header("content-length", whole.len().max(1));
    }
    if let Some(seconds) = answer.retry_after {
        response = response.header("retry-after", seconds);
    }
    response.body(body).expect("a valid response")
}

/// Does what is due after this request.
fn act(world: &mut World, path: &str) {
    for (words, left, _) in &mut world.acts {
        if path.contains(words.as_str()) {
            *left = left.saturating_sub(1);
        }
    }
    let (due, rest): (Vec<_>, Vec<_>) =
        std::mem::take(&mut world.acts).into_iter().partition(|(_, left, _)| *left == 0);
    world.acts = rest;
    for (_, _, act) in due {
        act(&Doer(std::cell::RefCell::new(world)));
    }
}

fn routed(world: &mut World, method: &Method, path: &str, query: &str, body: &[u8], bearer: Option<&str>) -> Answer {
    if bearer.and_then(|value| value.strip_prefix("Bearer ")) != Some(world.token.as_str()) {
        return Answer::error(401, "AUTHENTICATION_REQUIRED");
    }
    match world.gate.enter() {
        Ok(()) => {}
        Err(Refused::Quota) => return Answer::error(429, "PUBLIC_API_BILLING_LIMIT_EXCEEDED"),
        Err(Refused::TooMany) => {
            // The form of this one differs from the others'.
            let body = json!({ "errors": [{ "error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded" }] });
            let limits = world.gate.limits;
            let retry_after = limits.retry_after.then(|| limits.penalty.as_secs().max(1));
            return Answer { retry_after, ..Answer::new(429, body.to_string()) };
        }
    }
    let decoded: Vec<String> = path.trim_start_matches('/').split('/').map(decode).collect();
    let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let scope = match parts.as_slice() {
        ["v0", "meta", ..] => "schema.bases:read",
        ["v0", "bases", ..] => "webhook:manage",
        _ => "data.records:read",
    };
    let base = match parts.as_slice() {
        ["v0", "meta", "bases", base, ..] | ["v0", "bases", base, ..] | ["v0", base, ..] => *base,
        _ => return Answer::not_found(),
    };
    if base != Airtable::BASE || world.revoked.contains(scope) {
        return Answer::missing();
    }
    let body = if method == Method::POST { serde_json::from_slice(body).unwrap_or(Json::Null) } else { Json::Null };
    let number = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok())
    };
    match (method, &parts[1..]) {
        (&Method::GET, ["meta", "bases", _, "tables"]) => world.meta(),
        (&Method::GET, ["bases", _, "webhooks"]) => world.list_hooks(),
        (&Method::POST, ["bases", _, "webhooks"]) => world.create_hook(&body),
        (&Method::DELETE, ["bases", _, "webhooks", id]) => world.delete_hook(id),
        (&Method::GET, ["bases", _, "webhooks", id, "payloads"]) => {
            world.payloads(id, number("cursor"), number("limit"))
        }
        (&Method::POST, ["bases", _, "webhooks", id, "refresh"]) => world.refresh_hook(id),
        (&Method::POST, [_, table, "listRecords"]) if body.is_object() => world.list(table, &body),
        _ => Answer::not_found(),
    }
}

fn decode(part: &str) -> String {
    let bytes = part.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let hex =
            (bytes[at] == b'%').then(|| part.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()));
        match hex.flatten() {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
