//! The benchmark of webhooks: posts a second and how long each waits, answered when the row is committed and answered when the
//! queue has it, by 1, 8 and 32 environments of the real function before a durable Postgres.
//!
//! What it can't have: an AWS. Requests are handed to the Runtime API as events, without a URL before it; a queue in this
//! process answers at once and hands its messages to two workers, as an event source mapping does. So times are those of the
//! function and the database. Both modes get the same posts, a tenth of them twice and in any order, and must leave the same
//! rows, each delivery counted once.

#![allow(clippy::print_stdout, reason = "its figures are what it is for")]

mod deliveries;
mod queue;
mod run;
mod stage;

use std::time::Duration;

use run::Figures;
use stage::Stage;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: webhook-posts [--deliveries N] [--repetitions N] [--database-url URL]";

/// How many environments take requests.
const ENVIRONMENTS: [usize; 3] = [1, 8, 32];

/// By how many environments the queue is worked off, as `WebhookWorkers` has it by default.
const WORKERS: usize = 2;

struct Options {
    deliveries: usize,
    repetitions: usize,
    url: Option<String>,
}

fn main() -> Result<(), Failure> {
    let mut options = Options { deliveries: 4_000, repetitions: 3, url: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"))?;
        match word.as_str() {
            "--deliveries" => options.deliveries = value.parse()?,
            "--repetitions" => options.repetitions = value.parse()?,
            "--database-url" => options.url = Some(value),
            _ => return Err(format!("what is {word}?\n{USAGE}").into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(&options))
}

/// A way to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Direct,
    Queue,
}

impl Mode {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Mode::Direct => "direct",
            Mode::Queue => "queue",
        }
    }
}

async fn measure(options: &Options) -> Result<(), Failure> {
    let stage = Stage::start(options.url.clone()).await?;
    let deliveries = deliveries::make(options.deliveries);
    println!(
        "{}, {} repetitions of {} posts, {} of them a second time\n",
        stage.version().await?,
        options.repetitions,
        deliveries.posts.len(),
        deliveries.posts.len() - deliveries.different
    );
    println!(
        "| mode | environments | posts/s | p50, ms | p99, ms | all rows there, posts/s | transactions that wrote | connections |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let mut lines: Vec<(Mode, usize, Vec<Figures>)> =
        ENVIRONMENTS.into_iter().flat_map(|many| [(Mode::Direct, many, vec![]), (Mode::Queue, many, vec![])]).collect();
    // They take turns, so that a busy minute of the machine is nobody's alone.
    for _ in 0..options.repetitions {
        for (mode, environments, figures) in &mut lines {
            figures.push(run::once(&stage, *mode, *environments, &deliveries).await?);
        }
    }
    let posts = deliveries.posts.len();
    for (mode, environments, figures) in &lines {
        let of = |figure: fn(&Figures) -> f64| median(figures.iter().map(figure).collect());
        let rate = |took: Duration| posts as f64 / took.as_secs_f64();
        let (answered, settled) = (figures.iter().map(|f| rate(f.answered)), figures.iter().map(|f| rate(f.settled)));
        println!(
            "| {} | {environments} | {:.0} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} |",
            mode.word(),
            median(answered.collect()),
            of(|f| f.p50),
            of(|f| f.p99),
            median(settled.collect()),
            of(|f| f.transactions as f64),
            of(|f| f.connections as f64),
        );
    }
    println!();
    for pair in lines.chunks(2) {
        let [(_, environments, direct), (_, _, queue)] = pair else { continue };
        let ratio = |figure: fn(&Figures) -> f64| {
            median(direct.iter().zip(queue).map(|(direct, queue)| figure(direct) / figure(queue)).collect())
        };
        println!(
            "{environments} environments: the queue answers {:.1} times as many posts a second, with a {:.0}th of the transactions",
            ratio(|f| f.answered.as_secs_f64()),
            ratio(|f| f.transactions as f64)
        );
    }
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
