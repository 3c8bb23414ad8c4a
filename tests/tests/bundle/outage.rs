//! The database is down for longer than the settings allow. The emulator takes a partial answer for success and so would
//! lose what AWS brings again: here our own event source mapping stands in front of the deployed function, by AWS's rules.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tributary_runtime::stream_driver::{Fate, Reason, Record, Rules, Shard, drive};
use tributary_tests::{Bundle, Database, Invocation, Proxy};

use crate::fixture::*;

const BUCKET: &str = "outage-batches";

#[tokio::test]
async fn what_an_outage_outlasts_is_handed_over_whole_and_the_rest_waits() {
    let mapping = one_table("outage");
    let database = Database::alone("outage", false, &[]).await;
    let proxy = Proxy::start(database.url()).await;
    let warehouse = Warehouse::new("outage", &mapping, database, Some(proxy.url())).await;
    let aws = warehouse.aws;
    let stream = aws.create_table("outage").await;
    aws.create_bucket(BUCKET).await;
    let parameters = [
        ("StreamArn", &*stream),
        ("SecretArns", &warehouse.secret_arn),
        ("StreamEnabled", "false"),
        ("StreamTimeout", "15"),
        ("StreamRetryAttempts", "0"),
        ("OnFailureBucket", BUCKET),
    ];
    let bundle = Bundle::deploy("outage", &mapping, &parameters).await;
    let source = bundle.event_source_mappings(STREAM).await.remove(0);
    let to_bucket = json!({ "OnFailure": { "Destination": format!("arn:aws:s3:::{BUCKET}") } });
    assert_eq!(
        (&source["DestinationConfig"], &source["MaximumRetryAttempts"]),
        (&to_bucket, &json!("0")),
        "{source:#}"
    );
    let names = "select string_agg(name, ' ' order by name) from thing";
    for (id, name) in [("1", "a"), ("2", "b"), ("3", "c")] {
        put(aws, "outage", item(&json!({ "id": id, "name": name }))).await;
    }
    let records: Vec<Record> =
        records_of(aws, &stream).await.iter().map(|record| Record::new(record.to_string())).collect();
    assert_eq!(records.len(), 3);
    // The emulator looks each second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(bundle.cold_starts(STREAM), 0, "the stream is paused: {}", aws.log());

    proxy.refuse(true);
    proxy.cut();
    let invoke = async |payload: Bytes| match bundle.invoke(STREAM, payload).await {
        Invocation::Response(body) => Ok(body),
        other => Err(format!("{other:?}")),
    };
    let rules = Rules { batch_size: 2, bisect: true, retries: Some(0), ..Rules::default() };
    let first = drive(&rules, Shard::of_records(records[..2].to_vec(), 1), &invoke).await;
    let fates: Vec<&Fate> = first.deliveries.iter().map(|delivery| &delivery.fate).collect();
    let number = records[0].number().unwrap().to_owned();
    assert_eq!(fates, [&Fate::From(number.clone())], "the function says from where, before its time is up");
    let [given_up] = &*first.discarded else { panic!("{:?}", first.discarded) };
    assert_eq!((given_up.reason(), given_up.records()), (Reason::RetryAttemptsExhausted, 2));
    assert_eq!(given_up.whole()["DDBStreamBatchInfo"]["startSequenceNumber"], number);

    // What is not given up waits for the database.
    let patient = Rules { pause: Duration::from_millis(200), ..Rules::default() };
    let rest = async { drive(&patient, Shard::of_records(records[2..].to_vec(), 1), &invoke).await };
    let mend = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(warehouse.database.rows(names).await, ["∅"]);
        proxy.refuse(false);
    };
    let (rest, ()) = tokio::join!(rest, mend);
    assert_eq!(rest.failures(), 0, "it came back within the invocation: {rest:?}");
    assert_eq!(warehouse.database.rows(names).await, ["c"]);

    // Where Lambda puts what it gives up, and how `tributary redrive` gives it back.
    let key = format!("/{BUCKET}/aws/lambda/{}/shard/2026/01/01/batch", source["UUID"].as_str().unwrap());
    aws.request("s3", "PUT", &key, &[], given_up.whole().to_string()).await.success();
    let output = tributary(&warehouse, &mapping, &["redrive", "--bucket", BUCKET]).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(warehouse.database.rows(names).await, ["a b c"]);

    // The pause ends by a parameter. All comes once more, and changes nothing.
    put(aws, "outage", item(&json!({ "id": "2", "name": "d" }))).await;
    bundle.redeploy(&[("StreamEnabled", "true")]).await;
    warehouse.awaits(names, "a c d", SECONDS).await;
}
