//! The benchmark of the Sequin drain: messages a second from a fake Sequin on loopback into a durable Postgres, beside a loop
//! that upserts one message at a time with one commit each and then acknowledges, as people write it.
//!
//! Both drain the same messages, take turns, and must leave the same rows. The server runs on a thread of its own. Only the
//! ratio counts: on loopback a commit costs what the disk takes, and a round trip nothing.

#![allow(clippy::print_stdout, reason = "its figures are what it is for")]

mod by_hand;
mod ours;
mod stage;

use std::time::Duration;

use stage::Stage;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: sequin-drain [--messages N] [--repetitions N] [--database-url URL]";
/// What is to be reached.
const GOAL: f64 = 20.0;

struct Options {
    messages: u64,
    repetitions: usize,
    url: Option<String>,
}

fn main() -> Result<(), Failure> {
    let mut options = Options { messages: 20_000, repetitions: 5, url: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"))?;
        match word.as_str() {
            "--messages" => options.messages = value.parse()?,
            "--repetitions" => options.repetitions = value.parse()?,
            "--database-url" => options.url = Some(value),
            _ => return Err(format!("what is {word}?\n{USAGE}").into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&options))
}

/// Messages a second.
fn rate(messages: u64, took: Duration) -> f64 {
    messages as f64 / took.as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

async fn run(options: &Options) -> Result<(), Failure> {
    let stage = Stage::start(options.url.clone()).await?;
    // By hand it takes long: a tenth of the messages says as much.
    let few = (options.messages / 10).max(1);
    println!(
        "{}, {} repetitions, {} messages, {few} by hand\n",
        stage.version().await?,
        options.repetitions,
        options.messages
    );
    println!(
        "| history | ours, messages/s | rows/commit | by hand, 20 a receive | by hand, 1 a receive | times as fast |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    let mut reached = true;
    for (name, history) in stage::HISTORIES {
        let (mut ours, mut by_hand, mut singly, mut ratios, mut commits) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        // The first fills caches and connections, and isn't counted.
        for repetition in 0..=options.repetitions {
            stage.fill(*history, options.messages);
            let (took, transactions) = ours::drain(&stage).await?;
            let expect = stage.rows("orders").await?;
            stage.fill(*history, few);
            let hand = by_hand::drain(&stage, 20).await?;
            stage.fill(*history, few);
            let single = by_hand::drain(&stage, 1).await?;
            if repetition == 0 {
                // The same messages by both ways make the same rows.
                stage.fill(*history, few);
                ours::drain(&stage).await?;
                if stage.rows("orders").await? != stage.rows("by_hand").await? || expect == 0 {
                    return Err("the two ways don't leave the same rows".into());
                }
                continue;
            }
            ours.push(rate(options.messages, took));
            by_hand.push(rate(few, hand));
            singly.push(rate(few, single));
            ratios.push(rate(options.messages, took) / rate(few, hand));
            commits.push(options.messages as f64 / transactions.max(1) as f64);
        }
        let ratio = median(ratios);
        // A row that changes all the time is handed out once a round by Sequin itself.
        let counts = *history != stage::History::Hot;
        reached &= !counts || ratio >= GOAL;
        println!(
            "| {name} | {:.0} | {:.0} | {:.0} | {:.0} | {ratio:.1} |",
            median(ours),
            median(commits),
            median(by_hand),
            median(singly)
        );
    }
    println!(
        "\ngoal: {GOAL} times as fast as by hand, where rows differ: {}",
        if reached { "reached" } else { "missed" }
    );
    if reached { Ok(()) } else { Err("the goal is missed".into()) }
}
