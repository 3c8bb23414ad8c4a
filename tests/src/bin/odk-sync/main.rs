//! The benchmark of ODK Central: a first pass over a large form from a fake server into a durable Postgres, beside the loop
//! that people write: a page, and for each row one SELECT and one INSERT or UPDATE. That loop twice: by an object-relational
//! mapper (SQLAlchemy, `tests/peers/odk_orm.py`), and by the same statements without one, prepared, from this program.
//!
//! Server, poller and loops are processes of their own, so that each has its own memory; the server has all submissions
//! before anybody asks. All ways must leave the same submissions and persons. On loopback a round trip costs nothing and
//! a commit what the disk takes, so only the ratios count.

#![allow(clippy::print_stdout, reason = "its figures are what it is for")]

mod by_hand;
mod ours;
mod serve;
mod stage;

use serde::{Deserialize, Serialize};

use stage::Stage;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: odk-sync [--submissions N] [--persons N] [--repetitions N] [--database-url URL]";
/// How many times as fast as by an object-relational mapper.
const GOAL: f64 = 20.0;
/// The most memory that the poller may take, in MB.
const MEMORY: f64 = 80.0;
/// Requests of a tick without news.
const REQUESTS: usize = 2;

/// What one way did, as its process tells.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Took {
    /// From the first request to the last commit.
    pub(crate) seconds: f64,
    /// Of that, until all rows were there: in our way the ids and the manifest are compared behind the first pass.
    #[serde(default)]
    pub(crate) pass: Option<f64>,
    /// The most memory that the process held, in MB.
    pub(crate) peak_mb: f64,
}

struct Options {
    submissions: usize,
    persons: usize,
    repetitions: usize,
    url: Option<String>,
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", submissions, persons] => return serve::serve(submissions.parse()?, persons.parse()?),
        ["poll", server, database] => return runtime.block_on(ours::poll(server, database)),
        ["by-hand", server, database, submissions] => {
            return runtime.block_on(by_hand::copy(server, database, submissions.parse()?));
        }
        _ => {}
    }
    let mut options = Options { submissions: 20_000, persons: 3, repetitions: 3, url: None };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"))?;
        match word {
            "--submissions" => options.submissions = value.parse()?,
            "--persons" => options.persons = value.parse()?,
            "--repetitions" => options.repetitions = value.parse()?,
            "--database-url" => options.url = Some(value.to_owned()),
            _ => return Err(format!("what is {word}?\n{USAGE}").into()),
        }
    }
    runtime.block_on(run(&options))
}

pub(crate) fn tell(took: &Took) -> Result<(), Failure> {
    println!("{}", serde_json::to_string(took)?);
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

async fn run(options: &Options) -> Result<(), Failure> {
    let stage = Stage::start(options.url.clone(), options.submissions, options.persons).await?;
    let rows = options.submissions * (1 + options.persons);
    // By hand it takes long: a tenth of the submissions says as much.
    let few = (options.submissions / 10).max(1);
    println!("{}, {} submissions with {} persons each\n", stage.version().await?, options.submissions, options.persons);
    println!(
        "| | first pass, rows/s | whole tick, rows/s | peak, MB | requests without news | ORM, rows/s | times as fast | prepared, rows/s | times as fast |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let (mut ratios, mut others, mut peak, mut requests) = (Vec::new(), Vec::new(), 0.0_f64, 0);
    for repetition in 1..=options.repetitions {
        stage.clear().await?;
        let (ours, again) = stage.poll()?;
        let found = stage.rows("submission", "submission_person_details").await?;
        if found != (options.submissions as i64, (options.submissions * options.persons) as i64) {
            return Err(format!("rows are missing: {found:?}").into());
        }
        let (by_orm, by_hand) = (stage.by_orm(few)?, stage.by_hand(few)?);
        for (one, other) in [("by_orm", "by_orm_person"), ("by_hand", "by_hand_person")] {
            if stage.rows(one, other).await? != (few as i64, (few * options.persons) as i64) {
                return Err(format!("{one}: rows are missing").into());
            }
        }
        let [fast, whole] = [ours.pass.unwrap_or(ours.seconds), ours.seconds].map(|seconds| rows as f64 / seconds);
        let [orm, hand] = [by_orm, by_hand].map(|took| (few * (1 + options.persons)) as f64 / took.seconds);
        println!(
            "| {repetition} | {fast:.0} | {whole:.0} | {:.1} | {again} | {orm:.0} | {:.1} | {hand:.0} | {:.1} |",
            ours.peak_mb,
            fast / orm,
            fast / hand
        );
        ratios.push(fast / orm);
        others.push(fast / hand);
        peak = peak.max(ours.peak_mb);
        requests = requests.max(again);
    }
    let (ratio, other) = (median(ratios), median(others));
    println!("\ntimes as fast as prepared statements, median: {other:.1}");
    println!("\n| goal | wanted | measured | reached |\n|---|---:|---:|---|");
    let reached = [
        (format!("times as fast as by an ORM | ≥ {GOAL} | {ratio:.1}"), ratio >= GOAL),
        (format!("peak memory of the poller, MB | ≤ {MEMORY} | {peak:.1}"), peak <= MEMORY),
        (format!("requests of a tick without news | ≤ {REQUESTS} | {requests}"), requests <= REQUESTS),
    ];
    for (what, is_reached) in &reached {
        println!("| {what} | {} |", if *is_reached { "yes" } else { "**no**" });
    }
    if reached.iter().all(|(_, is_reached)| *is_reached) { Ok(()) } else { Err("a goal is missed".into()) }
}

/// The most memory that this process has held, in MB. Linux only.
pub(crate) fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}
