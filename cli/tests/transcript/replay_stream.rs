//! Records through the handler by the rules of an event source mapping, from files and from a stream.

use std::fs;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;
use tributary_core::pipeline::DynamodbStore;
use tributary_tests::{Aws, Database};

use crate::program::{Program, snapshot, tributary};

const FILES: &str = "events/dynamodb-stream/insert.json events/dynamodb-stream/modify.json \
                     events/dynamodb-stream/remove.json events/dynamodb-stream/poison.json";
const CONTENT: &str = "select id, name, location, _version, _deleted from profile order by id";

async fn migrated(test: &str) -> Database {
    let database = Database::new(test).await;
    tributary("migrate").on(&database).run().ends(0);
    database
}

fn replayed(database: &Database, options: &str) -> Program {
    tributary(&format!("replay-stream --event {FILES} {options}")).on(database)
}

#[tokio::test]
async fn files_are_delivered_in_batches_and_in_any_disorder_to_the_same_end() {
    let database = migrated("replay_stream").await;
    snapshot!("replay_stream", replayed(&database, "--batch-size 4 --shards 2").run().ends(0));
    let content = database.rows(CONTENT).await;
    let letters = database.rows("select count(*) from tributary.dead_letter").await;
    let again = replayed(&database, "--json").run().ends(0).json();
    assert_eq!((&again["figures"]["applied"], &again["figures"]["invocations"]), (&0.into(), &1.into()));
    for seed in 1..4 {
        let database = migrated("replay_disorder").await;
        let disorder = format!("--batch-size 3 --shuffle --duplicate 0.3 --replay 0.5 --split --seed {seed} --json");
        let document = replayed(&database, &disorder).run().ends(0).json();
        assert!(document["figures"]["records"].as_u64() > again["figures"]["records"].as_u64(), "{document}");
        assert_eq!(database.rows(CONTENT).await, content, "seed {seed}");
        assert_eq!(database.rows("select count(*) from tributary.dead_letter").await, letters, "seed {seed}");
    }
}

#[tokio::test]
async fn what_is_given_up_is_kept_whole() {
    let database = migrated("replay_given_up").await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("given-up.jsonl");
    // The function answers an error as long as a batch has a record of a stream that it doesn't know.
    let events = "events/dynamodb-stream/unknown-stream.json events/dynamodb-stream/insert.json";
    let options = format!("replay-stream --retries 1 --event {events} --on-failure");
    snapshot!("replay_stream_given_up", tributary(&options).argument(&file).on(&database).run().ends(1));
    let kept: Vec<Value> =
        fs::read_to_string(&file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["requestContext"]["approximateInvokeCount"], 2);
    let payload: Value = serde_json::from_str(kept[0]["payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload["Records"].as_array().unwrap().len() as u64, kept[0]["DDBStreamBatchInfo"]["batchSize"]);
    // The other stream goes on.
    assert_ne!(database.rows("select count(*) from profile").await, ["0"]);
    let old = replayed(&database, "--record-age 60 --json").run().ends(1).json();
    assert_eq!(old["discarded"][0]["requestContext"]["condition"], "RecordAgeExceeded");
}

#[test]
fn a_wrong_command_line_is_told() {
    for wrong in ["", "--event a --stream b", "--stream b --shards 2", "--event a --retries -2", "--event a --replay 2"]
    {
        let said = tributary(&format!("replay-stream {wrong}")).run().ends(2);
        assert!(said.stdout.is_empty() && said.stderr.contains("--help"), "{wrong}: {}", said.stderr);
    }
    snapshot!("help_of_replay_stream", tributary("replay-stream --help").run());
    let said = tributary("replay-stream --stream nobodys").with("DATABASE_URL", "postgres://x").run().ends(2);
    assert!(said.stderr.contains("no pipeline reads the table `nobodys`"), "{}", said.stderr);
}

#[tokio::test]
async fn a_tables_stream_is_read_whole() {
    let aws = Aws::alone().await;
    aws.create_table("users").await;
    let store = DynamodbStore { region: Some(Aws::REGION.to_owned()), endpoint: Some(aws.endpoint().to_owned()) };
    let client = tributary_runtime::aws::dynamodb(&store).await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let id = |number: u32| text(&format!("00000000-0000-4000-8000-{number:012}"));
    for number in 0..150 {
        let put = client.put_item().table_name("users").item("id", id(number)).item("name", text("Ann"));
        let score = AttributeValue::N("0.5".to_owned());
        put.item("repScore", score)
            .item("appearance", AttributeValue::M([("mode".to_owned(), text("dark"))].into()))
            .send()
            .await
            .unwrap();
    }
    client.put_item().table_name("users").item("id", id(0)).item("name", text("Bea")).send().await.unwrap();
    client.delete_item().table_name("users").key("id", id(1)).send().await.unwrap();
    let database = migrated("replay_table").await;
    let mut program =
        tributary("replay-stream --stream users --json --endpoint").argument(aws.endpoint()).on(&database);
    for (name, value) in aws.environment() {
        program = program.with(name, value);
    }
    let document = program.run().ends(0).json();
    assert_eq!((&document["figures"]["records"], &document["figures"]["invocations"]), (&152.into(), &2.into()));
    assert_eq!((&document["figures"]["dead"], &document["figures"]["failed"]), (&0.into(), &0.into()));
    let rows = "select count(*), count(*) filter (where _deleted), count(distinct name), sum(rep_score) from profile";
    assert_eq!(database.rows(rows).await, ["150 | 1 | 2 | 74.5"]);
    assert_eq!(database.rows("select count(*) from appearance_settings where not _deleted").await, ["148"]);
}
