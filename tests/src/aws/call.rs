//! Requests to the emulator for which no SDK is among our dependencies. Nothing is signed: it asks nobody who he is, and
//! of a signature reads only for which service it is.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::Aws;

/// What the emulator answers.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// Itself. Panics when it is an error.
    #[track_caller]
    pub fn success(self) -> Self {
        assert!(self.status.is_success(), "{}: {}", self.status, String::from_utf8_lossy(&self.body));
        self
    }

    /// The body as JSON. Panics when the answer is an error.
    #[track_caller]
    pub fn json(self) -> Value {
        let text = String::from_utf8_lossy(&self.success().body).into_owned();
        serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"))
    }
}

impl Aws {
    /// Calls an operation of a service that speaks JSON: `target` is what its header `X-Amz-Target` has to hold, such as
    /// `AmazonSQS.ReceiveMessage`.
    pub async fn call(&self, service: &str, target: &str, body: &Value) -> Value {
        let headers = [("x-amz-target", target), ("content-type", "application/x-amz-json-1.0")];
        self.request(service, "POST", "/", &headers, body.to_string()).await.json()
    }

    /// Makes a queue; returns its URL and its ARN.
    pub async fn create_queue(&self, name: &str) -> (String, String) {
        let made = self.call("sqs", "AmazonSQS.CreateQueue", &json!({ "QueueName": name })).await;
        let url = made["QueueUrl"].as_str().expect("a URL").to_owned();
        let wanted = json!({ "QueueUrl": url, "AttributeNames": ["QueueArn"] });
        let attributes = self.call("sqs", "AmazonSQS.GetQueueAttributes", &wanted).await;
        (url, attributes["Attributes"]["QueueArn"].as_str().expect("an ARN").to_owned())
    }

    /// Makes a bucket.
    pub async fn create_bucket(&self, name: &str) {
        let region = Aws::REGION;
        let body = format!(
            r#"<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"#
        );
        self.request("s3", "PUT", &format!("/{name}"), &[], body).await.success();
    }

    /// Sends a request to a service that goes by paths, such as Lambda.
    pub async fn request(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let scope = format!("test/20260101/{}/{service}/aws4_request", Aws::REGION);
        let signature = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        let headers = [&[("authorization", &*signature)], headers].concat();
        self.send(self.address(), method, path, &headers, body).await
    }

    /// Sends what anybody may send who knows the name of a host, such as that of a function URL.
    pub async fn send(
        &self,
        host: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let stream = TcpStream::connect(self.address()).await.expect("connect to the emulator");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("greet the emulator");
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a valid request");
        let (head, body) = sender.send_request(request).await.expect("an answer of the emulator").into_parts();
        let body = body.collect().await.expect("the rest of the answer").to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// Host and port.
    fn address(&self) -> &str {
        self.endpoint().strip_prefix("http://").expect("our own URL")
    }
}
