//! How fast a sweep is when Airtable doesn't slow it down. Not a test: run by hand, in release, for tests/README.md.

use std::time::Instant;

use fastrand::Rng;

use crate::fixture::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; run it with --release and --run-ignored"]
async fn a_sweep_by_the_second() {
    const RECORDS: usize = 50_000;
    let mut world = World::new("figures", "").await;
    let mut dice = Rng::with_seed(1);
    world.airtable.create(HOMES, any_homes(&mut dice, RECORDS));
    for what in ["the first sweep, all inserts", "a second sweep, nothing has changed"] {
        let begin = Instant::now();
        let progress = world.sweep().await;
        let seconds = begin.elapsed().as_secs_f64();
        assert_eq!(progress.records, RECORDS as u64);
        println!(
            "{what}: {:.0} records/s ({} rows written, {seconds:.1} s)",
            RECORDS as f64 / seconds,
            progress.applied
        );
    }
    world.assert_same().await;
    let before = world.airtable.count();
    world.tick().await;
    println!("an idle tick: {} request", world.airtable.count() - before);
    let ids = world.airtable.ids(HOMES);
    ids.iter().take(1_000).for_each(|id| assert!(world.airtable.edit(HOMES, id, &any_edit(&mut dice))));
    let (begin, before) = (Instant::now(), world.airtable.count());
    let progress = world.tick().await;
    println!(
        "{} changes by the feed: {} requests, {:.2} s",
        progress.records,
        world.airtable.count() - before,
        begin.elapsed().as_secs_f64()
    );
}
