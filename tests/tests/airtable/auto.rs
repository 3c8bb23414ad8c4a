//! `columns: auto`: fields become columns as they come, and stay the same columns whatever people do to them.

use serde_json::json;
use tributary_tests::airtable::Field;

use crate::fixture::*;

const AUTO: &str = "\n        home: { columns: { title: { from: fldNAME0000000001, type: text }, \"*\": auto } }\n";

const COLUMNS: &str = "select string_agg(column_name || ' ' || data_type, ', ' order by ordinal_position) \
    from information_schema.columns where table_name = 'home' and column_name not like '\\_%'";

async fn followed(test: &str, feed: &str) -> World {
    World::of(test, |url| mapping_of(url, feed, AUTO)).await
}

#[tokio::test]
async fn fields_come_are_renamed_swapped_and_go() {
    let mut world = followed("auto", "feed: webhook").await;
    // `tributary migrate` knows of the mapping's columns only.
    assert_eq!(world.database.rows(COLUMNS).await, ["record_id text, title text"]);
    let cells = json!({ NAME: "Elm", RENT: 1200.5, FREE: true, TAGS: ["a"], DISTRICTS: ["recD"] });
    let home = world.airtable.create(HOMES, vec![cells]).remove(0);
    let progress = world.tick().await;
    notes(&progress, "home follows its source: 7 columns, rent, free, tags, photos, total, district, changed");
    let columns = "record_id text, title text, rent numeric, free boolean, tags ARRAY, photos jsonb, total numeric, \
        district ARRAY, changed timestamp with time zone";
    assert_eq!(world.database.rows(COLUMNS).await, [columns]);
    let query = "select title, rent, free, tags, photos, district from home";
    assert_eq!(world.database.rows(query).await, ["Elm | 1200.5 | t | {a} | [] | {recD}"]);

    // An idle tick asks no more than before, cold or warm, and sweeps nothing.
    let idle = world.asked().await;
    assert_eq!(idle.len(), 1, "{idle:?}");
    world.cool_down();
    let cold = world.asked().await;
    assert!(!cold.iter().any(|request| request.contains("listRecords")), "{cold:?}");

    // A new field becomes a column, filled by the sweep that this asks for.
    world.airtable.add_field(HOMES, Field::new("fldFLOOR000000001", "Floor 🏠", "number"));
    world.airtable.edit_silently(HOMES, &home, &json!({ "fldFLOOR000000001": 3 }));
    let progress = world.sweep().await;
    notes(&progress, "the new field `Floor 🏠` has the column home.floor, numeric");
    assert_eq!(world.database.rows("select floor from home").await, ["3"]);

    // Two swap their names: nothing moves.
    world.airtable.rename_field(HOMES, "fldFLOOR000000001", "Rent (€)");
    world.airtable.rename_field(HOMES, RENT, "Floor 🏠");
    let progress = world.sweep().await;
    notes(&progress, "is now called");
    assert_eq!(world.database.rows("select rent, floor from home").await, ["1200.5 | 3"]);

    // Removed: the values stay, also through a change of the row, and nothing else is harmed.
    world.airtable.delete_field(HOMES, RENT);
    world.airtable.edit(HOMES, &home, &json!({ NAME: "Oak", "fldFLOOR000000001": 4 }));
    let progress = world.sweep().await;
    notes(&progress, "the field `Floor 🏠` is gone; the column home.rent keeps its values");
    assert_eq!(world.database.rows("select title, rent, floor from home").await, ["Oak | 1200.5 | 4"]);
    // In a new environment too.
    world.cool_down();
    world.airtable.edit(HOMES, &home, &json!({ NAME: "Ash" }));
    world.tick().await;
    assert_eq!(world.database.rows("select title, rent, floor from home").await, ["Ash | 1200.5 | 4"]);

    // Another field of the old name gets a column of its own.
    world.airtable.add_field(HOMES, Field::new("fldOTHER000000001", "Rent", "singleLineText"));
    world.airtable.edit(HOMES, &home, &json!({ "fldOTHER000000001": "cheap" }));
    world.sweep().await;
    assert_eq!(world.database.rows("select rent, rent_2 from home").await, ["1200.5 | cheap"]);
}

