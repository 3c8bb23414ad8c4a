//! The sample ticks on the command line, with the function's own handler.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tributary_tests::sequin::TOKEN;
use tributary_tests::{Database, built};

use crate::fixture::*;

fn invoke(mapping: &Path, database: &Database, event: &str) -> Output {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/sequin-poll");
    let mut command = Command::new(built("tributary"));
    command.args(["invoke", "sequin-poll", "--json", "--event"]).arg(events.join(event));
    command.env("TRIBUTARY_MAPPING", mapping).env("DATABASE_URL", database.url()).env("SEQUIN_TOKEN", TOKEN);
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_tick_drains() {
    let stage = Stage::new("program").await;
    let place = tempfile::tempdir().unwrap();
    let mapping = place.path().join("tributary.yaml");
    std::fs::write(&mapping, SHOP.replace("URL'", &format!("{}'", stage.sequin.url()))).unwrap();
    for (number, event) in (1..).zip(["tick.json", "rule.json", "forced.json"]) {
        stage.commit(vec![insert(number)]);
        let (place, stage) = (mapping.clone(), &stage);
        let database = &stage.database;
        let output = tokio::task::block_in_place(|| invoke(&place, database, event));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{event}: {said}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let orders = &answer["answers"][0]["response"]["pipelines"][0];
        assert_eq!((&orders["state"], &orders["applied"]), (&"drained".into(), &1.into()), "{event}: {answer}");
        assert_eq!(stage.orders().await.len() as u64, number);
    }
    // What fails is in the answer, and the command's end says so too.
    stage.sequin.world().tokens.clear();
    let output = tokio::task::block_in_place(|| invoke(&mapping, &stage.database, "tick.json"));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("refuses the token"), "{output:?}");
}
