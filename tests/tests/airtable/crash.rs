//! The real function, killed at random moments while people go on with their base: nothing is lost, nothing comes back.

use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value as Json, json};
use tributary_tests::airtable::{Airtable, Fault};
use tributary_tests::{Function, Invocation, RuntimeApi, built};

use crate::convergence::live;
use crate::fixture::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn started(program: &Path, file: &Path, world: &World, api: &RuntimeApi) -> Function {
    let variables = [
        ("DATABASE_URL", world.database.url()),
        ("TRIBUTARY_MAPPING", file.to_str().unwrap()),
        ("AIRTABLE_TOKEN", Airtable::TOKEN),
        ("TRIBUTARY_AIRTABLE_RATE", "100000"),
    ];
    Function::of_program(program, "airtable-poll", &api.address(), &variables)
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
    let seed = crate::convergence::seed();
    let mut dice = Rng::with_seed(seed);
    let world = World::new("killed", "mass_delete: 1").await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("tributary.yaml");
    std::fs::write(&file, mapping_text(&world.airtable.url(), "mass_delete: 1")).unwrap();
    let (program, api) = (built("airtable-poll"), RuntimeApi::start().await);
    let mut function = started(&program, &file, &world, &api);
    world.airtable.create(HOMES, any_homes(&mut dice, 400));
    let (mut kills, mut usual) = (0, Duration::from_millis(150));
    for tick in 0..24 {
        live(&world.airtable, &mut dice, false);
        if dice.bool() {
            world.airtable.fail("", (0..3).map(|_| Fault::Late(Duration::from_millis(20))));
        }
        let request = if tick % 3 == 0 { json!({ "tick": { "force": true } }) } else { json!({}) };
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
    world.airtable.recover();
    let sweep = json!({ "tick": { "force": true } });
    drained(&api, &sweep).await;
    let last = drained(&api, &sweep).await;
    let found = world.differences().await;
    assert!(
        found.is_empty(),
        "seed {seed}: {} differences, such as {}",
        found.len(),
        found[..found.len().min(3)].join("\n")
    );
    assert!(kills >= 3, "{kills} kills, seed {seed}");
    assert_eq!(last["pipelines"][0]["applied"], 0, "the last sweep wrote nothing, seed {seed}");
    assert_eq!(world.airtable.hooks().len(), 1, "no hook is left behind, seed {seed}");
    println!("seed {seed}: {kills} of 24 ticks were killed, {} requests", world.airtable.count());
}
