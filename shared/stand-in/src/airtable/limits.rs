//! How often one may ask: 5 times a second, then not at all for 30 s; and so many times a month.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Limits of requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests a second; `None`: any number.
    pub per_second: Option<u32>,
    /// How long nothing is answered after one too many.
    pub penalty: Duration,
    /// Whether the answer says how long, in whole seconds. The real one doesn't.
    pub retry_after: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { per_second: None, penalty: Duration::from_secs(30), retry_after: false }
    }
}

/// What has been asked.
#[derive(Debug, Default)]
pub(super) struct Gate {
    pub(super) limits: Limits,
    pub(super) quota: Option<u64>,
    pub(super) impatient: u64,
    sent: VecDeque<Instant>,
    closed_until: Option<Instant>,
}

/// Why a request isn't answered.
pub(super) enum Refused {
    TooMany,
    Quota,
}

impl Gate {
    pub(super) fn enter(&mut self) -> Result<(), Refused> {
        let now = Instant::now();
        if self.closed_until.is_some_and(|until| now < until) {
            self.impatient += 1;
            return Err(Refused::TooMany);
        }
        if let Some(limit) = self.limits.per_second {
            while self.sent.front().is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(1)) {
                self.sent.pop_front();
            }
            self.sent.push_back(now);
            if self.sent.len() > limit as usize {
                self.closed_until = Some(now + self.limits.penalty);
                return Err(Refused::TooMany);
            }
        }
        match &mut self.quota {
            Some(0) => Err(Refused::Quota),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}
