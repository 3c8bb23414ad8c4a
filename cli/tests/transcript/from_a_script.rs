//! `functions/odk-poll/from-a-script.md`, word for word: its mapping and its SQL, on tables as such a script leaves them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tributary_tests::Database;
use tributary_tests::odk::{EMAIL, Field, Odk, PASSWORD};

use crate::infer::run;
use crate::program::{Program, tributary};

const GUIDE: &str = include_str!("../../../functions/odk-poll/from-a-script.md");
const FORM: &str = "GRARentalDataCollection";

/// The blocks of the guide in this language, in their order. Those of a list are set to the left.
fn blocks(language: &str) -> Vec<String> {
    let mut parts = GUIDE.split("```").skip(1).step_by(2);
    let of_it = parts.by_ref().filter_map(|part| part.strip_prefix(language)?.strip_prefix('\n'));
    of_it.map(|text| text.trim_start_matches(' ').to_owned()).collect()
}

/// The tables of the script, with a submission that was deleted since.
const BEFORE: &str = r#"
create table "GRARentalDataCollection" ("UUID" text primary key, "__id" text, survey_date timestamp);
create table "GRARentalDataCollection_person_details" ("UUID" text primary key, "__Submissions-id" text);
create table "GRARentalDataCollection_unified" as select "UUID", '[]'::jsonb as person_details from "GRARentalDataCollection";
insert into "GRARentalDataCollection" values ('uuid:gone', 'uuid:gone', '2025-01-01'), ('uuid:house', 'uuid:house', '2026-03-01');
"#;

fn form() -> Vec<Field> {
    let all = [
        ("/survey_date", "date"),
        ("/start", "dateTime"),
        ("/end", "dateTime"),
        ("/logo", "string"),
        ("/start_geopoint", "geopoint"),
        ("/property_location", "structure"),
        ("/property_location/address_plus_code_image", "binary"),
        ("/property_description", "structure"),
        ("/property_description/building_image", "binary"),
        ("/generated_note_name_35", "string"),
        ("/sum_owner", "string"),
        ("/End", "structure"),
        ("/End/remarks", "string"),
        ("/person_details", "repeat"),
        ("/person_details/first_name", "string"),
        ("/person_details/mobile", "string"),
        ("/person_details/occupancy", "structure"),
        ("/person_details/occupancy/since", "date"),
        ("/meta", "structure"),
        ("/meta/instanceID", "string"),
    ];
    let mut fields: Vec<Field> = all.into_iter().map(|(path, kind)| Field::new(path, kind)).collect();
    fields.push(Field::select_multiple("/person_details/person_type"));
    fields
}

fn answers(people: &[&str]) -> Value {
    let person = |name: &&str| json!({ "first_name": name, "mobile": "2203456", "person_type": "owner landlord", "occupancy": { "since": "2020-02-29" } });
    json!({
        "survey_date": "2026-03-01",
        "start": "2026-03-01T10:00:00.123+01:00",
        "start_geopoint": { "type": "Point", "coordinates": [-16.57, 13.45, 12.5] },
        "property_description": { "building_image": "building.jpg" },
        "generated_note_name_35": "a note",
        "End": { "remarks": "none" },
        "person_details": people.iter().map(person).collect::<Vec<Value>>(),
    })
}

