//! What is asked.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use serde::Serialize;
use tributary_core::{Error, Kind, Result};

/// How long an answer may take, all of it, unless a request says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a body may be, unless a request says otherwise, in bytes.
const LIMIT: usize = 64 * 1024 * 1024;

/// A request. Its `Debug` shows neither headers nor body nor query: tokens and rows are in them.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// Headers beside those that HTTP needs.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
    /// How long the whole answer may take; a budget that ends earlier is the limit.
    pub timeout: Duration,
    /// How many bytes the answer's body may have.
    pub limit: usize,
}

impl Request {
    /// A request without a body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Request { method, url: url.into(), headers: Vec::new(), body: Bytes::new(), timeout: TIMEOUT, limit: LIMIT }
    }

    /// `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Request::new(Method::GET, url)
    }

    /// `POST` with a JSON body.
    ///
    /// # Errors
    /// `Bug` when the body is no JSON.
    pub fn post_json(url: impl Into<String>, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body).map_err(|e| Error::new(Kind::Bug, "a body is no JSON").with_source(e))?;
        let mut request = Request::new(Method::POST, url);
        request.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        request.body = body.into();
        Ok(request)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds a bearer token.
    ///
    /// # Errors
    /// `Config` when it has characters that no header may have: a newline at its end, mostly.
    pub fn bearer(self, token: &str) -> Result<Self> {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
            Error::config("the token has characters that a header cannot carry")
                .with_hint("look for a line break or a space around it")
        })?;
        value.set_sensitive(true);
        Ok(self.header(AUTHORIZATION, value))
    }

    /// Host and port, as messages name them.
    pub(crate) fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = &rest[..end];
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    }

    pub(super) fn to_hyper(&self) -> Result<hyper::Request<Full<Bytes>>> {
        let wrong = || Error::config(format!("there is no valid address of {}", self.host()));
        let uri: Uri = self.url.parse().map_err(|e| wrong().with_source(e))?;
        let mut request = hyper::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        request.headers_mut().extend(self.headers.iter().map(|(name, value)| (Some(name.clone()), value.clone())));
        Ok(request)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.host())
    }
}
