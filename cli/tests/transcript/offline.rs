//! What needs no database.

use std::fs;
use std::io::Read as _;

use crate::program::{root, snapshot, tributary};

const BAD: &str = "\
datastores:
  warehouse: { type: postgres, url: postgres://ann:hunter2@db.example.org/shop }
  app: { type: dynamodb }
pipelines:
  users:
    source: { datastore: app, table: users }
    sink:
      datastore: warehouse
      tables:
        profile:
          key: { id: uuid }
          colums: { name: text }
";

#[test]
fn help_tells_the_commands_and_the_exit_codes() {
    snapshot!("help", tributary("--help").run());
    snapshot!("help_of_invoke", tributary("invoke --help").run());
    snapshot!("help_of_generate", tributary("generate --help").run());
    snapshot!("help_of_dead_letters", tributary("dead-letters --help").run());
}

#[test]
fn the_surveys_of_the_documents_are_right() {
    let place = tempfile::tempdir().unwrap();
    let check = |document: &str| {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
        let surveys: Vec<&str> = blocks.map(|(block, _)| block).filter(|block| block.contains("type: odk")).collect();
        assert!(!surveys.is_empty(), "{document}");
        for survey in surveys {
            fs::write(place.path().join("tributary.yaml"), survey).unwrap();
            tributary("check").inside(place.path()).run().ends(0);
        }
    };
    check("README.md");
    check("functions/odk-poll/README.md");
    check("functions/odk-poll/from-a-script.md");
}

#[test]
fn a_wrong_command_line_is_wrong_input() {
    let check = |arguments: &str| {
        let said = tributary(arguments).run().ends(2);
        assert!(said.stdout.is_empty() && said.stderr.contains("--help"), "{arguments}: {}", said.stderr);
    };
    check("");
    check("chekc");
    check("check --frob");
    check("invoke dynamodb-stream");
    check("invoke sequin --event a.json");
    check("generate users");
    check("generate users --table t --to f");
    check("dead-letters discard");
    check("dead-letters discard 1 --all");
    let said = tributary("generate users --to - --rate 0").run().ends(2);
    assert!(said.stderr.contains("a number above 0"), "{}", said.stderr);
}

#[test]
fn the_sample_mapping_is_fine() {
    snapshot!("check_good", tributary("check").run());
    let said = tributary("check --json").run().ends(0);
    assert_eq!(said.json()["findings"], serde_json::json!([]));
}

#[test]
fn a_bad_mapping_is_shown_with_every_finding_and_no_secret() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("bad.yaml"), BAD).unwrap();
    let bad = |arguments: &str| tributary(arguments).inside(place.path()).with("TRIBUTARY_MAPPING", "bad.yaml").run();
    snapshot!("check_bad", bad("check"));
    let document = bad("check --json").ends(2).json();
    assert_eq!(document["findings"][0]["line"], 2);
    assert!(!bad("check").stdout.contains("hunter2"));
    // Another command shows the same, beside its result.
    let said = bad("status").ends(2);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", bad("check").stdout.as_str()));
    assert_eq!(bad("status --json").ends(2).json(), document);
}

#[test]
fn a_mapping_that_is_not_there_is_wrong_input() {
    let place = tempfile::tempdir().unwrap();
    for command in
        ["check", "migrate", "status", "dead-letters list", "backfill users", "invoke dynamodb-stream --event x"]
    {
        let said = tributary(command).inside(place.path()).run().ends(2);
        assert!(said.stderr.contains("cannot read the mapping `tributary.yaml`"), "{command}: {}", said.stderr);
        assert!(said.stdout.is_empty());
    }
    let said = tributary("check --json --mapping nowhere.yaml").inside(place.path()).run().ends(2);
    assert_eq!(said.json()["error"]["kind"], "config");
}

#[test]
fn the_schema_describes_the_mapping() {
    let schema = tributary("schema").run().ends(0).json();
    assert!(schema["properties"]["pipelines"].is_object(), "{schema}");
}

#[test]
fn colours_only_where_they_are_wanted() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("bad.yaml"), BAD).unwrap();
    let check = |forced: &str| {
        let program = tributary("check --mapping bad.yaml").inside(place.path()).with("CLICOLOR_FORCE", forced);
        program.run().stdout.contains('\u{1b}')
    };
    assert!(check("1") && !check(""));
}

#[test]
fn a_reader_who_leaves_is_no_failure() {
    let mut child = tributary("generate users --to - --count 5000").command().spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn generated_events_follow_from_the_seed() {
    let records = |arguments: &str| -> Vec<serde_json::Value> {
        let said = tributary(arguments).run().ends(0);
        let mut records = said.json()["Records"].as_array().unwrap().clone();
        for record in &mut records {
            let now = record.pointer("/dynamodb/NewImage/id").or(record.pointer("/dynamodb/OldImage/id"));
            *record = serde_json::json!([record["eventName"], now, record["dynamodb"]["SequenceNumber"]]);
        }
        records
    };
    let one = records("generate users --to - --count 40 --seed 7");
    assert_eq!(one.len(), 40);
    assert_eq!(one, records("generate users --to - --count 40 --seed 7"));
    assert_ne!(one, records("generate users --to - --count 40 --seed 8"));
    assert_eq!(records("generate users --to -").len(), 100);
    let kinds: std::collections::BTreeSet<&str> = one.iter().map(|record| record[0].as_str().unwrap()).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["INSERT", "MODIFY", "REMOVE"]);
}

#[test]
fn a_generated_file_says_what_it_holds() {
    let place = tempfile::tempdir().unwrap();
    let said =
        tributary("generate users --count 20 --json --to").argument(place.path().join("event.json")).run().ends(0);
    let counts = said.json();
    let sum: u64 = ["put", "updated", "deleted"].iter().map(|name| counts[*name].as_u64().unwrap()).sum();
    assert_eq!(sum, 20);
    let written: serde_json::Value =
        serde_json::from_slice(&fs::read(place.path().join("event.json")).unwrap()).unwrap();
    assert_eq!(written["Records"].as_array().unwrap().len(), 20);
    let said = tributary("generate users --to /nowhere/at/all.json").run().ends(2);
    assert!(said.stderr.contains("cannot write `/nowhere/at/all.json`"), "{}", said.stderr);
}

#[test]
fn a_database_that_is_not_named_or_does_not_answer_is_told() {
    let said = tributary("status").run().ends(2);
    assert!(said.stderr.contains("DATABASE_URL is not set"), "{}", said.stderr);
    let said = tributary("status --json").with("DATABASE_URL", "postgres://ann:hunter2@127.0.0.1:1/x").run().ends(1);
    assert_eq!(said.json()["error"]["kind"], "unavailable");
    assert!(!said.stdout.contains("hunter2") && !said.stderr.contains("hunter2"));
    assert!(root().join("tributary.yaml").is_file());
}
