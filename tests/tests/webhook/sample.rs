//! The files of `events/webhook`, each with the answer that `events/README.md` says.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::fixture::*;

const SECRET: &[(&str, &str)] = &[("WEBHOOK_SECRET", "sample")];

const ANSWERS: &[(&str, u64)] = &[
    ("plain.json", 200),
    ("poison.json", 200),
    ("unauthorized.json", 401),
    ("stripe.json", 401),
    ("github.json", 200),
    ("shopify.json", 200),
    ("sequin.json", 200),
    ("hasura.json", 200),
    ("supabase.json", 200),
    ("mapped.json", 200),
];

/// Of another mapping.
const HINTS: &[&str] = &["airtable.json", "central.json", "hasura-schedule.json"];

const ROWS: &[(&str, &[&str])] = &[
    (
        "select id, status, total from orders order by id",
        &["1 | paid | 19.9", "2 | new | 12345678901234567890.5", "3 | good | ∅", "5 | sent | ∅"],
    ),
    ("select count(*) from customers", &["0"]),
    ("select id, title, state from issues", &["1 | It floods | open"]),
    ("select id, title from products", &["632910392 | Rain barrel"]),
    ("select id, sku, quantity, _deleted from items order by id", &["1 | a | 3 | f", "2 | b | 1 | t"]),
    ("select id, name, _deleted from users order by id", &["41 | Ada | t", "42 | Ada Lovelace | f"]),
    ("select id, name, _deleted from members", &["1 | Bo | t"]),
    ("select id, place, _deleted from shipments order by id", &["1 | Ulm | f", "2 | Bad Ems | t"]),
    ("select count(*) from tributary.dead_letter", &["2"]),
];

fn place() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../events/webhook"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(place().join(name)).unwrap()
}

#[test]
fn every_sample_is_expected_to_end_somehow() {
    let there: BTreeSet<String> =
        std::fs::read_dir(place()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let known = ANSWERS.iter().map(|(name, _)| *name).chain(HINTS.iter().copied());
    let known: BTreeSet<String> =
        known.chain(["queue.json", "tributary.yaml", "hints.yaml"]).map(str::to_owned).collect();
    assert_eq!(there, known);
}

#[tokio::test]
async fn the_samples_are_answered_as_they_say() {
    let text = read("tributary.yaml");
    let database = database_of("samples", mapping_of(&text)).await;
    let served = serve(&text, database.url(), 1, SECRET).await;
    for round in 0..2 {
        for (name, status) in ANSWERS {
            let answer = served.apis[0].invoke(read(name), PATIENCE).await.json();
            assert_eq!(answer["statusCode"], *status, "{name}: {answer}");
            let summary: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
            assert!(round == 0 || *status != 200 || summary["applied"] == 0, "{name} again: {answer}");
        }
        let foreign = "7b1f0b8e-4f0c-4a3e-8c0a-2c6f5b7f9a11";
        let answer = served.apis[0].invoke(read("queue.json"), PATIENCE).await.json();
        assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": foreign }] }));
        for (query, rows) in ROWS {
            assert_eq!(database.rows(query).await, *rows, "{query}");
        }
    }
}
