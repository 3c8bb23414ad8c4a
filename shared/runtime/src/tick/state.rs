//! What a job leaves behind for the next tick: when it ran, and whether it must not.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Ended;

/// The state of a job, kept as a checkpoint of its first pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct State {
    /// When its last turn began, in microseconds since 1970; 0 when it never had one.
    #[serde(default)]
    pub began: i64,
    /// When a turn began that left nothing to do, in microseconds since 1970; until there was one, when its first turn began.
    #[serde(default)]
    pub caught_up: i64,
    /// Whether its last turn left something to do: then it is due at once, however long it rests else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
    /// Why it is not run for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

/// Why a job is not run for now.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Stop {
    /// The reason, for people.
    pub reason: String,
    /// From when on it is tried again, in microseconds since 1970; `None`: when somebody forces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

/// Why a job that could run rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It ran not long ago; from this time on it is due.
    Until(i64),
    /// It was stopped.
    Stopped(Stop),
}

impl State {
    /// The name of the checkpoint.
    pub const PARTITION: &str = "tick";

    /// Reads it back. What cannot be read is as if it had never run: then it runs.
    pub(super) fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// When it is due again, in microseconds since 1970. A schedule is not exact, so a tick that comes a little early
    /// counts: by a tenth of `every`, 5 s at most.
    pub(super) fn next(&self, every: Duration) -> i64 {
        let early = (every / 10).min(Duration::from_secs(5));
        let wait = every.saturating_sub(early);
        self.began.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX))
    }

    /// After a turn that began then.
    pub(super) fn after(&self, began: i64, ended: Option<&Ended>) -> Self {
        let caught_up = if self.caught_up == 0 || ended == Some(&Ended::Drained) { began } else { self.caught_up };
        let stop = match ended {
            Some(Ended::Stopped(stop)) => Some(stop.clone()),
            _ => None,
        };
        let unfinished = matches!(ended, Some(Ended::More | Ended::Later));
        State { began, caught_up, unfinished, stop }
    }

    /// For how many seconds it should have caught up with its source and has not: 0 as long as it is in time, whatever it
    /// rests between two turns.
    pub(super) fn overdue(&self, every: Duration, now: i64) -> f64 {
        let since = if self.caught_up == 0 { now } else { self.caught_up };
        let late = Duration::from_micros(u64::try_from(now.saturating_sub(since)).unwrap_or(0)).saturating_sub(every);
        late.as_secs_f64()
    }

    /// Why it isn't due now.
    pub(super) fn rests(&self, every: Duration, now: i64) -> Option<Rest> {
        match &self.stop {
            Some(stop) if stop.until.is_none_or(|until| now < until) => return Some(Rest::Stopped(stop.clone())),
            _ => {}
        }
        if self.unfinished {
            return None;
        }
        let next = self.next(every);
        // A clock that was put back must not stop everything.
        (now < next && self.began <= now).then_some(Rest::Until(next))
    }
}
