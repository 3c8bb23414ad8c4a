//! Hooks that hold no rows: they have the functions that poll run now.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::fixture::*;

const TRIGGERS: &str = include_str!("triggers.yaml");

type Calls = Arc<Mutex<Vec<(String, String, Value)>>>;

async fn answer(request: Request<Incoming>, calls: Calls, status: u16) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let how = head.headers["x-amz-invocation-type"].to_str().unwrap().to_owned();
    let body = serde_json::from_slice(&body).unwrap();
    calls.lock().unwrap().push((head.uri.path().to_owned(), how, body));
    Ok(Response::builder().status(status).body(Full::new(Bytes::new())).unwrap())
}

/// What stands in for Lambda: it keeps what it is asked to invoke.
struct Lambda {
    url: String,
    calls: Calls,
    listener: JoinHandle<()>,
}

impl Lambda {
    async fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Calls::default();
        let kept = Arc::clone(&calls);
        let listener = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                let service = hyper::service::service_fn(move |request| answer(request, Arc::clone(&kept), status));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Lambda { url, calls, listener }
    }

    fn calls(&self) -> Vec<(String, String, Value)> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn served(lambda: &Lambda) -> Served {
    let own = [
        ("AWS_ENDPOINT_URL_LAMBDA", lambda.url.as_str()),
        ("TRIBUTARY_POLL_FUNCTIONS", "airtable=airtable-poll, sequin=sequin-poll"),
        ("AIRTABLE_TOKEN", "pat"),
        ("SEQUIN_TOKEN", "token"),
    ];
    serve(TRIGGERS, "postgres://127.0.0.1:1/x", 1, &own).await
}

fn ping(base: &str) -> Post {
    let body = json!({ "base": { "id": base }, "webhook": { "id": "ach1" }, "timestamp": "2026-02-01T21:25:05.663Z" });
    post("airtable", body.to_string())
}

fn cron(pipelines: &Value) -> Post {
    let body = json!({
        "id": "s1", "name": "c", "scheduled_time": "2026-01-01T00:00:00Z", "payload": { "pipeline": pipelines }
    });
    post("schedule", body.to_string())
}

fn tick(function: &str, pipelines: &[&str]) -> (String, String, Value) {
    let tick = json!({ "tick": { "pipelines": pipelines, "force": true } });
    (format!("/2015-03-31/functions/{function}/invocations"), "Event".to_owned(), tick)
}

#[tokio::test]
async fn a_hint_has_its_pipelines_run_without_a_database() {
    let lambda = Lambda::start(202).await;
    let served = served(&lambda).await;
    let (status, body) = served.post(&ping("appAAAAAAAAAAAAAA")).await;
    assert_eq!((status, body), (204, Value::Null), "{}", served.log());
    assert_eq!(lambda.calls(), [tick("airtable-poll", &["homes"])]);
    // Of another base.
    assert_eq!(served.post(&ping("appBBBBBBBBBBBBBB")).await.0, 204);
    assert_eq!(lambda.calls(), []);
    let (status, body) = served.post(&cron(&json!(["homes", "orders"]))).await;
    assert_eq!((status, body), (202, json!({ "runs": ["homes", "orders"] })), "{}", served.log());
    let mut calls = lambda.calls();
    calls.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(calls, [tick("airtable-poll", &["homes"]), tick("sequin-poll", &["orders"])]);
    let central = post("central", r#"{"type": "submission.create", "id": "uuid:1", "data": {"xml": "<x/>"}}"#);
    assert_eq!(served.post(&central).await, (202, json!({ "runs": ["orders"] })));
    assert_eq!(lambda.calls(), [tick("sequin-poll", &["orders"])]);
}

#[tokio::test]
async fn nobody_runs_what_a_hook_may_not() {
    let lambda = Lambda::start(202).await;
    let served = served(&lambda).await;
    assert_eq!(served.post(&cron(&json!("other"))).await.0, 400);
    assert_eq!(served.post(&cron(&json!(7))).await.0, 400);
    assert_eq!(served.post(&cron(&json!("homes")).secret("guess")).await.0, 401);
    assert_eq!(served.post(&ping("appAAAAAAAAAAAAAA").secret("AAAA")).await.0, 401);
    assert_eq!(lambda.calls(), []);
}

#[tokio::test]
async fn while_lambda_is_away_the_sender_comes_again() {
    let lambda = Lambda::start(503).await;
    let served = served(&lambda).await;
    assert_eq!(served.post(&ping("appAAAAAAAAAAAAAA")).await.0, 503, "{}", served.log());
    assert!(!lambda.calls().is_empty());
}
