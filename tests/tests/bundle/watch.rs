//! Every function of `functions/` under `cargo lambda watch`, and every file of `events/` handed to it by `cargo lambda
//! invoke`, as `events/README.md` shows it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde_json::json;
use tributary_tests::airtable::{Airtable, Field, Table};
use tributary_tests::odk::{self, Odk};
use tributary_tests::sequin::{Dml, Sequin, TOKEN, Table as SourceTable};
use tributary_tests::{Database, Watch};

use crate::fixture::*;

/// What becomes of an event.
enum Expect {
    /// This answer.
    Answer(&'static str),
    /// An answer that has these words.
    Has(&'static [&'static str]),
    /// An error that has these words.
    Error(&'static [&'static str]),
}

use Expect::{Answer, Error, Has};

const DONE: Expect = Answer(r#"{"batchItemFailures":[]}"#);

/// Each file of `events/`, in an order in which they fit together. A new file is a new line here.
const EVENTS: &[(&str, &str, Expect)] = &[
    ("dynamodb-stream", "insert.json", DONE),
    ("dynamodb-stream", "modify.json", DONE),
    ("dynamodb-stream", "remove.json", DONE),
    ("dynamodb-stream", "out-of-order.json", DONE),
    ("dynamodb-stream", "poison.json", DONE),
    (
        "dynamodb-stream",
        "unknown-stream.json",
        Error(&[
            "arn:aws:dynamodb:us-east-2:123456789012:table/orders/stream/2024-04-12T08:30:00.456",
            "the mapping reads users",
        ]),
    ),
    ("sequin-poll", "tick.json", Has(&[r#""state":"drained","records":1,"applied":1,"#])),
    ("sequin-poll", "rule.json", Has(&[r#""pipeline":"orders","state":"drained","records":0,"#])),
    ("sequin-poll", "forced.json", Has(&[r#""state":"drained","records":0,"#])),
    ("airtable-poll", "tick.json", Has(&[r#""state":"drained","records":2,"applied":2,"#])),
    ("airtable-poll", "sweep.json", Has(&[r#""state":"drained""#])),
    ("airtable-poll", "allow-mass-delete.json", Has(&[r#""pipeline":"apartments""#])),
    ("airtable-poll", "unknown-pipeline.json", Error(&["no pipeline `apartmens`", "it has apartments"])),
    ("odk-poll", "tick.json", Has(&[r#""state":"drained""#, r#""inserted":1,"attachments":1"#])),
    ("odk-poll", "forced.json", Has(&[r#""pipeline":"visits","state":"drained""#])),
    ("odk-poll", "allow-mass-delete.json", Has(&[r#""pipeline":"visits""#])),
    ("odk-poll", "unknown-pipeline.json", Error(&["no pipeline `visit`", "it has visits"])),
    ("webhook", "plain.json", Has(&[r#""statusCode":200"#, r#"\"applied\":2"#])),
    ("webhook", "poison.json", Has(&[r#""statusCode":200"#, r#"\"dead\":2"#])),
    ("webhook", "unauthorized.json", Has(&[r#""statusCode":401"#])),
    ("webhook", "stripe.json", Has(&[r#""statusCode":401"#, "too old"])),
    ("webhook", "github.json", Has(&[r#""statusCode":200"#])),
    ("webhook", "shopify.json", Has(&[r#""statusCode":200"#])),
    ("webhook", "sequin.json", Has(&[r#""statusCode":200"#])),
    ("webhook", "hasura.json", Has(&[r#""statusCode":200"#])),
    ("webhook", "supabase.json", Has(&[r#""statusCode":200"#])),
    ("webhook", "mapped.json", Has(&[r#""statusCode":200"#])),
    ("webhook", "queue.json", Has(&["7b1f0b8e-4f0c-4a3e-8c0a-2c6f5b7f9a11"])),
    // Of another mapping: `tests/tests/webhook` has it.
    ("webhook", "airtable.json", Has(&[r#""statusCode":404"#])),
    ("webhook", "central.json", Has(&[r#""statusCode":404"#])),
    ("webhook", "hasura-schedule.json", Has(&[r#""statusCode":404"#])),
];

/// The mapping of the webhooks.
const HOOKS: &str = include_str!("../../../events/webhook/tributary.yaml");

/// What the sample mapping has no source for, which the events of the polls are about.
const POLLED: [&str; 2] = [
    "
  cdc: { type: sequin, base_url: 'SEQUIN', token: { env: SEQUIN_TOKEN } }
  bases: { type: airtable, base_url: 'AIRTABLE', token: { env: AIRTABLE_TOKEN } }
  field: { type: odk, base_url: 'CENTRAL', auth: { email: sync@example.org, password: { env: ODK_PASSWORD } } }",
    "
  orders:
    source: { datastore: cdc, consumer: shop, table: public.orders }
    sink:
      datastore: warehouse
      tables: { orders: { key: { id: bigint }, columns: { status: text } } }
  apartments:
    source: { datastore: bases, base: appTEST0000000001, table: tblHOMES000000001 }
    sink:
      datastore: warehouse
      tables: { apartment: { columns: { name: { from: fldNAME0000000001, type: text } } } }
  visits:
    source: { datastore: field, project: 1, form: visit }
    sink:
      datastore: warehouse
      tables: { visit: { columns: { note: text } } }
      attachments: { to: { directory: 'PICTURES' } }
",
];

/// The sample mapping with those, and an order, two apartments and a visit with a picture that wait.
async fn sources(pictures: &Path) -> (String, Sequin, Airtable, Odk) {
    let (sequin, airtable, odk) = (Sequin::start().await, Airtable::start().await, Odk::start().await);
    {
        let mut world = sequin.world();
        let table = SourceTable { key: vec!["id".to_owned()], full: true, ..SourceTable::default() };
        world.source.create("public.orders", table);
        world.consumer("shop", Duration::from_secs(30), &[]);
        let row = [("id".to_owned(), json!(1)), ("status".to_owned(), json!("new"))];
        world.commit(vec![Dml::Insert("public.orders".to_owned(), row.into_iter().collect())]);
    }
    let name = Field::new("fldNAME0000000001", "Name", "singleLineText");
    airtable.add_table(Table::new("tblHOMES000000001", "Homes", vec![name]));
    let homes = ["Attic", "Loft"].map(|name| json!({ "fldNAME0000000001": name }));
    airtable.create("tblHOMES000000001", homes.to_vec());
    {
        let mut world = odk.world();
        world.add_form("visit", "1", vec![odk::Field::new("/note", "string"), odk::Field::new("/photo", "binary")]);
        world.create_as("visit", "uuid:1", &json!({ "note": "by the river", "photo": "boat.jpg" }));
        assert!(world.upload("visit", "uuid:1", "boat.jpg", b"a boat".to_vec(), "image/jpeg"));
    }
    let places = [
        ("SEQUIN", sequin.url()),
        ("AIRTABLE", airtable.url()),
        ("CENTRAL", odk.url()),
        ("PICTURES", pictures.to_str().unwrap().to_owned()),
    ];
    let [stores, pipelines] = POLLED.map(|text| {
        let put =
            |text: String, (name, place): &(&str, String)| text.replace(&format!("'{name}'"), &format!("'{place}'"));
        places.iter().fold(text.to_owned(), put)
    });
    let mapping = SAMPLE.replacen("datastores:", &format!("datastores:{stores}"), 1) + &pipelines;
    (mapping, sequin, airtable, odk)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The names in a folder of the repository that end so, without the ending.
fn names(folder: &Path, ending: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

#[test]
fn every_function_has_events_and_each_is_expected_to_end_somehow() {
    let functions: BTreeSet<String> = names(&root().join("functions"), "")
        .into_iter()
        .filter(|name| root().join("functions").join(name).join("Cargo.toml").is_file())
        .collect();
    let with_events: BTreeSet<String> = names(&root().join("events"), "")
        .into_iter()
        .filter(|name| root().join("events").join(name).is_dir())
        .collect();
    assert_eq!(functions, with_events, "folders of functions/ and of events/");
    for function in &functions {
        let there = names(&root().join("events").join(function), ".json");
        let known = EVENTS.iter().filter(|(of, ..)| of == function).map(|(_, file, _)| file.trim_end_matches(".json"));
        assert_eq!(there, known.map(str::to_owned).collect(), "events/{function} and what the test expects of it");
    }
}

#[tokio::test]
async fn cargo_lambda_invokes_every_function_with_every_event() {
    let database = Database::new("watch").await;
    assert!(!database.single_connection(), "this Postgres serves one connection at a time: install a real one");
    let place = tempfile::tempdir().unwrap();
    let pictures = place.path().join("pictures");
    let (mapping, _sequin, _airtable, _odk) = sources(&pictures).await;
    migrate(&database, &mapping).await;
    let file = place.path().join("tributary.yaml");
    std::fs::write(&file, mapping).unwrap();
    let variables = [
        ("DATABASE_URL", database.url()),
        ("TRIBUTARY_MAPPING", file.to_str().unwrap()),
        ("SEQUIN_TOKEN", TOKEN),
        ("AIRTABLE_TOKEN", Airtable::TOKEN),
        ("ODK_PASSWORD", odk::PASSWORD),
    ];
    let watch = Watch::start(&variables).await;
    for (function, file, expect) in EVENTS.iter().filter(|(function, ..)| *function != "webhook") {
        let output = watch.invoke(function, &root().join("events").join(function).join(file)).await;
        hold(function, file, expect, &output, &watch.log());
    }
    let living = database.rows("select count(*) from profile where not _deleted").await;
    let dead = database.rows("select count(*) from tributary.dead_letter").await;
    assert_eq!([living, dead], [["3"], ["6"]]);
    let polled = "select (select count(*) from orders), (select count(*) from apartment where not _deleted)";
    assert_eq!(database.rows(polled).await, ["1 | 2"]);
    assert_eq!(database.rows("select note from visit").await, ["by the river"]);
    assert_eq!(std::fs::read(pictures.join("visit/uuid:1/boat.jpg")).unwrap(), b"a boat");

    let connections = "select count(*) from pg_stat_activity where datname = current_database() \
                       and pid <> pg_backend_pid() and backend_type = 'client backend'";
    assert_ne!(database.rows(connections).await, ["0"], "the functions are connected");
    drop(watch);
    for _ in 0..100 {
        if database.rows(connections).await == ["0"] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("a function has outlived cargo lambda watch");
}

/// Holds what came of an event to what is expected.
fn hold(function: &str, file: &str, expect: &Expect, output: &Output, log: &str) {
    let [answer, error] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    match expect {
        Answer(json) => {
            assert!(output.status.success(), "{function}, {file}: {error}\n{log}");
            assert_eq!(answer.trim(), *json, "{function}, {file}");
        }
        Has(words) => {
            assert!(output.status.success(), "{function}, {file}: {error}\n{log}");
            for word in *words {
                assert!(answer.contains(word), "{function}, {file}: no `{word}` in {answer}");
            }
        }
        Error(words) => {
            assert_eq!(output.status.code(), Some(1), "{function}, {file}: {answer}");
            // It is wrapped for reading, with a frame around it.
            let plain: String = error.chars().filter(|&letter| !letter.is_whitespace() && letter != '│').collect();
            for word in *words {
                assert!(plain.contains(&word.replace(' ', "")), "{function}, {file}: no `{word}` in {error}");
            }
        }
    }
}

#[tokio::test]
async fn cargo_lambda_invokes_the_webhooks_with_every_request() {
    let database = Database::new("watch_hooks").await;
    assert!(!database.single_connection(), "this Postgres serves one connection at a time: install a real one");
    migrate(&database, HOOKS).await;
    let file = root().join("events/webhook/tributary.yaml");
    let variables =
        [("DATABASE_URL", database.url()), ("TRIBUTARY_MAPPING", file.to_str().unwrap()), ("WEBHOOK_SECRET", "sample")];
    let watch = Watch::start(&variables).await;
    for (function, file, expect) in EVENTS.iter().filter(|(function, ..)| *function == "webhook") {
        let output = watch.invoke(function, &root().join("events").join(function).join(file)).await;
        hold(function, file, expect, &output, &watch.log());
    }
    assert_eq!(database.rows("select count(*) from orders").await, ["4"]);
}
