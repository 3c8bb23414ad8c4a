use tributary_core::cast::json_text;
use tributary_core::event::Body;
use tributary_core::value::Value;

use super::*;

pub(super) const RECEIVED: i64 = 1_700_000_000_000_000;

pub(super) fn open(envelope: &Envelope, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Result<Opened, Rejected> {
    let headers = Headers::new(headers.iter().copied());
    super::open(
        envelope,
        &Delivery { headers: &headers, body: body.into(), id: None, received: RECEIVED, limit: MAX_BODY },
    )
}

pub(super) fn json(value: &Value) -> String {
    json_text(value).unwrap()
}

/// An event in one line.
pub(super) fn line(decoded: &Decoded) -> String {
    let event = match decoded {
        Ok(event) => event,
        Err(bad) => return format!("{} bad: {}", bad.origin.position, bad.error),
    };
    let was =
        |before: &Option<Value>| before.as_ref().map(|before| format!(" was {}", json(before))).unwrap_or_default();
    let body = match &event.body {
        Body::Image { now, before } => format!("is {}{}", json(now), was(before)),
        Body::Part { now, before } => format!("has {}{}", json(now), was(before)),
        Body::Gone { key, before, .. } => format!("gone {}{}", json(key), was(before)),
    };
    let at = event.at.map(|at| format!(" at {at}")).unwrap_or_default();
    let key = if event.origin.key.is_empty() { String::new() } else { format!(" key {}", event.origin.key) };
    format!("{}{key} v{}{at} {body}", event.origin.position, event.version)
}

pub(super) fn lines(opened: &Opened) -> Vec<String> {
    match &opened.content {
        Content::Events { events, skipped } => {
            let mut lines: Vec<String> = events.iter().map(line).collect();
            lines.extend((*skipped > 0).then(|| format!("skipped {skipped}")));
            lines
        }
        Content::Hint(hint) => vec![format!("{hint:?}")],
    }
}

pub(super) fn check(envelope: &Envelope, headers: &[(&str, &str)], body: &str, expect: &[&str]) {
    let opened = open(envelope, headers, body.to_owned()).unwrap();
    assert_eq!(lines(&opened), expect, "{body}");
}

pub(super) fn check_rejected(envelope: &Envelope, body: &str, expect: &str) {
    let rejected = open(envelope, &[], body.to_owned()).unwrap_err();
    assert_eq!(rejected.to_string(), expect, "{body}");
    assert!(matches!(rejected, Rejected::Malformed(_)));
}

pub(super) fn with_version(shape: Shape, version: &str) -> Envelope {
    Envelope { version: Some(version.parse().unwrap()), ..Envelope::new(shape) }
}

pub(super) const ID: (&str, &str) = ("webhook-id", "msg_1");

#[test]
fn rows_come_alone_and_in_lists() {
    let plain = Envelope::new(Shape::Plain);
    check(
        &plain,
        &[ID],
        r#"{"id":7,"n":12345678901234567890.10}"#,
        &[r#"msg_1 key 7 v1700000000000000 is {"id":7,"n":12345678901234567890.1}"#],
    );
    // The last of a list is the newest: of equal versions the first one counts.
    let list = &[
        r#"msg_1/2 bad: the record: is a number, where a JSON object is expected"#,
        r#"msg_1/1 key b v1700000000000000 is {"id":"b"}"#,
        r#"msg_1/0 key a v1700000000000000 is {"id":"a"}"#,
    ];
    check(&plain, &[ID], r#" [ {"id":"a"}, {"id":"b"},7 ] "#, list);
    check(&plain, &[ID], "\u{feff}[]", &[]);
    let data = Envelope::new(Shape::Data);
    check(&data, &[ID], r#"{"more":[1],"data":[{"id":"a"},{"id":"b"},7]}"#, list);
    check(&data, &[ID], r#"{"data":[]}"#, &[]);
    check_rejected(&data, r#"{"data":{}}"#, "data: is not a list");
    check_rejected(&data, r#"[]"#, "is not a JSON object");
    check_rejected(&plain, "", "the body is empty");
    check_rejected(&plain, " \n", "the body is empty");
    check_rejected(&plain, r#"{"hunter2":"#, "the body ends too early, line 1, column 11");
    check_rejected(&plain, r#"{"a":hunter2}"#, "the body is not JSON, line 1, column 6");
    check_rejected(&plain, r#"{} {}"#, "the body is not JSON, line 1, column 4");
    check_rejected(&plain, r#"[{},]"#, "the body is not JSON, line 1, column 5");
}

#[test]
fn a_version_stands_where_the_mapping_says() {
    let row = with_version(Shape::Plain, "meta.v");
    check(
        &row,
        &[ID],
        r#"[{"meta":{"v":9007199254740993}},{"meta":{"v":"2024-01-01T00:00:00Z"}},{"v":1}]"#,
        &[
            r#"msg_1/0 v9007199254740993 is {"meta":{"v":9007199254740993}}"#,
            r#"msg_1/1 v1704067200000000 is {"meta":{"v":"2024-01-01T00:00:00Z"}}"#,
            "msg_1/2 bad: version: `meta.v` is not in the message",
        ],
    );
    check(
        &row,
        &[ID],
        r#"{"meta":{"v":1.5}}"#,
        &["msg_1 bad: version: `meta.v` is neither an integer of up to 40 digits nor a time"],
    );
    let root = with_version(Shape::Data, "$root.v");
    check(&root, &[ID], r#"{"v":3,"data":[{"v":1}]}"#, &[r#"msg_1/0 v3 is {"v":1}"#]);
}

#[test]
fn any_other_sender_by_paths() {
    let path = |text: &str| text.parse::<Path>().unwrap();
    let words = |words: &[&str]| words.iter().map(|word| Box::from(*word)).collect::<Vec<Box<str>>>();
    let operation = |at: &str, upsert: Option<&[&str]>| {
        Some(Operation {
            path: path(at),
            delete: words(&["d", "true"]),
            upsert: upsert.map(words),
            skip: words(&["m"]),
        })
    };
    // Debezium, one change a body.
    let debezium = Mapped {
        row: Some(path("after")),
        before: Some(path("before")),
        operation: operation("op", Some(&["c", "u", "r"])),
        time: Some(path("ts_ms")),
        ..Mapped::default()
    };
    let envelope = with_version(Shape::Mapped(debezium), "source.lsn");
    let change = |op: &str, before: &str, after: &str| {
        format!(r#"{{"before":{before},"after":{after},"source":{{"lsn":24023128}},"op":{op},"ts_ms":1559033904863}}"#)
    };
    let at = "v24023128 at 1559033904863000";
    check(
        &envelope,
        &[ID],
        &change(r#""u""#, r#"{"id":1}"#, r#"{"id":2}"#),
        &[&format!(r#"msg_1 key 2 {at} is {{"id":2}} was {{"id":1}}"#)],
    );
    check(
        &envelope,
        &[ID],
        &change(r#""d""#, r#"{"id":1}"#, "null"),
        &[&format!(r#"msg_1 key 1 {at} gone {{"id":1}} was {{"id":1}}"#)],
    );
    check(&envelope, &[ID], &change(r#""m""#, "null", "null"), &["skipped 1"]);
    check(
        &envelope,
        &[ID],
        &change(r#""t""#, "null", "null"),
        &["msg_1 bad: operation: `op` is none of the words of the mapping"],
    );
    check(
        &envelope,
        &[ID],
        &change("null", "null", "{}"),
        &["msg_1 bad: operation: `op` is none of the words of the mapping"],
    );
    check(&envelope, &[ID], &change("[]", "null", "{}"), &["msg_1 bad: operation: `op` is a list, not a word"]);
    check(&envelope, &[ID], &change(r#""c""#, "null", "null"), &["msg_1 bad: row: is missing"]);
    check(
        &envelope,
        &[ID],
        &change(r#""c""#, "null", "7"),
        &["msg_1 bad: row: `after` is a number, where a JSON object is expected"],
    );
    check(&envelope, &[ID], &change(r#""d""#, "null", "null"), &["msg_1 bad: key: no row says it"]);

    // A list, each record with its id, its version and a flag.
    let listed = Mapped {
        rows: Some(path("batch.items")),
        operation: operation("gone", None),
        key: Some(path("k.id")),
        ..Mapped::default()
    };
    let envelope =
        Envelope { id: Some(Place::Path(path("event"))), ..with_version(Shape::Mapped(listed), "$root.batch.v") };
    let body = r#"{"batch":{"v":9,"items":[{"event":"a","k":{"id":1}},{"event":8,"gone":true,"k":{"id":"x"}},{"gone":true,"event":"c"},{}]}}"#;
    check(
        &envelope,
        &[ID],
        body,
        &[
            r#"a v9 is {"event":"a","k":{"id":1}}"#,
            r#"8 key x v9 gone {"id":"x"}"#,
            "c bad: key: `k.id` is not in the record",
            &format!("{}/3 bad: id: `event` is not in the record", identity::digest(body.as_bytes())),
        ],
    );
    assert_eq!(open(&envelope, &[], body).unwrap().dedupe, Dedupe::Events);
    check_rejected(&envelope, r#"{"batch":{}}"#, "batch.items: is not a list");
    check(
        &envelope,
        &[ID],
        r#"{"batch":{"v":[9],"items":[{"event":"a"}]}}"#,
        &["a bad: $root.batch.v: is no single short value, and what is at the top of a body is of all its records"],
    );
    let top = Mapped { rows: Some(path("l")), ..Mapped::default() };
    let top = Envelope { id: Some(Place::Path(path("$root.id"))), ..Envelope::new(Shape::Mapped(top)) };
    check(&top, &[ID], r#"{"id":5,"l":[{}]}"#, &["5/0 v1700000000000000 is {}"]);
    assert_eq!(open(&top, &[], r#"{"id":5,"l":[{}]}"#).unwrap().dedupe, Dedupe::Sender("5".into()));
}

#[test]
fn the_sender_s_id_tells_a_redelivery() {
    let plain = |id: Option<Place>| Envelope { id, ..Envelope::new(Shape::Plain) };
    let check = |envelope: &Envelope, headers: &[(&str, &str)], signed: Option<&str>, expect: Dedupe| {
        let headers = Headers::new(headers.iter().copied());
        let body = Bytes::from_static(br#"{"id":"x","e":"e1"}"#);
        let delivery = Delivery { headers: &headers, body, id: signed, received: RECEIVED, limit: MAX_BODY };
        assert_eq!(super::open(envelope, &delivery).unwrap().dedupe, expect);
    };
    let sender = |id: &str| Dedupe::Sender(id.into());
    let digest = Dedupe::Digest(identity::digest(br#"{"id":"x","e":"e1"}"#));
    check(&plain(None), &[], None, digest.clone());
    check(&plain(None), &[ID, ("svix-id", "s")], None, sender("msg_1"));
    check(&plain(None), &[("svix-id", "s")], None, sender("s"));
    check(&plain(None), &[("X-Shopify-Webhook-Id", "w")], None, sender("w"));
    check(&plain(None), &[ID], Some("signed"), sender("signed"));
    check(&plain(Some(Place::Header("X-Id".into()))), &[ID, ("x-id", "h")], Some("signed"), sender("h"));
    check(&plain(Some(Place::Path("e".parse().unwrap()))), &[ID], Some("signed"), sender("e1"));
    check(&plain(Some(Place::Header("x-id".into()))), &[("x-id", "")], None, digest);
    let supplied = r#"{"id":"x"}"#;
    let stripe = Envelope::new(Shape::Stripe { objects: vec![] });
    assert_eq!(open(&stripe, &[ID], supplied).unwrap().dedupe, sender("x"));
    check(&stripe, &[ID], Some("signed"), sender("signed"));
    let long = "x".repeat(201);
    check(&plain(None), &[("webhook-id", &long)], None, Dedupe::Sender(identity::digest(long.as_bytes())));
    check(&plain(None), &[("webhook-id", "a\0b")], None, Dedupe::Sender(identity::digest(b"a\0b")));
}

#[test]
fn payloads_are_parts_of_the_body_and_are_read_again_by_themselves() {
    let body = Bytes::from_static(br#"{"data":[ {"id":1} ,{"id":2}]}"#);
    let envelope = Envelope::new(Shape::Data);
    let Content::Events { events, .. } = open(&envelope, &[ID], body.clone()).unwrap().content else { panic!() };
    let payload = &events[1].as_ref().unwrap().origin.payload;
    assert_eq!(&payload[..], br#"{"id":1}"#);
    assert!(body.as_ptr_range().contains(&payload.as_ptr()), "copied");
    let again = reopen(&envelope, payload.clone(), 5).unwrap();
    assert_eq!(line(&again), format!(r#"{} key 1 v5 is {{"id":1}}"#, identity::digest(payload)));
}
