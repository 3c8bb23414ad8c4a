//! An answer whose body is read as it comes: for bodies that nobody wants to hold.

use std::fmt;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName};
use tributary_core::sink::Budget;
use tributary_core::{Error, Result};

use super::{Request, silent, unread};

/// An answer, its body not yet read.
pub struct Opened {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    pub(super) body: Incoming,
    pub(super) request: Request,
}

impl Opened {
    /// The next part of the body; `None` after the last. A body that says how long it is and ends before is an error. Each
    /// part may take as long as the request allows for all, unless the budget ends.
    ///
    /// # Errors
    /// `Unavailable` when nothing comes in time, or the body was cut short.
    pub async fn chunk(&mut self, budget: &impl Budget) -> Result<Option<Bytes>> {
        let limit = budget.remaining().map_or(self.request.timeout, |left| left.min(self.request.timeout));
        loop {
            let frame = tokio::time::timeout(limit, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| silent(&self.request, limit))? else { return Ok(None) };
            match frame.map_err(|error| unread(&self.request, error.into()))?.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                // Trailers say nothing that anybody asks for.
                Err(_) => {}
            }
        }
    }

    /// The body, as far as it is no longer than the request allows.
    ///
    /// # Errors
    /// As [`Opened::chunk`]; `Data` when it is longer.
    pub async fn whole(&mut self, budget: &impl Budget) -> Result<Bytes> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.chunk(budget).await? {
            if whole.len() + chunk.len() > self.request.limit {
                let message =
                    format!("the answer of {} is longer than {} bytes", self.request.host(), self.request.limit);
                return Err(Error::data(message).with_hint("ask for smaller pages"));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.into())
    }

    /// A header's text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.request.host())
    }
}
