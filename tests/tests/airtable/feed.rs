//! What a webhook tells.

use fastrand::Rng;
use serde_json::{Value as Json, json};

use crate::fixture::*;

#[tokio::test]
async fn records_come_by_a_sweep_and_changes_by_the_feed() {
    let mut world = World::new("feed", "").await;
    let mut dice = Rng::with_seed(1);
    let ids = world.airtable.create(HOMES, any_homes(&mut dice, 250));
    let first = world.tick().await;
    assert_eq!((first.records, first.dead), (250, 0));
    world.assert_same().await;

    world.airtable.edit(HOMES, &ids[3], &json!({ NAME: "Ada's", RENT: Json::Null, FREE: true }));
    world.airtable.destroy(HOMES, &ids[10..15]);
    let made = world.airtable.create(HOMES, any_homes(&mut dice, 3));
    let second = world.tick().await;
    assert_eq!(second.records, 9, "one changed, five gone, three made, and no sweep");
    world.assert_same().await;
    assert_eq!(world.database.rows("select count(*) from home where _deleted").await, ["5"]);

    // Destroyed and taken out of the trash again, in one tick and across two.
    world.airtable.destroy(HOMES, &made[..2]);
    world.airtable.restore(HOMES, &made[0]);
    world.tick().await;
    world.assert_same().await;
    world.airtable.restore(HOMES, &made[1]);
    world.tick().await;
    world.assert_same().await;
}

#[tokio::test]
async fn an_idle_tick_is_one_request_and_writes_nothing() {
    let mut world = World::new("idle", "").await;
    world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(2), 30));
    world.tick().await;
    let before =
        world.database.rows("select xmin, partition from tributary.checkpoint where partition <> 'tick'").await;
    for warm in [true, false] {
        if !warm {
            world.cool_down();
        }
        let asked = world.asked().await;
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert!(asked[0].ends_with("/payloads"));
    }
    let after = world.database.rows("select xmin, partition from tributary.checkpoint where partition <> 'tick'").await;
    assert_eq!(before, after);
}
