//! The operator's commands on a real Postgres, in the order in which one needs them.

use std::fs;

use tributary_tests::Database;

use crate::dynamodb::{Dynamodb, signed_in};
use crate::program::{Said, root, snapshot, tributary};

const EVENTS: [&str; 5] = ["modify", "remove", "insert", "out-of-order", "poison"];

/// A database with the sample tables.
async fn migrated(test: &str) -> Database {
    let database = Database::new(test).await;
    tributary("migrate").on(&database).run().ends(0);
    database
}

fn invoked(database: &Database, events: &[&str]) -> Said {
    let files = events.iter().map(|event| format!("events/dynamodb-stream/{event}.json"));
    let files: Vec<String> = files.collect();
    tributary(&format!("invoke dynamodb-stream --event {}", files.join(" "))).on(database).run()
}

#[tokio::test]
async fn migrate_shows_then_does_then_has_nothing_to_do() {
    let database = Database::new("migrate").await;
    let dry = tributary("migrate --dry-run").on(&database).run().ends(0);
    snapshot!("migrate_dry_run", dry);
    let document = tributary("migrate --dry-run --json").on(&database).run().ends(0).json();
    assert_eq!(document["datastores"][0]["done"], false);
    assert_eq!(document["datastores"][0]["steps"].as_array().unwrap().len(), 4);
    // What is printed is a script.
    database.execute(&dry.stdout).await;
    snapshot!("migrate_nothing", tributary("migrate").on(&database).run());
    database.execute("drop table profile").await;
    snapshot!("migrate_done", tributary("migrate").on(&database).run());
}

/// A form with its repeats, its view and its pictures.
const SURVEY: &str = "\
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  field: { type: odk, base_url: 'https://odk.example.org', auth: { secret: prod/odk } }
pipelines:
  survey:
    source: { datastore: field, project: 1, form: household, key: [UUID, meta.instanceID] }
    sink:
      datastore: warehouse
      tables:
        submission: { columns: auto, children: { person: { columns: { name: text } }, '*': auto }, view: submission_unified }
      attachments: { to: { directory: ./pictures } }
";

#[tokio::test]
async fn the_tables_of_a_form_its_view_and_its_files_are_told() {
    let database = Database::new("survey").await;
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("tributary.yaml"), SURVEY).unwrap();
    let run = |command: &str| tributary(command).inside(place.path()).on(&database).run();
    snapshot!("survey_check", run("check"));
    snapshot!("survey_migrate_dry_run", run("migrate --dry-run"));
    snapshot!("survey_migrate", run("migrate"));
    snapshot!("survey_migrate_again", run("migrate"));
    database.execute("insert into submission (submission_id, _version) values ('a', 1)").await;
    database.execute("insert into submission_person (submission_id, repeat_id, name) values ('a', 'p', 'Al')").await;
    assert_eq!(database.rows("select person -> 0 ->> 'name' from submission_unified").await, ["Al"]);
    database
        .execute("insert into submission_attachment (submission_id, name, state) values ('a', '1', 'stored'), ('a', '2', 'pending')")
        .await;
    let names = r#"{"tables":{},"lists":{"person":{},"yard.tree":{"table":"submission_yard_tree"}}}"#;
    let stored = format!(
        "insert into tributary.checkpoint (pipeline, partition, position, lease_held) values ('survey', 'columns', '{names}', true)"
    );
    database.execute(&stored).await;
    let status = run("status").ends(0);
    let told: Vec<&str> = status.stdout.lines().filter(|line| line.starts_with("survey: ")).collect();
    let expect = [
        "survey: repeats in submission_yard_tree",
        "survey: all together in submission_unified",
        "survey: files: 1 pending, 1 stored",
    ];
    assert_eq!(told, expect);
    let document = run("status --json").ends(0).json();
    assert_eq!(document["pipelines"][0]["files"], serde_json::json!({ "pending": 1, "stored": 1 }));
    database.execute("drop view submission_unified; create table submission_unified (n integer)").await;
    let said = run("migrate").ends(2);
    assert!(said.stdout.contains("a table of that name is there that Tributary has not made"), "{}", said.stdout);
}

#[tokio::test]
async fn what_a_person_must_settle_is_refused_with_its_remedy() {
    let database = Database::new("refuse").await;
    database.execute("create table profile (id text primary key)").await;
    snapshot!("migrate_refused", tributary("migrate").on(&database).run());
    let document = tributary("migrate --json").on(&database).run().ends(2).json();
    assert_eq!(document["datastores"][0]["refusals"][0]["table"], "profile");
    assert_eq!(database.rows("select count(*) from pg_namespace where nspname = 'tributary'").await, ["0"]);
}

