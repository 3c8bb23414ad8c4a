//! When the next request may be sent: 5 a second for a base, 50 a second for a token, and none for 30 s after a 429.
//!
//! It is kept while a function is warm. Airtable counts requests as they arrive, and the first of them waits for a
//! connection: so a request counts from its answer on, which is never before its arrival.
//! <https://airtable.com/developers/web/api/rate-limits>

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tributary_core::sink::Budget;

use super::failure::Trouble;

/// A second, and what a clock may be off by.
const WINDOW: Duration = Duration::from_millis(1_010);
/// What all bases together get with one token; more only where a single base gets more, which is no Airtable of this world.
const OF_A_TOKEN: u32 = 50;
/// What must be left of the budget after a wait.
const TIME_FOR_A_REQUEST: Duration = Duration::from_secs(1);

/// How fast a base is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Requests a second for a base. Airtable allows 5 for all its clients together.
    pub per_second: u32,
    /// How long a base is left alone after a 429 that doesn't say it itself.
    pub pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { per_second: 5, pause: Duration::from_secs(30) }
    }
}

/// The requests of the last second, and pauses.
#[derive(Debug)]
pub(super) struct Gate {
    pace: Pace,
    lanes: Mutex<Lanes>,
}

#[derive(Debug, Default)]
struct Lanes {
    token: Lane,
    bases: HashMap<Box<str>, Lane>,
}

#[derive(Debug, Default)]
struct Lane {
    sent: VecDeque<Instant>,
    paused_until: Option<Instant>,
}

impl Lane {
    /// When the next request may be sent.
    fn free_at(&self, per_second: u32, now: Instant) -> Instant {
        let full = self.sent.len().checked_sub(per_second.max(1) as usize);
        let window = full.and_then(|at| self.sent.get(at)).map(|oldest| *oldest + WINDOW);
        [window, self.paused_until].into_iter().flatten().fold(now, Instant::max)
    }

    fn send(&mut self, now: Instant) {
        while self.sent.front().is_some_and(|at| now.duration_since(*at) > WINDOW) {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }

    /// The request that was sent then was answered: it arrived no later than now.
    fn answered(&mut self, sent: Instant, now: Instant) {
        if let Some(position) = self.sent.iter().position(|at| *at == sent) {
            self.sent.remove(position);
            self.sent.push_back(now);
        }
    }
}

impl Gate {
    pub(super) fn new(pace: Pace) -> Self {
        Gate { pace, lanes: Mutex::default() }
    }

    fn lanes<T>(&self, work: impl FnOnce(&mut Lanes) -> T) -> T {
        work(&mut self.lanes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until a request to this base may be sent, and counts it. Gives when it is sent, for [`Gate::answered`].
    ///
    /// # Errors
    /// [`Trouble::OutOfTime`] when that is later than the budget allows.
    pub(super) async fn enter(&self, base: &str, budget: &impl Budget) -> Result<Instant, Trouble> {
        loop {
            let now = Instant::now();
            let free_at = self.lanes(|lanes| {
                let lane = lanes.bases.entry(base.into()).or_default();
                let (of_base, of_token) = (self.pace.per_second, OF_A_TOKEN.max(self.pace.per_second));
                let at = lane.free_at(of_base, now).max(lanes.token.free_at(of_token, now));
                if at <= now {
                    lane.send(now);
                    lanes.token.send(now);
                }
                at
            });
            let wait = free_at.saturating_duration_since(now);
            if !budget.allows(wait + TIME_FOR_A_REQUEST) {
                return Err(Trouble::OutOfTime);
            }
            if wait.is_zero() {
                return Ok(now);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// The request to this base that was sent then has ended.
    pub(super) fn answered(&self, base: &str, sent: Instant) {
        let now = Instant::now();
        self.lanes(|lanes| {
            lanes.bases.entry(base.into()).or_default().answered(sent, now);
            lanes.token.answered(sent, now);
        });
    }

    /// Leaves a base alone for a while, as Airtable asks after a 429. Gives how long.
    pub(super) fn pause(&self, base: &str, asked: Option<Duration>) -> Duration {
        let pause = asked.unwrap_or(self.pace.pause);
        self.lanes(|lanes| {
            let lane = lanes.bases.entry(base.into()).or_default();
            lane.paused_until = Some(Instant::now() + pause);
        });
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_core::sink::Unlimited;

    struct Left(Duration);

    impl Budget for Left {
        fn remaining(&self) -> Option<Duration> {
            Some(self.0)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_than_five_requests_to_a_base() {
        let gate = Gate::new(Pace::default());
        let mut sent = Vec::new();
        for _ in 0..23 {
            gate.enter("app1", &Unlimited).await.unwrap();
            sent.push(Instant::now());
        }
        for (at, first) in sent.iter().enumerate() {
            let within =
                sent[at..].iter().filter(|other| other.duration_since(*first) <= Duration::from_secs(1)).count();
            assert!(within <= 5, "{within} requests within a second");
        }
        assert!(sent[22].duration_since(sent[0]) < Duration::from_secs(5), "and no slower than it must be");
        let begin = Instant::now();
        gate.enter("app2", &Unlimited).await.unwrap();
        assert_eq!(begin.elapsed(), Duration::ZERO, "another base has its own");
    }

    #[tokio::test(start_paused = true)]
    async fn what_arrives_late_counts_from_then_on() {
        let gate = Gate::new(Pace::default());
        let mut arrived = Vec::new();
        for request in 0..23 {
            let sent = gate.enter("app1", &Unlimited).await.unwrap();
            // The first waits for a connection, the others for nothing at all.
            tokio::time::sleep(Duration::from_millis(if request == 0 { 400 } else { 0 })).await;
            arrived.push(Instant::now());
            gate.answered("app1", sent);
        }
        for (at, first) in arrived.iter().enumerate() {
            let within =
                arrived[at..].iter().filter(|other| other.duration_since(*first) <= Duration::from_secs(1)).count();
            assert!(within <= 5, "{within} requests within a second");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_bases_share_what_a_token_gets() {
        let gate = Gate::new(Pace::default());
        let begin = Instant::now();
        for base in 0..51 {
            gate.enter(&format!("app{base}"), &Unlimited).await.unwrap();
        }
        assert!(begin.elapsed() >= WINDOW);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_429_a_base_is_left_alone_or_the_budget_ends() {
        let gate = Gate::new(Pace::default());
        gate.enter("app1", &Unlimited).await.unwrap();
        assert_eq!(gate.pause("app1", None), Duration::from_secs(30));
        assert!(matches!(gate.enter("app1", &Left(Duration::from_secs(20))).await, Err(Trouble::OutOfTime)));
        let begin = Instant::now();
        gate.enter("app1", &Left(Duration::from_secs(40))).await.unwrap();
        assert_eq!(begin.elapsed(), Duration::from_secs(30));
    }
}
