//! Random operations with ticks in between, cut short and killed: at the end all tables are as the server is.

use std::time::{Duration, Instant};

use bytes::Bytes;
use fastrand::Rng;
use serde_json::{Value as Json, json};
use tributary_core::sink::Unlimited;
use tributary_runtime::tick::Request;
use tributary_tests::odk::survey::{FORM, any_answers, fields};
use tributary_tests::odk::{Fault, Field, Odk};

use crate::fixture::*;

/// How many operations of each kind were done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) operations: usize,
    pub(crate) begun: Vec<String>,
}

fn any(dice: &mut Rng, ids: &[String]) -> Option<String> {
    (!ids.is_empty()).then(|| ids[dice.usize(..ids.len())].clone())
}

/// Answers to all that any version of the form asks for.
fn answers(dice: &mut Rng) -> Json {
    let mut answers = any_answers(dice);
    answers["new_text"] = json!(format!("new {}", dice.u8(..)));
    answers["new_number"] = json!(dice.u16(..));
    let visits = (0..dice.usize(..3)).map(|_| json!({ "day": format!("2026-02-1{}", dice.u8(..10)) }));
    answers["visits"] = visits.collect();
    answers
}

/// What a file of this name and submission is made of: always the same, since that a file was replaced nothing tells.
fn content(id: &str, name: &str) -> Bytes {
    format!("{id} {name}").repeat(20).into()
}

/// Other questions than before.
fn publish(odk: &Odk, dice: &mut Rng) {
    let mut asked = fields();
    let without = |asked: &mut Vec<Field>, path: &str| asked.retain(|field| field.path != path);
    if dice.bool() {
        without(&mut asked, "/legacy_note");
    }
    if dice.bool() {
        asked.push(Field::new("/new_text", "string"));
    }
    if dice.bool() {
        asked.push(Field::new("/new_number", "int"));
    }
    if dice.bool() {
        asked.push(Field::new("/visits", "repeat"));
        asked.push(Field::new("/visits/day", "date"));
    }
    let version = format!("{}", dice.u32(..));
    odk.world().publish(FORM, &version, asked);
}

/// One thing that somebody does; with `silent`, it may be one of which nothing tells but the manifest.
pub(crate) fn act(odk: &Odk, dice: &mut Rng, done: &mut Done, silent: bool) {
    let mut world = odk.world();
    world.advance(Duration::from_millis(dice.u64(..3_000)));
    done.operations += 1;
    let (live, deleted) = (world.submissions(FORM, false), world.submissions(FORM, true));
    match dice.u8(..34) {
        0..=6 => drop(world.create(FORM, &answers(dice))),
        7..=12 => {
            let Some(id) = any(dice, &live) else { return };
            world.edit(FORM, &id, &answers(dice));
        }
        13..=15 => {
            let Some(id) = any(dice, &live) else { return };
            let state = [None, Some("approved"), Some("hasIssues"), Some("rejected")][dice.usize(..4)];
            world.review(FORM, &id, state);
        }
        16 => {
            let Some(id) = any(dice, &live) else { return };
            world.comment(FORM, &id);
        }
        17..=19 => {
            let Some(id) = any(dice, &live) else { return };
            world.delete(FORM, &id);
        }
        20 | 21 => {
            let Some(id) = any(dice, &deleted) else { return };
            world.restore(FORM, &id);
        }
        22 => {
            let Some(id) = any(dice, &deleted) else { return };
            world.purge(FORM, &id);
        }
        23..=27 => {
            let Some(id) = any(dice, &live) else { return };
            for file in world.files(FORM, &id) {
                world.upload(FORM, &id, &file.name, content(&id, &file.name), "image/png");
            }
        }
        28 if silent => {
            let Some(id) = any(dice, &live) else { return };
            for file in world.files(FORM, &id) {
                world.clear(FORM, &id, &file.name);
            }
        }
        29 => done.begun.push(world.begin(FORM, &answers(dice))),
        30 => {
            if let Some(id) = done.begun.pop() {
                world.commit(&id);
            }
        }
        31 if silent => {
            let name = format!("person {}", dice.u8(..4));
            world.rename_submitter(&name);
        }
        32 => {
            world.expire_sessions();
        }
        _ => {
            drop(world);
            // All rows are read anew then, which hides what was missed before.
            if silent && dice.u8(..4) == 0 {
                publish(odk, dice);
            }
        }
    }
}

