//! A Secrets Manager that has one secret, over TLS.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::Failure;
use crate::authority::Authority;

/// A running Secrets Manager, until the benchmark ends.
pub(crate) struct SecretsManager {
    /// What `AWS_ENDPOINT_URL_SECRETS_MANAGER` has to hold.
    pub(crate) endpoint: String,
    asked: Arc<AtomicU64>,
}

impl SecretsManager {
    /// Listens on a free port; the secret of any name is this text.
    pub(crate) async fn start(authority: &Authority, secret: &str) -> Result<Self, Failure> {
        let (certificate, key) = authority.certify()?;
        let key = PrivateKeyDer::try_from(key.serialize_der())?;
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("https://localhost:{}", listener.local_addr()?.port());
        let answer = serde_json::json!({
            "ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/warehouse-AbCdEf",
            "Name": "prod/warehouse",
            "SecretString": secret,
            "VersionId": "00000000-0000-4000-8000-000000000000",
            "VersionStages": ["AWSCURRENT"],
            "CreatedDate": 1_767_225_600.0,
        });
        let answer = Bytes::from(answer.to_string());
        let asked = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answer, counter) = (acceptor.clone(), answer.clone(), Arc::clone(&counter));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let serve = service_fn(async |request: hyper::Request<hyper::body::Incoming>| {
                        let _ = request.into_body().collect().await;
                        counter.fetch_add(1, Ordering::Relaxed);
                        Ok::<_, Infallible>(Response::new(Full::new(answer.clone())))
                    });
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await;
                });
            }
        });
        Ok(SecretsManager { endpoint, asked })
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}
