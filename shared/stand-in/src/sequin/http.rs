//! The two products' APIs.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Fault, Shared, World};

type Body = BoxBody<Bytes, std::io::Error>;

/// The most messages that one receive may ask for.
const MOST: u64 = 1_000;

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // The connections end with this task, so that a dropped server answers nobody.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // A small answer must not wait for an acknowledgement of its head.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        let service = hyper::service::service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { answer(&shared, request).await }
        });
        connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// An answer before it is a response.
struct Answer(u16, String);

impl Answer {
    fn summary(status: u16, text: &str) -> Self {
        Answer(status, json!({ "summary": text }).to_string())
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(|body| body.to_bytes()) else {
        return Ok(response(Answer::summary(400, "the body broke off")));
    };
    let path = head.uri.path().to_owned();
    let path: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let kind = match (&head.method, path.as_slice()) {
        (&(Method::GET | Method::POST), ["api", "sequin_streams" | "http_pull_consumers", _, "receive"]) => "receive",
        (&Method::POST, ["api", "sequin_streams" | "http_pull_consumers", _, "ack"]) => "ack",
        (&Method::POST, ["api", "sequin_streams" | "http_pull_consumers", _, "nack"]) => "nack",
        (&(Method::GET | Method::POST), ["v1", "http-consumers", _, "next"]) => "next",
        (&Method::POST, ["v1", "http-consumers", _, "ack"]) => "ack",
        (&Method::POST, ["v1", "http-consumers", _, "nack"]) => "nack",
        (&Method::GET, ["v1", "collections", _]) => "collections",
        _ => return Ok(response(Answer::summary(404, "Not found"))),
    };
    let fault = shared.faults.take(kind);
    match &fault {
        Some(Fault::Status(status, body)) => return Ok(response(Answer(*status, body.clone()))),
        Some(Fault::Drop) => return Ok(broken("", 0)),
        Some(Fault::Slow(time)) => tokio::time::sleep(*time).await,
        Some(Fault::Hold) => shared.faults.hold().await,
        _ => {}
    }
    let answer = {
        let mut world = shared.world.lock().expect("no panic while it was held");
        *world.requests.entry(kind).or_default() += 1;
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let asked = Asked {
            authorization: header(AUTHORIZATION),
            is_json: header(CONTENT_TYPE) == "application/json",
            is_post: head.method == Method::POST,
            query: head.uri.query().unwrap_or_default(),
            body: &body,
        };
        done(&mut world, kind, &path, &asked)
    };
    Ok(match fault {
        Some(Fault::Body(body)) => response(Answer(200, body)),
        Some(Fault::Cut(bytes)) => broken(&answer.1, bytes),
        Some(Fault::HoldAnswer) => {
            shared.faults.hold().await;
            response(answer)
        }
        _ => response(answer),
    })
}

struct Asked<'a> {
    authorization: &'a str,
    is_json: bool,
    is_post: bool,
    query: &'a str,
    body: &'a [u8],
}

impl Asked<'_> {
    /// A parameter of the query or the JSON body.
    fn parameter(&self, name: &str) -> Option<Value> {
        let of_query = self.query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
        let number = |text: &str| text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number));
        of_query.map(|(_, value)| number(value)).or_else(|| {
            let body: Value = serde_json::from_slice(self.body).ok()?;
            body.get(name).cloned()
        })
    }

    fn ids(&self, name: &str) -> Option<Vec<String>> {
        let ids = self.parameter(name)?;
        ids.as_array()?.iter().map(|id| id.as_str().map(str::to_owned)).collect()
    }
}

