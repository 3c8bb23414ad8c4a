use proptest::prelude::*;
use std::time::Duration;

use tributary_core::cast::json_text;
use tributary_core::pipeline::{Geo, OdkSet};

use super::*;
use crate::json;
use crate::odk::call::Gather;
use crate::odk::page::Rows;
use crate::odk::{Set, version};

const FIELDS: &str = include_str!("../samples/fields.json");
const DATASET: &str = r#"{"name":"properties","properties":[{"name":"owner"},{"name":"geometry"},{"name":"status"}]}"#;

fn form() -> Decoder {
    decoder(&["__id"])
}

fn decoder(key: &[&str]) -> Decoder {
    Decoder::new(&Schema::of_form(FIELDS.as_bytes()).unwrap(), &source(key))
}

fn source(key: &[&str]) -> OdkSource {
    OdkSource {
        project: 1,
        set: OdkSet::Form("f".to_owned()),
        key: key.iter().map(|path| path.parse().unwrap()).collect(),
        overlap: Duration::ZERO,
        sweep_every: Duration::ZERO,
        mass_delete: 0.2,
        geo: Geo::Jsonb,
        retry_attachments_for: Duration::ZERO,
    }
}

fn rows(feed: &str) -> Vec<Row> {
    let mut rows = Rows::default();
    rows.take(feed.as_bytes()).unwrap();
    rows.finish().unwrap().0
}

fn row(text: &str) -> Row {
    Row::read(Bytes::copy_from_slice(text.as_bytes()))
}

/// The item, a field a line.
fn shown(event: &Event) -> String {
    let item = match &event.body {
        Body::Image { now, .. } => now,
        Body::Gone { before: Some(before), .. } => before,
        _ => panic!("{event:?}"),
    };
    let Value::Map(fields) = item else { panic!("{item:?}") };
    fields.iter().map(|(name, value)| format!("{name}: {}\n", json_text(value).unwrap())).collect()
}

#[test]
fn a_submission_is_an_item_with_its_repeats_side_by_side() {
    let read = rows(include_str!("../samples/expanded.json")).remove(0);
    let at = version(read.first(&set()), 7, 1).unwrap();
    let event = form().decode(read, at).unwrap();
    insta::assert_snapshot!(shown(&event));
    assert_eq!(
        (event.at, event.version.to_string().as_str()),
        (Some(1_795_162_571_277_000), "1795162571277000000000007000000000001")
    );
    assert_eq!(&*event.origin.key, "uuid:b2ec2d2d-7ffb-4322-bb60-7ff5f915f4b7");
}

fn set() -> Set {
    Set::of(&source(&["__id"]))
}

#[test]
fn every_row_of_a_real_feed_is_read() {
    let check = |feed: &str, images: usize, gone: usize| {
        let events: Vec<Event> = rows(feed).into_iter().map(|row| form().decode(row, Version::ZERO).unwrap()).collect();
        let are_gone = events.iter().filter(|event| matches!(event.body, Body::Gone { .. })).count();
        assert_eq!((events.len() - are_gone, are_gone), (images, gone));
    };
    check(include_str!("../samples/all.json"), 7, 0);
    check(include_str!("../samples/page.json"), 2, 0);
    check(include_str!("../samples/deleted.json"), 0, 1);
    check(include_str!("../samples/manifest.json"), 2, 1);
    check(include_str!("../samples/entities.json"), 3, 0);
    check(include_str!("../samples/entity_deleted.json"), 0, 1);
}

#[test]
fn a_deleted_row_is_gone_with_what_it_was() {
    let deleted = rows(include_str!("../samples/deleted.json")).remove(0);
    let event = form().decode(deleted, Version::ZERO).unwrap();
    let Body::Gone { key, before, expired: false } = &event.body else { panic!("{event:?}") };
    let id = Value::from("uuid:69b94406-42af-4070-b386-e61209fe6536");
    assert_eq!(*key, Value::from([("$id", id.clone()), ("__id", id)]));
    assert_eq!(before.as_ref().unwrap().get("tenure"), Some(&Value::from("own")));
    assert_eq!(event.at, Some(1_795_162_572_237_000));
    let purged = form().gone("K", "uuid:x", Version::ZERO);
    let Body::Gone { key, before: None, expired: false } = &purged.body else { panic!("{purged:?}") };
    assert_eq!(*key, Value::from([("$id", "K".into()), ("__id", "uuid:x".into())]));
}

