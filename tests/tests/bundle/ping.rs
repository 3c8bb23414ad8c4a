//! A hook without rows: the function that takes webhooks has another function of its stack poll.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use tributary_core::webhook::Scheme;
use tributary_sources::webhook::verify::{Outgoing, sign};
use tributary_tests::airtable::{Airtable, Field, Table};
use tributary_tests::{Bundle, Database};

use crate::fixture::*;

/// `macSecretBase64` of the hook at Airtable.
const SECRET: &str = "c2VjcmV0LWtleQ==";

const MAPPING: &str = "
datastores:
  warehouse: { type: postgres, secret: pings/warehouse, tls: off }
  bases: { type: airtable, base_url: 'AIRTABLE', token: { secret: pings/tokens, field: token } }
pipelines:
  homes:
    source: { datastore: bases, base: appTEST0000000001, table: tblHOMES000000001, every: 1d }
    sink:
      datastore: warehouse
      tables: { home: { columns: { name: { from: fldNAME0000000001, type: text } } } }
  ping:
    source:
      type: webhook
      hook: airtable
      verify: { scheme: airtable, secret: { secret: pings/tokens, field: mac } }
      envelope: { type: airtable, runs: homes }
";

#[tokio::test]
async fn a_ping_to_the_webhook_runs_the_poll_of_its_stack() {
    let airtable = Airtable::start().await;
    let name = Field::new("fldNAME0000000001", "Name", "singleLineText");
    airtable.add_table(Table::new("tblHOMES000000001", "Homes", vec![name]));
    let mapping = MAPPING.replace("AIRTABLE", &airtable.url());
    let database = Database::alone("pings", false, &[]).await;
    let warehouse = Warehouse::new("pings", &mapping, database, None).await;
    let tokens = json!({ "token": Airtable::TOKEN, "mac": SECRET }).to_string();
    let secret = json!({ "Name": "pings/tokens", "SecretString": tokens });
    let tokens = warehouse.aws.call("secretsmanager", "secretsmanager.CreateSecret", &secret).await;
    let secrets = format!("{},{}", warehouse.secret_arn, tokens["ARN"].as_str().unwrap());
    let parameters = [
        ("DynamodbStream", "off"),
        ("AirtablePoll", "on"),
        // By itself it would come too late for this test.
        ("AirtableRate", "rate(2 hours)"),
        ("Webhook", "on"),
        ("SecretArns", &*secrets),
    ];
    let bundle = Bundle::deploy("pings", &mapping, &parameters).await;
    let url = bundle.output("WebhookFunctionUrl").await;
    let host = url.strip_prefix("https://").unwrap().trim_end_matches('/').to_owned();
    let ping = async |secret: &str| {
        let body = r#"{"base": {"id": "appTEST0000000001"}, "webhook": {"id": "ach00000000000001"}, "timestamp": "2026-11-20T10:00:00.000Z"}"#;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        let outgoing = Outgoing { body: body.as_bytes(), id: "", now };
        let signed = sign(&Scheme::Airtable, &[secret], &outgoing).unwrap();
        let headers = signed.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers: Vec<(&str, &str)> = headers.chain([("content-type", "application/json")]).collect();
        bundle.aws().send(&host, "POST", "/hooks/airtable", &headers, body).await.status.as_u16()
    };
    airtable.create("tblHOMES000000001", vec![json!({ "fldNAME0000000001": "Attic" })]);
    assert_eq!(ping("Z3Vlc3NlZA==").await, 401);
    assert_eq!(bundle.cold_starts("airtable-poll"), 0, "who isn't known has nothing run");
    assert_eq!(ping(SECRET).await, 204, "{}", bundle.log_lines("webhook").await.join("\n"));
    warehouse.awaits("select name from home", "Attic", SECONDS).await;
    // Forced: the pipeline rests for a day.
    airtable.create("tblHOMES000000001", vec![json!({ "fldNAME0000000001": "Loft" })]);
    assert_eq!(ping(SECRET).await, 204);
    warehouse.awaits("select string_agg(name, ' ' order by name) from home", "Attic Loft", SECONDS).await;
}
