//! Four writers that want the same rows at the same time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tributary_core::change::Change;
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::version::Version;

use crate::report::{Bound, Goal, say};
use crate::rows::{self, Rows};
use crate::server::Server;
use crate::{Failure, Options};

const WRITERS: usize = 4;
const BATCHES: usize = 20;
const SIZE: usize = 1_000;
const KEYS: usize = 2_000;

pub(crate) async fn run(server: &Server, _: &Options) -> Result<Vec<Goal>, Failure> {
    let tables = [rows::table("shared")];
    let mut rows = Rows::new(5);
    let keys = rows.keys(KEYS);
    let mut newest: HashMap<String, Version> = HashMap::new();
    // Neighbouring versions go to different writers, so that most batches meet rows that are newer.
    let mut work: Vec<Vec<Vec<Change>>> = vec![Vec::new(); WRITERS];
    for _ in 0..BATCHES {
        for batches in &mut work {
            let mut changes: Vec<Change> = rows.draw(&keys, SIZE).into_iter().map(|key| rows.newer(key)).collect();
            rows.shuffle(&mut changes);
            for change in &changes {
                if let [tributary_core::cell::Cell::Text(key)] = &*change.key {
                    let best = newest.entry(key.to_string()).or_insert(change.version);
                    *best = change.version.max(*best);
                }
            }
            batches.push(changes);
        }
    }
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    let before = server.figure(deadlocks).await?;
    let mut sinks = Vec::new();
    for number in 0..WRITERS {
        sinks.push(server.sink(tables.to_vec(), &format!("writer-{number}")).await?.0);
    }
    let began = Instant::now();
    try_join_all(sinks.iter_mut().zip(work).map(async |(sink, batches)| {
        for changes in batches {
            sink.apply(&rows::batch(&tables, changes), &Unlimited).await?;
        }
        Ok::<_, Failure>(())
    }))
    .await?;
    let rate = (WRITERS * BATCHES * SIZE) as f64 / began.elapsed().as_secs_f64();
    // Backends report their figures after a second at the latest.
    drop(sinks);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let deadlocks = server.figure(deadlocks).await? - before;
    let query = format!("select id, _version::text from {}.shared", rows::SCHEMA);
    let mut wrong = newest.len();
    for row in server.observer.query(&query, &[]).await? {
        let (key, version): (String, String) = (row.get(0), row.get(1));
        let stored = Version::from_sql(&version)?;
        wrong -= usize::from(newest.get(&key).copied() == stored);
    }
    say(&format!(
        "\n### {WRITERS} writers × {BATCHES} batches × {SIZE} changes of the same {KEYS} rows\n\n\
         {rate:.0} changes/s, {deadlocks} deadlocks, {wrong} of {} rows not at their newest version",
        newest.len()
    ));
    Ok(vec![
        Goal::new("four writers on the same rows: deadlocks", Bound::AtMost(0.0), deadlocks as f64),
        Goal::new("four writers on the same rows: rows that went back", Bound::AtMost(0.0), wrong as f64),
    ])
}
