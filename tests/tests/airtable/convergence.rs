//! Random histories with everything that goes wrong: at the end the tables are as the base is.

use std::time::{Duration, Instant};

use fastrand::Rng;
use tributary_core::sink::Unlimited;
use tributary_runtime::tick::Request;
use tributary_tests::airtable::{Airtable, Fault};

use crate::fixture::*;

/// What happens between two ticks.
pub(crate) fn live(airtable: &Airtable, dice: &mut Rng, told: bool) {
    let all = airtable.ids(HOMES);
    let any = |dice: &mut Rng| all.get(dice.usize(..all.len().max(1))).cloned().unwrap_or_default();
    for _ in 0..dice.usize(..25) {
        match dice.u8(..if told { 8 } else { 14 }) {
            0 | 1 => drop(airtable.create(HOMES, (0..dice.usize(1..4)).map(|_| any_home(dice)).collect())),
            2..=4 => drop(airtable.edit(HOMES, &any(dice), &any_edit(dice))),
            5 => airtable.destroy(HOMES, &[any(dice), any(dice)]),
            6 => {
                let id = any(dice);
                airtable.destroy(HOMES, std::slice::from_ref(&id));
                airtable.restore(HOMES, &id);
            }
            7 => drop(airtable.create(HOMES, (0..dice.usize(50..130)).map(|_| any_home(dice)).collect())),
            8 | 9 => airtable.drift(HOMES, &any(dice), TOTAL, any_total(dice)),
            10 => airtable.destroy_silently(HOMES, &any(dice)),
            11 => airtable.rename_field(HOMES, NAME, &format!("Name {}", dice.u8(..))),
            12 => {
                let hooks = airtable.hooks();
                let Some((hook, _)) = hooks.first() else { continue };
                match dice.u8(..3) {
                    0 => airtable.kill_hook(hook),
                    1 => airtable.lose_payloads(hook, dice.usize(1..9)),
                    _ => airtable.delete_hook(hook),
                }
            }
            _ => airtable.expire_listings(),
        }
    }
}

fn trouble(airtable: &Airtable, dice: &mut Rng) {
    let faults = [
        Fault::Cut,
        Fault::Lost,
        Fault::Answer(503, "<html>"),
        Fault::Answer(429, r#"{"errors":[{"error":"RATE_LIMIT_REACHED"}]}"#),
        Fault::Answer(500, "{}"),
        Fault::Answer(422, r#"{"error":{"type":"LIST_RECORDS_ITERATOR_NOT_AVAILABLE","message":"x"}}"#),
        Fault::Late(Duration::from_millis(250)),
    ];
    let words = ["listRecords", "payloads", "webhooks", "tables", ""][dice.usize(..5)];
    let count = dice.usize(..4);
    airtable.fail(words, (0..count).map(|_| faults[dice.usize(..faults.len())].clone()));
    if dice.u8(..5) == 0 {
        let made = any_homes(dice, 3);
        airtable.after("listRecords", dice.u32(1..4), move |airtable| drop(airtable.create(HOMES, made)));
    }
}

async fn history(seed: u64) -> usize {
    let mut dice = Rng::with_seed(seed);
    let feed = ["", "feed: { last_modified: Changed }", "feed: sweep"][dice.usize(..3)];
    let mut world = World::new(
        "history",
        &[feed, "mass_delete: 1"].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "),
    )
    .await;
    world.airtable.create(HOMES, (0..dice.usize(..250)).map(|_| any_home(&mut dice)).collect());
    for _ in 0..dice.usize(4..10) {
        live(&world.airtable, &mut dice, false);
        trouble(&world.airtable, &mut dice);
        if dice.u8(..4) == 0 {
            world.cool_down();
        }
        let force = dice.u8(..4) == 0;
        let request = Request { force, ..Request::default() };
        let time = Duration::from_millis(dice.u64(3_050..3_600));
        // It may end in any way.
        let _ = world.tick_within(&request, &Millis(Instant::now() + time)).await;
    }
    world.airtable.recover();
    let request = Request { force: true, ..Request::default() };
    // The first may go on with a sweep that began before the last changes.
    world.tick_within(&request, &Unlimited).await;
    let report = world.tick_within(&request, &Unlimited).await;
    assert_eq!(report.pipelines()[0].error, None, "seed {seed}: {report:?}");
    let found = world.differences().await;
    assert!(
        found.is_empty(),
        "seed {seed}, {feed}: {} differences, such as {}",
        found.len(),
        found[..found.len().min(3)].join("\n")
    );
    let letters = world.database.rows("select count(*) from tributary.dead_letter").await;
    assert_eq!(letters, ["0"], "seed {seed}");
    assert_eq!(world.airtable.impatient(), 0);
    expected_rows(&world).await
}

async fn expected_rows(world: &World) -> usize {
    world.database.rows("select count(*) from home where not _deleted").await[0].parse().unwrap()
}

pub(crate) fn seed() -> u64 {
    std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..))
}

#[tokio::test]
async fn after_a_sweep_no_row_is_missing_stale_or_too_many() {
    let histories = std::env::var("HISTORIES").ok().and_then(|number| number.parse().ok()).unwrap_or(6);
    let seed = seed();
    let begin = Instant::now();
    let mut rows = 0;
    for history_of in 0..histories {
        rows += Box::pin(history(seed.wrapping_add(history_of))).await;
    }
    println!("{histories} histories from seed {seed}, {rows} rows at their ends, in {:.1?}", begin.elapsed());
}

#[tokio::test]
async fn what_a_feed_can_tell_needs_no_sweep() {
    let seed = seed();
    let mut dice = Rng::with_seed(seed);
    let mut world = World::new("told", "").await;
    world.airtable.create(HOMES, any_homes(&mut dice, 60));
    world.tick().await;
    let first = world.checkpoint("sweep").await;
    for _ in 0..12 {
        live(&world.airtable, &mut dice, true);
        if dice.bool() {
            world.cool_down();
        }
        // Refused for good, before rows that a place in the feed must wait for.
        let refusal = Fault::Answer(422, r#"{"error":{"type":"INVALID_REQUEST_UNKNOWN","message":"x"}}"#);
        world.airtable.fail("listRecords", (0..dice.usize(..2)).map(|_| refusal.clone()));
        let short = Millis(Instant::now() + Duration::from_millis(3_100));
        let _ = world.tick_within(&Request::default(), &short).await;
    }
    world.airtable.recover();
    world.tick().await;
    let found = world.differences().await;
    assert!(
        found.is_empty(),
        "seed {seed}: {} differences, such as {}",
        found.len(),
        found[..found.len().min(3)].join("\n")
    );
    assert_eq!(world.checkpoint("sweep").await, first, "no sweep was needed, seed {seed}");
}
