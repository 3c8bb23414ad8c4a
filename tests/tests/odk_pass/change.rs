//! What changes at the source, one kind at a time.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value as Json, json};
use tributary_runtime::tick::Request;
use tributary_stand_in::odk::{Release, World as Central, survey};

use crate::fixture::*;

/// So many submissions that expect no file.
pub(crate) fn plain(world: &mut Central, count: usize) -> Vec<String> {
    let mut dice = Rng::with_seed(3);
    (0..count).map(|_| world.create(FORM, &answers(&mut dice))).collect()
}

fn answers(dice: &mut Rng) -> Json {
    let mut answers = survey::any_answers(dice);
    answers["property_description"]["building_image"] = Json::Null;
    answers["property_location"]["address_plus_code_image"] = Json::Null;
    answers
}

#[tokio::test]
async fn a_form_is_read_and_then_costs_two_requests_a_tick() {
    let mut world = World::new("first", "").await;
    plain(&mut world.odk.world(), 600);
    let progress = world.tick().await;
    world.assert_same().await;
    assert_eq!(progress.items.inserted, 600, "{progress:?}");
    println!("{:?}", world.odk.kinds());
    assert_eq!(world.asked().await, [("card", 1), ("gate", 1)].into());
    world.cool_down();
    assert_eq!(world.asked().await, [("card", 1), ("gate", 1), ("session", 1)].into());
}

#[tokio::test]
async fn every_kind_of_change_arrives_with_the_next_tick() {
    for release in [Release::V2023_4, Release::V2024_2, Release::V2024_3, Release::V2025_3, Release::V2026_2] {
        let mut world = World::new("kinds", "").await;
        world.odk.world().set_release(release);
        let ids = plain(&mut world.odk.world(), 30);
        world.tick().await;
        world.assert_same().await;
        let mut dice = Rng::with_seed(9);
        let mut check = async |what: &str, expect: [u64; 4], act: &dyn Fn(&mut Central, &mut Rng)| {
            // Longer than any window reaches back.
            world.odk.world().advance(Duration::from_secs(3_600));
            act(&mut world.odk.world(), &mut dice);
            let found = world.tick().await;
            let items = found.items;
            let found = world.differences().await;
            assert!(found.is_empty(), "{release:?} {what}: {found:?}");
            assert_eq!([items.inserted, items.updated, items.deleted, items.restored], expect, "{release:?} {what}");
        };
        let deletes = release >= Release::V2024_2;
        check("nothing", [0; 4], &|_, _| {}).await;
        check("create", [1, 0, 0, 0], &|world, dice| drop(world.create(FORM, &answers(dice)))).await;
        check("edit", [0, 1, 0, 0], &|world, dice| assert!(world.edit(FORM, &ids[3], &answers(dice)))).await;
        check("review", [0, 1, 0, 0], &|world, _| assert!(world.review(FORM, &ids[4], Some("approved")))).await;
        if deletes {
            check("delete", [0, 0, 2, 0], &|world, _| {
                assert!(world.delete(FORM, &ids[5]) && world.delete(FORM, &ids[6]));
            })
            .await;
            check("restore", [0, 0, 0, 1], &|world, _| assert!(world.restore(FORM, &ids[5]))).await;
            check("purge", [0, 0, 0, 0], &|world, _| assert!(world.purge(FORM, &ids[6]))).await;
            check("delete and purge", [0, 0, 1, 0], &|world, _| {
                assert!(world.delete(FORM, &ids[7]) && world.purge(FORM, &ids[7]));
            })
            .await;
            check("one comes and one goes", [1, 0, 1, 0], &|world, dice| {
                assert!(world.delete(FORM, &ids[8]));
                world.create(FORM, &answers(dice));
            })
            .await;
        }
        check("seen late", [0; 4], &|world, dice| {
            let id = world.begin(FORM, &answers(dice));
            assert!(id.starts_with("uuid:"));
        })
        .await;
        let begun = world.odk.world().begin(FORM, &json!({ "tenure": "late" }));
        world.odk.world().advance(Duration::from_secs(7_200));
        world.tick().await;
        world.odk.world().commit(&begun);
        world.tick().await;
        let found = world.differences().await;
        assert!(found.is_empty(), "{release:?} committed late: {found:?}");
    }
}

