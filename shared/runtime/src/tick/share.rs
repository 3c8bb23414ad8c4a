//! The time that one job may take of a tick.

use std::time::{Duration, Instant};

use tributary_core::sink::Budget;

/// A part of a budget.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    end: Option<Instant>,
}

impl Share {
    /// An equal part of what is left, for each of so many.
    pub fn of(budget: &impl Budget, among: usize) -> Self {
        let among = u32::try_from(among).unwrap_or(u32::MAX).max(1);
        Share { end: budget.remaining().and_then(|left| Instant::now().checked_add(left / among)) }
    }

    /// This, or so much from now where that is less.
    #[must_use]
    pub fn at_most(self, time: Duration) -> Self {
        let end = Instant::now().checked_add(time);
        Share { end: self.end.into_iter().chain(end).min() }
    }
}

impl Budget for Share {
    fn remaining(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(Instant::now()))
    }
}
