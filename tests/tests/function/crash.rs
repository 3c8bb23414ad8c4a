//! Random histories of items, delivered in random batches, doubled and shuffled, to a function that is killed at random
//! moments: the tables end as the mapping and the newest image of each item say.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary_core::batch::Batch;
use tributary_core::memory::Memory;
use tributary_core::route::route;
use tributary_core::sink::{Sink, Unlimited};
use tributary_sources::dynamodb::arn::StreamArn;
use tributary_sources::dynamodb::generate::{KEY, Users};
use tributary_sources::dynamodb::record::record_json;
use tributary_sources::dynamodb::stream::decode;
use tributary_tests::{Database, Function, Invocation, RuntimeApi};

use crate::fixture::*;

const CHANGES: usize = 1_500;
const ARN: &str = "arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2026-01-01T00:00:00.000";

/// A small generator, so that a failing run can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

fn history(seed: u64) -> Vec<String> {
    let arn: StreamArn = ARN.parse().unwrap();
    let mut users = Users::new(seed);
    let record = |at: usize| {
        let micros = 1_767_225_600_000_000 + at as i64 * 1_000_000;
        let operation = users.next(micros);
        record_json(operation.change(), &KEY, &arn, &users.sequence_number(), Some(micros)).unwrap()
    };
    (0..CHANGES).map(record).collect()
}

fn event_of(records: &[&String]) -> String {
    let records: Vec<&str> = records.iter().map(|record| record.as_str()).collect();
    format!("{{\"Records\":[{}]}}", records.join(","))
}

/// Live rows by table and key as the twin holds them after the whole history, once, in order.
async fn expected(records: &[String]) -> BTreeMap<String, usize> {
    let mapping = mapping();
    let pipeline = &mapping.pipelines[0];
    let mut memory = Memory::default();
    let all: Vec<&String> = records.iter().collect();
    let (mut changes, mut rejected, mut origins) = (Vec::new(), Vec::new(), Vec::new());
    for (position, record) in (0u32..).zip(decode(event_of(&all).into()).unwrap()) {
        let event = record.decoded.unwrap();
        route(pipeline, &event, position, 0, &mut changes, &mut rejected);
        origins.push(event.origin);
    }
    let batch = Batch {
        pipeline: "users",
        tables: &pipeline.tables,
        origins,
        changes,
        rejected,
        checkpoint: None,
        replay: false,
        only_writer: false,
        receipts: Vec::new(),
        received: Vec::new(),
    };
    memory.apply(&batch, &Unlimited).await.unwrap();
    let rows = pipeline.tables.iter().flat_map(|table| {
        let ty = table.key[0].ty.clone();
        memory.table(&table.name).into_iter().map(move |(key, stored)| {
            let key = tributary_core::cast::cell_text(&key[0], &ty).unwrap();
            format!("{} {key} {} {}", table.name, stored.version, stored.deleted)
        })
    });
    rows.map(|row| (row, 1)).collect()
}

async fn stored(database: &Database) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    for (table, key) in
        [("profile", "id"), ("appearance_settings", "profile_id"), ("notification_settings", "profile_id")]
    {
        let query = format!("select '{table} ' || {key} || ' ' || _version || ' ' || _deleted from {table}");
        database.rows(&query).await.into_iter().for_each(|row| *rows.entry(row).or_default() += 1);
    }
    rows
}

#[tokio::test]
async fn killed_at_random_moments_it_loses_and_doubles_nothing() {
    let seed =
        std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| u64::from(std::process::id()));
    let mut dice = Dice(seed);
    let records = history(seed);
    let database = database("crash").await;
    let api = RuntimeApi::start().await;
    let mut function = function(&api, database.url());
    let mut kills = 0;
    let mut from = 0;
    while from < records.len() {
        let size = (1 + dice.roll(120)).min(records.len() - from);
        // What an earlier delivery held may come again, in any order.
        let mut batch: Vec<&String> = records[from..from + size].iter().collect();
        batch.extend((0..dice.roll(20)).map(|_| &records[dice.roll(from + size)]));
        for at in (1..batch.len()).rev() {
            batch.swap(at, dice.roll(at + 1));
        }
        let event = event_of(&batch);
        if dice.roll(3) == 0 {
            kills += 1;
            let moment = Duration::from_micros(dice.roll(30_000) as u64);
            killed_during(&api, &mut function, event.clone(), moment).await;
            function = crate::fixture::function(&api, database.url());
        }
        assert_eq!(delivered(&api, event).await, all_done(), "seed {seed}");
        from += size;
    }
    let (stored, expected) = (stored(&database).await, expected(&records).await);
    assert!(expected.len() > 300, "a history of {} rows shows little", expected.len());
    assert!(kills > 3, "{kills} kills, seed {seed}");
    assert_eq!(stored, expected, "seed {seed}, {kills} kills");
    assert_eq!(database.rows("select count(*) from tributary.dead_letter").await, ["0"]);
}

/// Delivers until somebody answers: an invocation may still go to the process that was just killed.
async fn delivered(api: &RuntimeApi, event: String) -> serde_json::Value {
    loop {
        match api.invoke(event.clone(), PATIENCE).await {
            Invocation::Lost => {}
            other => return other.json(),
        }
    }
}

async fn killed_during(api: &RuntimeApi, function: &mut Function, event: String, moment: Duration) {
    // One that was killed before it asked for work leaves the event in the queue: nobody waits for that for long.
    let invocation = api.invoke(event, Duration::from_secs(2));
    let kill = async {
        tokio::time::sleep(moment).await;
        function.kill();
        api.abandon();
    };
    let (invocation, ()) = tokio::join!(invocation, kill);
    // It may have answered before it was hit; then the event comes once more all the same.
    assert!(!matches!(invocation, Invocation::Error { .. }), "{invocation:?}");
}
