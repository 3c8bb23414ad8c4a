use std::time::Duration;

use tributary_core::cast::json_text;

use super::*;
use crate::sequin::collection::Field;

fn source() -> SequinLegacySource {
    SequinLegacySource {
        consumer: "c".into(),
        collection: "Members".into(),
        epoch: 0,
        ack_wait: Duration::from_secs(30),
    }
}

fn members() -> Collection {
    let field = |name: &str, id: &str, kind: &str| Field {
        name: name.into(),
        id: Some(id.into()),
        kind: kind.into(),
        format: String::new(),
        links: false,
    };
    Collection {
        id: "airtable:97GJ".into(),
        name: "Members".into(),
        upstream_id: "tblA".into(),
        fields: vec![
            field("Email", "fldA", "string"),
            field("Paid", "fldB", "boolean"),
            field("Groups", "fldC", "array"),
        ],
    }
}

fn record(data: &str, more: &str) -> String {
    format!(
        r#"{{"ack_token":"MTIy","record":{{"collection_id":"airtable:97GJ","id":"f49aa6c5","provider":"airtable","updated_idx":2631315005,"upstream_id":"rec1","upstream_created_at":"2024-05-13T13:26:32.000000+00:00","upstream_updated_at":"2024-08-05T15:04:02.696519+00:00","deleted":false{more},"data":{data}}}}}"#
    )
}

fn one(text: &str) -> Record {
    records(&format!("{{\"data\":[{text}],\"info\":{{\"num_pending\":3,\"num_ack_pending\":1}}}}").into())
        .unwrap()
        .records
        .remove(0)
}

fn shown(decoded: &Decoded) -> String {
    let json = |value: &Value| json_text(value).unwrap();
    match decoded {
        Err(bad) => bad.error.chain(),
        Ok(Event { version, body: Body::Part { now, before: None }, .. }) => format!("{version} part {}", json(now)),
        Ok(Event { version, body: Body::Gone { key, before: None, .. }, .. }) => {
            format!("{version} gone {}", json(key))
        }
        Ok(other) => format!("{other:?}"),
    }
}

const RESERVED: &str =
    r#""$id":"rec1","$created":"2024-05-13T13:26:32.000000+00:00","$updated":"2024-08-05T15:04:02.696519+00:00""#;

