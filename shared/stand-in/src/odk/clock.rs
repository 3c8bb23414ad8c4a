//! The server's clock: the machine's, put forward or back, or one that only moves when it is told to.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// A clock. Its times are milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    stopped_at: Option<i64>,
    ahead: i64,
}

impl Clock {
    pub(super) fn now(self) -> i64 {
        self.stopped_at.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
            i64::try_from(now.as_millis()).expect("before the year 292 million") + self.ahead
        })
    }

    pub(super) fn stop(&mut self) {
        self.stopped_at = Some(self.now());
    }

    /// Moves it, back when `time` is negative.
    pub(super) fn shift(&mut self, time: i64) {
        match &mut self.stopped_at {
            Some(at) => *at += time,
            None => self.ahead += time,
        }
    }
}

pub(super) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("not for ever")
}

/// As Central writes times.
pub(super) fn rfc3339(milliseconds: i64) -> String {
    format!("{:.3}", timestamp(milliseconds))
}

/// As a `Date` header has it.
pub(super) fn http_date(milliseconds: i64) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&timestamp(milliseconds)).expect("within four digits of years")
}

fn timestamp(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).expect("a time of our days")
}

/// Reads a time with its zone. A space where `+` stood makes it unreadable, as it does there.
pub(super) fn read(text: &str) -> Option<i64> {
    if text.contains(' ') {
        return None;
    }
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_central_does() {
        assert_eq!(rfc3339(1_763_625_932_777), "2025-11-20T08:05:32.777Z");
        assert_eq!(rfc3339(1_763_625_932_000), "2025-11-20T08:05:32.000Z");
        assert_eq!(http_date(1_763_625_932_777), "Thu, 20 Nov 2025 08:05:32 GMT");
        assert_eq!(read("2025-11-20T08:05:32.777Z"), Some(1_763_625_932_777));
        assert_eq!(read("2025-11-20T08:05:32.777 00:00"), None);
    }

    #[test]
    fn a_clock_stands_and_moves() {
        let mut clock = Clock::default();
        clock.stop();
        let at = clock.now();
        clock.shift(5);
        assert_eq!(clock.now(), at + 5);
    }
}
