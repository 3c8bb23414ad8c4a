//! Entities: a dataset as a source of its own.

use serde_json::{Value as Json, json};

use tributary_tests::odk::Release;

use crate::fixture::*;

const HOUSES: &str = "
        house: { columns: auto }
";

async fn new(test: &str) -> World {
    let plan = Plan { source: "dataset: houses, overlap: 1s", tables: HOUSES, files: false };
    let world = World::of(test, &plan).await;
    world.odk.world().add_dataset("houses", &["owner", "geometry", "status"]);
    world
}

fn make(world: &World, count: usize) -> Vec<String> {
    let one = |number: usize| {
        let mut central = world.odk.world();
        central.advance(std::time::Duration::from_secs(1));
        central.create_entity("houses", &format!("House {number}"), &json!({ "owner": "o", "status": "new" }))
    };
    (0..count).map(one).collect()
}

#[track_caller]
fn assert_same(world: &World) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let sql = "select entity_id, jsonb_build_object('owner', owner, 'status', status, 'version', system_version,
                   'system', _system) from house where not _deleted order by 1";
        let stored: Vec<String> = world.database.rows(sql).await;
        let stored: Vec<(String, Json)> = stored
            .iter()
            .map(|row| row.split_once(" | ").unwrap())
            .map(|(id, row)| (id.to_owned(), serde_json::from_str(row).unwrap()))
            .collect();
        let mut expected: Vec<(String, Json)> = {
            let central = world.odk.world();
            let row = |id: String| {
                let row = central.entity("houses", &id).unwrap();
                let expect = json!({
                    "owner": row["owner"], "status": row["status"], "version": row["__system"]["version"],
                    "system": row["__system"],
                });
                (id, expect)
            };
            central.entities("houses", false).into_iter().map(row).collect()
        };
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(stored, expected, "{place}");
    }
}

#[tokio::test]
async fn entities_follow_their_versions() {
    let mut world = new("entities").await;
    let ids = make(&world, 600);
    world.tick().await;
    assert_same(&world).await;
    let asked = world.asked().await;
    println!("a tick without news: {asked:?}");
    assert!(asked.len() <= 3, "{asked:?}");
    world.wait();
    {
        let mut central = world.odk.world();
        central.update_entity("houses", &ids[0], "House 0", &json!({ "status": "visited" }));
        central.update_entity("houses", &ids[0], "House 0", &json!({ "owner": "other" }));
        central.delete_entity("houses", &ids[1]);
        central.delete_entity("houses", &ids[2]);
        central.purge_entity("houses", &ids[2]);
        central.set_conflict("houses", &ids[3], Some("soft"));
    }
    make(&world, 1);
    world.tick().await;
    assert_same(&world).await;
    world.wait();
    world.odk.world().restore_entity("houses", &ids[1]);
    world.tick().await;
    assert_same(&world).await;
    world.odk.world().add_property("houses", "rooms");
    world.odk.world().update_entity("houses", &ids[5], "House 5", &json!({ "rooms": "4" }));
    world.wait();
    world.tick().await;
    assert_same(&world).await;
    assert_eq!(world.one(&format!("select rooms from house where entity_id = '{}'", ids[5])).await, "4");
    let before = world.one("select count(*) from house where not _deleted").await;
    world.odk.world().delete_dataset("houses");
    assert_eq!(world.try_tick().await.state, "failed");
    assert_eq!(world.one("select count(*) from house where not _deleted").await, before);
}

#[tokio::test]
async fn entities_of_a_server_that_does_not_tell_deletes() {
    let mut world = new("entities_old").await;
    world.odk.world().set_release(Release::V2024_2);
    let ids = make(&world, 20);
    world.tick().await;
    world.wait();
    world.odk.world().delete_entity("houses", &ids[1]);
    world.odk.world().update_entity("houses", &ids[4], "House 4", &json!({ "status": "seen" }));
    world.tick().await;
    let left = "select count(*), count(*) filter (where status = 'seen') from house where not _deleted";
    assert_eq!(world.one(left).await, "19 | 1");
    world.wait();
    world.odk.world().restore_entity("houses", &ids[1]);
    world.tick().await;
    assert_eq!(world.one(left).await, "20 | 1");
}
