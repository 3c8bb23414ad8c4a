//! The read budget.

use std::time::{Duration, Instant};

use tributary_core::sink::Unlimited;
use tributary_runtime::backfill::Request;

use crate::fixture::*;

/// How long a backfill of one segment takes with this budget, and how many pages it reads.
async fn timed(world: &World, rcu: f64) -> (Duration, u32) {
    let request = Request { rcu, segments: 1, restart: true, ..request() };
    let (begin, mut pages) = (Instant::now(), 0);
    let done = Box::pin(world.handler().backfill(&request, &Unlimited, |_| pages += 1)).await.unwrap();
    assert_eq!((done.done, done.items), (true, 400));
    (begin.elapsed(), pages)
}

#[tokio::test]
async fn a_scan_keeps_to_its_read_budget() {
    let (world, _) = World::with_users("rate", 400).await;
    // Each page costs the emulator's one unit; a second's worth may be saved up, and one page may go into debt.
    let (took, pages) = timed(&world, 1.0).await;
    assert!(pages >= 4, "{pages} pages");
    let least = Duration::from_secs(u64::from(pages) - 2);
    assert!(took >= least.mul_f64(0.95), "{pages} pages of a unit in {took:?} at a unit a second");
    let (quick, _) = timed(&world, 1_000.0).await;
    assert!(quick < took / 2, "{quick:?} without a limit, {took:?} with one");
}