#[tokio::test]
async fn who_comes_from_a_script_keeps_the_names_of_its_tables() {
    let (odk, database, place) = (Odk::start().await, Database::new("script").await, tempfile::tempdir().unwrap());
    {
        let mut world = odk.world();
        world.add_form(FORM, "1", form());
        world.create_as(FORM, "uuid:house", &answers(&["Awa", "Binta"]));
        world.create_as(FORM, "uuid:empty", &answers(&[]));
        assert!(world.upload(FORM, "uuid:house", "building.jpg", b"a house".to_vec(), "image/jpeg"));
    }
    let [mapping] = blocks("yaml").try_into().unwrap();
    let [people, aside, compare] = blocks("sql").try_into().unwrap();
    // What stands in the guide, but for the places of this test.
    let pictures = place.path().join("pictures").to_str().unwrap().to_owned();
    let local = mapping.replace("https://odk.example.org", &odk.url()).replace("sync@example.org", EMAIL);
    let local = local.replace("{ s3: my-pictures }", &format!("{{ directory: '{pictures}' }}"));
    assert_ne!(local, mapping);
    std::fs::write(place.path().join("tributary.yaml"), local).unwrap();
    let ask = |arguments: &str| -> Program {
        tributary(arguments).on(&database).with("ODK_PASSWORD", PASSWORD).inside(place.path())
    };

    database.execute(BEFORE).await;
    database.execute(&aside).await;
    let said = run(ask("check")).await.ends(0);
    assert!(!said.stdout.contains("warning") && !said.stderr.contains("warning"), "{}{}", said.stdout, said.stderr);
    run(ask("migrate")).await.ends(0);
    run(ask("poll")).await.ends(0);
    assert_eq!(database.rows(&compare).await, ["uuid:gone"]);

    let of = async |table: &str| {
        let columns = format!(
            "select string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' order by a.attnum) \
             from pg_attribute a where a.attrelid = '\"{table}\"'::regclass and a.attnum > 0 and a.attname not in \
             ('_raw', '_system', '_errors', '_version', '_deleted', '_synced_at', '_source_at') and a.attname not like 'system_%'"
        );
        database.rows(&columns).await.remove(0)
    };
    assert_eq!(
        of(FORM).await,
        "UUID text, __id text, survey_date timestamp without time zone, start timestamp without time zone, \
         end timestamp without time zone, start_geopoint jsonb, property_location jsonb, property_description jsonb, \
         End jsonb, meta jsonb, __system jsonb, SubmittedDate timestamp without time zone, logo text, \
         property_location_address_plus_code_image text, property_description_building_image text, \
         generated_note_name_35 text, sum_owner text, end_remarks text, meta_instance_id text"
    );
    assert_eq!(
        of("GRARentalDataCollection_person_details").await,
        "__Submissions-id text, UUID text, __id text, repeat_position integer, person_type jsonb, occupancy jsonb, \
         first_name text, mobile text, occupancy_since date"
    );
    let unified = r#"select "UUID", survey_date, property_description ->> 'building_image', person_details #>> '{1,first_name}',
        person_details -> 0 -> 'occupancy' from "GRARentalDataCollection_unified" order by 1"#;
    let house = r#"uuid:house | 2026-03-01 00:00:00 | building.jpg | Binta | {"since": "2020-02-29"}"#;
    assert_eq!(database.rows(unified).await, ["uuid:empty | 2026-03-01 00:00:00 | building.jpg | ∅ | ∅", house]);
    let shown: Value = serde_json::from_str(&blocks("json")[0].replace('…', "")).unwrap();
    let keys = |value: &Value| value[0].as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
    let person = database
        .rows(r#"select person_details from "GRARentalDataCollection_unified" where "UUID" = 'uuid:house'"#)
        .await;
    assert_eq!(keys(&serde_json::from_str(&person[0]).unwrap()), keys(&shown), "{person:?}");

    // The view of people goes by the address of the bucket.
    database.execute(&people.replace("s3://my-pictures", &pictures)).await;
    let rows = r#"select "UUID", first_name, building_image_url from "GRARentalDataCollection_people" order by 1, 2"#;
    let url = "https://pictures.example.org/GRARentalDataCollection/uuid:house/building.jpg";
    let awa = format!("uuid:house | Awa | {url}");
    assert_eq!(
        database.rows(rows).await,
        ["uuid:empty | ∅ | ∅".to_owned(), awa.clone(), format!("uuid:house | Binta | {url}")]
    );

    {
        let mut world = odk.world();
        assert!(world.edit(FORM, "uuid:house", &answers(&["Awa"])) && world.delete(FORM, "uuid:empty"));
    }
    run(ask("poll --force")).await.ends(0);
    assert_eq!(database.rows(rows).await, [awa]);
}
