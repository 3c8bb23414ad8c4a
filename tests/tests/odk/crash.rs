//! The real function, killed at random moments while people go on with their survey: nothing is lost, nothing comes back.

use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value as Json, json};
use tributary_tests::odk::survey::{FORM, any_answers};
use tributary_tests::odk::{Fault, PASSWORD};
use tributary_tests::{Function, Invocation, RuntimeApi, built};

use crate::convergence::{Done, act, number, seed};
use crate::fixture::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn started(program: &Path, file: &Path, world: &World, api: &RuntimeApi) -> Function {
    let variables = [
        ("DATABASE_URL", world.database.url()),
        ("TRIBUTARY_MAPPING", file.to_str().unwrap()),
        ("ODK_PASSWORD", PASSWORD),
    ];
    Function::of_program(program, "odk-poll", &api.address(), &variables)
}

/// Ticks until somebody answers that nothing is left.
async fn drained(api: &RuntimeApi, request: &Json) -> Json {
    for _ in 0..50 {
        match api.invoke(request.to_string(), PATIENCE).await {
            Invocation::Lost => {}
            other => {
                let report = other.json();
                if report["pipelines"][0]["state"] == "drained" {
                    return report;
                }
            }
        }
    }
    panic!("50 ticks were not enough")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_it_loses_nothing_and_brings_nothing_back() {
    let seed = seed();
    let mut dice = Rng::with_seed(seed);
    let source = "form: GRARentalDataCollection, overlap: 1s, sweep_every: 1s, mass_delete: 1";
    let world = World::of("killed", &Plan { source, files: true, ..Plan::default() }).await;
    let file = world.place.path().join("tributary.yaml");
    std::fs::write(&file, world.text()).unwrap();
    let (program, api) = (built("odk-poll"), RuntimeApi::start().await);
    let mut function = started(&program, &file, &world, &api);
    for _ in 0..700 {
        world.odk.world().create(FORM, &any_answers(&mut dice));
    }
    let (mut kills, mut usual, mut done) = (0, Duration::from_millis(300), Done::default());
    let ticks = number("TICKS", 24);
    for tick in 0..ticks {
        for _ in 0..dice.usize(..30) {
            act(&world.odk, &mut dice, &mut done, true);
        }
        if dice.bool() {
            (0..3).for_each(|_| world.odk.fail("*", Fault::Late(Duration::from_millis(20))));
        }
        let request = json!({ "tick": { "force": true } });
        if tick % 2 == 0 {
            // In its first moments it starts.
            let moment = usual.mul_f64(dice.f64() * 1.2);
            let invocation = api.invoke(request.to_string(), Duration::from_secs(5));
            let kill = async {
                tokio::time::sleep(moment).await;
                function.kill();
                api.abandon();
            };
            let (ended, ()) = tokio::join!(invocation, kill);
            kills += usize::from(matches!(ended, Invocation::Lost | Invocation::TimedOut));
            function = started(&program, &file, &world, &api);
            // Nobody waits until it expires.
            world.database.execute("update tributary.lease set expires_at = now()").await;
        } else {
            let begin = Instant::now();
            // However it ends.
            let _ = api.invoke(request.to_string(), PATIENCE).await;
            usual = begin.elapsed();
        }
    }
    world.odk.recover();
    while let Some(id) = done.begun.pop() {
        world.odk.world().commit(&id);
    }
    world.wait();
    // The manifest is due again.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let request = json!({ "tick": { "force": true } });
    drained(&api, &request).await;
    let last = drained(&api, &request).await;
    let found = world.differences().await;
    let some = found[..found.len().min(5)].join("\n");
    assert!(found.is_empty(), "seed {seed}: {} differences, such as\n{some}", found.len());
    assert!(kills >= ticks / 8, "{kills} kills, seed {seed}");
    assert_eq!(last["pipelines"][0]["applied"], 0, "the last tick wrote nothing, seed {seed}");
    assert_eq!((world.odk.leaks(), world.odk.strays()), (0, 0), "seed {seed}");
    println!(
        "seed {seed}: {kills} of {ticks} ticks were killed, {} operations, {} requests",
        done.operations,
        world.odk.count()
    );
}