#[test]
fn an_entity_is_an_item_without_lists() {
    let schema = Schema::of_dataset(DATASET.as_bytes()).unwrap();
    let decoder = Decoder::new(&schema, &source(&["__id"]));
    let event = decoder.decode(rows(include_str!("../samples/entities.json")).remove(2), Version::ZERO).unwrap();
    insta::assert_snapshot!(shown(&event));
}

#[test]
fn fields_are_as_their_questions_say() {
    let check = |row_text: &str, name: &str, expect: &str| {
        let event = form().decode(row(row_text), Version::ZERO).unwrap();
        let Body::Image { now, .. } = &event.body else { panic!("{event:?}") };
        let shown = now.get(name).map(|value| json_text(value).unwrap());
        assert_eq!(shown.as_deref().unwrap_or("absent"), expect, "{row_text}");
    };
    check(r#"{"__id":"a","amenities":"  water power "}"#, "amenities", r#"["water","power"]"#);
    check(r#"{"__id":"a","amenities":null}"#, "amenities", "null");
    check(r#"{"__id":"a","amenities":""}"#, "amenities", "[]");
    check(r#"{"__id":"a","tenure":" own rent"}"#, "tenure", r#"" own rent""#);
    check(r#"{"__id":"a","q1_8":"true"}"#, "q1_8", r#""true""#);
    check(
        r#"{"__id":"a","property_description":{"floors":9007199254740993}}"#,
        "property_description",
        r#"{"floors":9007199254740993}"#,
    );
    // No iteration at all, an encrypted row: nothing is there, which is the empty set.
    check(r#"{"__id":"a"}"#, "person_details", "absent");
    check(r#"{"__id":"a","__system":{"status":"notDecrypted"}}"#, "tenure", "absent");
    check(r#"{"__id":"a","person_details":[]}"#, "person_details", "[]");
    check(r#"{"__id":"a"}"#, "$attachments", "[]");
    check(r#"{"__id":"a"}"#, "$mark", r#""//""#);
    check(
        r#"{"__id":"a","__system":{"edits":2,"updatedAt":"2026-11-20T08:16:12.133Z","attachmentsPresent":1}}"#,
        "$mark",
        r#""2/2026-11-20T08:16:12.133Z/1""#,
    );
    // A file twice, and one that is none.
    check(
        r#"{"__id":"a","property_description":{"building_image":"a.jpg"},"property_location":{"address_plus_code_image":"a.jpg"}}"#,
        "$attachments",
        r#"[{"name":"a.jpg","field":"property_description.building_image","position":0}]"#,
    );
    check(r#"{"__id":"a","property_description":{"building_image":null,"x":"b.jpg"}}"#, "$attachments", "[]");
    check(r#"{"__id":"a","property_description":{"building_image":""}}"#, "$attachments", "[]");
    // A repeat that is newer than what we know of the form.
    check(
        r#"{"__id":"a","g":{"pets@odata.navigationLink":"x","pets":[{"__id":"p","name":"Rex"}]}}"#,
        "g.pets",
        r#"[{"__id":"p","name":"Rex","$position":0,"$submission":"a"}]"#,
    );
    check(r#"{"__id":"a","$id":"forged","$raw":1}"#, "$id", r#""a""#);
}

#[test]
fn files_in_repeats_are_files_of_the_submission() {
    let fields = r#"[{"path":"/p","name":"p","type":"repeat"},{"path":"/p/g","name":"g","type":"structure"},
        {"path":"/p/g/photo","name":"photo","type":"binary","binary":true},{"path":"/audio","name":"audio","type":"binary","binary":true}]"#;
    let decoder = Decoder::new(&Schema::of_form(fields.as_bytes()).unwrap(), &source(&["__id"]));
    let text =
        r#"{"__id":"a","p":[{"g":{"photo":"1.jpg"}},{"g":{"photo":null}},{"g":{"photo":"2.jpg"}}],"audio":"x.m4a"}"#;
    let Body::Image { now, .. } = decoder.decode(row(text), Version::ZERO).unwrap().body else { panic!() };
    assert_eq!(
        json_text(now.get("$attachments").unwrap()).unwrap(),
        r#"[{"name":"1.jpg","field":"p.g.photo","position":0},{"name":"2.jpg","field":"p.g.photo","position":1},{"name":"x.m4a","field":"audio","position":2}]"#
    );
}

#[test]
fn the_key_is_the_first_that_is_there() {
    let check = |text: &str, expect: Result<&str, &str>| {
        let read = decoder(&["UUID", "meta.instanceID", "__id"]).decode(row(text), Version::ZERO);
        match (read, expect) {
            (Ok(event), Ok(key)) => assert_eq!(&*event.origin.key, key, "{text}"),
            (Err(bad), Err(reason)) => {
                assert_eq!(bad.error.to_string(), reason, "{text}");
                assert_eq!(bad.origin.payload, text.as_bytes());
                assert!(!bad.error.chain().contains("hunter2"), "{:?}", bad.error);
            }
            (read, _) => panic!("{text}: {read:?}"),
        }
    };
    let meta = r#""meta":{"instanceID":"uuid:v"}"#;
    check(&format!(r#"{{"__id":"a","UUID":"K",{meta}}}"#), Ok("K"));
    check(&format!(r#"{{"__id":"a","UUID":" ",{meta}}}"#), Ok("uuid:v"));
    check(r#"{"__id":"a","UUID":null}"#, Ok("a"));
    check(r#"{"__id":"a","UUID":17}"#, Ok("17"));
    check(r#"{"__id":"a","UUID":["x"]}"#, Ok("a"));
    check(r#"{"x":"hunter2"}"#, Err("the row has no key: nothing stands in UUID, meta.instanceID, __id"));
    check(r#"{"__id":""}"#, Err("the row has no key: nothing stands in UUID, meta.instanceID, __id"));
    check(r#"{"__id":"a","x":1e999999}"#, Err("a number's exponent is out of range, at byte 16"));
}

/// Elements of a repeat with repeats in them, as a server sends them, and how many there are of each list.
fn any_submission() -> impl Strategy<Value = (serde_json::Value, usize, usize)> {
    let income = prop::collection::vec("[a-z]{1,6}", 0..4);
    let persons = prop::collection::vec((proptest::option::of(income), any::<bool>()), 0..5);
    persons.prop_map(|persons| {
        let (mut count, mut list) = (0, Vec::new());
        for (at, (incomes, is_grouped)) in persons.iter().enumerate() {
            let mut person = serde_json::json!({ "__id": format!("p{at}"), "first_name": format!("P{at}") });
            if *is_grouped {
                person["occupancy"] = serde_json::json!({ "since": "2020-02-29" });
            }
            if let Some(incomes) = incomes {
                let income = |(n, source): (usize, &String)| serde_json::json!({ "__id": format!("i{at}-{n}"), "source": source });
                person["income@odata.navigationLink"] = "x".into();
                person["income"] = incomes.iter().enumerate().map(income).collect();
                count += incomes.len();
            }
            list.push(person);
        }
        (serde_json::json!({ "__id": "a", "person_details": list }), persons.len(), count)
    })
}

proptest! {
    #[test]
    fn laying_flat_keeps_every_element((text, persons, incomes) in any_submission()) {
        let Body::Image { now, .. } = form().decode(row(&text.to_string()), Version::ZERO).unwrap().body else { panic!() };
        let list = |name: &str| match now.get(name) {
            Some(Value::List(items)) => items.clone(),
            _ => Vec::new(),
        };
        prop_assert_eq!((list("person_details").len(), list("person_details.income").len()), (persons, incomes));
        let mut places: std::collections::HashMap<String, i64> = std::collections::HashMap::new();
        for income in list("person_details.income") {
            let parent = json_text(income.get("$parent").unwrap()).unwrap().trim_matches('"').to_owned();
            let place = places.entry(parent.clone()).or_default();
            prop_assert_eq!(income.get("$position"), Some(&Value::from(*place)));
            prop_assert_eq!(income.get("__id"), Some(&Value::text(format!("i{}-{place}", &parent[1..]))));
            prop_assert_eq!(income.get("$submission"), Some(&Value::from("a")));
            *place += 1;
        }
        for person in list("person_details") {
            prop_assert!(person.get("income").is_none() && person.get("$parent").is_none());
        }
        // What it was is still there, but for the links.
        let mut raw = text;
        for person in raw["person_details"].as_array_mut().unwrap() {
            person.as_object_mut().unwrap().remove("income@odata.navigationLink");
        }
        prop_assert_eq!(now.get("$raw"), Some(&json::read(&raw.to_string()).unwrap()));
    }

    #[test]
    fn never_panics(
        name in prop::sample::select(vec!["person_details", "income", "__id", "__system", "amenities", "meta", "x@odata.navigationLink"]),
        values in prop::collection::vec(any_value(), 0..4),
        text in any::<String>(),
    ) {
        let _ = form().decode(row(&text), Version::ZERO);
        let value = serde_json::Value::from(values);
        let _ = form().decode(row(&serde_json::json!({ name: value, "x": value, "person_details": [{ name: value }] }).to_string()), Version::ZERO);
    }
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop::sample::select(vec!["person_details", "income", "__id", "deletedAt", "g"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((name, inner), 0..4).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}
