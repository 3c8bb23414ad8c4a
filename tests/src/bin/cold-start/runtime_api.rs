//! A Runtime API that tells when a function asks for its first event, and never has one.

use std::convert::Infallible;
use std::future::pending;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use crate::Failure;

/// A running Runtime API, until the benchmark ends.
pub(crate) struct RuntimeApi {
    /// What `AWS_LAMBDA_RUNTIME_API` has to hold.
    pub(crate) address: String,
    asked: broadcast::Sender<Instant>,
}

impl RuntimeApi {
    /// Listens on a free port.
    pub(crate) async fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (asked, _) = broadcast::channel(4);
        let bell = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let bell = bell.clone();
                tokio::spawn(async move {
                    let serve = service_fn(async |request: Request<hyper::body::Incoming>| {
                        if request.uri().path().ends_with("/runtime/invocation/next") {
                            let _ = bell.send(Instant::now());
                            pending::<()>().await;
                        }
                        // A failed init, or an extension that registers: neither is what is measured.
                        let mut answer = Response::new(Full::new(Bytes::new()));
                        *answer.status_mut() = StatusCode::NOT_FOUND;
                        Ok::<_, Infallible>(answer)
                    });
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await;
                });
            }
        });
        Ok(RuntimeApi { address, asked })
    }

    /// Hears of the next function that asks for an event.
    pub(crate) fn hear(&self) -> broadcast::Receiver<Instant> {
        self.asked.subscribe()
    }
}
