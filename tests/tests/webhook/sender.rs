//! Every scheme and every envelope, from the POST to the row.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::fixture::*;

/// A delivery, what is answered of `applied`, and the table afterwards.
struct Case {
    post: Post,
    applied: u64,
    query: &'static str,
    rows: &'static [&'static str],
}

fn case(post: Post, applied: u64, query: &'static str, rows: &'static [&'static str]) -> Case {
    Case { post, applied, query, rows }
}

fn stripe(id: &str, kind: &str, created: u64, object: &Value) -> Post {
    post("stripe", json!({ "id": id, "type": kind, "created": created, "data": { "object": object } }).to_string())
}

fn github(event: &str, action: &str, at: &str, state: &str) -> Post {
    let body = json!({ "action": action, "issue": { "id": 1, "title": "Ä", "state": state, "updated_at": at } });
    post("github", body.to_string())
        .header("x-github-event", event)
        .header("x-github-delivery", &format!("{event}{at}"))
}

fn hasura(id: &str, op: &str, at: &str, old: &Value, new: &Value) -> Post {
    let body = json!({
        "id": id, "created_at": at, "trigger": { "name": "t" }, "table": { "schema": "public", "name": "users" },
        "event": { "op": op, "data": { "old": old, "new": new } }
    });
    post("hasura", body.to_string())
}

fn supabase(kind: &str, new: &Value, old: &Value) -> Post {
    let body = json!({ "type": kind, "schema": "public", "table": "members", "record": new, "old_record": old });
    post("supabase", body.to_string())
}

fn sequin(lsn: u64, id: u64, action: &str, record: &Value) -> Value {
    json!({
        "record": record, "changes": null, "action": action,
        "metadata": {
            "table_schema": "public", "table_name": "items", "commit_timestamp": "2026-01-01T00:00:00Z",
            "commit_lsn": lsn, "commit_idx": 0, "idempotency_key": format!("{lsn}:0"), "record_pks": [id.to_string()]
        }
    })
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn cases() -> Vec<Case> {
    const ORDERS: &str = "select id, status, total, _deleted from orders order by id";
    const CUSTOMERS: &str = "select id, email, _deleted from customers";
    const INVOICES: &str = "select id, amount_due from invoices";
    const ISSUES: &str = "select id, title, state, _deleted from issues";
    const ITEMS: &str = "select id, sku, quantity, _deleted from items order by id";
    const USERS: &str = "select id, name, _deleted from users order by id";
    const MEMBERS: &str = "select id, name, _deleted from members";
    const SHIPMENTS: &str = "select id, place, _deleted from shipments order by id";
    let customer = |email: &str| json!({ "id": "cus_1", "object": "customer", "email": email });
    let batch = json!({ "data": [
        sequin(7, 1, "insert", &json!({ "id": 1, "sku": "a", "quantity": 2 })),
        sequin(8, 2, "insert", &json!({ "id": 2, "sku": "b", "quantity": 1 })),
        sequin(9, 1, "update", &json!({ "id": 1, "sku": "a", "quantity": 3 })),
    ]});
    vec![
        case(
            post("orders", r#"{"id": 1, "status": "ny ✓", "total": 12345678901234567890.5, "revision": 2}"#),
            1,
            ORDERS,
            &["1 | ny ✓ | 12345678901234567890.5 | f"],
        ),
        // Older than what is there.
        case(
            post("orders", r#"{"id": 1, "status": "old", "total": 1, "revision": 1}"#),
            0,
            ORDERS,
            &["1 | ny ✓ | 12345678901234567890.5 | f"],
        ),
        case(
            post("orders", r#"[{"id": 2, "status": "b", "revision": 1}, {"id": 3, "status": "c", "revision": 1}]"#),
            2,
            ORDERS,
            &["1 | ny ✓ | 12345678901234567890.5 | f", "2 | b | ∅ | f", "3 | c | ∅ | f"],
        ),
        case(
            post("notes", r#"{"data": [{"id": 1, "text": "first"}, {"id": 1, "text": "last"}]}"#),
            1,
            "select id, text from notes",
            &["1 | last"],
        ),
        case(stripe("evt_1", "customer.created", 1, &customer("a@x")), 1, CUSTOMERS, &["cus_1 | a@x | f"]),
        case(stripe("evt_3", "customer.deleted", 3, &customer("c@x")), 1, CUSTOMERS, &["cus_1 | c@x | t"]),
        case(stripe("evt_2", "customer.updated", 2, &customer("b@x")), 0, CUSTOMERS, &["cus_1 | c@x | t"]),
        case(
            stripe("evt_4", "invoice.paid", 4, &json!({ "id": "in_1", "object": "invoice", "amount_due": 990 })),
            1,
            INVOICES,
            &["in_1 | 990"],
        ),
        case(github("issues", "opened", "2026-01-02T00:00:00Z", "open"), 1, ISSUES, &["1 | Ä | open | f"]),
        case(github("issues", "edited", "2026-01-01T00:00:00Z", "older"), 0, ISSUES, &["1 | Ä | open | f"]),
        case(github("push", "opened", "2026-01-03T00:00:00Z", "none"), 0, ISSUES, &["1 | Ä | open | f"]),
        case(
            post("shopify", r#"{"id": 9, "title": "Hat", "updated_at": "2026-01-01T00:00:00-05:00"}"#)
                .header("x-shopify-webhook-id", "b1"),
            1,
            "select id, title from products",
            &["9 | Hat"],
        ),
        case(
            post("sequin", gzip(batch.to_string().as_bytes())).header("content-encoding", "gzip"),
            2,
            ITEMS,
            &["1 | a | 3 | f", "2 | b | 1 | f"],
        ),
        case(
            post("sequin", sequin(10, 2, "delete", &json!({ "id": 2, "sku": null, "quantity": null })).to_string()),
            1,
            ITEMS,
            &["1 | a | 3 | f", "2 | b | 1 | t"],
        ),
        case(
            hasura("h1", "INSERT", "2026-01-01T00:00:00Z", &Value::Null, &json!({ "id": 1, "name": "Ada" })),
            1,
            USERS,
            &["1 | Ada | f"],
        ),
        // The key of a row changes: the row of the old one goes.
        case(
            hasura(
                "h2",
                "UPDATE",
                "2026-01-02T00:00:00Z",
                &json!({ "id": 1, "name": "Ada" }),
                &json!({ "id": 2, "name": "Ada" }),
            ),
            2,
            USERS,
            &["1 | Ada | t", "2 | Ada | f"],
        ),
        case(supabase("INSERT", &json!({ "id": 1, "name": "Bo", "v": 1 }), &Value::Null), 1, MEMBERS, &["1 | Bo | f"]),
        case(supabase("DELETE", &Value::Null, &json!({ "id": 1, "name": "Bo", "v": 1 })), 1, MEMBERS, &["1 | Bo | t"]),
        case(
            post(
                "convoy",
                r#"{"data": [{"event": "shipment.new", "revision": 1, "row": {"id": 1, "place": "Ulm"}},
                             {"event": "shipment.gone", "revision": 1, "row": {"id": 2, "place": "Bad"}},
                             {"event": "shipment.seen", "revision": 9, "row": {"id": 1, "place": "Köln"}}]}"#,
            ),
            2,
            SHIPMENTS,
            &["1 | Ulm | f", "2 | Bad | t"],
        ),
        case(
            post("hmac", r#"{"id": 1, "celsius": -0.55, "at": "2026-01-01T00:00:00Z"}"#),
            1,
            "select id, celsius from readings",
            &["1 | -0.55"],
        ),
        case(post("open", r#"{"id": 1, "v": 1}"#), 1, "select id, v from open_door", &["1 | 1"]),
    ]
}

#[tokio::test]
async fn what_senders_post_is_in_the_row_before_the_200() {
    let database = database_of("senders", mapping_of(HOOKS)).await;
    let served = serve(HOOKS, database.url(), 1, &[]).await;
    for Case { post, applied, query, rows } in cases() {
        let summary = served.taken(&post).await;
        assert_eq!(summary["applied"], applied, "{}: {summary}", String::from_utf8_lossy(&post.body));
        assert_eq!(database.rows(query).await, rows, "{}", String::from_utf8_lossy(&post.body));
    }
    assert_eq!(database.rows("select * from tributary.dead_letter").await, [""; 0]);
    let log = served.log();
    for value in ["Ada", "a@x", "Ulm", SECRET, STANDARD, "p:a:ss"] {
        assert!(!log.contains(value), "`{value}` is in the log: {log}");
    }
}

#[tokio::test]
async fn all_of_it_again_changes_nothing() {
    let database = database_of("senders_again", mapping_of(HOOKS)).await;
    let served = serve(HOOKS, database.url(), 1, &[]).await;
    let cases = cases();
    for case in &cases {
        served.taken(&case.post).await;
    }
    // Where the sender has no version and says no id, the last that arrives wins: its row is written again.
    for case in cases.iter().filter(|case| case.post.hook != "notes") {
        let summary = served.taken(&case.post).await;
        assert_eq!(summary["applied"], 0, "{}: {summary}", String::from_utf8_lossy(&case.post.body));
    }
}
