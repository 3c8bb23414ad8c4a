//! What goes wrong between us and the server: never taken for "nothing there", and healed by the next tick.

use std::time::Duration;

use tributary_runtime::tick::Request;
use tributary_tests::odk::survey::{FORM, answers};
use tributary_tests::odk::{EMAIL, Fault, PASSWORD, Right};

use crate::fixture::*;

/// A tick fails, says these words and deletes nothing; the next one, by an honest server, brings what is new.
async fn check(what: &str, words: &str, faults: &[(&str, Fault)]) {
    let mut world = World::new(&format!("wrong_{what}")).await;
    world.submit(9);
    world.tick().await;
    world.wait();
    world.submit(2);
    for (kind, fault) in faults {
        world.odk.fail(kind, fault.clone());
    }
    let progress = world.try_tick().await;
    let error = progress.error.unwrap_or_default();
    assert!(error.contains(words), "{what}: {} {error}", progress.state);
    assert_eq!(world.one("select count(*) from submission where _deleted").await, "0", "{what}");
    world.odk.recover();
    // It rests after a failure, unless somebody asks.
    let progress = world.force().await;
    assert_eq!((progress.state, &progress.error), ("drained", &None), "{what}");
    world.assert_same().await;
}

fn always(kind: &str, fault: &Fault) -> Vec<(&'static str, Fault)> {
    let kind: &'static str =
        ["card", "gate", "window", "page", "ids", "*"].into_iter().find(|known| *known == kind).unwrap();
    vec![(kind, fault.clone()); 12]
}

#[tokio::test]
async fn a_form_that_is_refused_or_not_found_is_no_empty_one() {
    check("deleted", "404", &always("card", &Fault::Problem(404, 404.1))).await;
    check("gate_404", "404", &always("gate", &Fault::Problem(404, 404.1))).await;
    check("window_404", "404", &always("window", &Fault::Problem(404, 404.1))).await;
    check("forbidden", "403", &always("gate", &Fault::Problem(403, 403.1))).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    for (what, fault) in [("torn", Fault::Cut(60)), ("cut", Fault::CutClean(60)), ("lost", Fault::Lost)] {
        let mut world = World::new(&format!("part_{what}")).await;
        world.submit(9);
        world.tick().await;
        world.wait();
        let gone = world.submit(2);
        for kind in ["card", "gate", "window"] {
            world.odk.fail(kind, fault.clone());
        }
        world.odk.world().delete(FORM, &gone[0]);
        // It may be asked for once more in the same tick.
        world.try_tick().await;
        assert_eq!(world.one("select count(*) >= 9 from submission where not _deleted").await, "t", "{what}");
        world.odk.recover();
        world.force().await;
        world.assert_same().await;
    }
}

#[tokio::test]
async fn a_page_that_lacks_rows_which_are_counted_is_read_again() {
    let mut world = World::new("short").await;
    world.submit(9);
    world.odk.fail("page", Fault::Short(3));
    world.try_tick().await;
    world.force().await;
    world.assert_same().await;
    world.wait();
    world.submit(6);
    world.odk.fail("window", Fault::Short(3));
    world.try_tick().await;
    world.force().await;
    world.assert_same().await;
}

