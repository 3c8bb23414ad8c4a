use std::time::Duration;

use tributary_core::cast::json_text;

use super::*;

fn source() -> SequinSource {
    SequinSource {
        consumer: "orders".into(),
        table: None,
        key: None,
        epoch: 0,
        whole: false,
        version: None,
        ack_wait: Duration::from_secs(30),
    }
}

/// What a message says, on one line.
fn shown(decoded: &Decoded) -> String {
    let json = |value: &Value| json_text(value).unwrap();
    let before =
        |before: &Option<Value>| before.as_ref().map(|value| format!(" was {}", json(value))).unwrap_or_default();
    match decoded {
        Err(bad) => bad.error.chain(),
        Ok(Event { version, body, .. }) => match body {
            Body::Image { now, before: was } => format!("{version} image {}{}", json(now), before(was)),
            Body::Part { now, before: was } => format!("{version} part {}{}", json(now), before(was)),
            Body::Gone { key, before: was, .. } => format!("{version} gone {}{}", json(key), before(was)),
        },
    }
}

fn one(text: &str) -> Message {
    messages(&format!("{{\"data\":[{text}]}}").into()).unwrap().remove(0)
}

fn nested(action: &str, record: &str, changes: &str, place: &str) -> String {
    format!(
        r#"{{"ack_id":"7c0d1b9e-2f4c-4b60-9a53-0f6c2f6a1d11","data":{{"record":{record},"changes":{changes},"action":"{action}","metadata":{{"table_schema":"public","table_name":"orders","commit_timestamp":"2024-10-28T21:39:21.127470Z",{place}"record_pks":["7","a"],"consumer":{{"name":"orders"}}}}}}}}"#
    )
}

/// The first place in the log, with the idempotency key that Sequin makes of it.
const ONE: &str = r#""commit_lsn":1,"commit_idx":2,"idempotency_key":"MToy","#;
/// `1 · 2^32 + 2`.
const VERSION: &str = "4294967298";

