//! What stands before a function that takes requests: a function URL, or an HTTP API. Requests become events in payload
//! format 2.0, each for an execution environment of its own while it is under way; answers become responses.
//!
//! Lambda developer guide, "Invoking Lambda function URLs".

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::{Invocation, RuntimeApi};

/// The largest event of a synchronous invocation, in bytes (Lambda developer guide, "Lambda quotas").
pub const EVENT_LIMIT: usize = 6 * 1024 * 1024;

/// A running gateway. It ends when it is dropped.
pub struct Gateway {
    address: SocketAddr,
    listener: JoinHandle<()>,
}

struct Environments {
    all: Vec<Arc<RuntimeApi>>,
    idle: Mutex<mpsc::UnboundedReceiver<usize>>,
    done: mpsc::UnboundedSender<usize>,
    timeout: Duration,
}

impl Gateway {
    /// Listens on a free port, before these environments. A request waits until one of them is idle; `timeout` is the
    /// function's.
    pub async fn start(environments: Vec<Arc<RuntimeApi>>, timeout: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let address = listener.local_addr().expect("an address");
        let (done, idle) = mpsc::unbounded_channel();
        (0..environments.len()).for_each(|number| done.send(number).expect("the receiver is here"));
        let environments = Arc::new(Environments { all: environments, idle: Mutex::new(idle), done, timeout });
        Gateway { address, listener: tokio::spawn(serve(listener, environments)) }
    }

    /// Its address, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn serve(listener: TcpListener, environments: Arc<Environments>) {
    // The connections end with this task, so that a dropped gateway answers nobody.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let environments = Arc::clone(&environments);
        let service = hyper::service::service_fn(move |request| {
            let environments = Arc::clone(&environments);
            async move { Ok::<_, Infallible>(answer(&environments, request).await) }
        });
        connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(environments: &Environments, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(|body| body.to_bytes()) else { return plain(StatusCode::BAD_REQUEST) };
    let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
    let event = event(head.method.as_str(), head.uri.path(), headers, &body).to_string();
    if event.len() > EVENT_LIMIT {
        return plain(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let idle = environments.idle.lock().await.recv().await;
    let Some(number) = idle else { return plain(StatusCode::TOO_MANY_REQUESTS) };
    let ended = environments.all[number].invoke(event, environments.timeout).await;
    environments.done.send(number).expect("the receiver is here");
    match ended {
        Invocation::Response(bytes) => response(&bytes),
        _ => plain(StatusCode::BAD_GATEWAY),
    }
}

/// A request as an event.
pub fn event<'h>(method: &str, path: &str, headers: impl Iterator<Item = (&'h str, &'h str)>, body: &[u8]) -> Value {
    let mut all = Map::new();
    for (name, value) in headers {
        let joined = match all.get(&name.to_ascii_lowercase()) {
            Some(Value::String(before)) => format!("{before},{value}"),
            _ => value.to_owned(),
        };
        all.insert(name.to_ascii_lowercase(), joined.into());
    }
    let kind = all.get("content-type").and_then(Value::as_str).unwrap_or_default();
    let text = (kind.starts_with("application/json") || kind.starts_with("text/"))
        .then(|| std::str::from_utf8(body).ok())
        .flatten()
        .filter(|_| !all.contains_key("content-encoding"));
    let mut event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": all,
        "requestContext": {
            "accountId": "anonymous", "apiId": "url-id", "domainName": "url-id.lambda-url.us-east-1.on.aws",
            "http": {
                "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"
            },
            "requestId": "id", "routeKey": "$default", "stage": "$default", "time": "", "timeEpoch": 0,
        },
        "isBase64Encoded": text.is_none() && !body.is_empty(),
    });
    if !body.is_empty() {
        event["body"] = text.map_or_else(|| STANDARD.encode(body), str::to_owned).into();
    }
    event
}

/// What a caller gets of a function's answer.
fn response(answer: &[u8]) -> Response<Full<Bytes>> {
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else { return plain(StatusCode::BAD_GATEWAY) };
    let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    let Some(status) = status else { return plain(StatusCode::BAD_GATEWAY) };
    let mut response = Response::builder().status(status);
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        response = response.header(name, value.as_str().unwrap_or_default());
    }
    let body = answer["body"].as_str().unwrap_or_default().to_owned();
    response.body(Full::from(body)).unwrap_or_else(|_| plain(StatusCode::BAD_GATEWAY))
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
