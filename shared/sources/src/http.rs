//! One HTTP client for all sources that are asked over HTTP.
//!
//! It sends what it is given and says what came back: no redirect is followed, so that a token never goes to another host;
//! nothing is logged, so that no body does; any status is an answer. What an answer means is its source's business.

mod patience;
mod request;
mod response;
mod stream;

use std::sync::OnceLock;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::http::response::Parts;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tributary_core::sink::Budget;
use tributary_core::{Error, Result};

use std::error::Error as StdError;
use std::time::Duration;

pub use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
pub use hyper::{Method, StatusCode};
pub use patience::Patience;
pub use request::Request;
pub use response::{Response, date, retry_after};
pub use stream::Opened;

/// How long a connection may take to come about. A host that is not routed answers nothing at all.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(50);

type Connections = Pool<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client with its connections: HTTP/1.1, TLS by rustls with the roots of the operating system.
///
/// Made once a process. Reading the roots costs milliseconds, so that is left to the first request.
#[derive(Debug, Default)]
pub struct Client {
    connections: OnceLock<Connections>,
}

impl Client {
    /// A client without a connection yet.
    pub fn new() -> Self {
        Client::default()
    }

    /// Sends a request once. Any status is `Ok`.
    ///
    /// # Errors
    /// `Unavailable` when there is no connection, no answer in time, or a body that was cut short; `Data` when the body is
    /// longer than the request allows; `Config` when the address is none, or the system has no roots.
    pub async fn send(&self, request: &Request, budget: &impl Budget) -> Result<Response> {
        let limit = budget.remaining().map_or(request.timeout, |left| left.min(request.timeout));
        let sent = tokio::time::timeout(limit, self.exchange(request)).await;
        sent.unwrap_or_else(|_| Err(silent(request, limit)))
    }

    /// Sends a request once, and gives the answer as soon as its head is there. Any status is `Ok`.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn open(&self, request: &Request, budget: &impl Budget) -> Result<Opened> {
        let limit = budget.remaining().map_or(request.timeout, |left| left.min(request.timeout));
        let began = tokio::time::timeout(limit, self.begin(request)).await;
        let (head, body) = began.unwrap_or_else(|_| Err(silent(request, limit)))?;
        Ok(Opened { status: head.status, headers: head.headers, body, request: request.clone() })
    }

    async fn exchange(&self, request: &Request) -> Result<Response> {
        let (head, body) = self.begin(request).await?;
        let body = Limited::new(body, request.limit).collect().await.map_err(|error| unread(request, error))?;
        Ok(Response { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    async fn begin(&self, request: &Request) -> Result<(Parts, Incoming)> {
        let connections = self.connections()?;
        let answer = connections.request(request.to_hyper()?).await.map_err(|error| unreached(request, error))?;
        Ok(answer.into_parts())
    }

    fn connections(&self) -> Result<&Connections> {
        if let Some(connections) = self.connections.get() {
            return Ok(connections);
        }
        let connections = connect()?;
        Ok(self.connections.get_or_init(|| connections))
    }
}

fn connect() -> Result<Connections> {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let tls = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| {
            Error::config("the system's root certificates cannot be read")
                .with_hint("install the package ca-certificates, or name a PEM file in SSL_CERT_FILE")
                .with_source(error)
        })?;
    let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
    let mut builder = Pool::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
    Ok(builder.build(connector))
}

fn silent(request: &Request, limit: Duration) -> Error {
    Error::unavailable(format!("{} did not answer within {:.1} s", request.host(), limit.as_secs_f64()))
}

fn unreached(request: &Request, error: hyper_util::client::legacy::Error) -> Error {
    let message = if error.is_connect() {
        format!("{} cannot be reached", request.host())
    } else {
        format!("{} ended the connection without an answer", request.host())
    };
    Error::unavailable(message)
        .with_hint("check the address; a function in a VPC needs a NAT gateway to reach the internet")
        .with_source(error)
}

fn unread(request: &Request, error: Box<dyn StdError + Send + Sync>) -> Error {
    if error.is::<LengthLimitError>() {
        let message = format!("the answer of {} is longer than {} bytes", request.host(), request.limit);
        return Error::data(message).with_hint("ask for smaller pages");
    }
    Error::unavailable(format!("the answer of {} was cut short", request.host())).with_source(error)
}

#[cfg(test)]
mod tests;
