//! What a Lambda function talks to: the Runtime API, and of the Extensions API as much as the graceful shutdown of
//! `lambda_runtime` needs. One of these is one execution environment: it has one invocation under way at a time.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// The largest response that Lambda takes, in bytes.
const RESPONSE_LIMIT: usize = 6 * 1024 * 1024;

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// The function answered.
    Response(Bytes),
    /// The function reported an error, or Lambda did in its stead.
    Error {
        /// `Lambda-Runtime-Function-Error-Type`; empty when the function sent none.
        kind: String,
        /// The JSON document with `errorType` and `errorMessage`.
        body: Bytes,
    },
    /// The deadline passed. Lambda would have killed the environment.
    TimedOut,
    /// The process ended without a word, as seen when its successor asked for work or by [`RuntimeApi::abandon`].
    Lost,
}

impl Invocation {
    /// The response, if it is one.
    pub fn response(&self) -> Option<&[u8]> {
        match self {
            Invocation::Response(body) => Some(body),
            _ => None,
        }
    }

    /// The response as JSON. Panics when it is something else.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let Invocation::Response(body) = self else { panic!("no response: {self:?}") };
        serde_json::from_slice(body).expect("the response is JSON")
    }
}

struct Event {
    id: String,
    payload: Bytes,
    deadline: SystemTime,
    answer: oneshot::Sender<Invocation>,
}

struct State {
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    under_way: Mutex<Option<(String, oneshot::Sender<Invocation>)>>,
    init_errors: Mutex<Vec<Bytes>>,
    extensions: Mutex<Vec<String>>,
    polls: AtomicU64,
}

/// A running Runtime API. It ends when it is dropped.
pub struct RuntimeApi {
    address: SocketAddr,
    events: mpsc::UnboundedSender<Event>,
    state: Arc<State>,
    listener: JoinHandle<()>,
    number: AtomicU64,
}

impl RuntimeApi {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let address = listener.local_addr().expect("an address");
        let (events, queue) = mpsc::unbounded_channel();
        let state = Arc::new(State {
            queue: tokio::sync::Mutex::new(queue),
            under_way: Mutex::default(),
            init_errors: Mutex::default(),
            extensions: Mutex::default(),
            polls: AtomicU64::new(0),
        });
        let listener = tokio::spawn(serve(listener, Arc::clone(&state)));
        RuntimeApi { address, events, state, listener, number: AtomicU64::new(1) }
    }

    /// What `AWS_LAMBDA_RUNTIME_API` has to hold.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Hands an event to the function as soon as it asks for one, and waits for how that ends. The deadline counts from
    /// now. Invocations that are made while one is under way wait for their turn.
    pub async fn invoke(&self, payload: impl Into<Bytes>, deadline: Duration) -> Invocation {
        let (answer, ended) = oneshot::channel();
        let id = format!("00000000-0000-4000-8000-{:012x}", self.number.fetch_add(1, Ordering::Relaxed));
        let event = Event { id, payload: payload.into(), deadline: SystemTime::now() + deadline, answer };
        self.events.send(event).expect("the receiver is in our state");
        match tokio::time::timeout(deadline, ended).await {
            Ok(Ok(invocation)) => invocation,
            Ok(Err(_)) => Invocation::Lost,
            Err(_) => Invocation::TimedOut,
        }
    }

    /// Gives up the invocation under way, for a function that has been killed and gets no successor.
    pub fn abandon(&self) {
        *lock(&self.state.under_way) = None;
    }

    /// How often a function has asked for work. The first time is the end of its init phase.
    pub fn polls(&self) -> u64 {
        self.state.polls.load(Ordering::SeqCst)
    }

    /// The errors that a function reported instead of starting.
    pub fn init_errors(&self) -> Vec<Bytes> {
        lock(&self.state.init_errors).clone()
    }

    /// The names of the registered extensions.
    pub fn extensions(&self) -> Vec<String> {
        lock(&self.state.extensions).clone()
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no panic while it was held")
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    // The connections end with this task, so that a dropped API answers nobody.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let service = hyper::service::service_fn(move |request| {
            let state = Arc::clone(&state);
            async move { Ok::<_, Infallible>(answer(&state, request).await) }
        });
        connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(state: &State, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    // A body that breaks off is a killed function: there is nobody to answer.
    let Ok(body) = body.collect().await.map(|body| body.to_bytes()) else { return plain(StatusCode::BAD_REQUEST) };
    let path: Vec<&str> = head.uri.path().trim_start_matches('/').split('/').collect();
    match (&head.method, path.as_slice()) {
        (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => next(state).await,
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "response"]) => {
            if body.len() > RESPONSE_LIMIT {
                let kind = "Function.ResponseSizeTooLarge".to_owned();
                end(state, id, Invocation::Error { kind, body: Bytes::new() });
                return plain(StatusCode::PAYLOAD_TOO_LARGE);
            }
            end(state, id, Invocation::Response(body))
        }
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "error"]) => {
            let kind = header("lambda-runtime-function-error-type");
            end(state, id, Invocation::Error { kind, body })
        }
        (&Method::POST, ["2018-06-01", "runtime", "init", "error"]) => {
            lock(&state.init_errors).push(body);
            plain(StatusCode::ACCEPTED)
        }
        (&Method::POST, ["2020-01-01", "extension", "register"]) => {
            let name = header("lambda-extension-name");
            let body = r#"{"functionName":"test","functionVersion":"$LATEST","handler":"bootstrap"}"#;
            let id = format!("00000000-0000-4000-9000-{:012x}", name.len());
            lock(&state.extensions).push(name);
            Response::builder()
                .header("lambda-extension-identifier", id)
                .body(Full::from(body))
                .expect("a valid response")
        }
        // Nobody subscribes to events: the answer never comes, and the request ends with its connection.
        (&Method::GET, ["2020-01-01", "extension", "event", "next"]) => std::future::pending().await,
        _ => plain(StatusCode::NOT_FOUND),
    }
}

async fn next(state: &State) -> Response<Full<Bytes>> {
    state.polls.fetch_add(1, Ordering::SeqCst);
    // Whoever asks for work has none: what was under way is lost.
    *lock(&state.under_way) = None;
    let event = loop {
        let Some(event) = state.queue.lock().await.recv().await else { return plain(StatusCode::GONE) };
        // Nobody waits for it any more once its deadline has passed.
        if !event.answer.is_closed() {
            break event;
        }
    };
    let deadline = event.deadline.duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &event.id)
        .header("lambda-runtime-deadline-ms", deadline.to_string())
        .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:test")
        .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0")
        .body(Full::new(event.payload))
        .expect("a valid response");
    *lock(&state.under_way) = Some((event.id, event.answer));
    response
}

/// Ends the invocation of this id. The API refuses the answer to any other.
fn end(state: &State, id: &str, how: Invocation) -> Response<Full<Bytes>> {
    let ended = lock(&state.under_way).take_if(|(current, _)| current == id);
    let Some((_, answer)) = ended else { return plain(StatusCode::BAD_REQUEST) };
    // Too late is no error of the function's.
    let _ = answer.send(how);
    plain(StatusCode::ACCEPTED)
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(r#"{"status":"OK"}"#));
    *response.status_mut() = status;
    response
}
