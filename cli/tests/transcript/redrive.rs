//! What an event source mapping gave up, from files, a queue and a bucket: applied, deleted when that is safe, and what is
//! lost is told.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use tributary_core::mapping;
use tributary_core::pipeline::DynamodbStore;
use tributary_core::sink::Budget;
use tributary_postgres::connect::{Policy, Target};
use tributary_runtime::dynamodb_stream::{Handler, pipelines};
use tributary_runtime::sinks::Sinks;
use tributary_runtime::stream_driver::{Record, Rules, Shard, drive};
use tributary_tests::{Aws, Database, Proxy};

use crate::program::{Program, root, snapshot, tributary};

const CONTENT: &str = "select id, name, rep_score, _version, _deleted from profile order by id";
const SUMMARY: &str =
    "select count(*), count(*) filter (where _deleted), count(distinct name), sum(rep_score) from profile";
/// What [`given_up`] makes of the table of users.
const USERS: &str = "120 | 1 | 2 | 59.5";

#[test]
fn a_wrong_command_line_is_told() {
    for wrong in [
        "",
        "--queue a --bucket b",
        "--file a --delete",
        "--queue a --delete",
        "--queue a --prefix b",
        "--file a --forget-lost",
        "--bucket a --delete --dry-run",
    ] {
        let said = tributary(&format!("redrive {wrong}")).run().ends(2);
        assert!(said.stdout.is_empty() && said.stderr.contains("--help"), "{wrong}: {}", said.stderr);
    }
    snapshot!("help_of_redrive", tributary("redrive --help").run());
    let unnamed = tributary("redrive --file events/dynamodb-stream/insert.json").run().ends(2);
    assert!(unnamed.stderr.contains("no database is named"), "{}", unnamed.stderr);
}

/// The database's URL for somebody whom it doesn't know, to whom it says so at once.
fn unknown_user(database: &Database) -> String {
    let (_, rest) = database.url().split_once('@').unwrap();
    format!("postgres://nobody:x@{rest}")
}

/// A moment for each invocation.
struct Moment;

impl Budget for Moment {
    fn remaining(&self) -> Option<Duration> {
        Some(Duration::from_millis(700))
    }
}

/// What the function's handler leaves of these events while the database refuses everybody: a document a line, as S3
/// gets it.
async fn with_the_database_away(events: &[&str], database: &Database, file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(root().join("tributary.yaml")).unwrap();
    let mapping = mapping::load("tributary.yaml", &text).mapping.unwrap();
    let proxy = Proxy::start(database.url()).await;
    proxy.refuse(true);
    let target = Target::from_url(proxy.url(), &Policy::default()).unwrap();
    let sinks = Sinks::new(&mapping, pipelines(&mapping), |_, _| target.clone());
    let handler = tokio::sync::Mutex::new(Handler::new(mapping.into(), sinks).unwrap());
    let invoke = async |event: Bytes| {
        let answer = handler.lock().await.handle(event, &Moment).await.map_err(|error| error.chain())?;
        Ok::<_, String>(Bytes::from(serde_json::to_vec(&answer.to_response()).unwrap()))
    };
    let read = |name: &&str| fs::read(root().join(format!("events/dynamodb-stream/{name}.json"))).unwrap();
    let records = events.iter().flat_map(|name| Record::of_event(&read(name)).unwrap()).collect();
    let rules = Rules { batch_size: 5, retries: Some(1), ..Rules::default() };
    let report = drive(&rules, Shard::of_records(records, 1), invoke).await;
    let given_up: Vec<Value> = report.discarded.iter().map(|batch| batch.whole().clone()).collect();
    let lines: Vec<String> = given_up.iter().map(Value::to_string).collect();
    fs::write(file, lines.join("\n")).unwrap();
    given_up
}

