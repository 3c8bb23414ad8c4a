//! The feed by time.

use std::time::Duration;

use fastrand::Rng;
use serde_json::json;

use crate::fixture::*;

const FEED: &str = "feed: { last_modified: Changed }";

async fn later() {
    tokio::time::sleep(Duration::from_millis(60)).await;
}

#[tokio::test]
async fn changes_come_by_their_time_and_the_rest_by_sweeps() {
    let mut world = World::new("modified", FEED).await;
    let mut dice = Rng::with_seed(1);
    let ids = world.airtable.create(HOMES, any_homes(&mut dice, 230));
    world.tick().await;
    world.assert_same().await;
    assert_eq!(world.airtable.hooks(), []);
    for _ in 0..4 {
        for id in &ids {
            if dice.u8(..4) > 0 {
                continue;
            }
            world.airtable.edit(HOMES, id, &any_edit(&mut dice));
        }
        world.airtable.create(HOMES, any_homes(&mut dice, 3));
        later().await;
        world.tick().await;
        world.assert_same().await;
    }
    world.airtable.destroy(HOMES, &ids[..3]);
    world.airtable.drift(HOMES, &ids[5], TOTAL, json!(7));
    later().await;
    world.tick().await;
    assert!(!world.differences().await.is_empty(), "neither deletes nor drift show");
    world.sweep().await;
    world.assert_same().await;
}

#[tokio::test]
async fn an_idle_tick_of_a_warm_function_is_one_request_and_applies_nothing() {
    let mut world = World::new("modified_idle", FEED).await;
    let ids = world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(2), 30));
    world.tick().await;
    world.airtable.edit(HOMES, &ids[0], &json!({ NAME: "once" }));
    later().await;
    assert_eq!(world.tick().await.applied, 1);
    // Within the overlap it is listed again, and left alone.
    let again = world.tick().await;
    assert_eq!((again.records, again.applied), (0, 0));
    assert_eq!(world.asked().await.len(), 1);
    world.cool_down();
    let cold = world.tick().await;
    assert!(cold.applied == 0 && cold.unchanged > 0, "{cold:?}");
}

#[tokio::test]
async fn a_listing_by_time_that_expires_begins_anew() {
    let mut world = World::new("modified_expired", FEED).await;
    let mut dice = Rng::with_seed(3);
    let ids = world.airtable.create(HOMES, any_homes(&mut dice, 330));
    world.tick().await;
    ids.iter().for_each(|id| assert!(world.airtable.edit(HOMES, id, &any_edit(&mut dice))));
    later().await;
    world.airtable.after("listRecords", 2, |airtable| airtable.expire_listings());
    world.tick().await;
    world.assert_same().await;
}

#[tokio::test]
async fn a_field_that_does_not_see_all_is_refused() {
    let check = async |field: &str, expect: &str| {
        let mut world = World::new("modified_wrong", &format!("feed: {{ last_modified: {field} }}")).await;
        let failed = world.try_tick().await;
        assert_eq!(failed.error.as_deref(), Some(expect));
        assert!(failed.hint.is_some());
    };
    check("Name", "the field `Name` is of the type singleLineText, not lastModifiedTime").await;
    check("Moved", "the Airtable table `Homes` has no field `Moved`").await;
}
