//! The HTTP client of the AWS SDK: hyper over rustls, one pool of connections a process.
//!
//! The SDK's own brings HTTP/2, proxies and what ties them together, 0.5 MB of program for an endpoint that is asked once
//! in a cold start. The types are those of `tributary_sources::http`, so that a function that has both has them once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// How long the way to an endpoint may take. An unreachable one is the usual trouble in a VPC.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(20);

type Connections = Pool<HttpsConnector<Tcp>, Full<Bytes>>;

/// A client for the SDK; the system's root certificates are read at its first request.
pub(crate) fn client() -> SharedHttpClient {
    SharedHttpClient::new(Client::default())
}

#[derive(Clone, Debug, Default)]
struct Client {
    connections: Arc<OnceLock<Connections>>,
    /// How long an answer may take to begin.
    patience: Option<Duration>,
}

impl HttpClient for Client {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let connections = Arc::clone(&self.connections);
        SharedHttpConnector::new(Client { connections, patience: settings.read_timeout() })
    }
}

impl HttpConnector for Client {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.clone();
        HttpConnectorFuture::new(async move { client.send(request).await })
    }
}

impl Client {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(ConnectorError::user)?.to_bytes();
        let answer = self.connections()?.request(hyper::Request::from_parts(head, Full::new(body)));
        let answer = match self.patience {
            Some(patience) => {
                tokio::time::timeout(patience, answer).await.map_err(|e| ConnectorError::timeout(e.into()))?
            }
            None => answer.await,
        };
        // Whatever goes wrong on the way may go right the next time.
        let answer = answer.map_err(|error| ConnectorError::io(error.into()))?;
        HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
            .map_err(|error| ConnectorError::other(error.into(), None))
    }

    fn connections(&self) -> Result<&Connections, ConnectorError> {
        if let Some(connections) = self.connections.get() {
            return Ok(connections);
        }
        let made = connect().map_err(|error| ConnectorError::user(error.into()))?;
        Ok(self.connections.get_or_init(|| made))
    }
}

/// The provider is named, never taken from the process: a library that installs another must not change ours.
fn connect() -> std::io::Result<Connections> {
    let mut tcp = Tcp::new();
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(rustls::crypto::ring::default_provider())?;
    let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
    let mut builder = Pool::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
    Ok(builder.build(connector))
}