#[tokio::test]
async fn invoke_prints_what_lambda_would_get() {
    let database = Database::new("invoke").await;
    let said = invoked(&database, &["insert"]).ends(2);
    assert!(said.stdout.is_empty() && said.stderr.contains("`tributary migrate`"), "{}", said.stderr);
    tributary("migrate").on(&database).run().ends(0);
    snapshot!("invoke", invoked(&database, &EVENTS));
    assert_eq!(database.rows("select count(*), count(*) filter (where _deleted) from profile").await, ["5 | 2"]);

    let said = tributary("invoke dynamodb-stream --json --event -").on(&database);
    let event = fs::read_to_string(root().join("events/dynamodb-stream/insert.json")).unwrap();
    let document = said.input(&event).run().ends(0).json();
    let figures = &document["answers"][0]["figures"];
    assert_eq!((&figures["applied"], &figures["stale"]), (&0.into(), &12.into()), "{document}");

    snapshot!("invoke_unknown_stream", invoked(&database, &["unknown-stream"]));
    let said = tributary("invoke dynamodb-stream --event -").on(&database).input("no json").run().ends(2);
    assert!(said.stdout.is_empty(), "{}", said.stdout);
    let said = tributary("invoke dynamodb-stream --event gone.json").on(&database).run().ends(2);
    assert!(said.stderr.contains("cannot read the event `gone.json`"), "{}", said.stderr);
}

#[tokio::test]
async fn generated_events_are_applied() {
    let database = migrated("generated").await;
    let event = tributary("generate users --to - --count 300").run().ends(0).stdout;
    let program = tributary("invoke dynamodb-stream --json --event -").on(&database);
    let document = program.input(&event).run().ends(0).json();
    assert_eq!(document["answers"][0]["figures"]["records"], 300);
    assert_eq!(document["answers"][0]["figures"]["dead"], 0);
}

#[tokio::test]
async fn status_tells_what_became_of_the_changes() {
    let database = Database::new("status").await;
    let said = tributary("status").on(&database).run().ends(2);
    assert!(said.stderr.contains("run `tributary migrate`"), "{}", said.stderr);
    tributary("migrate").on(&database).run().ends(0);
    snapshot!("status_fresh", tributary("status").on(&database).run());
    invoked(&database, &EVENTS).ends(0);
    invoked(&database, &EVENTS).ends(0);
    let document = tributary("status --json").on(&database).run().ends(0).json();
    let users = &document["pipelines"][0];
    assert_eq!((&users["pipeline"], &users["dead_letters"]["open"]), (&"users".into(), &6.into()), "{document}");
    assert_eq!(users["hour"], users["day"]);
    assert!(users["hour"]["applied"].as_u64() > Some(20) && users["hour"]["stale"].as_u64() > Some(50), "{document}");
    assert!(users["lease"].is_null());
    let said = tributary("status").on(&database).run().ends(0);
    assert!(said.stdout.contains("6 open") && said.stdout.contains("dead-letters list users"), "{}", said.stdout);
}

#[tokio::test]
async fn dead_letters_are_listed_shown_replayed_and_discarded() {
    let database = migrated("letters").await;
    let letters = |arguments: &str| tributary(&format!("dead-letters {arguments}")).on(&database).run();
    snapshot!("letters_none", letters("list"));
    invoked(&database, &["insert", "poison"]).ends(0);
    snapshot!("letters", letters("list").narrowed());
    let all = letters("list --json").ends(0).json();
    let all = all["dead_letters"].as_array().unwrap();
    assert_eq!(all.len(), 6);
    assert!(all.iter().all(|letter| letter.get("payload").is_none()));
    assert_eq!(letters("list users --limit 2 --json").ends(0).json()["dead_letters"].as_array().unwrap().len(), 2);
    snapshot!("letters_of_nobody", letters("list orders"));

    let shown = letters("show 3 --json").ends(0).json();
    assert!(shown["dead_letters"][0]["payload"].as_str().unwrap().contains("repScore"), "{shown}");
    let shown = letters("show 3").ends(0);
    assert!(
        shown.stdout.contains("is not a number in text") && shown.stdout.contains("\"NewImage\""),
        "{}",
        shown.stdout
    );
    let said = letters("show 99").ends(2);
    assert!(said.stderr.contains("there is no dead letter 99"), "{}", said.stderr);

    // As the mapping is, they fail again; with room for the long biography, one of them doesn't.
    snapshot!("letters_replayed", letters("replay"));
    database.execute("alter table profile alter column bio type text").await;
    let place = tempfile::tempdir().unwrap();
    let mapping = fs::read_to_string(root().join("tributary.yaml")).unwrap().replace("bio: varchar(210)", "bio: text");
    fs::write(place.path().join("wider.yaml"), mapping).unwrap();
    let said = tributary("dead-letters replay users --json --mapping").argument(place.path().join("wider.yaml"));
    let document = said.on(&database).run().ends(1).json();
    assert_eq!((&document["replayed"][0]["applied"], &document["replayed"][0]["dead"]), (&1.into(), &5.into()));
    assert_eq!(database.rows("select max(length(bio)) from profile").await, ["300"]);

    assert_eq!(letters("discard 3 --json").ends(0).json()["discarded"], 1);
    letters("discard 3").ends(2);
    letters("discard --pipeline orders").ends(2);
    snapshot!("letters_discarded", letters("discard --pipeline users"));
    assert_eq!(letters("discard --all --json").ends(0).json()["discarded"], 0);
}

