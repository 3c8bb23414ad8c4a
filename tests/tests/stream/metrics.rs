//! The metrics of an invocation: one valid line a pipeline on stdout, with what was committed, and none where nothing was.

use std::time::Duration;

use serde_json::{Value, json};
use tributary_tests::{Database, Function, Invocation, Proxy, RuntimeApi};

use crate::fixture::*;

/// Two pipelines of one table, each with its own.
const TWO: &str = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  app: { type: dynamodb }
pipelines:
  short:
    source: { datastore: app, table: users }
    sink: { datastore: warehouse, tables: { short: { key: { id: text }, columns: { bio: varchar(5) } } } }
  long:
    source: { datastore: app, table: users }
    sink: { datastore: warehouse, tables: { long: { key: { id: text }, columns: { bio: varchar(50) } } } }
";

/// A record of an item with this text, made so many seconds ago.
fn record(number: u32, id: &str, bio: &str, age: Option<u64>) -> String {
    let at = age.map(|age| format!(r#""ApproximateCreationDateTime":{},"#, unix_seconds() - age)).unwrap_or_default();
    format!(
        r#"{{"eventName":"INSERT","eventSource":"aws:dynamodb","eventSourceARN":"{ARN}","dynamodb":{{{at}"Keys":{{"id":{{"S":"{id}"}}}},"NewImage":{{"id":{{"S":"{id}"}},"bio":{{"S":"{bio}"}}}},"SequenceNumber":"{number}","SizeBytes":9,"StreamViewType":"NEW_AND_OLD_IMAGES"}}}}"#
    )
}

fn unix_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// The metrics that a document announces, checked against the specification of the Embedded Metric Format.
fn valid(line: &str) -> Value {
    let document: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let meta = &document["_aws"];
    assert_eq!(keys(meta), ["CloudWatchMetrics", "Timestamp"]);
    let age = i128::from(unix_seconds()) * 1_000 - i128::from(meta["Timestamp"].as_i64().unwrap());
    assert!((-2_000..60_000).contains(&age), "milliseconds since 1970: {line}");
    let [directive] = meta["CloudWatchMetrics"].as_array().unwrap().as_slice() else { panic!("{line}") };
    assert_eq!(keys(directive), ["Dimensions", "Metrics", "Namespace"]);
    assert_eq!((&directive["Namespace"], &directive["Dimensions"]), (&json!("Tributary"), &json!([["pipeline"]])));
    assert!(document["pipeline"].is_string(), "the target of a dimension is text");
    let metrics = directive["Metrics"].as_array().unwrap();
    for metric in metrics {
        let (name, unit) = (metric["Name"].as_str().unwrap(), metric["Unit"].as_str().unwrap());
        assert!(document[name].is_number(), "the target of a metric is a number: {line}");
        assert_eq!(unit, if name == "lag_seconds" { "Seconds" } else { "Count" });
    }
    // Announced and there, or neither.
    assert_eq!(metrics.len() + 2, document.as_object().unwrap().len(), "{line}");
    document
}

/// The lines of an invocation as `pipeline records applied stale dead`, and their lags.
async fn printed(function: &mut Function, seen: &mut usize, expect: usize) -> (Vec<String>, Vec<Option<f64>>) {
    let begin = std::time::Instant::now();
    // The answer and the line go different ways.
    while function.stdout().lines().count() < *seen + expect && begin.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let stdout = function.stdout();
    let documents: Vec<Value> = stdout.lines().skip(*seen).map(valid).collect();
    *seen = stdout.lines().count();
    let figures = |d: &Value| {
        format!("{} {} {} {} {}", d["pipeline"].as_str().unwrap(), d["records"], d["applied"], d["stale"], d["dead"])
    };
    (documents.iter().map(figures).collect(), documents.iter().map(|d| d["lag_seconds"].as_f64()).collect())
}

async fn started(name: &str, variables: &[(&str, &str)]) -> (Database, Proxy, RuntimeApi, Function, tempfile::TempDir) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("tributary.yaml");
    std::fs::write(&file, TWO).unwrap();
    let database = database_of(name, &tributary_runtime::settings::load(&file).unwrap()).await;
    let proxy = Proxy::start(database.url()).await;
    let api = RuntimeApi::start().await;
    let common = [("DATABASE_URL", proxy.url()), ("TRIBUTARY_MAPPING", file.to_str().unwrap())];
    let function = Function::spawn("dynamodb-stream", &api, &[&common[..], variables].concat());
    (database, proxy, api, function, place)
}

#[tokio::test]
async fn an_invocation_prints_one_line_a_pipeline_with_what_became_of_its_records() {
    let (_database, proxy, api, mut function, _place) = started("metrics", &[]).await;
    let mut seen = 0;
    let first = [record(11, "a", "tiny", Some(100)), record(12, "b", "rather long", Some(40))];
    let again = [record(12, "b", "rather long", None), record(13, "a", "new", None)];
    let broken = [record(14, "a", "x", Some(9)).replace("NewImage", "Nothing")];
    let cases: [(&[String], [&str; 2], Option<f64>); 3] = [
        (&first, ["short 2 1 0 1", "long 2 2 0 0"], Some(40.0)),
        (&again, ["short 2 1 0 1", "long 2 1 1 0"], None),
        (&broken, ["short 1 0 0 1", "long 1 0 0 1"], None),
    ];
    for (records, expect, lag) in cases {
        assert_eq!(deliver(&api, event_of(records)).await, all_done());
        let (figures, lags) = printed(&mut function, &mut seen, 2).await;
        assert_eq!(figures, expect);
        for found in lags {
            assert_eq!(found.is_some(), lag.is_some(), "{expect:?}");
            assert!(found.unwrap_or(0.0) >= lag.unwrap_or(0.0) && found.unwrap_or(0.0) < lag.unwrap_or(0.0) + 30.0);
        }
    }

    // Nothing is committed: nothing is told.
    let away = api.invoke(r#"{"nothing":"of a stream"}"#, PATIENCE).await;
    assert!(matches!(away, Invocation::Error { .. }), "{away:?}");
    proxy.refuse(true);
    proxy.cut();
    let answer = api.invoke(event_of(&[record(15, "a", "late", None)]), Duration::from_secs(4)).await.json();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "15" }] }));
    proxy.refuse(false);
    assert_eq!(printed(&mut function, &mut seen, 0).await.0, [""; 0]);

    // The alarm counts this field in every line of the log.
    let counted: Vec<String> =
        function.stderr().lines().filter(|line| line.contains("\"dead\":")).map(str::to_owned).collect();
    assert_eq!(counted, [""; 0]);
}

#[tokio::test]
async fn metrics_can_be_switched_off() {
    let (_database, _proxy, api, mut function, _place) = started("no_metrics", &[("TRIBUTARY_METRICS", "off")]).await;
    assert_eq!(deliver(&api, event_of(&[record(11, "a", "tiny", None)])).await, all_done());
    assert_eq!(printed(&mut function, &mut 0, 0).await.0, [""; 0]);
}
