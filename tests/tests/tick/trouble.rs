//! What fails stops nobody else, and is told.

use std::time::Duration;

use tributary_core::sink::Unlimited;
use tributary_core::{Error, Kind};
use tributary_runtime::tick::Request;
use tributary_tests::Database;

use crate::fixture::*;

#[tokio::test]
async fn one_that_fails_stops_no_other_and_fails_the_tick() {
    let database = Database::new("fails").await;
    let mapping = mapping(Duration::ZERO);
    let mut script = Script::default();
    script.acts.insert("a".into(), Act::Fail(|text| Error::config(text).with_hint("mend it")));
    script.acts.insert("c".into(), Act::Fail(Error::unavailable));
    let report = tick(&database, &mapping, &mut script, &Request::default(), &Unlimited).await;
    assert_eq!(states(&report), ["a failed", "b drained", "c failed"]);
    let error = report.into_result().unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert_eq!(error.to_string(), "2 of 3 pipelines failed: a: a is broken (mend it); c: c is broken");
    assert_eq!(database.rows("select count(*) from b").await, ["1"]);
}

/// A job that always fails must not stand before the others for ever.
#[tokio::test]
async fn one_that_failed_goes_to_the_end_of_the_line() {
    let database = Database::new("line").await;
    let mapping = mapping(Duration::ZERO);
    let mut script = Script::default();
    script.acts.insert("a".into(), Act::Fail(Error::unavailable));
    tick(&database, &mapping, &mut script, &Request::default(), &Unlimited).await;
    let others = Request { pipelines: vec!["b".into(), "c".into()], ..Request::default() };
    tick(&database, &mapping, &mut script, &others, &Unlimited).await;
    script.turns.clear();
    tick(&database, &mapping, &mut script, &Request::default(), &Unlimited).await;
    let turns: Vec<&str> = script.turns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(turns, ["a", "b", "c"]);
    script.turns.clear();
    tick(&database, &mapping, &mut script, &others, &Unlimited).await;
    tick(&database, &mapping, &mut script, &Request { pipelines: vec!["a".into()], ..Request::default() }, &Unlimited)
        .await;
    script.turns.clear();
    tick(&database, &mapping, &mut script, &Request::default(), &Unlimited).await;
    assert_eq!(script.turns.last().unwrap().0, "a", "its failed turns count as turns");
}

#[tokio::test]
async fn a_pipeline_that_is_not_there_is_named_with_those_that_are() {
    let database = Database::new("unknown").await;
    let mapping = mapping(Duration::ZERO);
    let mut script = Script::default();
    let request = Request { pipelines: vec!["d".into()], ..Request::default() };
    let target =
        tributary_postgres::connect::Target::from_url(database.url(), &tributary_postgres::connect::Policy::default());
    let sinks = tributary_runtime::sinks::Sinks::new(&mapping, mapping.pipelines.iter(), |_, _| {
        target.as_ref().unwrap().clone()
    });
    let mut ticker = tributary_runtime::tick::Ticker::new(mapping.clone(), sinks, &mut script).unwrap();
    let error = ticker.tick(&request, &Unlimited).await.map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "this function has no pipeline `d`");
    assert_eq!(error.hint(), Some("it has a, b, c"));
}
