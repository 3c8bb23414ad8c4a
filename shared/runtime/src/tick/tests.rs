//! What needs no database: who is due, what a payload asks for, how time is shared. The rest is in `tests/tests/tick`.

use std::time::Duration;

use tributary_core::sink::{Budget, Unlimited};

use super::state::Rest;
use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: i64 = 1_000_000;

#[test]
fn a_job_is_due_when_its_rest_is_over_or_the_clock_was_put_back() {
    let check = |began: i64, every: Duration, now: i64, expect: Option<i64>| {
        let state = State { began, ..State::default() };
        assert_eq!(state.rests(every, now), expect.map(Rest::Until), "{began} {every:?} {now}");
    };
    let now = 1_000_000 * SECOND;
    check(0, MINUTE, now, None);
    check(now - 10 * SECOND, Duration::ZERO, now, None);
    check(now - 10 * SECOND, MINUTE, now, Some(now + 45 * SECOND));
    // A schedule that comes a little early: 5 s of a minute.
    check(now - 55 * SECOND, MINUTE, now, None);
    check(now - 54 * SECOND, MINUTE, now, Some(now + SECOND));
    check(now + 3_600 * SECOND, MINUTE, now, None);
}

#[test]
fn a_job_that_left_something_to_do_does_not_rest() {
    let check = |ended: Option<Ended>, rests: bool| {
        let state = State::parse(&State::default().after(SECOND, ended.as_ref()).to_text());
        assert_eq!(state.rests(MINUTE, 2 * SECOND).is_some(), rests, "{ended:?}");
    };
    check(Some(Ended::Drained), true);
    check(Some(Ended::More), false);
    check(Some(Ended::Later), false);
    // One that fails is not made to fail faster.
    check(None, true);
}

#[test]
fn a_stopped_job_rests_until_its_time_or_for_ever() {
    let check = |until: Option<i64>, now: i64, rests: bool| {
        let stop = Stop { reason: "quota".into(), until };
        let state = State { began: 5, caught_up: 3, unfinished: false, stop: Some(stop.clone()) };
        let read = State::parse(&state.to_text());
        assert_eq!(read, state);
        assert_eq!(read.rests(Duration::ZERO, now), rests.then_some(Rest::Stopped(stop)), "{until:?} {now}");
    };
    check(None, i64::MAX, true);
    check(Some(10), 9, true);
    check(Some(10), 10, false);
    assert_eq!(State::parse("something else"), State::default());
}

#[test]
fn a_job_is_overdue_when_it_has_not_caught_up_for_longer_than_it_rests() {
    let stopped = Ended::Stopped(Stop { reason: "quota".into(), until: None });
    // Turns by when they began, in seconds, and how they ended; then how late it is, a minute between two.
    let check = |turns: &[(i64, Option<&Ended>)], now: i64, expect: f64| {
        let last = turns.iter().fold(State::default(), |state, (began, ended)| state.after(began * SECOND, *ended));
        assert_eq!(last.overdue(MINUTE, now * SECOND), expect, "{turns:?} {now}");
    };
    let (drained, more) = (Some(&Ended::Drained), Some(&Ended::More));
    check(&[], 1_000_000, 0.0);
    check(&[(1_000, drained)], 1_060, 0.0);
    check(&[(1_000, drained)], 1_090, 30.0);
    check(&[(1_000, drained)], 900, 0.0);
    check(&[(1_000, drained), (1_060, None), (1_120, None)], 1_180, 120.0);
    check(&[(1_000, drained), (1_060, None), (1_120, drained)], 1_121, 0.0);
    // What has never caught up is late since it began.
    check(&[(1_000, None)], 1_060, 0.0);
    check(&[(1_000, more), (1_060, Some(&Ended::Later)), (1_120, Some(&stopped))], 1_180, 120.0);
}

#[test]
fn a_payload_is_a_tick_or_an_error() {
    let check = |payload: &str, expect: Result<Request, &str>| match (Request::of_payload(payload.as_bytes()), expect) {
        (Ok(request), Ok(expect)) => assert_eq!(request, expect, "{payload}"),
        (Err(error), Err(words)) => assert!(error.chain().contains(words), "{error:?}"),
        (got, expect) => panic!("{payload}: {got:?}, not {expect:?}"),
    };
    let tick = Request { pipelines: vec!["a".into()], force: true, allow_mass_delete: vec!["b".into()] };
    check("{}", Ok(Request::default()));
    check(
        r#"{"version":"0","id":"x","detail-type":"Scheduled Event","source":"aws.scheduler","detail":"{}"}"#,
        Ok(Request::default()),
    );
    check(r#"{"tick": {}}"#, Ok(Request::default()));
    check(r#"{"tick": {"pipelines": ["a"], "force": true, "allow_mass_delete": ["b"]}}"#, Ok(tick));
    check(r#"{"tick": {"speed": 3}}"#, Err("unknown field `speed`"));
    check(r#"{"Records": []}"#, Err("the payload has `Records`"));
    check("[]", Err("no object"));
    check("{", Err("no JSON"));
}

#[test]
fn a_share_is_an_equal_part_of_what_is_left() {
    struct Left(Option<Duration>);
    impl Budget for Left {
        fn remaining(&self) -> Option<Duration> {
            self.0
        }
    }
    let check = |left: Option<u64>, among, expect: Option<u64>| {
        let share = Share::of(&Left(left.map(Duration::from_secs)), among);
        let remaining = share.remaining();
        assert_eq!(remaining.is_some(), expect.is_some());
        if let (Some(remaining), Some(expect)) = (remaining, expect.map(Duration::from_secs)) {
            assert!(remaining <= expect && remaining + Duration::from_secs(1) > expect, "{remaining:?} {expect:?}");
        }
    };
    check(Some(60), 3, Some(20));
    check(Some(60), 0, Some(60));
    check(None, 3, None);
    assert!(Share::of(&Unlimited, 2).allows(Duration::from_secs(1 << 40)));
}
