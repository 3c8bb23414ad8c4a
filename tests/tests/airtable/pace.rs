//! How fast we ask: never faster than allowed, not at all while Airtable asks for patience, and not before the next month.

use std::time::{Duration, Instant};

use fastrand::Rng;
use tributary_core::sink::Unlimited;
use tributary_runtime::tick::Request;
use tributary_sources::airtable::client::Pace;
use tributary_tests::airtable::Limits;

use crate::fixture::*;

#[tokio::test]
async fn five_requests_a_second_are_never_too_many() {
    let mut world = World::new("five", "").await;
    world.airtable.limit(Limits { per_second: Some(5), ..Limits::default() });
    world.pace = Pace::default();
    world.cool_down();
    world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(1), 1_200));
    let begin = Instant::now();
    world.tick().await;
    world.assert_same().await;
    let (count, took) = (world.airtable.count(), begin.elapsed().as_secs_f64());
    assert!(count >= 14 && took < count as f64 / 4.0, "{count} requests in {took:.1} s");
    assert_eq!(world.airtable.impatient(), 0);
}

#[tokio::test]
async fn after_too_many_requests_a_base_is_left_alone() {
    let mut world = World::new("too_many", "").await;
    world.airtable.limit(Limits { per_second: Some(5), penalty: Duration::from_secs(1), retry_after: true });
    world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(2), 1_200));
    world.tick().await;
    world.assert_same().await;
    assert_eq!(world.airtable.impatient(), 0);
}

#[tokio::test]
async fn where_there_is_no_time_for_patience_the_next_tick_goes_on() {
    let mut world = World::new("no_time", "").await;
    world.airtable.limit(Limits { per_second: Some(5), penalty: Duration::from_secs(5), retry_after: true });
    world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(3), 800));
    let begin = Instant::now();
    let report = world.tick_within(&Request::default(), &Millis(begin + Duration::from_secs(5))).await;
    assert_eq!(report.pipelines()[0].state, "later");
    assert!(begin.elapsed() < Duration::from_secs(4), "it doesn't wait for what it has no time for");
    world.airtable.limit(Limits::default());
    world.tick().await;
    world.assert_same().await;
    assert_eq!(world.airtable.impatient(), 0);
}

#[tokio::test]
async fn a_quota_that_is_used_up_stops_the_pipeline_until_the_next_month() {
    let mut world = World::new("quota", "").await;
    world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(4), 350));
    world.airtable.quota(Some(5));
    let stopped = world.try_tick().await;
    assert_eq!(stopped.state, "stopped");
    let reason = stopped.error.unwrap();
    assert!(reason.contains("PUBLIC_API_BILLING_LIMIT_EXCEEDED") && reason.contains("upgrade"), "{reason}");
    let next = stopped.next.unwrap();
    assert!(next.ends_with("-01T00:00:00Z"), "{next}");

    let before = world.airtable.count();
    for _ in 0..3 {
        world.cool_down();
        assert_eq!(world.try_tick().await.state, "stopped");
    }
    assert_eq!(world.airtable.count(), before, "nobody is asked");
    // Somebody has paid, and says so.
    world.airtable.quota(None);
    let request = Request { force: true, ..Request::default() };
    let report = world.tick_within(&request, &Unlimited).await;
    assert_eq!(report.pipelines()[0].state, "drained");
    world.assert_same().await;
    world.tick().await;
}
