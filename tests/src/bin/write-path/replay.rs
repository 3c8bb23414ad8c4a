//! How often a batch waits for the network, and what a batch costs that was applied before.

use std::time::Duration;

use bytes::Bytes;
use tributary_core::batch::{Batch, Checkpoint, Rejected};
use tributary_core::change::Change;
use tributary_core::event::Origin;
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::table::Table;
use tributary_tests::Proxy;

use crate::measure::{Clock, Cost, median};
use crate::report::{Bound, Goal, say};
use crate::rows::{self, Rows};
use crate::server::Server;
use crate::{Failure, Options};

const SIZE: usize = 1_000;
const REPLAYS: usize = 20;

pub(crate) async fn run(server: &Server, _: &Options) -> Result<Vec<Goal>, Failure> {
    let mut goals = vec![round_trips(server).await?];
    goals.extend(replays(server).await?);
    Ok(goals)
}

/// Three tables, a dead letter and a checkpoint, through a network on which an answer takes 20 ms.
async fn round_trips(server: &Server) -> Result<Goal, Failure> {
    const BATCHES: u64 = 5;
    let tables: Vec<Table> = ["trip_a", "trip_b", "trip_c"].map(rows::table).into();
    let proxy = Proxy::start(server.url()).await;
    let mut sink = crate::server::sink(proxy.url(), tables.clone(), "trips").await?;
    let mut rows = Rows::new(3);
    let mut before = 0;
    for number in 0..BATCHES + 2 {
        if number == 2 {
            proxy.delay(Duration::ZERO, Duration::from_millis(20));
            before = proxy.round_trips();
        }
        let mut changes: Vec<Change> = rows.keys(SIZE).iter().map(|key| rows.newer(key)).collect();
        changes.iter_mut().enumerate().for_each(|(at, change)| change.table = (at % tables.len()) as u16);
        let bad = Origin {
            position: format!("position {number}").into(),
            key: "key".into(),
            payload: Bytes::from_static(b"{}"),
        };
        let batch = Batch {
            origins: vec![bad],
            rejected: vec![Rejected { event: 0, table: None, error: "no key".to_owned() }],
            checkpoint: Some(Checkpoint {
                partition: String::new(),
                position: number.to_string(),
                at: None,
                fence: None,
            }),
            ..rows::batch(&tables, changes)
        };
        sink.apply(&batch, &Unlimited).await?;
    }
    let each = (proxy.round_trips() - before) as f64 / BATCHES as f64;
    Ok(Goal::new("round trips a warm batch: three tables, a dead letter, a checkpoint", Bound::AtMost(1.0), each))
}

/// A batch that is applied, and applied again as a retry does it.
async fn replays(server: &Server) -> Result<Vec<Goal>, Failure> {
    let tables = [rows::table("replay")];
    let (mut sink, backend) = server.sink(tables.to_vec(), "replay").await?;
    let relation = format!("{}.replay", rows::SCHEMA);
    let mut rows = Rows::new(4);
    // Whether the records of the log can be read: an extension that is not installed everywhere.
    let inspects = server.observer.batch_execute("create extension if not exists pg_walinspect").await.is_ok();
    let (mut first, mut again, mut touched, mut logged) = (Vec::new(), Vec::new(), 0, 0);
    for _ in 0..REPLAYS {
        let changes: Vec<Change> = rows.keys(SIZE).iter().map(|key| rows.newer(key)).collect();
        let mut batch = rows::batch(&tables, changes);
        let mut clock = Clock::start(&server.observer, backend).await?;
        clock.lap(SIZE, sink.apply(&batch, &Unlimited)).await?;
        first.push(clock.stop(&server.observer).await?);
        // So that hint bits are set, which a reader would do.
        server.observer.batch_execute(&format!("select count(*) from {relation}; checkpoint")).await?;
        let state = fingerprint(server, &relation).await?;
        let from: String = server.observer.query_one("select pg_current_wal_insert_lsn()::text", &[]).await?.get(0);
        batch.replay = true;
        let mut clock = Clock::start(&server.observer, backend).await?;
        clock.lap(SIZE, sink.apply(&batch, &Unlimited)).await?;
        again.push(clock.stop(&server.observer).await?);
        touched += i64::from(fingerprint(server, &relation).await? != state);
        if inspects {
            logged += records(server, &relation, &from).await?;
        }
    }
    let middle = |costs: &[Cost], figure: fn(&Cost) -> f64| median(costs.iter().map(figure).collect());
    say(&format!("\n### A batch of {SIZE} inserts, and the same batch again\n"));
    say("| | rows/s | CPU µs/row | WAL B/row, all tables |\n|---|---:|---:|---:|");
    for (name, costs) in [("first", &first), ("again", &again)] {
        let (rate, cpu, wal) = (middle(costs, Cost::rate), middle(costs, Cost::cpu_us), middle(costs, Cost::wal_bytes));
        say(&format!("| {name} | {rate:.0} | {cpu:.2} | {wal:.1} |"));
    }
    let faster = middle(&again, Cost::rate) / middle(&first, Cost::rate);
    let mut goals = vec![
        Goal::new("replayed batches that changed a row, or its place", Bound::AtMost(0.0), touched as f64),
        Goal::new("replayed batch: times faster than the first", Bound::AtLeast(1.2), faster),
    ];
    if inspects {
        let what = "replayed batches: records of the log that touch the table or its index";
        goals.push(Goal::new(what, Bound::AtMost(0.0), logged as f64));
    }
    Ok(goals)
}

/// Changes when a row is written, moved or locked.
async fn fingerprint(server: &Server, relation: &str) -> Result<i64, Failure> {
    server.figure(&format!("select bit_xor(hashtextextended(concat(ctid, xmin, xmax), 0)) from {relation}")).await
}

/// Records since this position that touch the table or its index.
async fn records(server: &Server, relation: &str, from: &str) -> Result<i64, Failure> {
    let query = format!(
        "select count(*) from pg_get_wal_records_info('{from}', pg_current_wal_flush_lsn()) r, pg_class c \
         where (c.oid = '{relation}'::regclass or c.oid in \
           (select indexrelid from pg_index where indrelid = '{relation}'::regclass)) \
           and r.block_ref like '%/' || c.relfilenode || ' %'"
    );
    server.figure(&query).await
}
