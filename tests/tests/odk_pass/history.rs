//! Random histories with everything that goes wrong: at the end the tables are as the form is.

use std::time::{Duration, Instant};

use fastrand::Rng;
use tributary_runtime::tick::Request;
use tributary_stand_in::odk::{Fault, Odk, Release, World as Central, survey};

use crate::fixture::*;

/// What people do between two ticks, or two requests.
fn live(world: &mut Central, dice: &mut Rng, most: usize) {
    for _ in 0..dice.usize(..most) {
        let (there, deleted) = (world.submissions(FORM, false), world.submissions(FORM, true));
        let any = |dice: &mut Rng, ids: &[String]| ids.get(dice.usize(..ids.len().max(1))).cloned().unwrap_or_default();
        let (one, other) = (any(dice, &there), any(dice, &deleted));
        let file = |world: &Central, dice: &mut Rng| {
            let files = world.files(FORM, &one);
            files.get(dice.usize(..files.len().max(1))).map(|file| file.name.clone()).unwrap_or_default()
        };
        match dice.u8(..16) {
            0..=3 => drop(world.create(FORM, &survey::any_answers(dice))),
            4..=6 => drop(world.edit(FORM, &one, &survey::any_answers(dice))),
            7 => drop(world.review(FORM, &one, [None, Some("approved"), Some("hasIssues")][dice.usize(..3)])),
            8 | 9 => drop(world.delete(FORM, &one)),
            10 | 11 => drop(world.restore(FORM, &other)),
            12 => drop(world.purge(FORM, &other)),
            13 => {
                let name = file(world, dice);
                world.upload(FORM, &one, &name, "x", "image/png");
            }
            14 => {
                let name = file(world, dice);
                world.clear(FORM, &one, &name);
            }
            _ => world.advance(Duration::from_millis(dice.u64(..5_000))),
        }
    }
}

fn trouble(odk: &Odk, dice: &mut Rng) {
    let faults = [
        Fault::Cut(40),
        Fault::CutClean(60),
        Fault::Short(3),
        Fault::Lost,
        Fault::Expired,
        Fault::Html(502),
        Fault::Problem(500, 500.1),
        Fault::Busy(429, Some(0)),
        Fault::Late(Duration::from_millis(150)),
    ];
    for _ in 0..dice.usize(..4) {
        let kind = ["gate", "page", "window", "ids", "manifest", "card", "fields", "*"][dice.usize(..8)];
        odk.fail(kind, faults[dice.usize(..faults.len())].clone());
    }
    for _ in 0..dice.usize(..3) {
        let mut dice = dice.fork();
        let kind = ["gate", "page", "window", "ids", "manifest", "*"][dice.usize(..6)];
        odk.after(kind, dice.u32(1..3), move |world| live(world, &mut dice, 12));
    }
}

async fn history(seed: u64) -> usize {
    let mut dice = Rng::with_seed(seed);
    let more = [", mass_delete: 1", ", mass_delete: 1, overlap: 1s", ", mass_delete: 0.1"][dice.usize(..3)];
    let mut world = World::new("history", more).await;
    let release = [Release::V2026_2, Release::V2026_2, Release::V2025_3, Release::V2024_3, Release::V2024_2];
    world.odk.world().set_release(release[dice.usize(..release.len())]);
    let count = dice.usize(..900);
    for _ in 0..count {
        world.odk.world().create(FORM, &survey::any_answers(&mut dice));
    }
    for _ in 0..dice.usize(6..14) {
        live(&mut world.odk.world(), &mut dice, 60);
        trouble(&world.odk, &mut dice);
        if dice.u8(..3) == 0 {
            world.cool_down();
        }
        let request = Request { force: dice.u8(..4) == 0, ..Request::default() };
        let time = Duration::from_millis(dice.u64(3_020..3_500));
        let until = Until(Instant::now() + time);
        let tick = world.tick_within(&request, &until);
        // It may end in any way, or be killed.
        if dice.u8(..3) == 0 {
            let kill = Duration::from_millis(dice.u64(5..400));
            let _ = tokio::time::timeout(kill, tick).await;
            world.cool_down();
            let free = "update tributary.lease set expires_at = now()";
            world.database.execute(free).await;
        } else {
            let _ = tick.await;
        }
    }
    world.odk.recover();
    // The manifest is due, and two passes agree on what has gone.
    let due = "update tributary.checkpoint set position = jsonb_set(position::jsonb, '{manifest_at}', '1')::text \
         where partition = 'odk'";
    for _ in 0..3 {
        world.database.execute(due).await;
        let progress = world.try_tick(&Request::default()).await;
        assert_eq!(progress.error, None, "seed {seed}: {progress:?}");
    }
    let found = world.differences().await;
    assert!(
        found.is_empty(),
        "seed {seed}{more}: {} differences, such as {}",
        found.len(),
        found[..found.len().min(3)].join("\n")
    );
    let letters = world.database.rows("select count(*) from tributary.dead_letter").await;
    assert_eq!(letters, ["0"], "seed {seed}");
    assert_eq!((world.odk.leaks(), world.odk.strays()), (0, 0), "seed {seed}");
    let there = world.odk.world().submissions(FORM, false);
    there.len()
}

#[tokio::test]
async fn after_a_manifest_no_row_is_missing_stale_or_too_many() {
    let histories = std::env::var("HISTORIES").ok().and_then(|number| number.parse().ok()).unwrap_or(6);
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    let begin = Instant::now();
    let mut rows = 0;
    for history_of in 0..histories {
        rows += Box::pin(history(seed.wrapping_add(history_of))).await;
    }
    println!("{histories} histories from seed {seed}, {rows} rows at their ends, in {:.1?}", begin.elapsed());
}
