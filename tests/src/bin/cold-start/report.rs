//! What the reader gets: a table a series, and for each goal whether it is reached.

use std::io::Write as _;

use crate::Failure;
use crate::measure::Start;
use crate::program::{NODE, OURS, POLL, PYTHON, Program};

/// Prints a line. Nobody may be listening any more, and that is no reason to fail.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The median with the range of the middle half.
struct Middle {
    low: f64,
    median: f64,
    high: f64,
}

impl Middle {
    fn of(starts: &[Start], figure: fn(&Start) -> f64) -> Self {
        let mut figures: Vec<f64> = starts.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        let at = |part: f64| figures[((figures.len() - 1) as f64 * part).round() as usize];
        Middle { low: at(0.25), median: at(0.5), high: at(0.75) }
    }

    fn cell(&self) -> String {
        format!("{:.1} ({:.1} – {:.1})", self.median, self.low, self.high)
    }
}

/// Prints what the starts of each program took.
pub(crate) fn table(title: &str, programs: &[Program], series: &[Vec<Start>]) {
    let starts = series.first().map_or(0, Vec::len);
    say(&format!("\n### {title}\n\nMedian of {starts} starts and the range of the middle half.\n"));
    say("| program | to the first `next`, ms | on a processor, ms | peak memory, MB |\n|---|---:|---:|---:|");
    for (program, starts) in programs.iter().zip(series) {
        let [wall, cpu, memory] = [|start: &Start| start.wall, |start: &Start| start.cpu, |start: &Start| start.memory]
            .map(|figure| Middle::of(starts, figure).cell());
        say(&format!("| {} | {wall} | {cpu} | {memory} |", program.name));
    }
}

/// Prints the goals; fails when one is missed.
pub(crate) fn goals(programs: &[Program], series: &[Vec<Start>]) -> Result<(), Failure> {
    let of = |name: &str, figure: fn(&Start) -> f64| {
        let position = programs.iter().position(|program| program.name == name)?;
        Some(Middle::of(&series[position], figure).median)
    };
    let cpu = |name| of(name, |start| start.cpu);
    let memory = |name| of(name, |start| start.memory);
    let most = |got: Option<f64>, limit: f64| got.map(|got| (got, got <= limit));
    let times =
        |name, ours, limit: f64| cpu(name).zip(cpu(ours)).map(|(theirs, ours)| (theirs / ours, theirs / ours >= limit));
    let mut goals = Vec::new();
    for ours in [OURS, POLL] {
        goals.extend([
            (format!("{ours}: on a processor, ms"), "≤ 6", most(cpu(ours), 6.0)),
            (format!("{ours}: peak memory, MB"), "≤ 12", most(memory(ours), 12.0)),
            (format!("{ours}: Node is on a processor × as long"), "≥ 15", times(NODE, ours, 15.0)),
            (format!("{ours}: Python is on a processor × as long"), "≥ 25", times(PYTHON, ours, 25.0)),
        ]);
    }
    say("\n### Goals\n\n| goal | wanted | measured | reached |\n|---|---:|---:|---|");
    let mut missed = 0;
    for (what, wanted, got) in goals {
        match got {
            Some((got, true)) => say(&format!("| {what} | {wanted} | {got:.1} | yes |")),
            Some((got, false)) => {
                missed += 1;
                say(&format!("| {what} | {wanted} | {got:.1} | **no** |"));
            }
            None => say(&format!("| {what} | {wanted} | – | not measured |")),
        }
    }
    if missed == 0 { Ok(()) } else { Err(format!("{missed} goals missed").into()) }
}
