//! Trying again while it may help.

use std::time::Duration;

use hyper::StatusCode;
use tributary_core::Result;
use tributary_core::sink::Budget;

use super::{Client, Request, Response};

/// How often and how soon a request is tried again. Waits double from `first` to `longest`, with full jitter; a server
/// that says how long to wait is believed.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// All attempts, the first among them.
    pub attempts: u32,
    /// The first wait at most.
    pub first: Duration,
    /// Any wait at most, unless the server asks for more.
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { attempts: 4, first: Duration::from_millis(300), longest: Duration::from_secs(10) }
    }
}

impl Client {
    /// Sends a request until there is an answer worth having: again after no answer, 408, 429 and 5xx, as long as attempts
    /// and budget allow. The last answer is returned whatever it is. For requests that may safely come twice.
    ///
    /// # Errors
    /// As [`Client::send`], from the last attempt.
    pub async fn send_patiently(
        &self,
        request: &Request,
        patience: &Patience,
        budget: &impl Budget,
    ) -> Result<Response> {
        let mut longest = patience.first;
        let mut attempt = 1;
        loop {
            let result = self.send(request, budget).await;
            let asked = match &result {
                Ok(answer) if may_pass(answer.status) => answer.retry_after(),
                Err(error) if error.retry() => None,
                _ => return result,
            };
            let wait = asked.unwrap_or_else(|| longest.mul_f64(fastrand::f64()));
            // What is left must do for the wait and for an answer.
            if attempt >= patience.attempts || !budget.allows(wait + Duration::from_secs(1)) {
                return result;
            }
            tracing::debug!(host = request.host(), attempt, "asking again");
            tokio::time::sleep(wait).await;
            longest = (longest * 2).min(patience.longest);
            attempt += 1;
        }
    }
}

/// Whether the same request may have another answer soon.
fn may_pass(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) || status.is_server_error()
}
