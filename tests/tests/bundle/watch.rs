//! Every function of `functions/` under `cargo lambda watch`, and every file of `events/` handed to it by `cargo lambda
//! invoke`, as `events/README.md` shows it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tributary_tests::{Database, Watch};

use crate::fixture::*;

/// What becomes of an event.
enum Expect {
    /// This answer.
    Answer(&'static str),
    /// An error that has these words.
    Error(&'static [&'static str]),
}

use Expect::{Answer, Error};

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
];

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
    migrate(&database, SAMPLE).await;
    let mapping = root().join("tributary.yaml");
    let variables = [("DATABASE_URL", database.url()), ("TRIBUTARY_MAPPING", mapping.to_str().unwrap())];
    let watch = Watch::start(&variables).await;
    for (function, file, expect) in EVENTS {
        let output = watch.invoke(function, &root().join("events").join(function).join(file)).await;
        let [answer, error] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        match expect {
            Answer(json) => {
                assert!(output.status.success(), "{function}, {file}: {error}\n{}", watch.log());
                assert_eq!(answer.trim(), *json, "{function}, {file}");
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
    let living = database.rows("select count(*) from profile where not _deleted").await;
    let dead = database.rows("select count(*) from tributary.dead_letter").await;
    assert_eq!([living, dead], [["3"], ["6"]]);

    let connections = "select count(*) from pg_stat_activity where datname = current_database() \
                       and pid <> pg_backend_pid() and backend_type = 'client backend'";
    assert_ne!(database.rows(connections).await, ["0"], "the functions are connected");
    drop(watch);
    for _ in 0..100 {
        if database.rows(connections).await == ["0"] {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("a function has outlived cargo lambda watch");
}
