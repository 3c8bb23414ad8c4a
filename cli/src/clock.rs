//! Times as people read them.

use jiff::Timestamp;

/// Seconds from then, in seconds since 1970, until now.
pub(crate) fn since(then: f64) -> f64 {
    Timestamp::now().as_microsecond() as f64 / 1e6 - then
}

/// Seconds since 1970 as `2024-05-01T12:00:00Z`.
pub(crate) fn iso(seconds: f64) -> String {
    Timestamp::from_second(seconds as i64).map(|at| at.to_string()).unwrap_or_default()
}

/// A span in its largest unit: `850 ms`, `12 s`, `3 min`, `2 h`, `5 d`.
pub(crate) fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    let unit = |size: f64, name: &str| format!("{} {name}", (seconds / size).floor());
    match seconds {
        s if s < 1.0 => unit(0.001, "ms"),
        s if s < 120.0 => unit(1.0, "s"),
        s if s < 7_200.0 => unit(60.0, "min"),
        s if s < 172_800.0 => unit(3_600.0, "h"),
        _ => unit(86_400.0, "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_one_unit() {
        let check = |seconds, expect| assert_eq!(span(seconds), expect);
        check(-1.0, "0 ms");
        check(0.85, "850 ms");
        check(119.9, "119 s");
        check(120.0, "2 min");
        check(7_300.0, "2 h");
        check(400_000.0, "4 d");
        assert_eq!(iso(1_714_564_800.9), "2024-05-01T12:00:00Z");
    }
}