#[test]
fn a_message_is_an_event() {
    let check = |source: &SequinSource, text: &str, expect: &str| {
        assert_eq!(shown(&one(text).decode(source)), expect.replace("V", VERSION), "{text}");
    };
    let part = source();
    let whole = SequinSource { whole: true, ..source() };
    let row = r#"{"id":7,"status":"shipped","n":12345678901234567890.10}"#;
    let printed = r#"{"id":7,"status":"shipped","n":12345678901234567890.1}"#;
    check(&part, &nested("insert", row, "null", ONE), &format!("V part {printed}"));
    check(&whole, &nested("insert", row, "null", ONE), &format!("V image {printed}"));
    check(
        &whole,
        &nested("update", row, r#"{"status":"pending"}"#, ONE),
        &format!("V image {printed} was {}", printed.replace("shipped", "pending")),
    );
    check(&part, &nested("update", row, "{}", ONE), &format!("V part {printed}"));

    // What the log doesn't hold is unknown; elsewhere it is a text like any other.
    let toast = r#"{"id":7,"a":"unchanged_toast","b":{"c":"unchanged_toast"}}"#;
    check(&part, &nested("update", toast, "{}", ONE), r#"V part {"id":7,"b":{"c":"unchanged_toast"}}"#);
    check(&part, &nested("insert", toast, "null", ONE), &format!("V part {toast}"));
    check(&whole, &nested("update", toast, "{}", ONE), &format!("V image {toast}"));

    // Of a delete only the key is believed, unless the identity is full.
    let gone = r#"{"id":7,"part":"a","status":null}"#;
    check(&part, &nested("delete", gone, "null", ONE), r#"V gone {"id":7,"part":"a"}"#);
    let keyed = SequinSource { key: Some(vec!["id".into()]), ..source() };
    check(&keyed, &nested("delete", gone, "null", ONE), r#"V gone {"id":7}"#);
    check(&whole, &nested("delete", gone, "null", ONE), &format!("V gone {gone} was {gone}"));

    // A read has no place in the log, whatever the documents show.
    let nowhere = r#""commit_lsn":null,"commit_idx":null,"idempotency_key":"YmY6Nw==","#;
    check(&part, &nested("read", row, "null", nowhere), &format!("0 part {printed}"));
    check(&whole, &nested("read", row, "null", ONE), &format!("0 image {printed}"));
    let later = SequinSource { epoch: 3, ..source() };
    let epoch = format!("3{}", "0".repeat(40));
    check(&later, &nested("read", row, "null", nowhere), &format!("{epoch} part {printed}"));
    check(
        &later,
        &nested("insert", row, "null", r#""commit_lsn":18446744073709551615,"commit_idx":4294967295,"#),
        &format!("3{:040} part {printed}", (u128::from(u64::MAX) << 32) + u128::from(u32::MAX)),
    );
}

#[test]
fn the_shapes_of_documents_and_code_say_the_same() {
    let inside = nested("update", r#"{"id":7}"#, r#"{"id":6}"#, ONE);
    let beside = inside.replacen(r#""data":{"#, "", 1).replacen("}}}}", "}}}", 1);
    assert_ne!(inside, beside);
    let expect = format!(r#"{VERSION} part {{"id":7}} was {{"id":6}}"#);
    for text in [&inside, &beside, &inside.replace("ack_id", "ack_token"), &beside.replace("ack_id", "ack_token")] {
        let message = one(text);
        assert_eq!(shown(&message.decode(&source())), expect, "{text}");
        assert_eq!(&*message.ack_id, "7c0d1b9e-2f4c-4b60-9a53-0f6c2f6a1d11");
        assert_eq!(message.table().as_deref(), Some("public.orders"));
        let origin = message.origin(0);
        assert_eq!((&*origin.position, &*origin.key, &origin.payload[..]), ("MToy", "7,a", text.as_bytes()));
        assert_eq!(shown(&Message::read(&text.clone().into()).decode(&source())), expect, "replayed");
    }
    assert_eq!(&*one(&inside).origin(2).position, "2/MToy");
    let no_key = inside.replace(r#""idempotency_key":"MToy","#, "");
    assert_eq!(&*one(&no_key).origin(0).position, "7c0d1b9e-2f4c-4b60-9a53-0f6c2f6a1d11");
}

#[test]
fn what_cannot_be_an_event_says_why() {
    let check = |text: &str, expect: &str| {
        let decoded = one(text).decode(&source());
        let bad = decoded.map(|event| panic!("{event:?}")).unwrap_err();
        assert!(bad.error.to_string().contains(expect), "{text}: {}", bad.error);
        assert!(!bad.error.chain().contains("hunter2"), "{}", bad.error);
        assert_eq!(bad.origin.payload, text.as_bytes());
    };
    check(r#"{"ack_id":"a","data":{"id":7,"name":"hunter2"}}"#, "no metadata");
    check(r#"{"ack_id":"a","data":{"record":{"id":7},"action":"update"}}"#, "no metadata");
    check(r#"{"ack_id":"a","data":"hunter2"}"#, "no metadata");
    check(r#"{"ack_id":"a"}"#, "no metadata");
    let row = r#"{"id":7}"#;
    check(&nested("update", row, "{}", r#""commit_lsn":1,"#), "commit_idx: is missing");
    check(&nested("update", row, "{}", r#""commit_lsn":null,"commit_idx":null,"#), "commit_lsn: is missing");
    check(&nested("update", row, "{}", r#""commit_lsn":-1,"commit_idx":1,"#), "commit_lsn");
    check(&nested("update", row, "{}", r#""commit_lsn":1,"commit_idx":4294967296,"#), "commit_idx");
    check(&nested("upsert", row, "{}", ONE), "action: is none of");
    check(&nested("update", row, "{}", ONE).replace(r#""action":"update","#, ""), "action: is missing");
    check(&nested("update", "null", "{}", ONE), "record: is not a JSON object");
    check(&nested("update", "[\"hunter2\"]", "{}", ONE), "record: is not a JSON object");
    check(&nested("update", row, "\"hunter2\"", ONE), "changes: is text");
    check(&nested("update", r#"{"id":1e999999}"#, "{}", ONE), "record: a number's exponent");
}

#[test]
fn a_configured_version_is_the_only_one() {
    let source = |path: &str| SequinSource { version: Some(path.parse().unwrap()), ..source() };
    let check = |path: &str, text: &str, expect: &str| {
        assert_eq!(shown(&one(text).decode(&source(path))), expect, "{text}");
    };
    let bare = r#"{"ack_id":"a","data":{"id":7,"rev":12,"a":"unchanged_toast","metadata":{"x":1},"action":"run"}}"#;
    check("rev", bare, r#"12 part {"id":7,"rev":12,"metadata":{"x":1},"action":"run"}"#);
    check(
        "rev",
        r#"{"ack_id":"a","data":{"record":{"id":7,"rev":"12"},"action":"delete"}}"#,
        r#"12 gone {"id":7,"rev":"12"}"#,
    );
    check(
        "place.rev",
        r#"{"ack_id":"a","data":{"record":{"id":7},"place":{"rev":12},"action":"update"}}"#,
        r#"12 part {"id":7}"#,
    );
    // Two scales in one table do not compare: the log's is never taken instead.
    check("rev", &nested("update", r#"{"id":7,"rev":5}"#, "{}", ONE), r#"5 part {"id":7,"rev":5}"#);
    check("rev", &nested("update", r#"{"id":7}"#, "{}", ONE), "version: `rev` is not in the message");
    check(
        "rev",
        &nested("delete", r#"{"id":7,"rev":null}"#, "null", ONE),
        "version: `rev` is null, where an integer is expected",
    );
    check(
        "rev",
        &nested("read", r#"{"id":7,"rev":-1}"#, "null", ONE),
        "version: `rev` is not an integer of up to 40 digits",
    );
}

#[test]
fn a_message_finds_its_pipeline() {
    let message = one(&nested("insert", r#"{"id":7}"#, "null", ONE));
    let bare = one(r#"{"ack_id":"a","data":{"id":7}}"#);
    let check = |table: Option<&str>, version: Option<&str>, expect: [bool; 2]| {
        let version = version.map(|path| path.parse().unwrap());
        let source = SequinSource { table: table.map(str::to_owned), version, ..source() };
        assert_eq!([message.is_of(&source), bare.is_of(&source)], expect, "{table:?}");
    };
    check(None, None, [true, true]);
    check(Some("orders"), None, [true, false]);
    check(Some("public.orders"), None, [true, false]);
    check(Some("other.orders"), None, [false, false]);
    check(Some("public.other"), Some("rev"), [false, true]);
    assert!(message.unclaimed().error.to_string().contains("no pipeline reads the table public.orders"));
    assert!(bare.unclaimed().error.to_string().contains("no metadata"));
}

#[test]
fn what_nobody_could_acknowledge_is_no_answer() {
    let error = messages(&r#"{"data":[{"data":{"id":"hunter2"}}]}"#.into()).unwrap_err();
    assert!(error.to_string().contains("neither `ack_id` nor") && !error.chain().contains("hunter2"), "{error}");
}
