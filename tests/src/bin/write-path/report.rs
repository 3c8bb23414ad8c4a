//! What the reader gets: tables, and for each goal whether it is reached.

use std::io::Write as _;

use crate::Failure;
use crate::duel::Results;
use crate::measure::Cost;
use crate::strategies::Way;

/// A figure with the limit that it must keep.
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) wanted: Bound,
    pub(crate) got: f64,
}

/// A limit, inclusive.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    pub(crate) fn new(what: impl Into<String>, wanted: Bound, got: f64) -> Self {
        Goal { what: what.into(), wanted, got }
    }

    fn reached(&self) -> bool {
        match self.wanted {
            Bound::AtLeast(limit) => self.got >= limit,
            Bound::AtMost(limit) => self.got <= limit,
        }
    }
}

/// Prints a line. Nobody may be listening any more, and that is no reason to fail.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line for whoever waits for the report.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints what the ways cost, and how they compare with the first of them.
pub(crate) fn costs(title: &str, results: &Results) {
    let base = results.first();
    let name = base.name();
    say(&format!("\n### {title}\n"));
    say(&format!(
        "| way | rows/s | against {name} | CPU µs/row | against {name} | server µs/row | client µs/row | WAL B/row |"
    ));
    say("|---|---:|---:|---:|---:|---:|---:|---:|");
    for way in results.ways() {
        let middle = |figure: fn(&Cost) -> f64| results.middle(way, figure);
        say(&format!(
            "| {} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} |",
            way.name(),
            middle(Cost::rate),
            results.ratio(way, base, Cost::rate),
            middle(Cost::cpu_us),
            results.ratio(way, base, Cost::cpu_us),
            middle(Cost::server_us),
            middle(Cost::client_us),
            middle(Cost::wal_bytes),
        ));
    }
}

/// Prints the goals; fails when one is missed.
pub(crate) fn goals(goals: &[Goal]) -> Result<(), Failure> {
    say("\n### Goals\n\n| goal | wanted | measured | reached |\n|---|---:|---:|---|");
    for goal in goals {
        let wanted = match goal.wanted {
            Bound::AtLeast(limit) => format!("≥ {limit}"),
            Bound::AtMost(limit) => format!("≤ {limit}"),
        };
        let reached = if goal.reached() { "yes" } else { "**no**" };
        say(&format!("| {} | {wanted} | {:.2} | {reached} |", goal.what, goal.got));
    }
    match goals.iter().filter(|goal| !goal.reached()).count() {
        0 => Ok(()),
        missed => Err(format!("{missed} of {} goals missed", goals.len()).into()),
    }
}

/// Of some ways, the one with the most rows a second.
pub(crate) fn best(results: &Results, ways: &[Way]) -> Way {
    let rate = |way: &Way| results.middle(*way, Cost::rate);
    ways.iter().copied().max_by(|a, b| rate(a).total_cmp(&rate(b))).unwrap_or(ways[0])
}
