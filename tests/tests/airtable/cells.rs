//! What cells become in columns: by ids and by names, of every type, exactly.

use serde_json::{Value as Json, json};
use tributary_tests::airtable::Field;

use crate::fixture::*;

/// A column of one field's cells.
struct Case {
    kind: &'static str,
    options: fn() -> Json,
    column: &'static str,
    cell: fn() -> Json,
    /// What stands there, and what of an empty cell.
    expect: (&'static str, &'static str),
}

fn none() -> Json {
    Json::Null
}

fn number() -> Json {
    json!({ "result": { "type": "number" } })
}

const CASES: [Case; 22] = [
    Case {
        kind: "multilineText",
        options: none,
        column: "text",
        cell: || json!("zwölf\n🚀"),
        expect: ("zwölf\n🚀", "∅"),
    },
    Case {
        kind: "number",
        options: none,
        column: "numeric",
        cell: || json!(9_007_199_254_740_993_u64),
        expect: ("9007199254740993", "∅"),
    },
    Case { kind: "percent", options: none, column: "numeric", cell: || json!(0.1), expect: ("0.1", "∅") },
    Case { kind: "autoNumber", options: none, column: "bigint", cell: || json!(12), expect: ("12", "∅") },
    Case { kind: "duration", options: none, column: "numeric", cell: || json!(3_600), expect: ("3600", "∅") },
    Case { kind: "checkbox", options: none, column: "boolean", cell: || json!(true), expect: ("t", "f") },
    Case { kind: "date", options: none, column: "date", cell: || json!("2024-02-29"), expect: ("2024-02-29", "∅") },
    Case {
        kind: "dateTime",
        options: none,
        column: "timestamptz",
        cell: || json!("2024-02-29T12:30:00.000Z"),
        expect: ("2024-02-29 12:30:00+00", "∅"),
    },
    Case { kind: "singleSelect", options: none, column: "text", cell: || json!("Open"), expect: ("Open", "∅") },
    Case {
        kind: "multipleSelects",
        options: none,
        column: "\"text[]\"",
        cell: || json!(["a b", "c,\"d\""]),
        expect: (r#"{"a b","c,\"d\""}"#, "{}"),
    },
    Case {
        kind: "multipleRecordLinks",
        options: none,
        column: "\"text[]\"",
        cell: || json!(["rec1", "rec2"]),
        expect: ("{rec1,rec2}", "{}"),
    },
    Case {
        kind: "singleCollaborator",
        options: none,
        column: "jsonb",
        cell: || json!({ "id": "usr1", "email": "a@b.c", "name": "Ada" }),
        expect: (r#"{"id": "usr1", "name": "Ada", "email": "a@b.c"}"#, "∅"),
    },
    Case {
        kind: "multipleCollaborators",
        options: none,
        column: "jsonb",
        cell: || json!([{ "id": "usr1" }]),
        expect: (r#"[{"id": "usr1"}]"#, "[]"),
    },
    Case {
        kind: "multipleAttachments",
        options: none,
        column: "jsonb",
        cell: || json!([photo(1)]),
        expect: (r#"[{"id": "att00000000000001", "size": 1, "type": "image/jpeg", "filename": "1.jpg"}]"#, "[]"),
    },
    Case { kind: "formula", options: number, column: "numeric", cell: || json!(2.5), expect: ("2.5", "∅") },
    Case {
        kind: "formula",
        options: number,
        column: "numeric",
        cell: || json!({ "error": "#ERROR!" }),
        expect: ("∅", "∅"),
    },
    Case {
        kind: "rollup",
        options: number,
        column: "numeric",
        cell: || json!({ "specialValue": "Infinity" }),
        expect: ("∅", "∅"),
    },
    Case {
        kind: "formula", options: none, column: "text", cell: || json!({ "error": "#ERROR!" }), expect: ("∅", "∅")
    },
    Case {
        kind: "multipleLookupValues",
        options: number,
        column: "jsonb",
        cell: || json!([1, { "error": "#ERROR!" }, "x"]),
        expect: (r#"[1, null, "x"]"#, "[]"),
    },
    Case {
        kind: "barcode",
        options: none,
        column: "jsonb",
        cell: || json!({ "text": "4006381333931" }),
        expect: (r#"{"text": "4006381333931"}"#, "∅"),
    },
    Case {
        kind: "aiText",
        options: none,
        column: "jsonb",
        cell: || json!({ "state": "generated", "isStale": false, "value": "v" }),
        expect: (r#"{"state": "generated", "value": "v", "isStale": false}"#, "∅"),
    },
    Case {
        kind: "neverHeardOf",
        options: none,
        column: "jsonb",
        cell: || json!({ "new": [1, 2] }),
        expect: (r#"{"new": [1, 2]}"#, "∅"),
    },
];

#[tokio::test]
async fn every_type_becomes_its_column_and_an_empty_cell_what_is_empty() {
    let columns: Vec<String> = CASES
        .iter()
        .enumerate()
        .map(|(at, case)| format!("            c{at}: {{ from: fldCASE{at:010}, type: {} }}\n", case.column))
        .collect();
    let tables = format!("\n        home:\n          columns:\n{}", columns.concat());
    let mut world = World::of("types", |url| mapping_of(url, "", &tables)).await;
    let mut full = serde_json::Map::new();
    for (at, case) in CASES.iter().enumerate() {
        world.airtable.add_field(
            HOMES,
            Field::with(&format!("fldCASE{at:010}"), &format!("Case {at}"), case.kind, (case.options)()),
        );
        full.insert(format!("fldCASE{at:010}"), (case.cell)());
    }
    let full = world.airtable.create(HOMES, vec![Json::Object(full)]).remove(0);
    world.airtable.create(HOMES, vec![json!({})]);
    let first = world.tick().await;
    assert_eq!(first.dead, 0, "{:?}", world.database.rows("select error from tributary.dead_letter").await);
    for (at, case) in CASES.iter().enumerate() {
        let column = format!("select c{at} from home where (record_id = '{full}')");
        assert_eq!(world.database.rows(&format!("{column} = true")).await, [case.expect.0], "{} {at}", case.kind);
        assert_eq!(
            world.database.rows(&format!("{column} = false")).await,
            [case.expect.1],
            "empty {} {at}",
            case.kind
        );
    }
    let errors = world.database.rows("select key, value #>> '{}' from home, jsonb_each(_errors) order by 1").await;
    let expect = [
        "c15 | the source says #ERROR!",
        "c16 | the source says Infinity",
        "c17 | the source says #ERROR!",
        "c18 | element 2: the source says #ERROR!",
    ];
    assert_eq!(errors, expect);
}

#[tokio::test]
async fn ids_survive_a_rename_and_names_are_looked_up_anew() {
    let mut world = World::new("rename", "").await;
    let ids = world.airtable.create(HOMES, any_homes(&mut fastrand::Rng::with_seed(1), 40));
    world.tick().await;
    world.airtable.rename_field(HOMES, NAME, "Title");
    world.airtable.edit(HOMES, &ids[0], &json!({ NAME: "by its id" }));
    world.sweep().await;
    world.assert_same().await;

    world.airtable.rename_field(HOMES, RENT, "Price");
    world.airtable.edit(HOMES, &ids[1], &json!({ RENT: 7.25 }));
    let before = world.database.rows("select record_id, rent from home order by 1").await;
    world.cool_down();
    let failed = world.try_tick().await;
    assert_eq!(failed.error.as_deref(), Some("the Airtable table `Homes` has no field `Rent (€)`"));
    assert!(failed.hint.unwrap().contains("`Price` (fldRENT0000000001)"));
    assert_eq!(world.database.rows("select record_id, rent from home order by 1").await, before);
    world.remap(|url| mapping_text(url, "").replace("Rent (€)", "Price")).await;
    world.tick().await;
    world.assert_same().await;
}

#[tokio::test]
async fn attachments_whose_addresses_changed_are_not_written() {
    let mut world = World::new("attachments", "").await;
    world.airtable.create(HOMES, vec![json!({ PHOTOS: [photo(1), photo(2)] })]);
    world.tick().await;
    let swept = world.sweep().await;
    assert_eq!((swept.applied, swept.unchanged), (0, 2), "{swept:?}");
    assert_eq!(world.database.rows("select count(*) from home where photos::text like '%url%'").await, ["0"]);
}
