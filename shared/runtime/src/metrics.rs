//! What became of an invocation's records, as metrics: one line a pipeline on stdout, in CloudWatch's Embedded Metric
//! Format. CloudWatch reads them out of the log, so that they cost no call and no time.
//!
//! The dashboard and the alarms of `infra/` show these very names. The alarms for dead letters and for polls that don't catch
//! up read the fields `dead` and `overdue_seconds` of all such lines in the function's log, so no other may have them.
//!
//! Amazon CloudWatch user guide, "Specification: Embedded metric format".

use std::io::Write as _;

use indexmap::IndexMap;
use serde::Serialize;

use crate::clock::unix_micros;

/// What became of the records of one pipeline in one invocation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures<'a> {
    /// The pipeline.
    pub pipeline: &'a str,
    /// Records that came, less those that must come again.
    pub records: u64,
    /// Rows written.
    pub applied: u64,
    /// Changes that were not newer than their rows.
    pub stale: u64,
    /// Records that were put to the dead letters.
    pub dead: u64,
    /// Seconds from the newest change at the source to its commit here; `None` when the source doesn't say.
    pub lag: Option<f64>,
    /// Seconds since the pipeline should have caught up with its source and has not; `None` when it isn't polled, or nobody
    /// knows.
    pub overdue: Option<f64>,
    /// What became of items, by the words that say it. Only what happened is a metric: each that there ever was is charged for.
    pub became: &'a [(&'static str, u64)],
}

/// Prints metrics, or doesn't.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    on: bool,
}

impl Metrics {
    /// Metrics that are printed, or not. Off by default: only in Lambda somebody reads them.
    pub fn new(on: bool) -> Self {
        Metrics { on }
    }

    /// Prints a line. That nobody takes it is no reason to fail.
    pub fn print(self, figures: &Figures<'_>) {
        self.print_line(&Line::of(figures, unix_micros() / 1_000));
    }

    /// Prints how many records of a hook no pipeline takes.
    #[cfg(feature = "webhook")]
    pub(crate) fn print_skipped(self, hook: &str, skipped: u64) {
        self.print_line(&Skipped::of(hook, skipped, unix_micros() / 1_000));
    }

    fn print_line(self, line: &impl Serialize) {
        if !self.on {
            return;
        }
        if let Ok(mut line) = serde_json::to_vec(line) {
            line.push(b'\n');
            // At one go: a line in two halves is two events of the log, and none of them a metric.
            let _ = std::io::stdout().lock().write_all(&line).and_then(|()| std::io::stdout().flush());
        }
    }
}

const NAMESPACE: &str = "Tributary";
const COUNTS: [Metric; 4] =
    [Metric::count("records"), Metric::count("applied"), Metric::count("stale"), Metric::count("dead")];
const LAG: [Metric; 1] = [Metric::seconds("lag_seconds")];
const OVERDUE: [Metric; 1] = [Metric::seconds("overdue_seconds")];

/// The document: what the metrics are called, then their values.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "_aws")]
    meta: Meta,
    pipeline: &'a str,
    records: u64,
    applied: u64,
    stale: u64,
    dead: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overdue_seconds: Option<f64>,
    #[serde(flatten)]
    became: IndexMap<&'static str, u64>,
}

/// What no pipeline takes, by the hook: it is of no pipeline.
#[cfg(feature = "webhook")]
#[derive(Serialize)]
struct Skipped<'a> {
    #[serde(rename = "_aws")]
    meta: Meta,
    hook: &'a str,
    skipped: u64,
}

