//! One runner a job, whatever overlaps.

use std::time::Duration;

use tributary_core::sink::Unlimited;
use tributary_postgres::Postgres;
use tributary_postgres::connect::{Policy, Target};
use tributary_runtime::tick::Request;
use tributary_tests::Database;

use crate::fixture::*;

#[tokio::test]
async fn who_is_being_run_by_somebody_else_is_left_alone() {
    let database = Database::new("busy").await;
    let mapping = mapping(Duration::ZERO);
    let mut script = Script::default();
    tick(&database, &mapping, &mut script, &Request::default(), &Unlimited).await;
    let target = Target::from_url(database.url(), &Policy::default()).unwrap();
    let mut other = Postgres::new(target, Vec::new(), false);
    let fence = other.acquire("b/poll", "somebody", Duration::from_secs(60)).await.unwrap();
    let report = tick(&database, &mapping, &mut script, &Request::default(), &Unlimited).await;
    assert_eq!(states(&report), ["a drained", "b busy", "c drained"]);
    other.release(&fence).await.unwrap();
    let report = tick(&database, &mapping, &mut script, &Request::default(), &Unlimited).await;
    assert!(states(&report).contains(&"b drained".to_owned()));
}

/// Each run's observations are newer than those of every run before it, by the lease's number and no clock.
#[tokio::test]
async fn a_later_runner_observes_later_versions() {
    let database = Database::new("observed").await;
    let mapping = mapping(Duration::ZERO);
    let only = Request { pipelines: vec!["a".into()], ..Request::default() };
    let mut script = Script::default();
    for _ in 0..3 {
        tick(&database, &mapping, &mut script, &only, &Unlimited).await;
    }
    assert!(script.versions.is_sorted_by(|a, b| a < b) && script.versions.len() == 3, "{:?}", script.versions);
    let newest = script.versions[2].to_string();
    assert_eq!(database.rows("select name, _version from a").await, [format!("{newest} | {newest}")]);
}
