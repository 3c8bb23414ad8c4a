//! Keys that aren't the server's own, and rows that have none.

use serde_json::json;
use tributary_runtime::tick::Request;
use tributary_stand_in::odk::{EMAIL, PROJECT};

use crate::fixture::*;

fn mapping(url: &str) -> String {
    format!(
        "datastores:
  warehouse: {{ type: postgres, url: {{ env: DATABASE_URL }} }}
  field: {{ type: odk, base_url: \"{url}\", auth: {{ email: {EMAIL}, password: {{ env: ODK_PASSWORD }} }} }}
pipelines:
  survey:
    source: {{ datastore: field, project: {PROJECT}, form: {FORM}, key: [tenure] }}
    sink:
      datastore: warehouse
      tables:
        submission: {{ columns: {{ \"__id\": text, \"*\": auto }}, children: auto }}"
    )
}

async fn rows(world: &World) -> Vec<String> {
    world.database.rows("select submission_id from submission where not _deleted order by 1").await
}

async fn letters(world: &World) -> Vec<String> {
    world.database.rows("select position from tributary.dead_letter order by 1").await
}

#[tokio::test]
async fn a_row_without_a_key_is_a_letter_until_it_has_one() {
    let mut world = World::of("no_key", mapping).await;
    let with = world.odk.world().create(FORM, &json!({ "tenure": "own" }));
    let without = world.odk.world().create(FORM, &json!({ "legacy_note": "no key" }));
    world.tick().await;
    assert_eq!((rows(&world).await, letters(&world).await), (vec!["own".to_owned()], vec![without.clone()]));
    let asked = world.asked().await;
    assert_eq!(asked.get("ids"), None, "a letter isn't asked for with each tick: {asked:?}");
    world.odk.world().edit(FORM, &without, &json!({ "tenure": "rent" }));
    world.try_tick(&Request { force: true, ..Request::default() }).await;
    assert_eq!((rows(&world).await, letters(&world).await), (vec!["own".to_owned(), "rent".to_owned()], vec![]));
    // An edit gives one another key: the row of the old one goes.
    world.odk.world().edit(FORM, &with, &json!({ "tenure": "owned" }));
    world.tick().await;
    assert_eq!(rows(&world).await, ["owned", "rent"]);
    // And one that is purged is found by its own id.
    assert!(world.odk.world().delete(FORM, &with) && world.odk.world().purge(FORM, &with));
    world.tick().await;
    assert_eq!(rows(&world).await, ["rent"]);
    assert_eq!(world.asked().await, [("card", 1), ("gate", 1)].into());
}
