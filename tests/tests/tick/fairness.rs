//! Who gets a turn and how long it may take.

use std::time::Duration;

use tributary_core::sink::Unlimited;
use tributary_runtime::budget::Deadline;
use tributary_runtime::tick::{Ended, Request, Stop};
use tributary_tests::Database;

use crate::fixture::*;

const HOUR: Duration = Duration::from_secs(3_600);

fn names(script: &Script) -> Vec<&str> {
    script.turns.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn who_has_waited_longest_comes_first() {
    let database = Database::new("waited").await;
    let mapping = mapping(Duration::ZERO);
    let only = |name: &str| Request { pipelines: vec![name.to_owned()], ..Request::default() };
    let mut script = Script::default();
    for name in ["b", "c", "a"] {
        tick(&database, &mapping, &mut script, &only(name), &Unlimited).await;
    }
    assert_eq!(names(&script), ["b", "c", "a"]);
    let mut script = Script::default();
    tick(&database, &mapping, &mut script, &Request::default(), &Unlimited).await;
    assert_eq!(names(&script), ["b", "c", "a"]);
}

#[tokio::test]
async fn who_has_much_to_do_leaves_time_for_the_others_and_then_goes_on() {
    let database = Database::new("shares").await;
    let mapping = mapping(Duration::ZERO);
    let mut script = Script::default();
    script.acts.insert("a".into(), Act::Toil);
    let budget = Deadline::after(Duration::from_secs(10));
    let report = tick(&database, &mapping, &mut script, &Request::default(), &budget).await;
    // `a` had a third of the time, then the rest of it; but no turn begins in the last seconds.
    let first = script.turns[0].1;
    assert!(first > Duration::from_millis(1_000) && first < Duration::from_millis(3_200), "{:?}", script.turns);
    assert_eq!(names(&script)[..3], ["a", "b", "c"]);
    assert_eq!(names(&script)[3..], ["a"], "{:?}", script.turns);
    assert_eq!(states(&report), ["a more", "b drained", "c drained"]);
    assert!(report.has_more());
}

#[tokio::test]
async fn who_ran_not_long_ago_rests_unless_somebody_forces_it() {
    let database = Database::new("rests").await;
    let mapping = mapping(HOUR);
    let mut script = Script::default();
    let first = tick(&database, &mapping, &mut script, &Request::default(), &Unlimited).await;
    assert_eq!(states(&first), ["a drained", "b drained", "c drained"]);
    let second = tick(&database, &mapping, &mut script, &Request::default(), &Unlimited).await;
    assert_eq!(states(&second), ["a resting", "b resting", "c resting"]);
    assert!(second.pipelines()[0].next.is_some() && !second.has_more());
    assert_eq!(script.turns.len(), 3);
    let force = Request { force: true, pipelines: vec!["b".into()], ..Request::default() };
    let third = tick(&database, &mapping, &mut script, &force, &Unlimited).await;
    assert_eq!((states(&third), script.turns.len()), (vec!["b drained".to_owned()], 4));
}

#[tokio::test]
async fn who_was_stopped_stays_so_until_its_time_or_somebodys_word() {
    let database = Database::new("stopped").await;
    let mapping = mapping(Duration::ZERO);
    let mut script = Script::default();
    let stop = Stop { reason: "the month's quota is used up".into(), until: Some(i64::MAX) };
    script.acts.insert("a".into(), Act::End(Ended::Stopped(stop)));
    let first = tick(&database, &mapping, &mut script, &Request::default(), &Unlimited).await;
    assert_eq!(states(&first)[0], "a stopped");
    script.acts.clear();
    let second = tick(&database, &mapping, &mut script, &Request::default(), &Unlimited).await;
    let line = second.pipelines().iter().find(|line| line.pipeline == "a").unwrap();
    assert_eq!((line.state, line.error.as_deref()), ("stopped", Some("the month's quota is used up")));
    assert!(second.into_result().is_ok(), "it was told when it began");
    let force = Request { force: true, ..Request::default() };
    tick(&database, &mapping, &mut script, &force, &Unlimited).await;
    let fourth = tick(&database, &mapping, &mut script, &Request::default(), &Unlimited).await;
    assert!(states(&fourth).contains(&"a drained".to_owned()), "{:?}", states(&fourth));
}
