//! Entities, of which no ETag tells.

use std::time::Duration;

use serde_json::json;
use tributary_stand_in::odk::{EMAIL, PROJECT, Release, World as Central};

use crate::fixture::*;

fn mapping(url: &str) -> String {
    format!(
        "datastores:
  warehouse: {{ type: postgres, url: {{ env: DATABASE_URL }} }}
  field: {{ type: odk, base_url: \"{url}\", auth: {{ email: {EMAIL}, password: {{ env: ODK_PASSWORD }} }} }}
pipelines:
  survey:
    source: {{ datastore: field, project: {PROJECT}, dataset: houses }}
    sink:
      datastore: warehouse
      tables:
        house: {{ columns: auto }}"
    )
}

async fn houses(world: &World) -> Vec<String> {
    world.database.rows("select label, owner from house where not _deleted order by 1").await
}

fn expected(world: &Central) -> Vec<String> {
    let all = world.entities("houses", false);
    let mut all: Vec<String> = all
        .iter()
        .map(|id| {
            let row = world.entity("houses", id).unwrap();
            format!("{} | {}", row["label"].as_str().unwrap(), row["owner"].as_str().unwrap())
        })
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn entities_arrive_by_their_versions() {
    for release in [Release::V2024_2, Release::V2025_1, Release::V2025_3, Release::V2026_2] {
        let mut world = World::of("entities", mapping).await;
        world.odk.world().set_release(release);
        world.odk.world().add_dataset("houses", &["owner"]);
        let make = |world: &mut Central, number: usize| {
            world.create_entity("houses", &format!("house {number:03}"), &json!({ "owner": format!("o{number}") }))
        };
        let ids: Vec<String> = (0..300).map(|number| make(&mut world.odk.world(), number)).collect();
        world.tick().await;
        let mut check = async |what: &str, act: &dyn Fn(&mut Central)| {
            world.odk.world().advance(Duration::from_secs(3_600));
            act(&mut world.odk.world());
            world.tick().await;
            let expected = expected(&world.odk.world());
            assert!(houses(&world).await == expected, "{release:?} {what}");
        };
        check("nothing", &|_| {}).await;
        check("update", &|world| {
            assert!(world.update_entity("houses", &ids[3], "house x", &json!({ "owner": "y" })));
        })
        .await;
        check("create", &|world| drop(make(world, 999))).await;
        check("delete", &|world| assert!(world.delete_entity("houses", &ids[4]))).await;
        check("restore", &|world| assert!(world.restore_entity("houses", &ids[4]))).await;
        check("delete two", &|world| {
            assert!(world.delete_entity("houses", &ids[4]) && world.delete_entity("houses", &ids[5]));
        })
        .await;
        check("purge", &|world| assert!(world.purge_entity("houses", &ids[5]))).await;
        check("delete and purge", &|world| {
            assert!(world.delete_entity("houses", &ids[6]) && world.purge_entity("houses", &ids[6]));
        })
        .await;
        // Of a conflict no version and no time tells: the manifest does.
        assert!(world.odk.world().set_conflict("houses", &ids[9], Some("soft")));
        world.database.execute("update tributary.checkpoint set position = jsonb_set(position::jsonb, '{manifest_at}', '1')::text where partition = 'odk'").await;
        world.tick().await;
        let told = world.database.rows("select count(*) from house where _system->>'conflict' = 'soft'").await;
        assert_eq!(told, ["1"], "{release:?}");
        println!("{release:?}: {:?}", world.asked().await);
    }
}
