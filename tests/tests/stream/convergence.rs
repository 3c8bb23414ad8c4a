//! Random histories, delivered by the stream driver in every order that AWS allows and in those that it doesn't, twice,
//! in pieces, failing before and after the commit, while scans of the table race the stream: the tables end as those of
//! the in-memory twin, which has seen each version once and in order.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use fastrand::Rng;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use tokio::sync::Mutex;
use tributary_core::pipeline::Mapping;
use tributary_core::sink::Unlimited;
use tributary_postgres::connect::{Policy, Target};
use tributary_runtime::dynamodb_stream::{Handler, pipelines};
use tributary_runtime::sinks::Sinks;
use tributary_runtime::stream_driver::{Disorder, Record, Report, Rules, Shard, drive};
use tributary_tests::Database;

use crate::fixture::*;
use crate::history::{Size, Stream, history};
use crate::twin::{differences, twin};

/// How a history is delivered.
#[derive(Clone, Debug)]
struct Way {
    shards: usize,
    batch_size: usize,
    disorder: Disorder,
    /// The share of invocations that fail, half of them after their commit.
    failing: f64,
}

/// As many functions as there are connections, with the tables that they write.
struct Sinking {
    mapping: Arc<Mapping>,
    database: Database,
    handlers: Vec<Mutex<Handler<Target>>>,
    histories: Cell<usize>,
    changes: Cell<usize>,
    deliveries: Cell<usize>,
}

impl Sinking {
    async fn new(name: &str) -> Self {
        let mapping = Arc::new(every_kind_of_table());
        let database = database_of(name, &mapping).await;
        let target = Target::from_url(database.url(), &Policy::default()).unwrap();
        let environments = if database.single_connection() { 1 } else { 2 };
        let handler = |_| {
            let sinks = Sinks::new(&mapping, pipelines(&mapping), |_, _| target.clone());
            Mutex::new(Handler::new(Arc::clone(&mapping), sinks).unwrap())
        };
        let handlers = (0..environments).map(handler).collect();
        let (histories, changes, deliveries) = Default::default();
        Sinking { mapping, database, handlers, histories, changes, deliveries }
    }

    async fn empty(&self) {
        let tables = self.mapping.pipelines[0].tables.iter().map(|table| table.name.as_str());
        let tables: Vec<&str> = tables.chain(["tributary.ledger", "tributary.checkpoint"]).collect();
        self.database.execute(&format!("truncate {}", tables.join(", "))).await;
    }

    async fn deliver(&self, streams: &[Stream], way: &Way) -> Report {
        let records = |all: &[String]| all.iter().map(|json| Record::new(json.as_str())).collect::<Vec<_>>();
        let mut shards = Vec::new();
        for (number, stream) in streams.iter().enumerate() {
            for (part, mut shard) in Shard::of_records(records(&stream.records), way.shards).into_iter().enumerate() {
                shard.id = format!("stream {number} shard {part}");
                shards.push(shard);
            }
            for (part, scan) in stream.scans.iter().enumerate() {
                shards.push(Shard { id: format!("stream {number} scan {part}"), parent: None, records: records(scan) });
            }
        }
        let rules = Rules {
            batch_size: way.batch_size,
            disorder: Some(way.disorder.clone()),
            bisect: true,
            ..Rules::default()
        };
        let dice = RefCell::new(Rng::with_seed(way.disorder.seed));
        let turn = Cell::new(0);
        drive(&rules, shards, async |event| {
            let fails = dice.borrow_mut().f64() < way.failing;
            if fails && dice.borrow_mut().bool() {
                return Err("before the commit");
            }
            turn.set(turn.get() + 1);
            let mut handler = self.handlers[turn.get() % self.handlers.len()].lock().await;
            let answer = Box::pin(handler.handle(event, &Unlimited)).await.unwrap();
            if fails { Err("after the commit") } else { Ok(serde_json::to_vec(&answer.to_response()).unwrap().into()) }
        })
        .await
    }