#[tokio::test]
async fn files_are_applied_and_stay() {
    let (place, database) = (tempfile::tempdir().unwrap(), Database::new("redrive_file").await);
    tributary("migrate").on(&database).run().ends(0);
    let events = ["modify", "remove", "insert", "poison"];
    let file = place.path().join("given-up.jsonl");
    assert_eq!(with_the_database_away(&events, &database, &file).await.len(), 4);
    assert_eq!(database.rows("select count(*) from profile").await, ["0"]);
    let redrive = |options: &str| {
        let options = format!("redrive {options} --file given-up.jsonl");
        let mapping = root().join("tributary.yaml");
        tributary(&options).on(&database).inside(place.path()).with("TRIBUTARY_MAPPING", mapping.to_str().unwrap())
    };
    snapshot!("redrive_rehearsed", redrive("--dry-run").run().ends(0));
    assert_eq!(database.rows("select count(*) from profile").await, ["0"]);
    snapshot!("redrive", redrive("").run().ends(0));

    // As if nothing had ever been given up.
    let straight = Database::new("redrive_straight").await;
    tributary("migrate").on(&straight).run().ends(0);
    let files: Vec<String> = events.iter().map(|event| format!("events/dynamodb-stream/{event}.json")).collect();
    tributary(&format!("invoke dynamodb-stream --event {}", files.join(" "))).on(&straight).run().ends(0);
    let letters = "select position, error from tributary.dead_letter order by position";
    for query in [CONTENT, letters] {
        assert_eq!(database.rows(query).await, straight.rows(query).await);
        assert_ne!(straight.rows(query).await, Vec::<String>::new());
    }
    let again = redrive("--json").run().ends(0).json();
    assert_eq!((&again["figures"]["applied"], &again["figures"]["failed"]), (&0.into(), &0.into()), "{again}");
    assert_eq!(database.rows(CONTENT).await, straight.rows(CONTENT).await);
    assert!(file.exists());
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_the_others_are_applied() {
    let (place, database) = (tempfile::tempdir().unwrap(), Database::new("redrive_wrong").await);
    tributary("migrate").on(&database).run().ends(0);
    let file = place.path().join("given-up.jsonl");
    let mut documents = with_the_database_away(&["unknown-stream", "insert"], &database, &file).await;
    // Of five records, as it says, one is missing: that cannot be found by itself.
    documents.last_mut().unwrap()["DDBStreamBatchInfo"]["batchSize"] = 5.into();
    let mut lines: Vec<String> = documents.iter().map(Value::to_string).collect();
    lines.insert(0, r#"{"KinesisBatchInfo":{"streamArn":"secret"}}"#.to_owned());
    let redrive = |text: String| tributary("redrive --file -").on(&database).input(&text).run();
    snapshot!("redrive_wrong", redrive(lines.join("\n")).ends(1));
    assert_eq!(database.rows("select count(*) from profile").await, ["4"]);
    for (text, expect) in [("", "is empty"), ("{}\n{\"secret", "is no JSON: line 2, column 8")] {
        let said = redrive(text.to_owned()).ends(2);
        assert!(said.stderr.contains(expect) && !said.stderr.contains("secret"), "{}", said.stderr);
    }
    let gone = tributary("redrive --file gone.json").on(&database).run().ends(2);
    assert!(gone.stderr.contains("cannot read the batch `gone.json`"), "{}", gone.stderr);

    // Whom the database doesn't know gets an error at once, and the second batch is not tried.
    assert_eq!(with_the_database_away(&["modify", "insert"], &database, &file).await.len(), 2);
    let nobody = unknown_user(&database);
    let program = tributary("redrive --json --file").argument(&file).with("DATABASE_URL", &nobody);
    let document = program.run().ends(1).json();
    assert_eq!(document["batches"].as_array().unwrap().len(), 1, "{document}");
    assert!(document["ended"].as_str().unwrap().contains("not tried"), "{document}");
}

/// An AWS with a table of users, whose changes an event source mapping has given up, as the database had no tables then.
/// Its tables are there now, and empty.
async fn given_up(test: &str) -> (Aws, Database, Vec<Value>) {
    let aws = Aws::alone().await;
    aws.create_table("users").await;
    let client = aws.dynamodb().await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let id = |number: u32| text(&format!("00000000-0000-4000-8000-{number:012}"));
    for number in 0..120 {
        let put = client.put_item().table_name("users").item("id", id(number)).item("name", text("Ann"));
        put.item("repScore", AttributeValue::N("0.5".to_owned())).send().await.unwrap();
    }
    client.put_item().table_name("users").item("id", id(0)).item("name", text("Bea")).send().await.unwrap();
    client.delete_item().table_name("users").key("id", id(1)).send().await.unwrap();
    let (place, database): (TempDir, _) = (tempfile::tempdir().unwrap(), Database::new(test).await);
    let file = place.path().join("given-up.jsonl");
    let options = "replay-stream --stream users --retries 0 --batch-size 50 --on-failure";
    at(&aws, tributary(options).argument(&file)).on(&database).run().ends(1);
    tributary("migrate").on(&database).run().ends(0);
    let text = fs::read_to_string(&file).unwrap();
    (aws, database, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn at(aws: &Aws, mut program: Program) -> Program {
    for (name, value) in aws.environment() {
        program = program.with(name, value);
    }
    program
}

/// The batch as SQS gets it.
fn metadata(whole: &Value, changes: &Value) -> String {
    let mut document = whole.clone();
    document.as_object_mut().unwrap().remove("payload");
    for (name, value) in changes.as_object().unwrap() {
        document["DDBStreamBatchInfo"][name] = value.clone();
    }
    document.to_string()
}

fn fates(document: &Value) -> Vec<String> {
    let of = |batch: &Value| {
        let fate = batch["fate"].as_str().unwrap();
        format!(
            "{fate} {} {}{}",
            batch["records"],
            batch["lost"],
            if batch["deleted"] == true { " deleted" } else { "" }
        )
    };
    let mut fates: Vec<String> = document["batches"].as_array().unwrap().iter().map(of).collect();
    fates.sort();
    fates
}

/// A queue of what was given up.
struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl Queue {
    async fn make(aws: &Aws) -> Self {
        let place = DynamodbStore { region: Some(Aws::REGION.to_owned()), endpoint: Some(aws.endpoint().to_owned()) };
        let config = tributary_runtime::aws::config_of(&place).await;
        let config = aws_sdk_sqs::config::Builder::from(&config).endpoint_url(aws.endpoint());
        let client = aws_sdk_sqs::Client::from_conf(config.build());
        let url = client.create_queue().queue_name("given-up").send().await.unwrap().queue_url.unwrap();
        Queue { client, url }
    }

    async fn send(&self, body: String) {
        self.client.send_message().queue_url(&self.url).message_body(body).send().await.unwrap();
    }

    /// How many are neither deleted nor hidden.
    async fn left(&self) -> String {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let attributes = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(name.clone());
        attributes.send().await.unwrap().attributes.unwrap()[&name].clone()
    }
}

#[tokio::test]
async fn messages_are_read_again_from_the_stream_and_deleted_when_their_rows_are_committed() {
    let (aws, database, batches) = given_up("redrive_queue").await;
    assert_eq!(batches.len(), 3);
    let queue = Queue::make(&aws).await;
    let redrive =
        |options: &str| at(&aws, tributary(&format!("redrive {options} --json --queue")).argument(&queue.url));

    for batch in &batches {
        queue.send(metadata(batch, &json!({}))).await;
    }
    let rehearsed = redrive("--dry-run").run().ends(0).json();
    assert_eq!(fates(&rehearsed), ["to_be_applied 22 0", "to_be_applied 50 0", "to_be_applied 50 0"]);
    assert_eq!(
        (queue.left().await.as_str(), database.rows("select count(*) from profile").await),
        ("3", vec!["0".to_owned()])
    );
    // Refused by the database: nothing is deleted.
    let nobody = redrive("").with("DATABASE_URL", &unknown_user(&database)).run().ends(1);
    assert_eq!(queue.left().await, "3", "{}", nobody.stdout);

    // Of some the beginning is trimmed, or all of it, or the whole shard; and two were never ours.
    for changes in [
        json!({ "startSequenceNumber": "1", "batchSize": 60 }),
        json!({ "startSequenceNumber": "1" }),
        json!({ "startSequenceNumber": "1", "endSequenceNumber": "2" }),
        json!({ "shardId": "shardId-00000000000000000000-forgotten" }),
    ] {
        queue.send(metadata(&batches[0], &changes)).await;
    }
    queue.send("secret".to_owned()).await;
    queue
        .send(metadata(
            &batches[1],
            &json!({ "streamArn": "arn:aws:dynamodb:us-east-2:1:table/orders/stream/2026-01-01T00:00:00.000" }),
        ))
        .await;
    let all = redrive("").on(&database).run().ends(1);
    assert!(!all.stdout.contains("secret"), "{}", all.stdout);
    let expect = [
        "done 22 0 deleted",
        "done 50 0 deleted",
        "done 50 0 deleted",
        "failed 0 0",
        "failed 0 0",
        "lost 0 50",
        "lost 0 50",
        "lost 50 1",
        "lost 50 10",
    ];
    assert_eq!(fates(&all.json()), expect);
    assert_eq!(queue.left().await, "6");
    assert_eq!(database.rows(SUMMARY).await, [USERS]);
    let content = database.rows(CONTENT).await;

    let again = redrive("").on(&database).run().ends(1).json();
    assert_eq!(fates(&again), ["failed 0 0", "failed 0 0", "lost 0 50", "lost 0 50", "lost 50 1", "lost 50 10"]);
    assert_eq!((&again["figures"]["applied"], database.rows(CONTENT).await), (&0.into(), content));
    // In words: what is lost, and how it heals.
    let said = at(&aws, tributary("redrive --queue").argument(&queue.url)).on(&database).run().ends(1);
    let [from, to] = ["startSequenceNumber", "endSequenceNumber"].map(|name| &batches[0]["DDBStreamBatchInfo"][name]);
    for expect in [
        "6 batches, 2 failed; 0 rows applied, 300 stale, 0 dead letters, 111 records lost",
        &format!("within {} to {}", from.as_str().unwrap(), to.as_str().unwrap()),
        "`tributary backfill users --repair` heals",
        "no pipeline reads the stream arn:aws:dynamodb:us-east-2:1:table/orders",
        "not a batch of a DynamoDB stream",
    ] {
        assert!(said.stdout.contains(expect), "{expect}: {}", said.stdout);
    }
    let forgotten = redrive("--forget-lost").on(&database).run().ends(1).json();
    let mut still = forgotten["batches"].as_array().unwrap().iter().filter(|batch| batch["deleted"] == false);
    assert!(still.all(|batch| batch["fate"] == "failed"), "{forgotten}");
    assert_eq!(queue.left().await, "2");
    let gone = redrive("").with("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1").on(&database).run().ends(1);
    assert!(gone.stderr.contains("doesn't answer as it should"), "{}", gone.stderr);
}

#[tokio::test]
async fn objects_are_applied_whole_and_deleted_only_on_demand() {
    let (aws, database, batches) = given_up("redrive_bucket").await;
    let place = DynamodbStore { region: Some(Aws::REGION.to_owned()), endpoint: Some(aws.endpoint().to_owned()) };
    let config = tributary_runtime::aws::config_of(&place).await;
    let config = aws_sdk_s3::config::Builder::from(&config).endpoint_url(aws.endpoint()).force_path_style(true);
    let client = aws_sdk_s3::Client::from_conf(config.build());
    let here =
        CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(Aws::REGION)).build();
    client.create_bucket().bucket("failures").create_bucket_configuration(here).send().await.unwrap();
    let put = async |key: &str, body: String| {
        client.put_object().bucket("failures").key(key).body(body.into_bytes().into()).send().await.unwrap();
    };
    let keys = async || {
        let list = client.list_objects_v2().bucket("failures").send().await.unwrap();
        list.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect::<Vec<_>>()
    };
    let shard = "aws/lambda/11111111-2222-3333-4444-555555555555/shardId-1";
    for (number, batch) in batches.iter().enumerate() {
        put(&format!("{shard}/2026-11-20T08.05.0{number}-66666666-7777"), batch.to_string()).await;
    }
    put(&format!("{shard}/readme"), "secret".to_owned()).await;
    put("other/thing", "not ours".to_owned()).await;
    // The stream is not asked: its table is gone.
    aws.dynamodb().await.delete_table().table_name("users").send().await.unwrap();
    let redrive = |options: &str| {
        let options = format!("redrive --bucket failures --json {options} --endpoint");
        tributary(&options).argument(aws.endpoint()).with("AWS_REGION", Aws::REGION).on(&database)
    };
    let first = redrive("").run().ends(1).json();
    assert_eq!(fates(&first), ["done 22 0", "done 50 0", "done 50 0", "failed 0 0"]);
    assert_eq!(database.rows(SUMMARY).await, [USERS]);
    assert_eq!(keys().await.len(), 5);
    let content = database.rows(CONTENT).await;
    let again = redrive("--delete").run().ends(1).json();
    assert_eq!(fates(&again), ["done 22 0 deleted", "done 50 0 deleted", "done 50 0 deleted", "failed 0 0"]);
    assert_eq!((&again["figures"]["applied"], database.rows(CONTENT).await), (&0.into(), content));
    assert_eq!(keys().await, [format!("{shard}/readme"), "other/thing".to_owned()]);
    let none = redrive("--prefix aws/lambda/none/").run().ends(0).json();
    assert_eq!(none["batches"], json!([]));
    let said = tributary("redrive --bucket nobodys --endpoint").argument(aws.endpoint()).on(&database);
    let said = said.with("AWS_REGION", Aws::REGION).run().ends(2);
    assert!(said.stderr.contains("there is no bucket nobodys"), "{}", said.stderr);
}

#[tokio::test]
async fn an_interrupt_ends_after_the_batch_in_hand() {
    let (aws, database, batches) = given_up("redrive_interrupt").await;
    let queue = Queue::make(&aws).await;
    for batch in &batches {
        queue.send(metadata(batch, &json!({}))).await;
    }
    let slow = Proxy::start(database.url()).await;
    slow.delay(Duration::from_millis(500), Duration::ZERO);
    let program = at(&aws, tributary("redrive --json --queue").argument(&queue.url)).with("DATABASE_URL", slow.url());
    let child = program.command().spawn().unwrap();
    while slow.connections() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), document["batches"].as_array().map(Vec::len)), (Some(1), Some(1)), "{document}");
    assert!(document["ended"].as_str().unwrap().contains("the same command goes on"), "{document}");
    // What is deleted is committed, and the others are at hand at once.
    assert_eq!(fates(&document)[0].split_once(' ').unwrap().0, "done");
    assert_eq!((queue.left().await.as_str(), &document["batches"][0]["deleted"]), ("2", &true.into()));
    let records = document["batches"][0]["records"].as_u64().unwrap();
    assert!(records > 0 && database.rows("select count(*) from profile").await != ["0"]);
    at(&aws, tributary("redrive --queue").argument(&queue.url)).on(&database).run().ends(0);
    assert_eq!((queue.left().await.as_str(), database.rows(SUMMARY).await), ("0", vec![USERS.to_owned()]));
}