#[test]
fn a_record_is_a_part_of_what_its_collection_has() {
    let check = |data: &str, collection: Option<Collection>, expect: &str| {
        let record = one(&record(data, ""));
        let expect = format!("2631315005 part {{{expect},{RESERVED}}}");
        assert_eq!(shown(&record.decode(&source(), collection.as_ref())), expect, "{data}");
    };
    let data = r#"{"id":"rec1","createdTime":"2024-05-13T13:26:32.000Z","fields":{"Groups":["recA"],"Email":"a@b"}}"#;
    check(data, None, r#""Groups":["recA"],"Email":"a@b""#);
    check(
        data,
        Some(members()),
        r#""Groups":["recA"],"Email":"a@b","fldA":"a@b","fldB":false,"Paid":false,"fldC":["recA"]"#,
    );
    // What is absent and still exists is empty.
    let empty = r#"{"id":"rec1","fields":{}}"#;
    check(empty, Some(members()), r#""fldA":null,"Email":null,"fldB":false,"Paid":false,"fldC":null,"Groups":null"#);
    // A field that is gone from the collection is unknown,
    let mut fewer = members();
    fewer.fields.remove(0);
    check(empty, Some(fewer), r#""fldB":false,"Paid":false,"fldC":null,"Groups":null"#);
    // and a record that has one which the collection lacks is older, or newer, than what we know of it.
    let renamed = r#"{"fields":{"E-mail":"a@b","Groups":["recA"]}}"#;
    check(renamed, Some(members()), r#""E-mail":"a@b","Groups":["recA"],"fldC":["recA"]"#);
    // Other providers' objects are their fields.
    check(r#"{"amount":12.50,"id":"ch_1"}"#, None, r#""amount":12.5,"id":"ch_1""#);
    let failed =
        one(&record(r##"{"fields":{"a":{"error":"#ERROR!"},"b":[{"specialValue":"NaN"}],"c":{"error":1}}}"##, ""));
    let Ok(Event { body: Body::Part { now, .. }, .. }) = failed.decode(&source(), None) else { panic!("no part") };
    assert_eq!(now.get("a"), Some(&Value::Failed("#ERROR!".into())));
    assert_eq!(now.get("b").and_then(|b| b.failure()).map(|failure| failure.reason), Some("NaN"));
    assert_eq!(now.get("c"), Some(&Value::from([("error", Value::from(1))])));
    // No field hides what the record says of itself.
    check(r#"{"fields":{"a":1,"$id":"x"}}"#, None, r#""a":1"#);
}

#[test]
fn a_delete_has_its_id_and_nothing_else() {
    for data in ["null", r#"{"id":"rec1","fields":{"Email":"stale"}}"#] {
        let text = record(data, "").replace("\"deleted\":false", "\"deleted\":true");
        assert_eq!(shown(&one(&text).decode(&source(), Some(&members()))), r#"2631315005 gone {"$id":"rec1"}"#);
    }
    let epoch = SequinLegacySource { epoch: 2, ..source() };
    let text = record("null", "").replace("\"deleted\":false", "\"deleted\":true");
    assert_eq!(shown(&one(&text).decode(&epoch, None)), format!("2{:040} gone {{\"$id\":\"rec1\"}}", 2_631_315_005u64));
}

#[test]
fn both_forms_of_an_answer_are_read() {
    let text = record(r#"{"fields":{"Email":"hunter2"}}"#, "");
    let enveloped = records(&format!(r#"{{"info":{{"num_pending":3,"num_ack_pending":1}},"data":[{text}]}}"#).into());
    let enveloped = enveloped.unwrap();
    assert_eq!((enveloped.pending, enveloped.unacknowledged, enveloped.records.len()), (Some(3), Some(1), 1));
    let bare = records(&format!("[{},{text}]", text.replace("\"record\"", "\"event\"")).into()).unwrap();
    assert_eq!((bare.pending, bare.records.len()), (None, 2));
    for record in enveloped.records.iter().chain(&bare.records) {
        assert_eq!((&*record.ack_token, &*record.collection), ("MTIy", "airtable:97GJ"));
        let origin = record.origin(0);
        assert_eq!((&*origin.position, &*origin.key), ("0/airtable:97GJ/rec1/2631315005", "rec1"));
        let again = Record::read(&record.payload);
        assert_eq!(shown(&again.decode(&source(), None)), shown(&record.decode(&source(), None)));
        assert!(record.field_names().contains("Email"));
    }
    let error = records(&r#"[{"record":{"data":"hunter2"}}]"#.into()).unwrap_err();
    assert!(error.to_string().contains("ack_token") && !error.chain().contains("hunter2"));
}

#[test]
fn a_record_finds_its_pipeline() {
    let record = one(&record("{}", ""));
    let check = |wanted: &str, collection: Option<&Collection>, expect: bool| {
        let source = SequinLegacySource { collection: wanted.into(), ..source() };
        assert_eq!(record.is_of(&source, collection), expect, "{wanted}");
    };
    check("airtable:97GJ", None, true);
    check("Members", None, false);
    for name in ["airtable:97GJ", "Members", "tblA"] {
        check(name, Some(&members()), true);
    }
    check("tblB", Some(&members()), false);
    assert!(record.unclaimed().error.to_string().contains("no pipeline reads the collection airtable:97GJ"));
}

#[test]
fn what_cannot_be_an_event_says_why() {
    let check = |text: &str, expect: &str| {
        let record = one(text);
        let bad = record.decode(&source(), None).map(|event| panic!("{event:?}")).unwrap_err();
        assert!(bad.error.to_string().contains(expect), "{text}: {}", bad.error);
        assert!(!bad.error.chain().contains("hunter2"));
    };
    check(r#"{"ack_token":"a","record":"hunter2"}"#, "record: is not a JSON object");
    check(r#"{"ack_token":"a"}"#, "record: is not a JSON object");
    check(&record("null", ""), "data: is not a JSON object");
    check(&record("\"hunter2\"", ""), "data: is not a JSON object");
    check(&record(r#"{"fields":{"n":1e999999}}"#, ""), "data: a number's exponent");
    check(&record("{}", "").replace("2631315005", "1.5"), "updated_idx: is not an integer");
    check(&record("{}", "").replace("2631315005", "null"), "updated_idx: is missing");
    check(&record("{}", "").replace("updated_idx", "other"), "updated_idx: is missing");
    check(&record("{}", "").replace("\"rec1\"", "\"\""), "upstream_id: is missing");
}
