//! An SQS that isn't one: it takes messages, and hands them to workers as an event source mapping does, a hundred at once or
//! what has come within a second. It answers at once and loses nothing; what fails comes again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tributary_tests::{Invocation, RuntimeApi};

use crate::Failure;

/// `BatchSize` and `MaximumBatchingWindowInSeconds` of the template.
const BATCH: usize = 100;
const WINDOW: Duration = Duration::from_secs(1);

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct State {
    waiting: VecDeque<(u64, String)>,
    sent: u64,
    /// Messages that a worker has.
    with_workers: usize,
    /// No more will come: nobody need wait for a batch to be full.
    closed: bool,
}

/// A running queue. It ends when it is dropped.
pub(crate) struct Queue {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    listener: JoinHandle<()>,
}

impl Queue {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, state) = (listener.local_addr()?, Arc::<Mutex<State>>::default());
        let listener = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Queue { address, state, listener })
    }

    /// Where it listens: `AWS_ENDPOINT_URL`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Hands messages to a worker for as long as any come.
    pub(crate) fn work(&self, worker: Arc<RuntimeApi>) -> JoinHandle<Result<(), String>> {
        let state = Arc::clone(&self.state);
        tokio::spawn(async move {
            loop {
                let batch = take(&state).await;
                if batch.is_empty() {
                    return Ok(());
                }
                let ended = worker.invoke(event(&batch), PATIENCE).await;
                let Invocation::Response(answer) = ended else { return Err(format!("a worker failed: {ended:?}")) };
                let answer: Value = serde_json::from_slice(&answer).map_err(|why| why.to_string())?;
                let failed = answer["batchItemFailures"].as_array().cloned().unwrap_or_default();
                let mut state = lock(&state);
                state.with_workers -= batch.len();
                let failed: Vec<u64> =
                    failed.iter().filter_map(|one| one["itemIdentifier"].as_str()?.parse().ok()).collect();
                let again = |(id, _): &(u64, String)| failed.contains(id);
                state.waiting.extend(batch.into_iter().filter(again));
            }
        })
    }

    /// Waits until all that was sent is worked off.
    pub(crate) async fn drained(&self) {
        lock(&self.state).closed = true;
        loop {
            {
                let state = lock(&self.state);
                if state.waiting.is_empty() && state.with_workers == 0 {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A batch, as soon as it is full or its window is over; none when no more will come.
async fn take(state: &Mutex<State>) -> Vec<(u64, String)> {
    let mut since = None;
    loop {
        {
            let mut state = lock(state);
            let over = since.is_some_and(|since: Instant| since.elapsed() >= WINDOW);
            if state.waiting.len() >= BATCH || !state.waiting.is_empty() && (over || state.closed) {
                let most = state.waiting.len().min(BATCH);
                state.with_workers += most;
                return state.waiting.drain(..most).collect();
            }
            if state.closed && state.with_workers == 0 {
                return Vec::new();
            }
            if !state.waiting.is_empty() {
                since.get_or_insert_with(Instant::now);
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// As Lambda hands messages to a function.
fn event(batch: &[(u64, String)]) -> String {
    let record = |(id, body): &(u64, String)| {
        json!({
            "messageId": id.to_string(), "receiptHandle": "handle", "body": body,
            "attributes": { "ApproximateReceiveCount": "1" }, "messageAttributes": {}, "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:webhook", "awsRegion": "us-east-1",
        })
    };
    json!({ "Records": batch.iter().map(record).collect::<Vec<_>>() }).to_string()
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
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

/// Takes a message: `SendMessage` is all that the function asks for.
async fn answer(state: &Mutex<State>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let sends = request.headers().get("x-amz-target").is_some_and(|target| target == "AmazonSQS.SendMessage");
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let message =
        serde_json::from_slice::<Value>(&body).ok().and_then(|sent| Some(sent["MessageBody"].as_str()?.to_owned()));
    let (Some(message), true) = (message, sends) else {
        let mut refused = Response::new(Full::default());
        *refused.status_mut() = hyper::StatusCode::BAD_REQUEST;
        return refused;
    };
    let mut state = lock(state);
    state.sent += 1;
    let id = state.sent;
    state.waiting.push_back((id, message));
    Response::new(Full::from(json!({ "MessageId": id.to_string() }).to_string()))
}