fn done(world: &mut World, kind: &str, path: &[&str], asked: &Asked<'_>) -> Answer {
    if !world.tokens.iter().any(|token| asked.authorization == format!("Bearer {token}")) {
        return Answer::summary(401, "Unauthorized");
    }
    let now = world.now();
    let name = decoded(path[2]);
    if path[0] == "api" {
        if asked.is_post && !asked.is_json {
            return Answer::summary(400, "Missing content-type header: application/json");
        }
        let Some(consumer) = world.consumers.get_mut(&name) else { return Answer::summary(404, "Not found") };
        return match kind {
            "receive" => {
                let most = asked.parameter("max_batch_size").or_else(|| asked.parameter("batch_size"));
                let most = most.map_or(Some(1), |most| most.as_u64().filter(|most| (1..=MOST).contains(most)));
                let Some(most) = most else {
                    return Answer::summary(
                        400,
                        "Invalid `max_batch_size`. `max_batch_size` must be between 1 and 1000",
                    );
                };
                let wait = asked.parameter("wait_for");
                if wait.is_some_and(|wait| !wait.as_u64().is_some_and(|wait| (500..=300_000).contains(&wait))) {
                    return Answer::summary(400, "Invalid `wait_for`. Must be between 500ms and 5m");
                }
                let messages = consumer.store.receive(most as usize, now);
                Answer(200, format!("{{\"data\":[{}]}}", messages.join(",")))
            }
            _ => {
                let ids = asked.ids("ack_ids").or_else(|| asked.ids("ack_tokens")).filter(|ids| !ids.is_empty());
                let Some(ids) = ids.filter(|ids| ids.iter().all(|id| is_uuid(id))) else {
                    let text =
                        "Invalid ack_ids. Must send a top-level `ack_ids` property that is a non-empty list of UUIDs";
                    return Answer::summary(400, text);
                };
                let settle = |id: &String| if kind == "ack" { consumer.store.ack(id) } else { consumer.store.nack(id) };
                ids.iter().for_each(settle);
                Answer(200, r#"{"success":true}"#.to_owned())
            }
        };
    }
    let legacy = &mut world.legacy;
    match kind {
        "collections" if name == legacy.credential => Answer(200, legacy.collections_json().to_string()),
        "next" if name == legacy.consumer => {
            let most = asked.parameter("batch_size").and_then(|most| most.as_u64()).unwrap_or(1);
            let messages = legacy.store.receive(most as usize, now);
            Answer(200, legacy.answer(&messages))
        }
        "ack" | "nack" if name == legacy.consumer => {
            let Some(tokens) = asked.ids("ack_tokens") else { return Answer::summary(400, "ack_tokens is missing") };
            let store = &mut legacy.store;
            tokens.iter().for_each(|token| if kind == "ack" { store.ack(token) } else { store.nack(token) });
            Answer(204, String::new())
        }
        _ => Answer::summary(404, "Not found"),
    }
}

fn is_uuid(text: &str) -> bool {
    let form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    let fits = |(byte, form): (u8, u8)| if form == b'x' { byte.is_ascii_hexdigit() } else { byte == form };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
}

fn decoded(segment: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: String = rest.by_ref().take(2).map(char::from).collect();
            bytes.push(u8::from_str_radix(&digits, 16).expect("a percent-encoded byte"));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn response(Answer(status, body): Answer) -> Response<Body> {
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
    let mut response = Response::new(body.boxed());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response.headers_mut().insert(CONTENT_TYPE, "application/json; charset=utf-8".parse().expect("a header"));
    response
}

/// An answer that announces its whole length and breaks off after so many bytes.
fn broken(body: &str, bytes: usize) -> Response<Body> {
    let length = body.len().max(bytes + 1);
    let start = Bytes::copy_from_slice(&body.as_bytes()[..bytes.min(body.len())]);
    let end = async {
        // So that what was sent so far is on its way.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(std::io::Error::other("cut"))
    };
    let frames = futures_util::StreamExt::chain(stream::iter([Ok(Frame::data(start))]), stream::once(end));
    let mut response = Response::new(BoxBody::new(StreamBody::new(frames)));
    response.headers_mut().insert(CONTENT_LENGTH, length.to_string().parse().expect("a header"));
    response
}
