use std::fmt::Write;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

const LABEL: &str = "2024-05-01T12:00:00.123";

fn sample(name: &str) -> Bytes {
    let path = format!("{}/../../events/dynamodb-stream/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}")).into()
}

/// A record as one line: what is new in the item, field by field, or what is wrong.
fn line(record: &Record) -> String {
    let number = record.sequence_number.as_deref().unwrap_or("none");
    match &record.decoded {
        Err(bad) => format!("{number} bad {} {}", bad.origin.key, bad.error),
        Ok(event) => {
            let fields = |value: &Value| match value {
                Value::Map(fields) => fields.clone(),
                other => panic!("not a map: {other:?}"),
            };
            let mut text = format!("{number} at {:?} ", event.at.map(|at| at / 1_000_000));
            match &event.body {
                Body::Part { .. } => panic!("a stream with images sends whole items"),
                Body::Gone { before, expired, .. } => {
                    let before = before.as_ref().map(|before| fields(before).len());
                    write!(text, "gone {} expired={expired} before={before:?}", event.origin.key).unwrap();
                }
                Body::Image { now, before } => {
                    let before = before.as_ref().map(fields).unwrap_or_default();
                    write!(text, "image {}", event.origin.key).unwrap();
                    for (name, value) in fields(now) {
                        if name.as_ref() != "id" && before.get(&name) != Some(&value) {
                            write!(text, " {name}=").unwrap();
                            plain_json(&value, &mut text);
                        }
                    }
                    for name in before.keys().filter(|name| now.get(name).is_none()) {
                        write!(text, " -{name}").unwrap();
                    }
                }
            }
            text
        }
    }
}

#[test]
fn decodes_the_sample_events() {
    let mut shown = String::new();
    for name in ["insert", "modify", "remove", "out-of-order", "poison", "unknown-stream"] {
        writeln!(shown, "{name}").unwrap();
        for record in decode(sample(name)).unwrap() {
            writeln!(shown, "  {}", line(&record)).unwrap();
        }
    }
    insta::assert_snapshot!(shown);
}

fn insert() -> Json {
    json!({
        "eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb", "awsRegion": "us-east-2",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_714_640_000,
            "Keys": {"id": {"S": "a"}},
            "NewImage": {"id": {"S": "a"}, "n": {"N": "1"}},
            "OldImage": {"id": {"S": "a"}, "n": {"N": "0"}},
            "SequenceNumber": "111",
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": format!("arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/{LABEL}"),
    })
}

/// The sound record with another value at a JSON pointer; `null` takes the field away.
fn with(pointer: &str, value: Json) -> Json {
    let mut record = insert();
    *record.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    record
}

fn one(record: &Json) -> Record {
    decode_record(Bytes::from(record.to_string()))
}

#[test]
fn a_broken_record_says_what_is_missing_and_is_still_found_again() {
    let check = |pointer: &str, value: Json, error: &str| {
        let record = one(&with(pointer, value));
        let Err(bad) = record.decoded else { panic!("{pointer} was taken") };
        assert_eq!(bad.error.to_string(), error, "{pointer}");
        assert!(!bad.origin.payload.is_empty());
        if !pointer.starts_with("/dynamodb/Seq") && pointer != "/dynamodb" {
            assert_eq!(record.sequence_number.as_deref(), Some("111"), "{pointer}");
        }
        if pointer != "/eventSourceARN" {
            assert_eq!(record.arn.unwrap().table(), "users", "{pointer}");
            assert!(bad.origin.position.starts_with(LABEL), "{}", bad.origin.position);
        }
    };
    check("/dynamodb", Json::Null, "dynamodb: is missing");
    check("/dynamodb", json!({}), "dynamodb.Keys: is missing");
    check("/dynamodb", json!(5), "the record or its `dynamodb` is not a JSON object, or has a field twice");
    check("/dynamodb/Keys", Json::Null, "dynamodb.Keys: is missing");
    check("/dynamodb/Keys", json!({}), "dynamodb.Keys: is missing");
    check("/dynamodb/Keys", json!({"id": "a"}), "dynamodb.Keys.id: is not an attribute value");
    check("/dynamodb/SequenceNumber", Json::Null, "dynamodb.SequenceNumber: is missing");
    check("/dynamodb/SequenceNumber", json!(111), "dynamodb.SequenceNumber: is missing");
    check("/dynamodb/SequenceNumber", json!(""), "dynamodb.SequenceNumber: is not 1 to 40 digits");
    check("/dynamodb/SequenceNumber", json!("1".repeat(41)), "dynamodb.SequenceNumber: is not 1 to 40 digits");
    check("/dynamodb/NewImage", Json::Null, "dynamodb.NewImage: is missing");
    check("/dynamodb/NewImage/n", json!({"N": "x"}), "dynamodb.NewImage.n.N: is not a number in text");
    check("/dynamodb/OldImage/n", json!({"Q": "x"}), "dynamodb.OldImage.n: has an unknown attribute type");
    check(
        "/dynamodb/ApproximateCreationDateTime",
        json!("soon"),
        "dynamodb.ApproximateCreationDateTime: is not a time",
    );
    check("/dynamodb/ApproximateCreationDateTime", json!(-1), "dynamodb.ApproximateCreationDateTime: is not a time");
    check("/eventName", json!("TRUNCATE"), "eventName: is none of INSERT, MODIFY, REMOVE");
    check("/eventName", Json::Null, "eventName: is missing");
    check("/eventSource", json!("aws:sqs"), "eventSource: is not aws:dynamodb");
    check(
        "/eventSource",
        json!("aws:kinesis"),
        "the record came by Kinesis, which has no sequence numbers of the table",
    );
    check("/eventSourceARN", Json::Null, "eventSourceARN: is missing");
    check("/eventSourceARN", json!("arn:aws:sqs:r:1:q"), "eventSourceARN: not the ARN of a DynamoDB stream");
}