    /// Delivers a history, and says how the tables then differ from the twin's.
    async fn differences(&self, size: Size, way: &Way) -> Vec<String> {
        let streams = history(size);
        self.empty().await;
        let report = self.deliver(&streams, way).await;
        assert!(report.discarded.is_empty());
        // Of the scans the first: where the second differs, the stream knows better.
        let in_order =
            streams.iter().flat_map(|stream| stream.scans[0].iter().chain(&stream.scans[1]).chain(&stream.records));
        let in_order: Vec<&String> = in_order.collect();
        self.histories.set(self.histories.get() + 1);
        self.changes.set(self.changes.get() + in_order.len());
        self.deliveries.set(self.deliveries.get() + report.deliveries.len());
        let mut found = differences(&self.database, &self.mapping, &twin(&self.mapping, &in_order).await).await;
        found.extend(self.database.rows("select error from tributary.dead_letter").await);
        // The twin reads records as the function does; this is said without either.
        let stored = self.database.rows("select id, name from kept where not _deleted").await;
        found.extend(
            (BTreeSet::from_iter(stored) != last_names(&in_order)).then(|| "names are not the last".to_owned()),
        );
        found
    }

    fn tell(&self, since: Instant) {
        let (histories, changes, deliveries) = (self.histories.get(), self.changes.get(), self.deliveries.get());
        println!("{histories} histories, {changes} records, {deliveries} deliveries in {:.1?}", since.elapsed());
    }
}

/// The name that each item has in its last record, of the items that are not gone, as a query prints them.
fn last_names(in_order: &[&String]) -> BTreeSet<String> {
    let mut names = BTreeMap::new();
    for json in in_order {
        let record: Value = serde_json::from_str(json).unwrap();
        let (id, now) = (&record["dynamodb"]["Keys"]["id"]["S"], record["dynamodb"].get("NewImage"));
        let name = now.map(|now| now["name"]["S"].as_str().unwrap_or("∅").to_owned());
        names.insert(id.as_str().unwrap().to_owned(), name);
    }
    names.into_iter().filter_map(|(id, name)| Some(format!("{id} | {}", name?))).collect()
}

fn any_size() -> impl Strategy<Value = Size> {
    (any::<u64>(), 1..150usize, 1..600usize, 1..4usize).prop_map(|(seed, keys, changes, streams)| Size {
        seed,
        keys,
        changes,
        streams,
    })
}

fn any_way() -> impl Strategy<Value = Way> {
    let disorder = (any::<u64>(), any::<bool>(), 0.0..0.4, 0.0..0.5, any::<bool>())
        .prop_map(|(seed, shuffle, duplicate, replay, split)| Disorder { seed, shuffle, duplicate, replay, split });
    (1..4usize, 1..300usize, disorder, 0.0..0.2).prop_map(|(shards, batch_size, disorder, failing)| Way {
        shards,
        batch_size,
        disorder,
        failing,
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn random_histories_in_any_order_end_as_the_twin_says() {
    let cases = std::env::var("HISTORIES").ok().and_then(|number| number.parse().ok()).unwrap_or(20);
    let (runtime, begin) = (runtime(), Instant::now());
    let sinking = runtime.block_on(Sinking::new("histories"));
    let mut runner =
        TestRunner::new(Config { cases, max_shrink_iters: 40, failure_persistence: None, ..Config::default() });
    let result = runner.run(&(any_size(), any_way()), |(size, way)| {
        let found = runtime.block_on(sinking.differences(size, &way));
        prop_assert!(found.is_empty(), "{}", found.join("\n"));
        Ok(())
    });
    sinking.tell(begin);
    result.unwrap();
}

#[test]
fn a_large_history_ends_as_the_twin_says_in_order_and_shuffled() {
    let (runtime, begin) = (runtime(), Instant::now());
    let sinking = runtime.block_on(Sinking::new("large_history"));
    let size = Size { seed: 7, keys: 400, changes: 4_000, streams: 2 };
    for shuffle in [false, true] {
        let disorder = Disorder { seed: 11, shuffle, duplicate: 0.1, replay: 0.2, split: true };
        let way = Way { shards: 4, batch_size: 1_000, disorder, failing: 0.1 };
        assert_eq!(runtime.block_on(sinking.differences(size, &way)), [""; 0], "shuffle: {shuffle}");
    }
    sinking.tell(begin);
}