#[tokio::test]
async fn a_type_that_changes_leaves_a_note_and_no_dead_letter() {
    let mut world = followed("auto_type", "feed: sweep").await;
    world.airtable.add_field(HOMES, Field::new("fldFLOOR000000001", "Floor", "number"));
    let home = world.airtable.create(HOMES, vec![json!({ NAME: "Elm", "fldFLOOR000000001": 3 })]).remove(0);
    world.tick().await;
    world.airtable.delete_field(HOMES, "fldFLOOR000000001");
    world.airtable.add_field(HOMES, Field::new("fldFLOOR000000001", "Floor", "singleLineText"));
    world.airtable.edit(HOMES, &home, &json!({ "fldFLOOR000000001": "ground" }));
    let progress = world.tick().await;
    notes(&progress, "holds text now, and the column home.floor stays numeric");
    let rows = world.database.rows("select title, floor, _errors->>'floor' from home").await;
    assert_eq!(rows, ["Elm | ∅ | text that is not a number where numeric is expected"]);
    assert_eq!(progress.dead, 0);
    // Said once.
    assert!(world.tick().await.notes.is_empty());
}

#[tokio::test]
async fn a_column_of_somebody_else_is_left_alone_and_one_that_was_dropped_comes_back() {
    let mut world = followed("auto_foreign", "feed: sweep").await;
    world.airtable.create(HOMES, vec![json!({ NAME: "Elm", RENT: 7 })]);
    world.tick().await;
    world.database.execute("alter table home add column floor text default 'mine'").await;
    world.airtable.add_field(HOMES, Field::new("fldFLOOR000000001", "Floor", "number"));
    for id in world.airtable.ids(HOMES) {
        world.airtable.edit(HOMES, &id, &json!({ "fldFLOOR000000001": 3 }));
    }
    world.tick().await;
    assert_eq!(world.database.rows("select floor, floor_2 from home").await, ["mine | 3"]);
    world.database.execute("alter table home drop column floor_2").await;
    world.cool_down();
    world.tick().await;
    assert_eq!(world.database.rows("select floor, floor_2 from home").await, ["mine | 3"]);
}

#[tokio::test]
async fn a_user_without_the_right_is_told_what_to_run() {
    let mut world = followed("auto_right", "feed: sweep").await;
    world.airtable.create(HOMES, vec![json!({ NAME: "Elm", RENT: 7 })]);
    let role = format!("auto_right_{}", std::process::id());
    let grants = format!(
        "create role {role} login password 'secret'; grant usage on schema tributary to {role}; \
         grant all on all tables in schema tributary to {role}; grant select, insert, update on home to {role}"
    );
    world.database.execute(&grants).await;
    let (_, place) = world.database.url().split_once('@').unwrap();
    let url = format!("postgres://{role}:secret@{place}");
    world.sign_in(&url);
    let progress = world.try_tick().await;
    assert_eq!(
        progress.error.as_deref().map(|error| error.starts_with("the database user may not add the columns")),
        Some(true),
        "{progress:?}"
    );
    let hint = progress.hint.unwrap();
    let ddl = hint.strip_prefix("run as the owner of the tables: ").unwrap().split("; or").next().unwrap();
    world.database.execute(ddl).await;
    world.tick().await;
    assert_eq!(world.database.rows("select title, rent from home").await, ["Elm | 7"]);
    let owner = world.database.url().to_owned();
    world.sign_in(&owner);
    world.database.execute(&format!("drop owned by {role}; drop role {role}")).await;
}

#[tokio::test]
async fn the_names_survive_a_crash_before_the_columns() {
    let mut world = followed("auto_crash", "feed: sweep").await;
    world.airtable.create(HOMES, vec![json!({ NAME: "Elm", RENT: 7 })]);
    world.tick().await;
    let names = world.checkpoint("columns").await;
    world.database.execute("drop table home").await;
    world.cool_down();
    world.migrate().await;
    world.tick().await;
    assert_eq!(world.checkpoint("columns").await, names);
}
