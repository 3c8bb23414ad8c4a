//! What a sender hears, and what an attacker doesn't.

use serde_json::{Value, json};
use tributary_sources::http::{Method, Request};
use tributary_tests::gateway::EVENT_LIMIT;

use crate::fixture::*;

const ORDER: &str = r#"{"id": 1, "status": "a", "revision": 1}"#;

#[tokio::test]
async fn refusals_say_no_more_than_they_must() {
    let database = database_of("refusals", mapping_of(HOOKS)).await;
    let served = serve(HOOKS, database.url(), 1, &[]).await;
    let check = async |request: Request, status: u16, reason: &str| {
        let response = served.send(&request).await;
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!((response.status.as_u16(), &body["error"]), (status, &reason.into()), "{body}");
        response
    };
    let order = || post("orders", ORDER);
    let unauthenticated = "the request is not authenticated";
    // Signatures.
    check(served.request(&order().secret("whsec_AAAA")), 401, unauthenticated).await;
    let mut changed = served.request(&order());
    changed.body = ORDER.replace('1', "2").into();
    check(changed, 401, unauthenticated).await;
    let mut unsigned = served.request(&order());
    unsigned.headers.clear();
    check(unsigned, 401, unauthenticated).await;
    check(served.request(&Post { age: 3600, ..order() }), 401, "the timestamp is too old").await;
    check(served.request(&Post { age: -3600, ..order() }), 401, "the timestamp is in the future").await;
    for (hook, body) in [("stripe", "{}"), ("github", "{}"), ("shopify", "{}"), ("sequin", "{}"), ("hasura", "{}")] {
        check(served.request(&post(hook, body).secret("guess")), 401, unauthenticated).await;
    }
    check(served.request(&post("supabase", "{}").secret("hook:p")), 401, unauthenticated).await;
    // Places and methods.
    for path in ["/hooks/none", "/hooks/", "/", "/hooks/orders/x", "/hooks/..", "/Hooks/orders"] {
        let mut request = served.request(&order());
        request.url = format!("{}{path}", served.gateway.url());
        check(request, 404, "there is no such hook").await;
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let request = Request { method, ..served.request(&order()) };
        let response = check(request, 405, "a hook takes POST").await;
        assert_eq!(response.headers["allow"], "POST");
    }
    // Bodies.
    check(served.request(&post("orders", "")), 400, "the body is empty").await;
    check(served.request(&post("notes", r#"{"rows": []}"#)), 400, "data: is not a list").await;
    check(
        served.request(&post("orders", ORDER).header("content-type", "application/x-www-form-urlencoded")),
        415,
        "the body is a form, where JSON is expected",
    )
    .await;
    check(
        served.request(&post("orders", ORDER).header("content-encoding", "br")),
        415,
        "the body is compressed in a way that is not read here",
    )
    .await;
    let bomb = format!("[{}]", "{},".repeat(300_000).trim_end_matches(','));
    check(served.request(&post("orders", bomb)), 413, "the body holds more than 250000 values").await;
    assert_eq!(database.rows("select count(*) from orders").await, ["0"]);
    served.taken(&order()).await;
}

#[tokio::test]
async fn a_signature_is_verified_before_anything_is_read() {
    let database = database_of("verify_first", mapping_of(HOOKS)).await;
    let served = serve(HOOKS, database.url(), 1, &[]).await;
    for body in ["", "{", "[{},{}", "\u{ffff}", "null"] {
        assert_eq!(served.post(&post("orders", body).secret("whsec_AAAA")).await.0, 401, "{body}");
    }
}

#[tokio::test]
async fn any_bytes_are_verified_as_they_were_sent() {
    let served = serve(HOOKS, "postgres://127.0.0.1:1/x", 1, &[]).await;
    let odd: [&[u8]; 8] =
        [b"", b"\0", b"\r\n", b"\xff\xfe", b"\xef\xbb\xbf", "\"\u{ffff}\u{1f600}".as_bytes(), b"\\u0000", b"\x1f\x8b"];
    let random = (0..60).map(|_| std::iter::repeat_with(|| fastrand::u8(..)).take(fastrand::usize(0..200)).collect());
    for body in odd.iter().map(|body| body.to_vec()).chain(random) {
        for kind in ["application/json", "text/plain; charset=utf-8", "application/octet-stream"] {
            for (encoding, expect) in [("", 400), ("gzip", 400)] {
                // In front of the bytes so that none of them is JSON.
                let body = [b"!", &body[..]].concat();
                let post = post("github", &body).header("content-type", kind).header("x-github-event", "issues");
                let post = if encoding.is_empty() { post } else { post.header("content-encoding", encoding) };
                let (status, answer) = served.post(&post).await;
                assert_eq!(status, expect, "{body:?} {kind} {encoding}: {answer}");
                let mut other = served.request(&post);
                other.body = [&body[..], b" "].concat().into();
                assert_eq!(served.send(&other).await.status.as_u16(), 401, "{body:?} {kind}");
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_applied_is_kept_and_the_sender_stops() {
    let database = database_of("dead", mapping_of(HOOKS)).await;
    let served = serve(HOOKS, database.url(), 1, &[]).await;
    let body = r#"[{"id": 1, "status": "good", "revision": 1}, {"id": "x", "status": "bad", "revision": 1},
                   {"id": 3, "status": "bad"}, {"id": 4, "status": "good", "revision": 1}]"#;
    let delivery = post("orders", body).id("msg_dead");
    let summary = served.taken(&delivery).await;
    assert_eq!((&summary["applied"], &summary["dead"]), (&2.into(), &2.into()), "{summary}");
    assert_eq!(database.rows("select id from orders order by id").await, ["1", "4"]);
    let letters = "select position, convert_from(payload, 'utf8'), error from tributary.dead_letter order by position";
    let kept = database.rows(letters).await;
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept[0].starts_with(r#"msg_dead/1 | {"id": "x", "status": "bad", "revision": 1} | "#), "{kept:?}");
    assert!(kept[1].starts_with(r#"msg_dead/2 | {"id": 3, "status": "bad"} | "#), "{kept:?}");
    let again = served.taken(&delivery).await;
    assert_eq!((&again["applied"], &again["duplicates"]), (&0.into(), &1.into()), "{again}");
    assert_eq!(database.rows("select max(attempts) from tributary.dead_letter").await, ["1"]);
}

/// A delivery of each kind that no pipeline of its hook takes, and one of each that a pipeline takes and cannot read.
#[tokio::test]
async fn what_nobody_takes_is_counted_and_what_somebody_cannot_read_is_kept() {
    let database = database_of("skipped", mapping_of(HOOKS)).await;
    let served = serve(HOOKS, database.url(), 1, &[("TRIBUTARY_METRICS", "on")]).await;
    let stripe = |object: &str, created: Value| {
        let data = json!({ "object": { "id": "x_1", "object": object, "email": "a@x" } });
        let id = format!("evt_{:x}", fastrand::u64(..));
        post("stripe", json!({ "id": id, "type": "x.updated", "created": created, "data": data }).to_string())
    };
    let github = |event: &str, body: &str| post("github", body).header("x-github-event", event);
    let hasura = |table: &str, op: &str| {
        let event = json!({ "op": op, "data": { "old": null, "new": { "id": 1, "name": "n" } } });
        let table = json!({ "schema": "public", "name": table });
        let body = json!({ "id": "h", "created_at": "2026-01-01T00:00:00Z", "table": table, "event": event });
        post("hasura", body.to_string())
    };
    let supabase = |table: &str, kind: &str| {
        let row = json!({ "id": 1, "name": "n", "v": 1 });
        post("supabase", json!({ "type": kind, "schema": "public", "table": table, "record": row }).to_string())
    };
    let convoy = |event: &str, row: &Value| {
        post("convoy", json!({ "data": [{ "event": event, "row": row, "revision": 1 }] }).to_string())
    };
    let letters = async || database.rows("select count(*) from tributary.dead_letter").await[0].parse::<u64>().unwrap();
    let check = async |post: Post, skipped: u64, dead: u64| {
        let before = letters().await;
        let body = String::from_utf8_lossy(&post.body).into_owned();
        let summary = served.taken(&post).await;
        let found = (&summary["records"], &summary["applied"], &summary["skipped"], &summary["dead"]);
        assert_eq!(found, (&1.into(), &0.into(), &skipped.into(), &dead.into()), "{body}");
        assert_eq!(letters().await - before, dead, "{body}");
    };
    check(stripe("payout", 1.into()), 1, 0).await;
    check(stripe("payout", "soon".into()), 1, 0).await;
    check(stripe("customer", "soon".into()), 0, 1).await;
    check(github("ping", r#"{"zen": "Keep it logically awesome."}"#), 1, 0).await;
    check(github("push", "{}"), 1, 0).await;
    check(github("issues", r#"{"action": "opened", "issue": {"id": 1}}"#), 0, 1).await;
    check(github("issues", r#"{"issue": {"id": "x", "updated_at": "2026-01-01T00:00:00Z"}}"#), 0, 1).await;
    check(hasura("other", "INSERT"), 1, 0).await;
    check(hasura("users", "TRUNCATE"), 0, 1).await;
    check(supabase("other", "INSERT"), 1, 0).await;
    check(supabase("members", "TRUNCATE"), 0, 1).await;
    check(convoy("shipment.seen", &json!({ "id": 1 })), 1, 0).await;
    check(convoy("shipment.moved", &Value::Null), 0, 1).await;
    assert!(served.log().contains("no pipeline of the hook takes these"), "{}", served.log());
    let metric = r#""hook":"github","skipped":1}"#;
    assert_eq!(served.log().matches(metric).count(), 2, "{}", served.log());
    // What was skipped was not taken: once a pipeline takes it, the sender may send it again.
    let receipts = "select sender_id from tributary.receipt where pipeline = 'customers'";
    assert_eq!(database.rows(receipts).await.len(), 1, "that of the dead letter");
    assert_eq!(served.taken(&stripe("customer", 1.into())).await["applied"], 1);
}

#[tokio::test]
async fn bodies_at_the_limit_are_taken_and_larger_ones_are_lambda_s() {
    let database = database_of("limit", mapping_of(HOOKS)).await;
    let served = serve(HOOKS, database.url(), 1, &[]).await;
    // As base64 in the event, so that 4.5 MB are what there is room for.
    let of = |bytes: usize| {
        let mut body = String::from("[");
        for id in 0..4000 {
            body.push_str(&format!(r#"{{"id":{id},"status":"{}","revision":1}},"#, "é".repeat(bytes / 4000 / 2 - 24)));
        }
        body.pop();
        body.push(']');
        body
    };
    let large = post("orders", of(4_400_000)).header("content-type", "application/cloudevents+json");
    assert!(large.body.len() > 4_200_000, "{}", large.body.len());
    let summary = served.taken(&large).await;
    assert_eq!(summary["applied"], 4000, "{summary}");
    let memory = served.functions[0].peak_memory().unwrap_or_default();
    assert!(memory < 200_000_000, "{memory}");
    let larger = post("orders", of(EVENT_LIMIT + 200_000));
    assert_eq!(served.post(&larger).await.0, 413);
}

#[tokio::test]
async fn a_mapping_without_a_hook_does_not_start() {
    let text = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  app: { type: dynamodb }
pipelines:
  users:
    source: { datastore: app, table: users }
    sink: { datastore: warehouse, tables: { t: { key: { id: text }, columns: { name: text } } } }
";
    let mut served = serve(text, "postgres://127.0.0.1:1/x", 1, &[]).await;
    assert!(served.functions[0].says("the mapping has no hook", PATIENCE).await, "{}", served.log());
}
