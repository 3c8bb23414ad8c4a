//! How fast a table may be read: a budget of read capacity units a second, shared by the segments of a scan.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A budget of read capacity units (RCU) a second.
///
/// What a page costs is known only after it was read. So a page may begin while the balance is positive, its cost is
/// taken off afterwards, and a debt is waited out before the next page. At most one second's worth is saved up.
#[derive(Debug)]
pub struct ReadRate {
    per_second: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    balance: f64,
    counted_at: Instant,
}

impl ReadRate {
    /// This many units a second; at least a tenth of one.
    pub fn new(units_per_second: f64) -> Self {
        let per_second = units_per_second.max(0.1);
        ReadRate { per_second, state: Mutex::new(State { balance: per_second, counted_at: Instant::now() }) }
    }

    /// The units a second.
    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// How long until the next page may begin; zero when it may now.
    pub fn ready_in(&self) -> Duration {
        let state = self.refilled();
        if state.balance > 0.0 {
            return Duration::ZERO;
        }
        // A hair more than zero, so that the balance is positive after the wait.
        Duration::from_secs_f64((-state.balance + 0.001) / self.per_second)
    }

    /// Takes off what a page has cost.
    pub fn spend(&self, units: f64) {
        self.refilled().balance -= units.max(0.0);
    }

    /// Waits until a page may begin.
    pub(super) async fn ready(&self) {
        loop {
            match self.ready_in() {
                Duration::ZERO => return,
                wait => tokio::time::sleep(wait).await,
            }
        }
    }

    fn refilled(&self) -> std::sync::MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let earned = now.duration_since(state.counted_at).as_secs_f64() * self.per_second;
        state.balance = (state.balance + earned).min(self.per_second);
        state.counted_at = now;
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_debt_is_waited_out_and_savings_are_capped() {
        let rate = ReadRate::new(10.0);
        assert_eq!(rate.ready_in(), Duration::ZERO);
        rate.spend(128.0);
        let wait = rate.ready_in().as_secs_f64();
        assert!((11.8..11.9).contains(&wait), "{wait}");
        let start = Instant::now();
        rate.ready().await;
        assert!((11.8..12.0).contains(&start.elapsed().as_secs_f64()));

        tokio::time::sleep(Duration::from_secs(3600)).await;
        rate.spend(10.5);
        assert!(rate.ready_in() > Duration::ZERO);
    }
}
