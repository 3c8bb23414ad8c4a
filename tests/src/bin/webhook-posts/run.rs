//! A run: as many senders as there are environments, each of which posts as soon as it has its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio::task::JoinSet;
use tributary_tests::{Invocation, RuntimeApi};

use crate::deliveries::Deliveries;
use crate::queue::Queue;
use crate::stage::Stage;
use crate::{Failure, Mode, WORKERS};

const PATIENCE: Duration = Duration::from_secs(30);

/// What a run has cost.
pub(crate) struct Figures {
    /// Until the last post had its answer.
    pub(crate) answered: Duration,
    /// Until the last row was there.
    pub(crate) settled: Duration,
    /// Milliseconds that half of the posts waited at most.
    pub(crate) p50: f64,
    /// And 99 of a hundred.
    pub(crate) p99: f64,
    pub(crate) transactions: i64,
    pub(crate) connections: i64,
}

/// Posts all of it, and holds the rows to what must come of it.
pub(crate) async fn once(stage: &Stage, mode: Mode, many: usize, deliveries: &Deliveries) -> Result<Figures, Failure> {
    stage.clear().await?;
    let queue = Queue::start().await?;
    let environments = stage.environments(mode, many, &queue).await?;
    let workers = match mode {
        Mode::Direct => vec![],
        Mode::Queue => stage.environments(mode, WORKERS, &queue).await?,
    };
    let posts = deliveries.posts.iter().map(|post| post.event()).collect::<Result<Vec<Bytes>, Failure>>()?;
    let (posts, next) = (Arc::new(posts), Arc::new(AtomicUsize::new(0)));
    let before = stage.transaction().await?;
    let working: Vec<_> = workers.iter().map(|worker| queue.work(Arc::clone(&worker.api))).collect();

    let began = Instant::now();
    let mut senders = JoinSet::new();
    for environment in &environments {
        senders.spawn(send(Arc::clone(&environment.api), Arc::clone(&posts), Arc::clone(&next), mode));
    }
    let (mut waited, mut duplicates) = (Vec::with_capacity(posts.len()), 0);
    while let Some(done) = senders.join_next().await {
        let (times, again) = done?.map_err(|why| format!("{why}: {}", environments[0].log()))?;
        waited.extend(times);
        duplicates += again;
    }
    let answered = began.elapsed();
    queue.drained().await;
    let settled = began.elapsed();
    for worker in working {
        worker.await??;
    }

    let transactions = stage.transaction().await? - before;
    let connections = stage.connections().await?;
    check(stage, deliveries).await?;
    let copies = deliveries.posts.len() - deliveries.different;
    if mode == Mode::Direct && duplicates != copies as u64 {
        return Err(format!("{duplicates} duplicates, not {copies}").into());
    }
    waited.sort_unstable();
    let percentile = |hundredths: usize| waited[(waited.len() - 1) * hundredths / 100].as_secs_f64() * 1e3;
    Ok(Figures { answered, settled, p50: percentile(50), p99: percentile(99), transactions, connections })
}

/// Posts what nobody else has posted. How long each waited, and how many were duplicates.
async fn send(
    api: Arc<RuntimeApi>,
    posts: Arc<Vec<Bytes>>,
    next: Arc<AtomicUsize>,
    mode: Mode,
) -> Result<(Vec<Duration>, u64), String> {
    let expect = if mode == Mode::Direct { 200 } else { 202 };
    let (mut waited, mut duplicates) = (Vec::new(), 0);
    while let Some(post) = posts.get(next.fetch_add(1, Ordering::Relaxed)) {
        let began = Instant::now();
        let ended = api.invoke(post.clone(), PATIENCE).await;
        waited.push(began.elapsed());
        let Invocation::Response(answer) = ended else { return Err(format!("{ended:?}")) };
        let answer: Value = serde_json::from_slice(&answer).map_err(|why| why.to_string())?;
        if answer["statusCode"] != expect {
            return Err(format!("not {expect}: {answer}"));
        }
        let summary = answer["body"].as_str().and_then(|body| serde_json::from_str::<Value>(body).ok());
        duplicates += summary.and_then(|summary| summary["duplicates"].as_u64()).unwrap_or_default();
    }
    Ok((waited, duplicates))
}

/// Every row is at its newest revision, and each delivery has been counted once.
async fn check(stage: &Stage, deliveries: &Deliveries) -> Result<(), Failure> {
    let rows = stage.observer.query("select id, revision from orders order by id", &[]).await?;
    let rows: Vec<(i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expect: Vec<(i64, i64)> = deliveries.newest.iter().map(|(&id, &newest)| (id as i64, newest as i64)).collect();
    let counts = "select (select count(*) from tributary.receipt), (select count(*) from tributary.dead_letter)";
    let counts = stage.observer.query_one(counts, &[]).await?;
    let (receipts, dead): (i64, i64) = (counts.get(0), counts.get(1));
    if rows != expect || receipts != deliveries.different as i64 || dead != 0 {
        return Err(format!("the rows are not those of the posts; {receipts} receipts, {dead} dead letters").into());
    }
    Ok(())
}
