//! Each event at the source, and what a tick makes of it: section by section of which event moves what.

use serde_json::json;
use std::time::Duration;
use tributary_tests::odk::survey::{FORM, answers, fields};
use tributary_tests::odk::{Field, World as Central};

use crate::fixture::*;

/// Three submissions that are in the tables, then an event of the second, then ticks until it must be seen.
async fn check(what: &str, act: impl Fn(&mut Central, &str), sweeps: bool) {
    let mut world = World::with_files(&format!("moves_{what}")).await;
    let ids = world.submit(3);
    for id in &ids {
        world.odk.world().upload(FORM, id, "building.jpg", id.clone(), "image/jpeg");
    }
    world.tick().await;
    world.wait();
    world.tick().await;
    world.assert_same().await;
    act(&mut world.odk.world(), &ids[1]);
    world.wait();
    if sweeps {
        world.set_sweep(Duration::from_nanos(1)).await;
    }
    world.tick().await;
    let found = world.differences().await;
    assert!(found.is_empty(), "{what}: {}", found.join("\n"));
    world.set_sweep(RARELY).await;
    world.tick().await;
    let asked = world.asked().await;
    // Who waits for a file is looked at again.
    let waits = world.one("select count(*) from submission_attachment where state <> 'stored' and not _deleted").await;
    assert_eq!(asked.len(), 2 + usize::from(waits != "0"), "{what}: then nothing is new: {asked:?}");
}

#[tokio::test]
async fn an_event_that_moves_a_time_or_the_gate_is_seen_by_the_next_tick() {
    check("create", |central, _| drop(central.create(FORM, &answers("new", 2))), false).await;
    let edit = |central: &mut Central, id: &str| assert!(central.edit(FORM, id, &answers("edited", 1)));
    check("edit", edit, false).await;
    check("review", |central, id| assert!(central.review(FORM, id, Some("approved"))), false).await;
    check("comment", |central, id| assert!(central.comment(FORM, id)), false).await;
    check("delete", |central, id| assert!(central.delete(FORM, id)), false).await;
    let purge = |central: &mut Central, id: &str| assert!(central.delete(FORM, id) && central.purge(FORM, id));
    check("purge", purge, false).await;
}

#[tokio::test]
async fn an_event_that_moves_nothing_is_seen_by_the_manifest() {
    check("clear", |central, id| assert!(central.clear(FORM, id, "building.jpg")), true).await;
    check("rename", |central, _| central.rename_submitter("somebody else"), true).await;
}

#[tokio::test]
async fn a_restore_moves_no_time_and_is_seen_all_the_same() {
    let mut world = World::new("restore").await;
    let ids = world.submit(3);
    world.tick().await;
    world.wait();
    world.odk.world().delete(FORM, &ids[0]);
    world.tick().await;
    assert_eq!(world.one("select count(*) from submission where not _deleted").await, "2");
    assert_eq!(world.one("select count(*) from submission_person_details").await, "3");
    world.assert_same().await;
    for _ in 0..2 {
        world.wait();
    }
    world.odk.world().restore(FORM, &ids[0]);
    world.wait();
    let progress = world.tick().await;
    assert_eq!(progress.applied, 1, "{progress:?}");
    world.assert_same().await;
}

#[tokio::test]
async fn a_submission_that_is_dated_before_it_is_seen_is_not_lost() {
    let mut world = World::new("skew").await;
    let early = world.odk.world().begin(FORM, &answers("early", 2));
    world.wait();
    world.submit(2);
    world.tick().await;
    world.wait();
    world.tick().await;
    world.assert_same().await;
    world.odk.world().commit(&early);
    world.wait();
    world.tick().await;
    world.assert_same().await;
    assert_eq!(world.one("select count(*) from submission").await, "3");
}

#[tokio::test]
async fn new_questions_become_columns_and_removed_ones_keep_their_data() {
    let mut world = World::new("questions").await;
    let ids = world.submit(3);
    world.tick().await;
    let mut next = fields();
    next.retain(|field| field.path != "/legacy_note" && !field.path.starts_with("/property_description"));
    next.push(Field::new("/new_q", "int"));
    next.push(Field::new("/children", "structure"));
    next.push(Field::new("/children/child", "repeat"));
    next.push(Field::new("/children/child/age", "int"));
    world.odk.world().publish(FORM, "2", next);
    let mut more = answers("more", 1);
    more["new_q"] = json!(7);
    more["children"] = json!({ "child": [{ "age": 3 }, { "age": 5 }] });
    let new = world.odk.world().create(FORM, &more);
    world.wait();
    world.tick().await;
    let of = |id: &str| {
        format!("select new_q, legacy_note, property_description_floors from submission where submission_id = '{id}'")
    };
    assert_eq!(world.one(&of(&new)).await, "7 | ∅ | ∅");
    assert_eq!(world.one(&of(&ids[0])).await, "∅ | old & kept | 3");
    // All rows were read anew: what is raw is as the server has it now.
    let raw = "select count(*) from submission where _raw ? 'legacy_note' or not _raw ? 'new_q'";
    assert_eq!(world.one(raw).await, "0");
    // An old one that is edited keeps what is asked no more.
    world.odk.world().edit(FORM, &ids[0], &answers("edited", 0));
    world.wait();
    world.tick().await;
    assert_eq!(world.one(&of(&ids[0])).await, "∅ | old & kept | 3");
    let ages =
        "select string_agg(age::text, ',' order by position) from submission_children_child where submission_id = ";
    assert_eq!(world.one(&format!("{ages}'{new}'")).await, "3,5");
    // A repeat that is asked no more keeps its rows, until the submission goes.
    world.odk.world().publish(FORM, "3", fields());
    world.wait();
    world.tick().await;
    assert_eq!(world.one(&format!("{ages}'{new}'")).await, "3,5");
    world.odk.world().delete(FORM, &new);
    world.wait();
    world.tick().await;
    assert_eq!(world.one(&format!("{ages}'{new}'")).await, "∅");
}

#[tokio::test]
async fn persons_are_replaced_with_their_submission() {
    let mut world = World::new("persons").await;
    let id = world.odk.world().create(FORM, &answers("a", 3));
    world.tick().await;
    world.assert_same().await;
    let mut fewer = answers("b", 3);
    fewer["person_details"].as_array_mut().unwrap().remove(0);
    world.wait();
    world.odk.world().edit(FORM, &id, &fewer);
    world.tick().await;
    world.assert_same().await;
    let names = "select string_agg(first_name, ',' order by position) from submission_person_details";
    assert_eq!(world.one(names).await, "P01,P02");
    fewer["person_details"] = json!([]);
    world.wait();
    world.odk.world().edit(FORM, &id, &fewer);
    world.tick().await;
    world.assert_same().await;
    let left = "select (select count(*) from submission_person_details), (select count(*) from submission_person_details_income)";
    assert_eq!(world.one(left).await, "0 | 0");
    assert_eq!(
        world.one("select person_details = '[]', submission_id is not null from submission_unified").await,
        "t | t"
    );
}

#[tokio::test]
async fn encrypted_rows_are_marked_and_found_when_their_data_arrives() {
    let mut world = World::new("encrypted").await;
    world.odk.world().set_key(FORM, Some(3));
    let id = world.submit(1).remove(0);
    world.tick().await;
    let row = "select system_status, survey_date, _raw->>'__id' = submission_id from submission";
    assert_eq!(world.one(row).await, "missingEncryptedFormData | ∅ | t");
    world.odk.world().encrypted_data_arrives(FORM, &id);
    world.wait();
    world.tick().await;
    assert_eq!(world.one(row).await, "notDecrypted | ∅ | t");
}
