//! What a sender could do to us: compressed bombs, depth, numbers, lists without end, and any bytes at all.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::tests::{RECEIVED, open};
use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn events(opened: Result<Opened, Rejected>) -> Vec<Decoded> {
    match opened.unwrap().content {
        Content::Events { events, .. } => events,
        Content::Hint(hint) => panic!("{hint:?}"),
    }
}

const PLAIN: fn() -> Envelope = || Envelope::new(Shape::Plain);

#[test]
fn gzip_is_read_up_to_the_limit() {
    let check = |encoding: &str, body: Vec<u8>, limit: usize, expect: &str| {
        let headers = Headers::new([("Content-Encoding", encoding)]);
        let delivery = Delivery { headers: &headers, body: body.into(), id: None, received: RECEIVED, limit };
        let found = super::open(&PLAIN(), &delivery);
        let found = match &found {
            Ok(_) => "ok".to_owned(),
            Err(Rejected::Malformed(error)) => format!("400 {error}"),
            Err(Rejected::TooLarge(error)) => format!("413 {error}"),
            Err(Rejected::Unsupported(error)) => format!("415 {error}"),
        };
        assert_eq!(found, expect);
    };
    let body = br#"{"id":1}"#;
    check("gzip", gzip(body), 8, "ok");
    check("X-GZIP", gzip(body), 8, "ok");
    check("gzip", gzip(body), 7, "413 the body is larger than 7 bytes");
    check("identity", body.to_vec(), 8, "ok");
    check("", body.to_vec(), 7, "413 the body is larger than 7 bytes");
    let broken = "400 the body is said to be gzip and isn't, or ends too early";
    check("gzip", body.to_vec(), 100, broken);
    check("gzip", gzip(body)[..20].to_vec(), 100, broken);
    check("gzip", [gzip(body), b"x".to_vec()].concat(), 100, broken);
    check("gzip", Vec::new(), 100, broken);
    // A member more is the same stream (RFC 1952, 2.2), and no way around the limit.
    check("gzip", [gzip(br#"{"id""#), gzip(b":1}")].concat(), 8, "ok");
    check("gzip", [gzip(br#"{"id""#), gzip(b":1}")].concat(), 7, "413 the body is larger than 7 bytes");
    for other in ["br", "deflate", "gzip, gzip", "gzip,gzip"] {
        check(other, gzip(body), 100, "415 the body is compressed in a way that is not read here");
    }
    // 100 MB of blanks in 100 kB.
    let bomb = gzip(&vec![b' '; 100 << 20]);
    assert!(bomb.len() < 200_000);
    check("gzip", bomb, MAX_BODY, &format!("413 the body is larger than {MAX_BODY} bytes"));
}

#[test]
fn forms_are_no_json() {
    for (kind, ok) in [
        ("application/json; charset=utf-8", true),
        ("application/cloudevents+json", true),
        ("text/plain", true),
        ("application/x-www-form-urlencoded", false),
        ("Multipart/form-data; boundary=x", false),
    ] {
        let opened = open(&PLAIN(), &[("content-type", kind)], "{}");
        assert_eq!(matches!(opened, Err(Rejected::Unsupported(_))), !ok, "{kind}");
    }
}

#[test]
fn what_would_fill_the_memory_is_refused() {
    let too_large = |body: String| matches!(open(&PLAIN(), &[], body), Err(Rejected::TooLarge(_)));
    let list = |count: usize, element: &str| format!("[{}]", vec![element; count].join(","));
    assert!(!too_large(list(MAX_RECORDS, "{}")));
    assert!(too_large(list(MAX_RECORDS + 1, "{}")));
    assert!(!too_large(format!("{{\"a\":{}}}", list(MAX_VALUES - 3, "0"))));
    assert!(too_large(format!("{{\"a\":{}}}", list(MAX_VALUES, "0"))));
    assert!(too_large(format!("{{\"a\":{}}}", list(MAX_VALUES / 2 + 1, "[]"))));
}

#[test]
fn depth_and_numbers_beyond_ours_spoil_one_record() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let body = format!("[{},{},{},{}]", nested(100), nested(99), r#"{"n":1e999999}"#, r#"{"n":1e99}"#);
    let found: Vec<bool> = events(open(&PLAIN(), &[], body)).iter().map(Result::is_ok).collect();
    // The last of the list comes first.
    assert_eq!(found, [true, false, true, false]);
    let deep = nested(200_000);
    assert_eq!(events(open(&PLAIN(), &[], deep)).len(), 1);
}

#[test]
fn a_body_of_four_and_a_half_megabytes() {
    let text = "x".repeat(4_500_000);
    assert!(events(open(&PLAIN(), &[], format!(r#"{{"id":1,"t":"{text}"}}"#)))[0].is_ok());
    let rows = vec![format!(r#"{{"id":1,"t":"{}"}}"#, "é".repeat(220)); 9_900];
    let body = format!("[{}]", rows.join(","));
    assert!(body.len() > 4_400_000);
    assert!(events(open(&PLAIN(), &[], body)).iter().all(Result::is_ok));
}

fn shapes() -> Vec<Envelope> {
    let mapped = Mapped {
        rows: Some("data".parse().unwrap()),
        row: Some("record".parse().unwrap()),
        before: Some("old_record".parse().unwrap()),
        key: Some("record.id".parse().unwrap()),
        operation: Some(Operation {
            path: "action".parse().unwrap(),
            delete: vec!["delete".into()],
            upsert: None,
            skip: vec!["read".into()],
        }),
        time: Some("metadata.commit_timestamp".parse().unwrap()),
    };
    let one = Mapped { rows: None, ..mapped.clone() };
    let shapes = [
        Shape::Plain,
        Shape::Data,
        Shape::Sequin(Sequin::default()),
        Shape::Hasura { table: None },
        Shape::HasuraSchedule,
        Shape::Supabase { table: None },
        Shape::Stripe { objects: vec![] },
        Shape::Github { events: vec![] },
        Shape::Airtable,
        Shape::Central,
        Shape::Mapped(mapped),
        Shape::Mapped(one),
    ];
    let plain = shapes.iter().cloned().map(Envelope::new);
    let named = shapes.iter().cloned().map(|shape| Envelope {
        shape,
        version: Some("$root.metadata.commit_lsn".parse().unwrap()),
        id: Some(Place::Path("id".parse().unwrap())),
    });
    plain.chain(named).collect()
}

/// Valid bodies of all shapes, to be mutated.
const BODIES: [&str; 7] = [
    r#"{"record":{"id":1,"n":"x"},"changes":{"n":"y"},"action":"update","metadata":{"table_schema":"public","table_name":"orders","commit_timestamp":"2024-10-28T21:39:21.127470Z","commit_lsn":7,"commit_idx":1,"idempotency_key":"k","record_pks":["1"]}}"#,
    r#"{"data":[{"record":{"id":1},"action":"delete","metadata":{"table_name":"t","commit_lsn":1,"commit_idx":0}},{"id":2}]}"#,
    r#"{"id":"e1","created_at":"2020-01-01T00:00:00Z","table":{"schema":"public","name":"users"},"event":{"op":"UPDATE","data":{"old":{"id":1},"new":{"id":1}}}}"#,
    r#"{"type":"DELETE","table":"users","schema":"public","record":null,"old_record":{"id":1,"v":5}}"#,
    r#"{"id":"evt_1","created":1600000000,"type":"customer.updated","data":{"object":{"id":"cus_1","object":"customer"},"previous_attributes":{"a":[{"b":null}]}}}"#,
    r#"{"base":{"id":"app1"},"webhook":{"id":"ach1"},"timestamp":"2022-02-01T21:25:05.663Z","payload":{"pipeline":["a"]}}"#,
    r#"[{"type":"entity.update.version","id":"uuid:1","data":{"p":"\ud83d\ude00\u0000"}},1e5,-0.0,[[]],true]"#,
];

/// Opens it in every shape, and every payload of it again.
fn open_all(body: &Bytes, encoding: &str) {
    for envelope in shapes() {
        let Ok(opened) = open(&envelope, &[("content-encoding", encoding)], body.clone()) else { continue };
        let Content::Events { events, .. } = opened.content else { continue };
        for decoded in events {
            let payload = match decoded {
                Ok(event) => event.origin.payload,
                Err(bad) => bad.origin.payload,
            };
            let _ = reopen(&envelope, payload, RECEIVED);
        }
    }
}

/// How many bytes were read to open a body, each as often as it was, and the body's length.
fn scanned(envelope: &Envelope, body: String) -> (usize, usize) {
    let length = body.len();
    pick::SCANNED.with(|scanned| scanned.set(0));
    let _ = open(envelope, &[], body);
    (pick::SCANNED.with(std::cell::Cell::get), length)
}

#[test]
fn twice_the_body_is_twice_the_work() {
    let record = |record: &'static str| move |size: usize| format!("{{\"data\":[{}]}}", vec![record; size].join(","));
    let deep = |size: usize| format!(r#"{{"data":[{}{}]}}"#, "[".repeat(size), "]".repeat(size));
    let wide = |size: usize| format!(r#"{{"data":[{{"record":{{{}"id":1}}}}]}}"#, r#""a":{"b":[1]},"#.repeat(size));
    let text = |size: usize| format!(r#"{{"metadata":{{"commit_lsn":"{}"}},"data":[{{}},{{}}]}}"#, "\\\"".repeat(size));
    let shared = |size: usize| {
        let records = vec![r#"{"id":1,"record":{"id":1},"action":"delete"}"#; size];
        format!(r#"{{"metadata":{{"commit_lsn":7}},"data":[{}]}}"#, records.join(","))
    };
    let growing: [&dyn Fn(usize) -> String; 8] =
        [&record(BODIES[0]), &record(BODIES[2]), &record(BODIES[3]), &record(BODIES[4]), &deep, &wide, &text, &shared];
    for envelope in shapes() {
        for body in growing {
            for size in [20, 200] {
                let (work, length) = scanned(&envelope, body(size));
                // A record is read for each part that is looked for in it, whatever its size.
                assert!(work <= 24 * length, "{:?}: {work} for {length} bytes", envelope.shape);
            }
            let ((once, _), (twice, _)) = (scanned(&envelope, body(100)), scanned(&envelope, body(200)));
            assert!(twice <= 2 * once + 1000, "{:?}: {once}, {twice}", envelope.shape);
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}:,\"\\\\0-9a-z .eE+-]{0,80}") {
        open_all(&Bytes::from(bytes.clone()), "");
        open_all(&Bytes::from(bytes), "gzip");
        open_all(&Bytes::from(text), "");
    }

    #[test]
    fn no_mutation_of_a_valid_body_makes_it_panic(
        which in 0..BODIES.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..4), 1..6),
        other in 0..BODIES.len(),
    ) {
        let mut body = BODIES[which].as_bytes().to_vec();
        let source = BODIES[other].as_bytes();
        for (at, from, kind) in edits {
            if body.is_empty() {
                break;
            }
            let place = at.index(body.len());
            let piece = from.index(source.len());
            match kind {
                0 => body[place] = source[piece],
                1 => { body.remove(place); }
                2 => { body.truncate(place); }
                _ => { body.splice(place..place, source[piece..].iter().copied()); }
            }
        }
        open_all(&Bytes::from(body), "");
    }

    /// Whatever a record looks like, its neighbours are not disturbed.
    #[test]
    fn a_broken_record_spoils_no_other(which in 0..BODIES.len(), before in 0usize..4, after in 0usize..4) {
        let good = r#"{"id":1}"#;
        let mut records = vec![good; before];
        records.push(BODIES[which]);
        records.extend(vec![good; after]);
        let found = events(open(&PLAIN(), &[], format!("[{}]", records.join(","))));
        prop_assert_eq!(found.len(), before + after + 1);
        prop_assert!(found.iter().filter(|decoded| decoded.is_ok()).count() >= before + after);
    }
}