/// The sample mapping with its table in another DynamoDB.
fn mapping_for(dynamodb: &Dynamodb) -> tempfile::NamedTempFile {
    let text = fs::read_to_string(root().join("tributary.yaml")).unwrap();
    let there = format!("type: dynamodb\n    endpoint: {}", dynamodb.url());
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text.replace("type: dynamodb", &there)).unwrap();
    file
}

#[tokio::test]
async fn backfill_reads_the_table_once_and_says_how_far_it_came() {
    let (database, dynamodb) = (migrated("backfill").await, Dynamodb::start(30));
    let mapping = mapping_for(&dynamodb);
    let backfill = |arguments: &str| {
        let program = tributary(&format!("backfill users {arguments} --mapping")).argument(mapping.path());
        signed_in(program).on(&database).run()
    };
    snapshot!("backfill", backfill("--segments 2"));
    // A sub-document that an item lacks is a deleted row.
    let rows = "select (select count(*) from profile), (select count(*) from appearance_settings where not _deleted)";
    assert_eq!(database.rows(rows).await, ["30 | 0"]);
    let again = backfill("--segments 2 --json").ends(0).json();
    assert_eq!((&again["done"], &again["items"]), (&true.into(), &0.into()), "{again}");
    let again = backfill("--segments 2 --restart --json").ends(0).json();
    assert_eq!((&again["items"], &again["applied"]), (&30.into(), &0.into()), "{again}");

    // Payloads of the function are understood here as there.
    let program = tributary("invoke dynamodb-stream --event - --mapping").argument(mapping.path()).on(&database);
    let said = signed_in(program).input(r#"{"backfill": {"pipeline": "users", "restart": true}}"#).run().ends(0);
    assert!(said.stdout.contains(r#""done":true"#), "{}", said.stdout);

    database.execute("update tributary.lease set expires_at = now() + interval '1 hour', holder = 'else'").await;
    let said = tributary("status").on(&database).run().ends(0);
    assert!(said.stdout.contains("else, 59 min left"), "{}", said.stdout);
    let said = backfill("--json").ends(1);
    assert_eq!(said.json()["error"]["kind"], "conflict");
}

#[tokio::test]
async fn backfill_says_what_is_wrong() {
    let database = migrated("backfill_wrong").await;
    // No credentials, wherever this runs: so nobody outside is asked for the table either.
    let nobody = |pipeline: &str| {
        let program = tributary(&format!("backfill {pipeline} --json")).on(&database).with("AWS_REGION", "us-east-2");
        let program = program.with("AWS_EC2_METADATA_DISABLED", "true").with("AWS_CONFIG_FILE", "/dev/null");
        program.with("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").run()
    };
    let said = nobody("orders").ends(2);
    assert!(said.json()["error"]["message"].as_str().unwrap().contains("`orders`"), "{}", said.stdout);
    let said = nobody("users").ends(1);
    assert!(said.json()["error"]["message"].as_str().unwrap().contains("credentials"), "{}", said.stdout);
}

#[test]
fn generate_writes_into_a_table() {
    let dynamodb = Dynamodb::start(0);
    let generate = |table: &str| {
        let program = tributary(&format!("generate users --rate 1000 --count 60 --json --table {table} --endpoint"));
        signed_in(program.argument(dynamodb.url())).run()
    };
    let counts = generate("users").ends(0).json();
    let count = |name: &str| usize::try_from(counts[name].as_u64().unwrap()).unwrap();
    assert_eq!(count("put") + count("updated") + count("deleted"), 60);
    assert_eq!(dynamodb.asked("PutItem"), count("put") + count("updated"));
    assert_eq!(dynamodb.asked("DeleteItem"), count("deleted"));
    let said = generate("nobody").ends(2);
    assert!(said.json()["error"]["message"].as_str().unwrap().contains("`nobody`"), "{}", said.stdout);
}
