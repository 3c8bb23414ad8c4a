//! The time that an invocation has left.

use std::time::{Duration, Instant, SystemTime};

use tributary_core::sink::Budget;

/// The most that is held back for the last commit and the answer.
const RESERVE: Duration = Duration::from_secs(2);

const DAY: Duration = Duration::from_secs(86_400);

/// The end of an invocation, less a reserve for the last commit and the answer: 2 s, or a tenth of the time where that is
/// less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    end: Option<Instant>,
}

impl Deadline {
    /// From the deadline that Lambda sends with an invocation, in milliseconds since 1970. One that is not ahead of us, or by
    /// more than a day, is none: local emulators send small numbers or nothing.
    pub fn of_lambda(milliseconds: u64) -> Self {
        Deadline::at(milliseconds, SystemTime::now(), Instant::now())
    }

    /// This much time from now, of which the reserve is a part.
    pub fn after(time: Duration) -> Self {
        Deadline::within(time, Instant::now())
    }

    fn at(milliseconds: u64, now: SystemTime, start: Instant) -> Self {
        let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds));
        match end.and_then(|end| end.duration_since(now).ok()) {
            Some(left) if !left.is_zero() && left < DAY => Deadline::within(left, start),
            _ => Deadline { end: None },
        }
    }

    fn within(time: Duration, start: Instant) -> Self {
        Deadline { end: start.checked_add(time - RESERVE.min(time / 10)) }
    }
}

impl Budget for Deadline {
    fn remaining(&self) -> Option<Duration> {
        Some(self.end?.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_holds_back_a_reserve_and_a_senseless_one_is_none() {
        let (now, start) = (SystemTime::now(), Instant::now());
        let now_ms = u64::try_from(now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let check = |milliseconds: u64, expect: Option<u64>| {
            let deadline = Deadline::at(milliseconds, now, start);
            let left = deadline.end.map(|end| end - start);
            let near = |left: Duration, expect| left.abs_diff(Duration::from_millis(expect)) < Duration::from_millis(3);
            assert!(
                left.is_some() == expect.is_some() && left.zip(expect).is_none_or(|(left, expect)| near(left, expect)),
                "{milliseconds}: {left:?}, not {expect:?}"
            );
        };
        check(now_ms + 900_000, Some(898_000));
        check(now_ms + 60_000, Some(58_000));
        check(now_ms + 3_000, Some(2_700));
        check(now_ms - 1, None);
        check(600_000, None);
        check(0, None);
        check(u64::MAX, None);
    }

    #[test]
    fn time_runs_out_at_zero() {
        let deadline = Deadline::within(Duration::from_secs(10), Instant::now());
        assert!(deadline.allows(Duration::from_secs(7)) && !deadline.allows(Duration::from_secs(9)));
        let past = Deadline { end: Some(Instant::now()) };
        assert_eq!(past.remaining(), Some(Duration::ZERO));
        assert!(Deadline { end: None }.allows(Duration::from_secs(1 << 40)));
    }
}