/// Something is wrong with the server or the way to it.
pub(crate) fn trouble(odk: &Odk, dice: &mut Rng) {
    let faults = [
        Fault::Cut(dice.usize(..100)),
        Fault::CutClean(dice.usize(1..100)),
        Fault::Short(1),
        Fault::Expired,
        Fault::Lost,
        Fault::Problem(404, 404.1),
        Fault::Problem(403, 403.1),
        Fault::Html(502),
        Fault::Late(Duration::from_millis(30)),
    ];
    let kinds = ["*", "gate", "window", "page", "ids", "manifest", "card", "fields", "attachment"];
    for _ in 0..dice.usize(..3) {
        odk.fail(kinds[dice.usize(..kinds.len())], faults[dice.usize(..faults.len())].clone());
    }
    if dice.u8(..6) == 0 {
        // Between two pages, the place of the next one goes.
        odk.after("window", 1, |world| {
            let deleted = world.submissions(FORM, true);
            for id in &deleted {
                world.purge(FORM, id);
            }
        });
    }
}

pub(crate) fn seed() -> u64 {
    std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..))
}

pub(crate) fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

/// A tick that ends in some way: by itself, for want of time, or in the middle of anything.
async fn tick(world: &mut World, dice: &mut Rng) -> bool {
    let request = Request { force: dice.u8(..8) == 0, ..Request::default() };
    match dice.u8(..4) {
        0 => {
            let moment = Duration::from_micros(dice.u64(..60_000));
            let killed = tokio::time::timeout(moment, world.tick_within(&request, &Unlimited)).await.is_err();
            if killed {
                world.cool_down();
                // Nobody waits until it expires.
                world.database.execute("update tributary.lease set expires_at = now()").await;
            }
            killed
        }
        1 => {
            let end = Instant::now() + Duration::from_millis(dice.u64(3_000..3_300));
            world.tick_within(&request, &Millis(end)).await;
            false
        }
        _ => {
            world.tick_within(&request, &Unlimited).await;
            false
        }
    }
}

#[tokio::test]
async fn whatever_happens_the_tables_become_what_the_server_is() {
    let (operations, seed) = (number("OPERATIONS", 400), seed());
    // With more between two ticks a long run takes less time.
    let busy = number("BUSY", 12);
    let mut dice = Rng::with_seed(seed);
    let source = "form: GRARentalDataCollection, overlap: 1s, mass_delete: 1";
    let mut world = World::of("convergence", &Plan { source, files: true, ..Plan::default() }).await;
    let (mut done, mut ticks, mut kills, mut rounds) = (Done::default(), 0, 0, 0);
    let begin = Instant::now();
    while done.operations < operations {
        // Every other round the manifest, which finds whatever differs, is left out.
        let silent = rounds % 2 == 1;
        for _ in 0..dice.usize(20..60) {
            for _ in 0..dice.usize(..busy) {
                act(&world.odk, &mut dice, &mut done, silent);
            }
            // What is tried again waits for two seconds and more.
            if dice.u8(..3) == 0 {
                trouble(&world.odk, &mut dice);
            }
            if dice.u8(..8) == 0 {
                world.cool_down();
            }
            kills += usize::from(tick(&mut world, &mut dice).await);
            ticks += 1;
        }
        world.odk.recover();
        while let Some(id) = done.begun.pop() {
            world.odk.world().commit(&id);
        }
        if silent {
            world.set_sweep(Duration::from_nanos(1)).await;
        }
        world.wait();
        world.tick().await;
        let found = world.differences().await;
        let some = found[..found.len().min(5)].join("\n");
        assert!(
            found.is_empty(),
            "seed {seed}, round {rounds}, {} operations: {} differences, such as\n{some}",
            done.operations,
            found.len()
        );
        world.set_sweep(RARELY).await;
        rounds += 1;
    }
    let letters = world.one("select count(*) from tributary.dead_letter").await;
    assert_eq!(letters, "0", "seed {seed}");
    assert_eq!((world.odk.leaks(), world.odk.strays()), (0, 0), "seed {seed}");
    assert!(world.odk.peak() <= 4, "{} requests at once, seed {seed}", world.odk.peak());
    let rows = world.odk.world().submissions(FORM, false).len();
    println!(
        "seed {seed}: {} operations, {ticks} ticks, {kills} killed, {rounds} comparisons, {rows} submissions at the end, {} \
         requests, in {:.1?}",
        done.operations,
        world.odk.count(),
        begin.elapsed()
    );
}
