//! A client of the fake that is as simple as can be.

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tributary_stand_in::odk::survey::{FORM, fields};
use tributary_stand_in::odk::{EMAIL, Odk, PASSWORD};

pub(crate) const FEED: &str = "/v1/projects/1/forms/GRARentalDataCollection.svc/Submissions";

/// A client that is logged in.
pub(crate) struct Client {
    pub(crate) odk: Odk,
    token: String,
}

/// What came back; the body is what came of it, and whether it came whole.
pub(crate) struct Got {
    pub(crate) head: Response<()>,
    pub(crate) body: Vec<u8>,
    pub(crate) whole: bool,
}

impl Got {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.status().as_u16()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers().get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn code(&self) -> f64 {
        self.json()["code"].as_f64().unwrap()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        let body = self.json();
        body["value"].as_array().unwrap().iter().map(|row| row["__id"].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) async fn send(url: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Got {
    let address = url.strip_prefix("http://").unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<bytes::Bytes>::from(body.to_owned())).unwrap();
    let (head, mut body) = sender.send_request(request).await.unwrap().into_parts();
    let (mut bytes, mut whole) = (Vec::new(), true);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(frame.data_ref().unwrap()),
            Err(_) => {
                whole = false;
                break;
            }
        }
    }
    Got { head: Response::from_parts(head, ()), body: bytes, whole }
}

impl Client {
    pub(crate) async fn new() -> Self {
        let odk = Odk::start().await;
        odk.world().add_form(FORM, "1", fields());
        let mut client = Client { odk, token: String::new() };
        client.log_in().await;
        client
    }

    pub(crate) async fn log_in(&mut self) {
        let got = self.session(PASSWORD).await;
        assert_eq!(got.status(), 200);
        self.token = got.json()["token"].as_str().unwrap().to_owned();
    }

    pub(crate) async fn session(&self, password: &str) -> Got {
        let body = json!({ "email": EMAIL, "password": password }).to_string();
        send(&self.odk.url(), "POST", "/v1/sessions", &[("content-type", "application/json")], &body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.with(path, &[]).await
    }

    pub(crate) async fn with(&self, path: &str, headers: &[(&str, &str)]) -> Got {
        let bearer = format!("Bearer {}", self.token);
        let headers = [&[("authorization", bearer.as_str())], headers].concat();
        send(&self.odk.url(), "GET", path, &headers, "").await
    }

    /// The feed with these options.
    pub(crate) async fn feed(&self, options: &str) -> Got {
        self.get(&format!("{FEED}?{}", options.replace(' ', "%20"))).await
    }

    pub(crate) async fn etag(&self) -> String {
        self.feed("$select=__id").await.header("etag").unwrap().to_owned()
    }
}
