//! For how long a pipeline has not caught up: what fails, is stopped or never comes to its end is late, and what was is in time
//! again with its next turn.

use std::time::Duration;

use tributary_core::Error;
use tributary_core::sink::Unlimited;
use tributary_runtime::tick::{Ended, Report, Request, Stop};
use tributary_tests::Database;

use crate::fixture::*;

/// As if the last turns had been an hour ago.
const AN_HOUR_LATER: &str = "update tributary.checkpoint set position = jsonb_set(jsonb_set(position::jsonb, '{began}', \
    to_jsonb((position::jsonb->>'began')::bigint - 3600000000)), '{caught_up}', \
    to_jsonb((position::jsonb->>'caught_up')::bigint - 3600000000))::text where partition = 'tick'";

/// Whole minutes that each is late.
fn minutes(report: &Report) -> Vec<Option<u64>> {
    report.pipelines().iter().map(|line| line.overdue_seconds.map(|seconds| seconds as u64 / 60)).collect()
}

#[tokio::test]
async fn what_has_not_caught_up_is_late_until_it_does() {
    let database = Database::new("overdue").await;
    let (at_once, hourly) = (mapping(Duration::ZERO), mapping(Duration::from_secs(3_600)));
    let request = Request::default();
    let mut script = Script::default();
    let stop = Ended::Stopped(Stop { reason: "quota".into(), until: None });
    let first = tick(&database, &at_once, &mut script, &request, &Unlimited).await;
    assert_eq!(minutes(&first), [Some(0); 3]);

    database.execute(AN_HOUR_LATER).await;
    script.acts.insert("b".into(), Act::Fail(Error::unavailable));
    script.acts.insert("c".into(), Act::End(stop));
    let second = tick(&database, &at_once, &mut script, &request, &Unlimited).await;
    assert_eq!(states(&second), ["a drained", "b failed", "c stopped"]);
    assert_eq!(minutes(&second), [Some(0), Some(60), Some(60)]);

    // One that rests for as long is in time, and one that is stopped gets no turn and is late all the same.
    let third = tick(&database, &hourly, &mut script, &request, &Unlimited).await;
    assert_eq!(
        (states(&third), minutes(&third)),
        (vec!["a resting".into(), "b resting".into(), "c stopped".into()], vec![Some(0); 3])
    );
    let fourth = tick(&database, &at_once, &mut script, &request, &Unlimited).await;
    assert_eq!(minutes(&fourth), [Some(0), Some(60), Some(60)]);

    script.acts.clear();
    let forced = Request { force: true, ..Request::default() };
    let last = tick(&database, &at_once, &mut script, &forced, &Unlimited).await;
    assert_eq!(minutes(&last), [Some(0); 3]);
}
