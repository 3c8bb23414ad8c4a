//! What goes wrong in the middle of a pass.

use std::time::Duration;

use serde_json::json;
use tributary_core::sink::Unlimited;
use tributary_runtime::tick::Request;
use tributary_stand_in::odk::{Fault, World as Central, survey};

use crate::change::plain;
use crate::fixture::*;

/// So many submissions that are too old for a window of changes.
fn old(world: &mut Central, count: usize) {
    plain(world, count);
    world.advance(Duration::from_secs(3_600));
}

/// Removes the row that marks the place after the first page.
fn purge_the_mark(world: &mut Central) {
    let mark = world.submissions(FORM, false)[249].clone();
    assert!(world.delete(FORM, &mark) && world.purge(FORM, &mark));
}

#[tokio::test]
async fn a_place_that_is_lost_loses_no_row() {
    for kind in ["page", "manifest"] {
        let mut world = World::new("anchor", "").await;
        old(&mut world.odk.world(), 600);
        world.odk.after(kind, 1, purge_the_mark);
        world.tick().await;
        world.assert_same().await;
    }
    // Rows that are there already are read once more to their end, too.
    let mut world = World::new("anchor", "").await;
    old(&mut world.odk.world(), 600);
    world.tick().await;
    let mut fields = survey::fields();
    fields.retain(|field| field.path != "/legacy_note");
    world.odk.world().publish(FORM, "2", fields);
    world.odk.after("page", 1, purge_the_mark);
    world.tick().await;
    world.assert_same().await;
}

#[tokio::test]
async fn a_page_that_is_short_is_not_the_end() {
    for fault in [Fault::Short(40), Fault::CutClean(50), Fault::Cut(50)] {
        let mut world = World::new("short", "").await;
        old(&mut world.odk.world(), 300);
        world.odk.fail("page", fault.clone());
        world.odk.fail("window", fault.clone());
        let _ = world.tick_within(&Request::default(), &Unlimited).await;
        world.tick().await;
        let found = world.differences().await;
        assert!(found.is_empty(), "{fault:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_costs_a_login() {
    let mut world = World::new("session", "").await;
    plain(&mut world.odk.world(), 600);
    for kind in ["page", "window", "manifest"] {
        world.odk.fail(kind, Fault::Expired);
    }
    world.tick().await;
    world.assert_same().await;
    assert_eq!(world.odk.kinds()["session"], 4);
}

#[tokio::test]
async fn who_has_lost_the_lease_writes_nothing_more() {
    let mut world = World::new("lease", "").await;
    plain(&mut world.odk.world(), 600);
    world.odk.world().set_latency(Duration::from_millis(150));
    let client = world.database.client().await;
    let take_over = async {
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        client
            .execute("update tributary.lease set fence = fence + 1, holder = 'other', expires_at = now()", &[])
            .await
            .unwrap();
    };
    let request = Request::default();
    let (report, ()) = tokio::join!(world.tick_within(&request, &Unlimited), take_over);
    assert_eq!(report.pipelines()[0].state, "failed", "{report:?}");
    world.odk.world().set_latency(Duration::ZERO);
    world.tick().await;
    world.assert_same().await;
}

#[tokio::test]
async fn a_clock_that_was_put_back_freezes_no_row() {
    let mut world = World::new("clock", "").await;
    let ids = plain(&mut world.odk.world(), 20);
    world.tick().await;
    world.odk.world().set_back(Duration::from_secs(100_000));
    assert!(world.odk.world().edit(FORM, &ids[3], &json!({ "tenure": "new" })));
    assert!(world.odk.world().review(FORM, &ids[4], Some("approved")));
    world.tick().await;
    world.assert_same().await;
}

#[tokio::test]
async fn a_first_pass_goes_on_in_other_environments() {
    let mut world = World::new("resumed", "").await;
    plain(&mut world.odk.world(), 1_100);
    let client = world.database.client().await;
    let place = async || {
        let sql = "select position from tributary.checkpoint where partition = 'odk'";
        let rows = client.query(sql, &[]).await.unwrap();
        let state: serde_json::Value = serde_json::from_str(rows.first()?.get(0)).unwrap();
        let pass = Some(&state["pass"]).filter(|pass| pass["kind"] == "first")?;
        pass["seen"].as_u64().filter(|seen| *seen > 0)
    };
    let mut killed = 0;
    loop {
        world.cool_down();
        let before = place().await;
        let request = Request::default();
        let moved = async {
            while place().await.is_none_or(|seen| Some(seen) == before) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let report = tokio::select! {
            report = world.tick_within(&request, &Unlimited) => Some(report),
            () = moved => None,
        };
        if let Some(report) = report {
            assert_eq!(report.pipelines()[0].state, "drained", "{report:?}");
            break;
        }
        killed += 1;
        assert!(killed < 40, "it doesn't end");
        world.database.execute("update tributary.lease set expires_at = now()").await;
        // It lives on meanwhile.
        let mut central = world.odk.world();
        let ids = central.submissions(FORM, false);
        central.delete(FORM, &ids[ids.len() / 2]);
        central.edit(FORM, &ids[ids.len() / 3], &json!({ "tenure": format!("tick {killed}") }));
        central.create(FORM, &json!({ "tenure": "made meanwhile" }));
    }
    assert!((3..10).contains(&killed), "{killed}");
    world.assert_same().await;
    println!("killed {killed} times, {:?}", world.odk.kinds());
}

#[tokio::test]
async fn what_a_run_did_not_finish_the_next_one_does() {
    let mut world = World::new("unfinished", "").await;
    let ids = plain(&mut world.odk.world(), 20);
    world.tick().await;
    assert!(world.odk.world().delete(FORM, &ids[3]));
    world.tick().await;
    // The ids alone tell of a restore, and the server fails when the row is asked for.
    world.odk.world().advance(Duration::from_secs(3_600));
    plain(&mut world.odk.world(), 1);
    world.tick().await;
    assert!(world.odk.world().restore(FORM, &ids[3]));
    for _ in 0..3 {
        world.odk.fail("ids", Fault::Problem(500, 500.1));
    }
    let progress = world.try_tick(&Request::default()).await;
    assert_eq!(progress.state, "failed", "{progress:?}");
    world.tick().await;
    world.assert_same().await;
    assert_eq!(world.asked().await, [("card", 1), ("gate", 1)].into());
}