#[test]
fn a_label_that_is_no_time_still_leads_to_its_table() {
    let record = one(&with("/eventSourceARN", json!("arn:aws:dynamodb:r:1:table/users/stream/latest")));
    let bad = record.decoded.unwrap_err();
    assert_eq!(record.arn.unwrap().table(), "users");
    assert_eq!(&*bad.origin.position, "latest/111");
    assert_eq!(bad.error.to_string(), "eventSourceARN: the label at the end of the stream's ARN is not a time");
}

#[test]
fn a_record_without_new_image_names_the_view_type_and_the_remedy() {
    let mut record = with("/dynamodb/NewImage", Json::Null);
    record["dynamodb"]["StreamViewType"] = json!("KEYS_ONLY");
    let error = one(&record).decoded.unwrap_err().error;
    assert_eq!(error.to_string(), "dynamodb.NewImage: is missing; the stream's view type is KEYS_ONLY");
    assert!(error.hint().unwrap().contains("NEW_AND_OLD_IMAGES"));
}

#[test]
fn a_record_routed_by_kinesis_is_refused_with_the_reason() {
    let record = json!({
        "awsRegion": "us-east-2", "eventID": "1", "eventName": "INSERT", "userIdentity": null,
        "recordFormat": "application/json", "tableName": "users",
        "dynamodb": {"ApproximateCreationDateTime": 1_714_640_000_123_u64, "Keys": {"id": {"S": "a"}}},
        "eventSource": "aws:dynamodb",
    });
    let error = one(&record).decoded.unwrap_err().error;
    assert!(error.to_string().starts_with("the record came by Kinesis"), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn reads_every_form_of_the_time() {
    let check = |time: Json, micros: Option<i64>| {
        let record = one(&with("/dynamodb/ApproximateCreationDateTime", time.clone()));
        assert_eq!(record.decoded.unwrap().at, micros, "{time}");
    };
    check(json!(1_714_640_000), Some(1_714_640_000_000_000));
    check(json!(1_714_640_000.0), Some(1_714_640_000_000_000));
    check(json!(1_714_640_000.123), Some(1_714_640_000_123_000));
    check(json!("1.7E9"), Some(1_700_000_000_000_000));
    check(json!("1714640000.1234567"), Some(1_714_640_000_123_456));
    check(json!("1E-9"), Some(0));
    check(json!(0), Some(0));
    check(json!("2024-05-02T08:53:20Z"), Some(1_714_640_000_000_000));
    check(Json::Null, None);
}

#[test]
fn only_dynamodbs_own_deletes_are_expiries() {
    let check = |identity: Json, expect: bool| {
        let mut record = with("/eventName", json!("REMOVE"));
        record["userIdentity"] = identity.clone();
        let Body::Gone { expired, key, before } = one(&record).decoded.unwrap().body else { panic!("not gone") };
        assert_eq!(expired, expect, "{identity}");
        assert_eq!(key, Value::from([("id", Value::from("a"))]));
        assert!(before.is_some());
    };
    check(Json::Null, false);
    check(json!({"principalId": "dynamodb.amazonaws.com", "type": "Service"}), true);
    check(json!({"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}), true);
    check(json!({"principalId": "somebody", "type": "Service"}), false);
    check(json!({"principalId": "dynamodb.amazonaws.com", "type": "User"}), false);
    check(json!("Service"), false);
}

#[test]
fn versions_are_the_label_and_the_number() {
    let event = one(&insert()).decoded.unwrap();
    assert_eq!(event.version, Version::new(1_714_564_800_123_000, "111").unwrap());
    assert_eq!(&*event.origin.position, "2024-05-01T12:00:00.123/111");
    assert_eq!(&*event.origin.key, r#"{"id":"a"}"#);
}

#[test]
fn records_without_a_number_have_positions_of_their_own_that_stay() {
    let position = |record: &Json| one(record).decoded.unwrap_err().origin.position;
    let a = with("/dynamodb/SequenceNumber", Json::Null);
    let mut b = a.clone();
    b["eventID"] = json!("2");
    assert_eq!(position(&a), position(&a));
    assert_ne!(position(&a), position(&b));
    assert_eq!(&*position(&json!({})), "unknown/record-08f44b07b5901a25");
}

#[test]
fn payloads_are_parts_of_the_event_not_copies() {
    let whole = sample("insert");
    let within = whole.as_ptr_range();
    for record in decode(whole.clone()).unwrap() {
        let payload = record.decoded.unwrap().origin.payload;
        assert!(within.contains(&payload.as_ptr()));
        assert!(decode_record(payload).decoded.is_ok());
    }
    let mut records = decode(whole).unwrap();
    let (first, second) = (records.next().unwrap().arn.unwrap(), records.next().unwrap().arn.unwrap());
    assert!(Arc::ptr_eq(&first, &second));
}

#[test]
fn refuses_what_is_no_event_without_quoting_it() {
    for bad in ["", "{}", "[]", "null", r#"{"Records":"SECRET"}"#, r#"{"Records":null}"#, r#"{"Records":[{]}"#] {
        let error = decode(Bytes::from(bad)).unwrap_err();
        assert!(!error.chain().contains("SECRET"), "{error:#}");
    }
    assert_eq!(decode(Bytes::from(r#"{"Records":[]}"#)).unwrap().count(), 0);
    assert_eq!(decode(Bytes::from(r#"{"Records":[null,5,"x",[]],"more":1}"#)).unwrap().count(), 4);
}

/// Every place in a JSON value.
fn places(json: &Json, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match json {
        Json::Object(fields) => fields.iter().for_each(|(name, json)| places(json, &format!("{at}/{name}"), out)),
        Json::Array(items) => items.iter().enumerate().for_each(|(i, json)| places(json, &format!("{at}/{i}"), out)),
        _ => {}
    }
}

fn replacement() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        Just(json!("SECRET")),
        Just(json!({"S": "SECRET"})),
        Just(json!({"N": "SECRET"})),
        Just(json!({"L": [{"B": "SECRET!"}]})),
        Just(json!(["SECRET"])),
        Just(json!({})),
        any::<i64>().prop_map(|n| json!(n)),
        any::<bool>().prop_map(Json::Bool),
    ]
}

proptest! {
    #[test]
    fn a_broken_record_leaves_the_others_alone_and_never_shows_a_value(
        place in any::<prop::sample::Index>(), value in replacement(),
    ) {
        let whole: Json = serde_json::from_slice(&sample("modify")).unwrap();
        let mut all = Vec::new();
        places(&whole["Records"][1], "/Records/1", &mut all);
        let mut broken = whole.clone();
        *broken.pointer_mut(&all[place.index(all.len())]).unwrap() = value;
        let records: Vec<Record> = decode(Bytes::from(broken.to_string())).unwrap().collect();
        prop_assert_eq!(records.len(), 3);
        let expect: Vec<Record> = decode(Bytes::from(whole.to_string())).unwrap().collect();
        for sound in [0, 2] {
            prop_assert_eq!(format!("{:?}", records[sound]), format!("{:?}", expect[sound]));
        }
        if let Err(bad) = &records[1].decoded {
            prop_assert!(!bad.error.chain().contains("SECRET"), "{:#}", bad.error);
        }
    }

    #[test]
    fn mutated_bytes_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..4, any::<u8>()), 1..6),
    ) {
        let mut bytes = sample("poison").to_vec();
        for (at, edit, byte) in edits {
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => bytes.truncate(at.max(1)),
                _ => drop(bytes.drain(at..(at + usize::from(byte)).min(bytes.len()))),
            }
            bytes.push(b' ');
        }
        if let Ok(records) = decode(Bytes::from(bytes.clone())) {
            records.for_each(drop);
        }
        decode_record(Bytes::from(bytes));
    }
}