#[tokio::test]
async fn what_moves_no_mark_arrives_too() {
    let mut world = World::new("silent", ", sweep_every: 1h").await;
    let answers = survey::answers("n", 1);
    let ids: Vec<String> = (0..5).map(|_| world.odk.world().create(FORM, &answers)).collect();
    world.tick().await;
    world.assert_same().await;
    // A file that comes: with the next tick.
    assert!(world.odk.world().upload(FORM, &ids[0], "building.jpg", "x", "image/jpeg"));
    let asked = world.asked().await;
    world.assert_same().await;
    assert_eq!(asked, [("card", 1), ("gate", 1), ("ids", 1)].into());
    // One that goes, and a submitter's name: with the manifest.
    assert!(world.odk.world().clear(FORM, &ids[0], "building.jpg"));
    world.odk.world().rename_submitter("other@example.org");
    world.database.execute("update tributary.checkpoint set position = jsonb_set(position::jsonb, '{manifest_at}', '1')::text where partition = 'odk'").await;
    world.tick().await;
    world.assert_same().await;
}

#[tokio::test]
async fn a_new_version_of_the_form_is_read_whole() {
    let mut world = World::new("published", "").await;
    plain(&mut world.odk.world(), 300);
    world.tick().await;
    let mut fields = survey::fields();
    fields.retain(|field| field.path != "/legacy_note");
    fields.push(tributary_stand_in::odk::Field::new("/rooms", "int"));
    world.odk.world().publish(FORM, "2", fields);
    world.odk.world().create(FORM, &json!({ "rooms": 5 }));
    world.tick().await;
    world.assert_same().await;
    assert_eq!(world.database.rows("select rooms from submission where rooms is not null").await, ["5"]);
    let kept = world.database.rows("select count(*) > 100 from submission where legacy_note is not null").await;
    assert_eq!(kept, ["t"]);
}

#[tokio::test]
async fn a_form_that_is_not_there_deletes_nothing() {
    let mut world = World::new("no_form", "").await;
    plain(&mut world.odk.world(), 3);
    world.tick().await;
    world.odk.world().delete_form(FORM);
    let progress = world.try_tick(&Request { force: true, ..Request::default() }).await;
    assert_eq!(progress.state, "failed", "{progress:?}");
    assert_eq!(world.database.rows("select count(*) from submission where not _deleted").await, ["3"]);
    world.odk.world().restore_form(FORM);
    world.tick().await;
    world.assert_same().await;
}

#[tokio::test]
async fn many_deletes_need_two_passes_or_somebody_who_allows_them() {
    for (allowed, purged, release) in [
        (false, false, Release::V2026_2),
        (false, true, Release::V2026_2),
        (true, false, Release::V2026_2),
        (true, true, Release::V2026_2),
        (false, false, Release::V2024_3),
        (false, true, Release::V2024_3),
    ] {
        let mut world = World::new("many", "").await;
        world.odk.world().set_release(release);
        let ids = plain(&mut world.odk.world(), 200);
        world.tick().await;
        for id in &ids[..100] {
            assert!(world.odk.world().delete(FORM, id));
            assert!(!purged || world.odk.world().purge(FORM, id));
        }
        let live =
            async |world: &World| world.database.rows("select count(*) from submission where not _deleted").await;
        if !allowed {
            let progress = world.tick().await;
            assert!(progress.notes.iter().any(|note| note.contains("100 of 200 rows")), "{progress:?}");
            assert_eq!(live(&world).await, ["200"], "{purged} {release:?}");
            world.tick().await;
        } else {
            let allow = vec!["survey".to_owned()];
            let progress = world.try_tick(&Request { allow_mass_delete: allow, ..Request::default() }).await;
            assert_eq!(progress.error, None, "{progress:?}");
        }
        assert_eq!(live(&world).await, ["100"], "{allowed} {purged} {release:?}");
        world.assert_same().await;
        assert_eq!(world.state().await["held"], Json::Null);
    }
}