#[cfg(feature = "webhook")]
impl<'a> Skipped<'a> {
    fn of(hook: &'a str, skipped: u64, timestamp: i64) -> Self {
        let metrics = vec![Metric::count("skipped")];
        let directive = Directive { namespace: NAMESPACE, dimensions: [["hook"]], metrics };
        Skipped { meta: Meta { timestamp, cloud_watch_metrics: [directive] }, hook, skipped }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    /// Milliseconds since 1970.
    timestamp: i64,
    cloud_watch_metrics: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: Vec<Metric>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

impl Metric {
    const fn count(name: &'static str) -> Self {
        Metric { name, unit: "Count" }
    }

    const fn seconds(name: &'static str) -> Self {
        Metric { name, unit: "Seconds" }
    }
}

impl<'a> Line<'a> {
    fn of(figures: &Figures<'a>, timestamp: i64) -> Self {
        let Figures { pipeline, records, applied, stale, dead, lag, overdue, became } = *figures;
        let became: IndexMap<&str, u64> = became.iter().copied().filter(|(_, count)| *count > 0).collect();
        // A metric that is announced must be there; and a clock that is behind the source's makes no negative lag.
        let seconds = |time: Option<f64>| time.filter(|time| time.is_finite()).map(|time| time.max(0.0));
        let (lag_seconds, overdue_seconds) = (seconds(lag), seconds(overdue));
        let announced_lag = if lag_seconds.is_some() { &LAG[..] } else { &[] };
        let announced_overdue = if overdue_seconds.is_some() { &OVERDUE[..] } else { &[] };
        let announced: Vec<Metric> = became.keys().map(|name| Metric::count(name)).collect();
        let metrics = [&COUNTS[..], announced_lag, announced_overdue, &announced].concat();
        let directive = Directive { namespace: NAMESPACE, dimensions: [["pipeline"]], metrics };
        let meta = Meta { timestamp, cloud_watch_metrics: [directive] };
        Line { meta, pipeline, records, applied, stale, dead, lag_seconds, overdue_seconds, became }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "webhook")]
    #[test]
    fn what_nobody_takes_is_counted_by_its_hook() {
        let line = serde_json::to_string(&Skipped::of("stripe", 3, 1_767_225_600_123)).unwrap();
        let expect = r#"{"_aws":{"Timestamp":1767225600123,"CloudWatchMetrics":[{"Namespace":"Tributary","Dimensions":[["hook"]],"Metrics":[{"Name":"skipped","Unit":"Count"}]}]},"hook":"stripe","skipped":3}"#;
        assert_eq!(line, expect);
    }

    #[test]
    fn a_line_announces_just_what_it_holds() {
        let of = |lag, overdue, became: &[(&'static str, u64)], announced: &str, value: &str| {
            let figures =
                Figures { pipeline: "us\"ers", records: 7, applied: 4, stale: 2, dead: 1, lag, overdue, became };
            let line = serde_json::to_string(&Line::of(&figures, 1_767_225_600_123)).unwrap();
            let expect = format!(
                r#"{{"_aws":{{"Timestamp":1767225600123,"CloudWatchMetrics":[{{"Namespace":"Tributary","Dimensions":[["pipeline"]],"Metrics":[{{"Name":"records","Unit":"Count"}},{{"Name":"applied","Unit":"Count"}},{{"Name":"stale","Unit":"Count"}},{{"Name":"dead","Unit":"Count"}}{announced}]}}]}},"pipeline":"us\"ers","records":7,"applied":4,"stale":2,"dead":1{value}}}"#
            );
            assert_eq!(line, expect);
        };
        let check = |lag, overdue, announced: &str, value: &str| of(lag, overdue, &[], announced, value);
        of(
            None,
            None,
            &[("inserted", 3), ("deleted", 0)],
            r#",{"Name":"inserted","Unit":"Count"}"#,
            r#","inserted":3"#,
        );
        let announced = r#",{"Name":"lag_seconds","Unit":"Seconds"}"#;
        check(None, None, "", "");
        check(Some(1.5), None, announced, r#","lag_seconds":1.5"#);
        check(Some(-3.0), None, announced, r#","lag_seconds":0.0"#);
        check(Some(f64::NAN), None, "", "");
        let overdue = r#",{"Name":"overdue_seconds","Unit":"Seconds"}"#;
        check(None, Some(90.0), overdue, r#","overdue_seconds":90.0"#);
        check(Some(2.0), Some(-1.0), &format!("{announced}{overdue}"), r#","lag_seconds":2.0,"overdue_seconds":0.0"#);
    }
}