#[tokio::test]
async fn a_session_that_ends_is_renewed_once() {
    let mut world = World::new("session").await;
    world.submit(600);
    world.odk.fail("page", Fault::Expired);
    world.tick().await;
    world.assert_same().await;
    assert_eq!(world.odk.kinds()["session"], 2);
    world.odk.world().advance(Duration::from_secs(25 * 3_600));
    world.submit(1);
    world.tick().await;
    world.assert_same().await;
    assert_eq!(world.odk.kinds()["session"], 3, "24 h later");
    world.tick().await;
    world.tick().await;
    assert_eq!(world.odk.kinds()["session"], 3, "it is kept while it is warm");
    assert_eq!((world.odk.leaks(), world.odk.strays()), (0, 0));
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_role_are_said() {
    let mut world = World::new("login").await;
    world.submit(3);
    world.tick().await;
    world.odk.world().set_user(EMAIL, "another", Right::Viewer);
    world.odk.world().expire_sessions();
    world.cool_down();
    let progress = world.try_tick().await;
    let error = progress.error.unwrap_or_default();
    assert_eq!(progress.state, "failed");
    assert!(!error.contains(PASSWORD) && !error.contains("another"), "{error}");
    assert!(world.odk.kinds()["session"] <= 4, "{:?}", world.odk.kinds());
    *world.passwords.0.lock().unwrap() = "another".to_owned();
    world.wait();
    world.submit(1);
    let progress = world.force().await;
    assert_eq!(progress.error, None, "a changed password is fetched");
    world.assert_same().await;
    world.odk.world().set_user(EMAIL, "another", Right::AppUser);
    let progress = world.force().await;
    assert_eq!(progress.state, "failed");
    let hint = progress.hint.unwrap_or_default();
    assert!(hint.contains("Project Viewer"), "{hint}");
    assert_eq!(world.one("select count(*) from submission where not _deleted").await, "4");
}

#[tokio::test]
async fn a_busy_server_is_waited_for() {
    let mut world = World::new("busy").await;
    world.submit(3);
    world.odk.fail("card", Fault::Busy(429, Some(1)));
    world.odk.fail("page", Fault::Busy(503, None));
    world.tick().await;
    world.assert_same().await;
}

#[tokio::test]
async fn a_place_whose_row_was_purged_loses_nothing() {
    let mut world = World::new("anchor").await;
    let ids = world.submit(700);
    // The rows at both ends of the first two pages go, after the page before was read.
    let (first, second) = (ids[700 - 250].clone(), ids[700 - 500].clone());
    world.odk.after("page", 1, move |world| {
        assert!(world.delete(FORM, &first) && world.purge(FORM, &first));
    });
    world.odk.after("page", 4, move |world| {
        if world.delete(FORM, &second) {
            world.purge(FORM, &second);
        }
    });
    let progress = world.force().await;
    assert_eq!((progress.state, &progress.error), ("drained", &None));
    world.tick().await;
    world.assert_same().await;
    // The rest was listed on, not asked for row by row.
    assert!(world.odk.kinds().get("ids").is_none_or(|asked| *asked <= 1), "{:?}", world.odk.kinds());
}

#[tokio::test]
async fn what_changes_while_a_pass_reads_is_seen() {
    let mut world = World::new("meanwhile").await;
    let ids = world.submit(600);
    let (edited, deleted) = (ids[1].clone(), ids[599].clone());
    world.odk.after("page", 2, move |world| {
        world.advance(Duration::from_secs(5));
        world.edit(FORM, &edited, &answers("meanwhile", 2));
        world.delete(FORM, &deleted);
        world.create(FORM, &answers("new", 1));
    });
    world.tick().await;
    world.wait();
    world.tick().await;
    world.assert_same().await;
}

#[tokio::test]
async fn many_that_vanish_are_kept_until_another_pass_agrees() {
    let mut world = World::new("mass").await;
    let ids = world.submit(200);
    world.tick().await;
    world.wait();
    ids[..120].iter().for_each(|id| assert!(world.odk.world().delete(FORM, id)));
    let progress = world.tick().await;
    notes(&progress, "120 of 200 rows");
    assert_eq!(world.one("select count(*) from submission where not _deleted").await, "200");
    world.tick().await;
    assert_eq!(world.one("select count(*) from submission where not _deleted").await, "80");
    world.assert_same().await;
}

#[tokio::test]
async fn somebody_may_ask_for_one_form() {
    let mut world = World::new("hint").await;
    world.submit(2);
    world.tick().await;
    world.wait();
    world.submit(1);
    // What a webhook asks for.
    let request = Request { pipelines: vec!["survey".to_owned()], ..Request::default() };
    let progress = world.ask(&request).await;
    assert_eq!((progress.state, progress.applied > 0), ("drained", true), "{progress:?}");
    world.assert_same().await;
}
