//! Keys, rows that the mapping doesn't want, and rows that no column takes.

use serde_json::json;
use tributary_tests::odk::Field;
use tributary_tests::odk::survey::{FORM, answers, fields};

use crate::fixture::*;

#[tokio::test]
async fn a_key_is_the_first_field_that_has_one() {
    let source = "form: GRARentalDataCollection, overlap: 1s, key: [UUID, __id]";
    let mut world = World::of("key", &Plan { source, ..Plan::default() }).await;
    let mut asked = fields();
    asked.push(Field::new("/UUID", "string"));
    world.odk.world().publish(FORM, "2", asked);
    let mut named = answers("named", 2);
    named["UUID"] = json!("house-1");
    let first = world.odk.world().create(FORM, &named);
    let second = world.odk.world().create(FORM, &answers("unnamed", 1));
    world.tick().await;
    let keys = "select submission_id from submission where not _deleted order by 1";
    assert_eq!(world.database.rows(keys).await, ["house-1".to_owned(), second.clone()]);
    let people = "select submission_id, count(*) from submission_person_details group by 1 order by 1";
    assert_eq!(world.database.rows(people).await, ["house-1 | 2".to_owned(), format!("{second} | 1")]);
    world.wait();
    named["person_details"] = json!([]);
    world.odk.world().edit(FORM, &first, &named);
    world.odk.world().delete(FORM, &second);
    world.tick().await;
    assert_eq!(world.database.rows(keys).await, ["house-1"]);
    assert_eq!(world.database.rows(people).await, Vec::<String>::new());
    world.wait();
    world.odk.world().delete(FORM, &first);
    world.odk.world().purge(FORM, &first);
    world.tick().await;
    assert_eq!(world.database.rows(keys).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_row_without_a_key_is_a_dead_letter() {
    let source = "form: GRARentalDataCollection, overlap: 1s, key: UUID";
    let mut world = World::of("no_key", &Plan { source, ..Plan::default() }).await;
    let mut asked = fields();
    asked.push(Field::new("/UUID", "string"));
    world.odk.world().publish(FORM, "2", asked);
    let mut named = answers("named", 1);
    named["UUID"] = json!("house-1");
    world.odk.world().create(FORM, &named);
    let nameless = world.odk.world().create(FORM, &answers("nameless", 1));
    world.tick().await;
    assert_eq!(world.one("select count(*) from submission").await, "1");
    assert_eq!(world.one("select count(*) from tributary.dead_letter").await, "1");
    // It doesn't come again and again.
    world.tick().await;
    world.tick().await;
    assert_eq!(world.one("select count(*) from tributary.dead_letter").await, "1");
    world.wait();
    named["UUID"] = json!("house-2");
    world.odk.world().edit(FORM, &nameless, &named);
    world.tick().await;
    assert_eq!(world.one("select count(*) from submission").await, "2");
}

#[tokio::test]
async fn only_rows_that_the_mapping_wants() {
    let tables = "
        submission: { columns: auto }
        approved: { when: \"__system.reviewState == 'approved'\", columns: { tenure: text } }
";
    let mut world = World::of("when", &Plan { tables, ..Plan::default() }).await;
    let ids = world.submit(5);
    world.odk.world().review(FORM, &ids[0], Some("approved"));
    world.tick().await;
    let live = "select submission_id from approved where not _deleted";
    assert_eq!(world.database.rows(live).await, [ids[0].clone()]);
    world.wait();
    world.odk.world().review(FORM, &ids[1], Some("approved"));
    world.odk.world().review(FORM, &ids[0], Some("rejected"));
    world.tick().await;
    assert_eq!(world.database.rows(live).await, [ids[1].clone()]);
    assert_eq!(world.one("select count(*) from submission where not _deleted").await, "5");
    world.wait();
    world.odk.world().delete(FORM, &ids[1]);
    world.tick().await;
    assert_eq!(world.database.rows(live).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_value_that_does_not_cast_loses_no_row() {
    let mut world = World::new("cast").await;
    let mut odd = answers("odd", 1);
    odd["survey_start"] = json!("not-a-date");
    odd["survey_date"] = json!("2026-13-45");
    odd["property_description"]["floors"] = json!(9_007_199_254_740_993_i64);
    odd["amenities"] = json!(" water  power");
    odd["person_details"][0]["occupancy"]["since"] = json!("long ago");
    world.odk.world().create(FORM, &odd);
    world.tick().await;
    let row = "select survey_start, survey_date, property_description_floors, amenities, _raw->>'survey_start',
               (select string_agg(name, ',' order by name) from jsonb_object_keys(_errors) as names(name)) from submission";
    let expect = "∅ | ∅ | 9007199254740992 | {water,power} | not-a-date | survey_date,survey_start";
    assert_eq!(world.one(row).await, expect);
    let person = "select occupancy_since, _errors ? 'occupancy_since' from submission_person_details";
    assert_eq!(world.one(person).await, "∅ | t");
    assert_eq!(world.one("select count(*) from tributary.dead_letter").await, "0");
}
