//! The senders that have an envelope of their own.

use super::tests::{ID, check, check_rejected, lines, open, with_version};
use super::*;

const INSERT: &str = r#"{"id":"e1","created_at":"2020-01-01T00:00:00.000001Z","trigger":{"name":"t"},"table":{"schema":"public","name":"users"},
    "delivery_info":{"max_retries":0,"current_retry":0},"event":{"op":"INSERT","session_variables":null,"data":{"old":null,"new":{"id":1,"n":"x"}}}}"#;

#[test]
fn hasura_sends_rows_before_and_after() {
    let any = Envelope::new(Shape::Hasura { table: None });
    let (at, version) = ("1577836800000001", "157783680000000100001700000000000000");
    let check_op = |envelope: &Envelope, op: &str, data: &str, expect: &str| {
        let body = INSERT.replace("INSERT", op).replace(r#"{"old":null,"new":{"id":1,"n":"x"}}"#, data);
        check(envelope, &[], &body, &[expect]);
    };
    check_op(
        &any,
        "INSERT",
        r#"{"old":null,"new":{"id":1}}"#,
        &format!(r#"e1 key 1 v{version} at {at} is {{"id":1}}"#),
    );
    check_op(
        &any,
        "UPDATE",
        r#"{"old":{"id":1,"n":1},"new":{"id":2}}"#,
        &format!(r#"e1 key 2 v{version} at {at} is {{"id":2}} was {{"id":1,"n":1}}"#),
    );
    check_op(
        &any,
        "MANUAL",
        r#"{"old":null,"new":{"id":1}}"#,
        &format!(r#"e1 key 1 v{version} at {at} is {{"id":1}}"#),
    );
    check_op(
        &any,
        "DELETE",
        r#"{"old":{"id":1},"new":null}"#,
        &format!(r#"e1 key 1 v{version} at {at} gone {{"id":1}} was {{"id":1}}"#),
    );
    check_op(
        &any,
        "TRUNCATE",
        r#"{"old":null,"new":{}}"#,
        "e1 bad: event.op: is none of INSERT, UPDATE, DELETE, MANUAL",
    );
    check_op(&any, "DELETE", r#"{"old":null,"new":null}"#, "e1 bad: event.data.old: is missing");
    check_op(
        &any,
        "UPDATE",
        r#"{"old":{},"new":[]}"#,
        "e1 bad: event.data.new: is a list, where a JSON object is expected",
    );

    // A row's own version is of another scale than `created_at`: a delete comes after what it deletes.
    let own = with_version(Shape::Hasura { table: Some("public.users".into()) }, "updated_at");
    let rows = r#"{"old":null,"new":{"id":1,"updated_at":"2021-01-01T00:00:00"}}"#;
    check_op(
        &own,
        "INSERT",
        rows,
        &format!(r#"e1 key 1 v1609459200000000 at {at} is {{"id":1,"updated_at":"2021-01-01T00:00:00"}}"#),
    );
    let rows = r#"{"old":{"id":1,"updated_at":"2021-01-01T00:00:00"},"new":null}"#;
    let row = r#"{"id":1,"updated_at":"2021-01-01T00:00:00"}"#;
    check_op(&own, "DELETE", rows, &format!("e1 key 1 v1609459200000001 at {at} gone {row} was {row}"));

    for (table, mine) in [("users", true), ("public.users", true), ("other.users", false), ("user", false)] {
        let envelope = Envelope::new(Shape::Hasura { table: Some(table.into()) });
        let opened = open(&envelope, &[], INSERT).unwrap();
        assert_eq!(lines(&opened) == ["skipped 1"], !mine, "{table}");
        assert_eq!(opened.dedupe, Dedupe::Sender("e1".into()));
    }
    check(&any, &[], &INSERT.replace("2020-01-01T", "x"), &["e1 bad: created_at: is no time"]);
}

#[test]
fn supabase_sends_rows_before_and_after() {
    let any = Envelope::new(Shape::Supabase { table: Some("users".into()) });
    let update =
        r#"{"type":"UPDATE","table":"users","schema":"public","record":{"id":1,"v":5},"old_record":{"id":1,"v":4}}"#;
    let digest = identity::digest(update.as_bytes());
    check(
        &any,
        &[],
        update,
        &[&format!(r#"{digest} key 1 v1700000000000000 is {{"id":1,"v":5}} was {{"id":1,"v":4}}"#)],
    );
    assert_eq!(open(&any, &[], update).unwrap().dedupe, Dedupe::Digest(digest));
    let own = with_version(Shape::Supabase { table: None }, "v");
    let delete = r#"{"type":"DELETE","table":"users","schema":"public","record":null,"old_record":{"id":1,"v":5}}"#;
    check(&own, &[ID], delete, &[r#"msg_1 key 1 v6 gone {"id":1,"v":5} was {"id":1,"v":5}"#]);
    check(&own, &[ID], update, &[r#"msg_1 key 1 v5 is {"id":1,"v":5} was {"id":1,"v":4}"#]);
    check(&any, &[ID], &update.replace("users", "posts"), &["skipped 1"]);
    check(&any, &[ID], &update.replace("UPDATE", "TRUNCATE"), &["msg_1 bad: type: is none of INSERT, UPDATE, DELETE"]);
    check(&any, &[ID], r#"{"table":"users"}"#, &["msg_1 bad: type: is missing"]);
    check(&any, &[ID], "7", &["msg_1 bad: is not a JSON object"]);
}

#[test]
fn stripe_sends_snapshots() {
    let any = Envelope::new(Shape::Stripe { objects: Vec::new() });
    let event = |kind: &str, created: &str, data: &str| {
        format!(r#"{{"id":"evt_1","object":"event","created":{created},"type":"{kind}","data":{data}}}"#)
    };
    let (created, updated, deleted) = (
        "160000000000000000001700000000000000",
        "160000000000000001001700000000000000",
        "160000000000000002001700000000000000",
    );
    let data = r#"{"object":{"id":"cus_1","object":"customer"}}"#;
    let row = r#"{"id":"cus_1","object":"customer"}"#;
    let at = "at 1600000000000000";
    let check_one =
        |kind: &str, data: &str, expect: &str| check(&any, &[], &event(kind, "1600000000", data), &[expect]);
    check_one("customer.created", data, &format!("evt_1 key cus_1 v{created} {at} is {row}"));
    check_one("customer.deleted", data, &format!("evt_1 key cus_1 v{deleted} {at} gone {row} was {row}"));
    check_one(
        "customer.updated",
        r#"{"object":{"id":"cus_1","m":{"a":2,"b":1},"l":[2]},"previous_attributes":{"m":{"a":1,"c":null},"l":[1],"n":3}}"#,
        &format!(
            r#"evt_1 key cus_1 v{updated} {at} is {{"id":"cus_1","m":{{"a":2,"b":1}},"l":[2]}} was {{"id":"cus_1","m":{{"a":1,"b":1,"c":null}},"l":[1],"n":3}}"#
        ),
    );
    check_one(
        "any",
        r#"{"object":{"deleted":true}}"#,
        &format!(r#"evt_1 v{deleted} {at} gone {{"deleted":true}} was {{"deleted":true}}"#),
    );
    check_one("thin", r#"{}"#, "evt_1 bad: data.object: is missing");
    check(&any, &[], &event("x.y", "\"1\"", data), &["evt_1 bad: created: is no time in seconds"]);
    let invoices = Envelope::new(Shape::Stripe { objects: vec!["invoice".into()] });
    check(&invoices, &[], &event("customer.created", "1", data), &["skipped 1"]);
    assert_eq!(open(&any, &[], event("a.b", "1", data)).unwrap().dedupe, Dedupe::Sender("evt_1".into()));
    check(
        &any,
        &[],
        include_str!("../vectors/stripe.json"),
        &[
            r#"evt_123 key cus_123 v153320462000000000001700000000000000 at 1533204620000000 is {"id":"cus_123","object":"customer","created":123456789,"email":"test@stripe.com","livemode":false,"metadata":{}}"#,
        ],
    );
}

#[test]
fn github_s_payload_is_the_row() {
    let issues = with_version(Shape::Github { events: vec!["issues".into()] }, "issue.updated_at");
    let headers = |event| [("X-GitHub-Event", event), ("X-GitHub-Delivery", "d-1")];
    let body = r#"{"action":"opened","issue":{"id":1,"updated_at":"2024-01-01T00:00:00Z"}}"#;
    check(&issues, &headers("issues"), body, &[&format!("d-1 v1704067200000000 is {body}")]);
    let gone = body.replace("opened", "deleted");
    check(&issues, &headers("issues"), &gone, &[&format!("d-1 v1704067200000000 gone {gone} was {gone}")]);
    check(&issues, &headers("push"), body, &["skipped 1"]);
    check(&Envelope::new(Shape::Github { events: vec![] }), &headers("ping"), "{}", &["skipped 1"]);
}

#[test]
fn sequin_s_messages_come_alone_and_in_batches() {
    let message = |idx: u32, action: &str| {
        format!(
            r#"{{"record":{{"id":{idx},"n":"x"}},"changes":null,"action":"{action}","metadata":{{"table_schema":"public","table_name":"orders","commit_timestamp":"2024-10-28T21:39:21.127470Z","commit_lsn":7,"commit_idx":{idx},"idempotency_key":"key{idx}","record_pks":["{idx}"]}}}}"#
        )
    };
    let sequin = |table: Option<&str>| {
        Envelope::new(Shape::Sequin(Sequin { table: table.map(Into::into), ..Sequin::default() }))
    };
    let at = "at 1730151561127470";
    let one = format!(r#"key1 key 1 v30064771073 {at} has {{"id":1,"n":"x"}}"#);
    check(&sequin(None), &[], &message(1, "insert"), &[&one]);
    let batch = format!(r#"{{"data":[{},{},{}]}}"#, message(1, "insert"), message(2, "read"), message(3, "truncate"));
    check(
        &sequin(Some("orders")),
        &[],
        &batch,
        &[&one, r#"key2 key 2 v0 has {"id":2,"n":"x"}"#, "key3 bad: action: is none of insert, update, delete, read"],
    );
    check(&sequin(Some("public.users")), &[], &batch, &["skipped 3"]);
    assert_eq!(open(&sequin(None), &[], batch).unwrap().dedupe, Dedupe::Events);
    check(
        &sequin(None),
        &[ID],
        r#"{"data":[{"id":1}]}"#,
        &[
            "msg_1/0 bad: the message has no metadata and so no version; let the sink's transform keep `action` and `metadata`, or name a field of the row in `version:`",
        ],
    );
    let versioned = with_version(Shape::Sequin(Sequin { whole: true, ..Sequin::default() }), "v");
    check(&versioned, &[ID], r#"{"data":[{"id":1,"v":4}]}"#, &[r#"msg_1/0 v4 is {"id":1,"v":4}"#]);
}

#[test]
fn some_bodies_are_hints() {
    let check = |shape: Shape, body: &str, expect: &str| check(&Envelope::new(shape), &[], body, &[expect]);
    let ping = r#"{"base":{"id":"app1"},"webhook":{"id":"ach1"},"timestamp":"2022-02-01T21:25:05.663Z"}"#;
    check(Shape::Airtable, ping, r#"Airtable { base: "app1", webhook: "ach1" }"#);
    let submission = r#"{"type":"submission.create","id":"uuid:1-2","data":{"xml":"<?xml"}}"#;
    check(Shape::Central, submission, r#"Central { what: Submission, id: "1-2" }"#);
    check(
        Shape::Central,
        r#"{"type":"entity.update.version","id":"1-2","data":{}}"#,
        r#"Central { what: Entity, id: "1-2" }"#,
    );
    let cron = |payload: &str| {
        format!(r#"{{"id":"s1","name":"c","scheduled_time":"2020-01-01T00:00:00Z","payload":{payload}}}"#)
    };
    check(Shape::HasuraSchedule, &cron(r#"{"pipeline":"users"}"#), r#"Run { pipelines: ["users"] }"#);
    check(Shape::HasuraSchedule, &cron(r#"{"pipeline":["a","b"]}"#), r#"Run { pipelines: ["a", "b"] }"#);
    let opened = open(&Envelope::new(Shape::HasuraSchedule), &[], cron(r#"{"pipeline":"a"}"#)).unwrap();
    assert_eq!(opened.dedupe, Dedupe::Sender("s1".into()));

    let refuse = |shape: Shape, body: &str, expect: &str| check_rejected(&Envelope::new(shape), body, expect);
    refuse(Shape::Airtable, r#"{"base":{}}"#, "base.id: is missing");
    refuse(Shape::Airtable, r#"{"base":7}"#, "is not a JSON object");
    refuse(Shape::Airtable, "{", "the body ends too early, line 1, column 1");
    refuse(Shape::Central, r#"{"type":"form.create","id":"x"}"#, "type: is about neither a submission nor an entity");
    refuse(Shape::Central, r#"{"type":"entity.create"}"#, "id: is missing");
    for bad in ["null", "7", "{}", r#"{"pipeline":""}"#, r#"{"pipeline":[]}"#, r#"{"pipeline":[7]}"#] {
        let wrong =
            if bad == "null" { "payload: is missing" } else { "payload.pipeline: is not the name of a pipeline" };
        refuse(Shape::HasuraSchedule, &cron(bad), wrong);
    }
}
