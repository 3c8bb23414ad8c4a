//! Lengths of time: `30d`, `12h`, `5m`, `90s`.

use std::time::Duration;

use super::node::Node;
use super::report::Report;

/// Beyond what an interval of Postgres holds there is no point in counting.
const LONGEST: u64 = 1000 * 366 * 24 * 60 * 60;

/// A number and a unit.
pub(super) fn duration(node: &Node, example: &str, report: &mut Report<'_>) -> Option<Duration> {
    let read = || {
        let text = node.as_text()?.text;
        let seconds = match text.chars().last()? {
            'd' => 24 * 60 * 60,
            'h' => 60 * 60,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        let count = &text[..text.len() - 1];
        let count: u64 = count.bytes().all(|b| b.is_ascii_digit()).then(|| count.parse().ok())??;
        count.checked_mul(seconds).filter(|seconds| *seconds <= LONGEST).map(Duration::from_secs)
    };
    let duration = read();
    if duration.is_none() {
        let message = "this is not a length of time";
        let hint = format!("write a number and `d`, `h`, `m` or `s`: `{example}`");
        report.add("bad-duration", node.span.clone(), message, hint);
    }
    duration
}

/// As somebody would write it.
pub(super) fn written(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(24 * 60 * 60, 'd'), (60 * 60, 'h'), (60, 'm')];
    match units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit)) {
        Some((unit, letter)) => format!("{}{letter}", seconds / unit),
        None => format!("{seconds}s"),
    }
}
