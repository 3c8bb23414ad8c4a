//! `tributary infer dynamodb`: a table that nobody has described becomes a mapping that backfills it.

use std::process::Output;

use serde_json::Value as Json;
use tributary_core::value::Value;
use tributary_tests::{Database, built};

use crate::fixture::*;

async fn tributary(world: &World, database: &Database, place: &std::path::Path, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(tokio::task::spawn_blocking(|| built("tributary")).await.unwrap());
    command.env_clear().envs(world.aws.environment()).env("DATABASE_URL", database.url());
    command.args(arguments).current_dir(place).stdin(std::process::Stdio::null());
    command.output().await.unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn item(number: u64) -> Value {
    let line = |sku: &str| Value::from([("sku", Value::from(sku)), ("n.o", Value::from(1))]);
    let mut fields = vec![
        ("id", Value::from(format!("00000000-0000-4000-8000-{number:012}").as_str())),
        ("unitCount", Value::from(i64::try_from(number).unwrap())),
        ("lines", Value::List(vec![line("a"), line("b")])),
        ("home.address", Value::from([("city", Value::from("Utrecht"))])),
        ("tags", Value::Set(vec![Value::from("x"), Value::from("y")])),
        ("made", Value::from("2026-01-02T03:04:05Z")),
    ];
    if number.is_multiple_of(2) {
        fields.push(("odd", Value::Null));
    }
    Value::Map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

#[tokio::test]
async fn a_sample_becomes_a_mapping_that_fills_tables() {
    let world = World::new("infer").await;
    let items: Vec<Value> = (1..=10).map(item).collect();
    world.put(&items).await;
    let (database, place) = (Database::new("inferred").await, tempfile::tempdir().unwrap());
    let run = async |arguments: &[&str]| tributary(&world, &database, place.path(), arguments).await;
    let infer = ["infer", "dynamodb", "--table", &world.table, "--endpoint", world.aws.endpoint()];
    let output = run(&infer).await;
    assert!(output.status.success(), "{}", said(&output));
    let draft = String::from_utf8(output.stdout).unwrap();
    for words in [
        "# types are guessed by all of its 10 items",
        "            id: uuid",
        "            unit_count: { from: unitCount, type: numeric }   # unitCount · in 10 of 10",
        r#"            home_address: { from: "\"home.address\"", type: jsonb }"#,
        r#"            tags: "text[]"   # in 10 of 10"#,
        "            made: timestamptz",
        "            odd: text   # in 5 of 10, always null: a guess",
        "        # a row for each element of `lines`, in place of the column:",
        r#"columns: { n_o: { from: "\"n.o\"", type: numeric }, sku: text }"#,
    ] {
        assert!(draft.contains(words), "{words}\n{draft}");
    }
    let file = place.path().join("tributary.yaml");
    std::fs::write(&file, believed(&draft)).unwrap();
    let output = run(&["check"]).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(run(&["migrate"]).await.status.success());
    let output = run(&["backfill", pipeline(&draft).as_str()]).await;
    assert!(output.status.success(), "{}", said(&output));
    let table = pipeline(&draft);
    let rows = format!("select unit_count, home_address->>'city', tags, odd from \"{table}\" order by 1 limit 2");
    assert_eq!(database.rows(&rows).await, ["1 | Utrecht | {x,y} | ∅", "2 | Utrecht | {x,y} | ∅"]);
    assert_eq!(database.rows(&format!("select count(*), max(n_o) from \"{table}_lines\"")).await, ["20 | 1"]);

    // Nothing has changed, then something has.
    let output = run(&infer).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mut more = item(11);
    if let Value::Map(fields) = &mut more {
        fields.insert("colour".into(), Value::from("red"));
        fields.insert("made".into(), Value::from(7));
    }
    world.put(&[more]).await;
    let output = run(&[&infer[..], &["--json"]].concat()).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let found: Json = serde_json::from_slice(&output.stdout).unwrap();
    let found: Vec<&str> = found["pipelines"][0]["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["text"].as_str().unwrap())
        .collect();
    assert_eq!(
        found,
        [
            format!("`made` holds jsonb now; {table}.made is timestamptz").as_str(),
            "colour: { from: colour, type: text }   # colour"
        ]
    );
    let output = run(&["infer", "dynamodb", "--table", "nowhere", "--endpoint", world.aws.endpoint()]).await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

/// The name of the draft's pipeline.
fn pipeline(draft: &str) -> String {
    let mut lines = draft.lines().skip_while(|line| *line != "pipelines:");
    lines.find_map(|line| line.strip_prefix("  ")?.strip_suffix(':').map(str::to_owned)).unwrap()
}

/// The draft with the table of `lines` that it proposes in a comment.
fn believed(draft: &str) -> String {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in draft.lines() {
        if let Some(proposed) = line.strip_prefix("        # ") {
            if proposed.contains("in place of the column") {
                inside = proposed.contains("`lines`");
            } else if inside {
                lines.push(format!("        {proposed}"));
                continue;
            }
        }
        lines.push(line.to_owned());
    }
    lines.join("\n") + "\n"
}
