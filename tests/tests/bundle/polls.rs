//! The functions that poll, behind the schedules of the template: what they do, what becomes of a tick that fails, and what
//! stands there after the deployment.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tributary_tests::airtable::{Airtable, Field, Table};
use tributary_tests::odk::{self, Odk};
use tributary_tests::sequin::{Dml, Row, Sequin, TOKEN, Table as SourceTable};
use tributary_tests::{Bundle, Database};

use crate::fixture::*;

/// A schedule ticks each minute, and all tests share two processors.
const A_TICK: Duration = Duration::from_secs(120);

/// Two pipelines of Sequin, of which one has no consumer there, one of Airtable, and one of ODK Central with pictures.
const MAPPING: &str = "
datastores:
  warehouse: { type: postgres, secret: polls/warehouse, tls: off }
  cdc: { type: sequin, base_url: 'SEQUIN', token: { secret: polls/tokens, field: sequin } }
  bases: { type: airtable, base_url: 'AIRTABLE', token: { secret: polls/tokens, field: airtable } }
  field: { type: odk, base_url: 'CENTRAL', auth: { secret: polls/field } }
pipelines:
  orders:
    source: { datastore: cdc, consumer: shop, table: public.orders, every: 1s }
    sink:
      datastore: warehouse
      tables: { orders: { key: { id: bigint }, columns: { status: text } } }
  ghosts:
    source: { datastore: cdc, consumer: nobody, table: public.ghosts, every: 1s }
    sink:
      datastore: warehouse
      tables: { ghosts: { key: { id: bigint }, columns: { status: text } } }
  homes:
    source: { datastore: bases, base: appTEST0000000001, table: tblHOMES000000001, every: 1s }
    sink:
      datastore: warehouse
      tables: { home: { columns: { name: { from: fldNAME0000000001, type: text } } } }
  visits:
    source: { datastore: field, project: 1, form: visit, every: 1s }
    sink:
      datastore: warehouse
      tables: { visit: { columns: { note: text } } }
      attachments: { to: { s3: polls-pictures, prefix: odk } }
";

/// The stack with its functions, and their sources.
struct Polls {
    warehouse: Warehouse,
    bundle: Bundle,
    sequin: Sequin,
    airtable: Airtable,
    odk: Odk,
}

impl Polls {
    /// The one of this process. It is made by whoever asks first, whose runtime the sources live in: so they have one.
    async fn shared() -> &'static Polls {
        static POLLS: OnceCell<Result<Polls, String>> = OnceCell::const_new();
        let made = POLLS.get_or_init(async || sources().spawn(Polls::new()).await.map_err(|why| why.to_string()));
        made.await.as_ref().unwrap_or_else(|why| panic!("there is no stack to test: {why}"))
    }

    async fn new() -> Self {
        let (sequin, airtable, odk) = (Sequin::start().await, Airtable::start().await, Odk::start().await);
        {
            let mut world = sequin.world();
            let table = SourceTable { key: vec!["id".to_owned()], full: true, ..SourceTable::default() };
            world.source.create("public.orders", table);
            world.consumer("shop", Duration::from_secs(30), &[]);
        }
        let name = Field::new("fldNAME0000000001", "Name", "singleLineText");
        airtable.add_table(Table::new("tblHOMES000000001", "Homes", vec![name]));
        let questions = vec![odk::Field::new("/note", "string"), odk::Field::new("/photo", "binary")];
        odk.world().add_form("visit", "1", questions);
        let mapping = MAPPING.replace("SEQUIN", &sequin.url()).replace("AIRTABLE", &airtable.url());
        let mapping = mapping.replace("CENTRAL", &odk.url());

        let database = Database::alone("polls", false, &[]).await;
        // The secret leads nowhere; where the database is, a parameter says.
        let (_, place) = database.url().split_once('@').unwrap();
        let (host, port) = place.split('/').next().unwrap().split_once(':').unwrap();
        let (host, nowhere) = (host.to_owned(), format!("postgres://x@nowhere.invalid:{port}/x"));
        let warehouse = Warehouse::new("polls", &mapping, database, Some(&nowhere)).await;
        let tokens = json!({ "sequin": TOKEN, "airtable": Airtable::TOKEN }).to_string();
        let secret = json!({ "Name": "polls/tokens", "SecretString": tokens });
        let tokens = warehouse.aws.call("secretsmanager", "secretsmanager.CreateSecret", &secret).await;
        let login = json!({ "email": odk::EMAIL, "password": odk::PASSWORD }).to_string();
        let secret = json!({ "Name": "polls/field", "SecretString": login });
        let login = warehouse.aws.call("secretsmanager", "secretsmanager.CreateSecret", &secret).await;
        let arns = [&tokens["ARN"], &login["ARN"]].map(|arn| arn.as_str().unwrap().to_owned());
        let secrets = format!("{},{}", warehouse.secret_arn, arns.join(","));
        warehouse.aws.create_bucket("polls-pictures").await;
        let parameters = [
            ("DynamodbStream", "off"),
            ("SequinPoll", "on"),
            ("AirtablePoll", "on"),
            ("AirtableRate", "rate(2 hours)"),
            ("AirtableRequestsPerSecond", "4"),
            ("OdkPoll", "on"),
            ("OdkRate", "rate(3 hours)"),
            ("OdkBucket", "polls-pictures"),
            ("OdkStorage", "1024"),
            ("SecretArns", &*secrets),
            ("DatabaseHost", &host),
        ];
        let bundle = Bundle::deploy("polls", &mapping, &parameters).await;
        Polls { warehouse, bundle, sequin, airtable, odk }
    }

    fn order(&self, id: u64, status: &str) {
        let Value::Object(row) = json!({ "id": id, "status": status }) else { unreachable!("an object") };
        self.sequin.world().commit(vec![Dml::Insert("public.orders".to_owned(), Row::from(row))]);
    }

    async fn schedule(&self, function: &str) -> Value {
        let path = format!("/schedules/{}?groupName=polls", self.bundle.function_name(function));
        self.bundle.aws().request("scheduler", "GET", &path, &[], "").await.json()
    }

    async fn failures_url(&self) -> String {
        let wanted = json!({ "QueueName": "polls-poll-failures" });
        let found = self.bundle.aws().call("sqs", "AmazonSQS.GetQueueUrl", &wanted).await;
        found["QueueUrl"].as_str().unwrap().to_owned()
    }
}

/// A runtime that outlives each test.
fn sources() -> &'static tokio::runtime::Runtime {
    static SOURCES: std::sync::OnceLock<tokio::runtime::Runtime> = std::sync::OnceLock::new();
    SOURCES.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap())
}

#[tokio::test]
async fn a_tick_by_hand_and_one_by_schedule_drain_sequin() {
    let polls = Polls::shared().await;
    let status = |id: u64| format!("select status from orders where id = {id}");
    polls.order(1, "by hand");
    let tick = json!({ "tick": { "pipelines": ["orders"], "force": true } });
    let answer = polls.bundle.invoke("sequin-poll", tick.to_string()).await.json();
    let [orders] = answer["pipelines"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    assert_eq!((&orders["state"], &orders["applied"]), (&json!("drained"), &json!(1)), "{answer}");
    assert_eq!(polls.warehouse.database.rows(&status(1)).await, ["by hand"]);

    // From here on nobody invokes it.
    polls.order(2, "by schedule");
    let waited = polls.warehouse.awaits(&status(2), "by schedule", A_TICK).await;
    println!("a schedule came after {waited:.1?}");

    // What the metric filters read.
    let lines = polls.bundle.log_lines("sequin-poll").await;
    let metrics = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let overdue = metrics.filter(|line| line["_aws"]["Timestamp"].is_u64() && line["overdue_seconds"].is_f64());
    let pipelines: BTreeSet<String> = overdue.map(|line| line["pipeline"].as_str().unwrap().to_owned()).collect();
    // The tick of the schedule was one of both, and the one that failed did not stop the other.
    assert_eq!(pipelines.into_iter().collect::<Vec<_>>(), ["ghosts", "orders"], "{lines:#?}");
    let log = lines.join("\n");
    assert!(!log.contains(TOKEN) && !log.contains("by schedule"), "a token or a value is in the log: {log}");
}

/// The emulator's scheduler forgets what became of a tick; in AWS it invokes as here.
#[tokio::test]
async fn a_tick_that_fails_is_kept_with_its_reason() {
    let polls = Polls::shared().await;
    let tick = json!({ "tick": { "pipelines": ["ghosts"], "force": true } });
    polls.bundle.invoke_unattended("sequin-poll", tick.to_string()).await;
    let wanted = json!({ "QueueUrl": polls.failures_url().await, "WaitTimeSeconds": 20 });
    let received = polls.bundle.aws().call("sqs", "AmazonSQS.ReceiveMessage", &wanted).await;
    let message = received["Messages"][0]["Body"].as_str();
    let message = message.unwrap_or_else(|| panic!("no tick is kept: {}", polls.bundle.aws().log()));
    let message: Value = serde_json::from_str(message).unwrap();
    assert_eq!(message["requestPayload"], tick, "{message:#}");
    let reason = message["responsePayload"]["errorMessage"].as_str().unwrap();
    assert!(reason.contains("1 of 1 pipelines failed") && reason.contains("nobody"), "{reason}");
}

#[tokio::test]
async fn a_tick_brings_airtable() {
    let polls = Polls::shared().await;
    let ids = polls.airtable.create("tblHOMES000000001", vec![json!({ "fldNAME0000000001": "Attic" })]);
    let tick = json!({ "tick": { "force": true } });
    let answer = polls.bundle.invoke("airtable-poll", tick.to_string()).await.json();
    assert_eq!(answer["pipelines"][0]["state"], "drained", "{answer}");
    let rows = polls.warehouse.database.rows("select record_id, name from home").await;
    assert_eq!(rows, [format!("{} | Attic", ids[0])]);
}

#[tokio::test]
async fn a_tick_brings_odk_central_and_its_pictures() {
    let polls = Polls::shared().await;
    {
        let mut world = polls.odk.world();
        world.create_as("visit", "uuid:7-a", &json!({ "note": "by the river", "photo": "boat.jpg" }));
        assert!(world.upload("visit", "uuid:7-a", "boat.jpg", b"a boat".to_vec(), "image/jpeg"));
    }
    let answer = polls.bundle.invoke("odk-poll", json!({ "tick": { "force": true } }).to_string()).await.json();
    assert_eq!(answer["pipelines"][0]["state"], "drained", "{answer}");
    assert_eq!(polls.warehouse.database.rows("select note from visit").await, ["by the river"]);
    let files = polls.warehouse.database.rows("select submission_id, state, location from visit_attachment").await;
    assert_eq!(files, ["uuid:7-a | stored | s3://polls-pictures/odk/visit/uuid:7-a/boat.jpg"]);
    let key = "/polls-pictures/odk/visit/uuid:7-a/boat.jpg";
    assert_eq!(polls.bundle.aws().request("s3", "GET", key, &[], "").await.success().body, "a boat");
    let log = polls.bundle.log_lines("odk-poll").await.join("\n");
    assert!(!log.contains("river") && !log.contains(odk::PASSWORD), "a password or a value is in the log: {log}");
}

#[tokio::test]
async fn each_poll_has_its_schedule_and_keeps_its_failures() {
    let polls = Polls::shared().await;
    let failures = "arn:aws:sqs:us-east-2:000000000000:polls-poll-failures";
    let all = [
        ("sequin-poll", "rate(1 minute)", 60),
        ("airtable-poll", "rate(2 hours)", 300),
        ("odk-poll", "rate(3 hours)", 300),
    ];
    for (function, rate, timeout) in all {
        let described = polls.bundle.function(function).await;
        assert_eq!((described["Timeout"].as_u64(), described["MemorySize"].as_u64()), (Some(timeout), Some(256)));
        let schedule = polls.schedule(function).await;
        assert_eq!((&schedule["State"], &schedule["ScheduleExpression"]), (&json!("ENABLED"), &json!(rate)));
        let target = &schedule["Target"];
        assert_eq!(target["Arn"], described["FunctionArn"], "{schedule:#}");
        assert!(target["RoleArn"].as_str().unwrap().contains("PollScheduleRole"), "{schedule:#}");
        assert_eq!(target["DeadLetterConfig"]["Arn"], failures, "{schedule:#}");
        assert_eq!(target["Input"], r#"{"tick": {}}"#, "{schedule:#}");

        let name = polls.bundle.function_name(function);
        let path = format!("/2019-09-25/functions/{name}/event-invoke-config?Qualifier=$LATEST");
        let config = polls.bundle.aws().request("lambda", "GET", &path, &[], "").await.json();
        assert_eq!(config["DestinationConfig"]["OnFailure"]["Destination"], failures, "{config:#}");
        let plain = |value: &Value| value.to_string().trim_matches('"').to_owned();
        assert_eq!([plain(&config["MaximumRetryAttempts"]), plain(&config["MaximumEventAgeInSeconds"])], ["0", "60"]);
    }
    let variables = polls.bundle.function("airtable-poll").await["Environment"]["Variables"].take();
    let names: Vec<&String> = variables.as_object().unwrap().keys().collect();
    assert_eq!(names, ["TRIBUTARY_AIRTABLE_RATE", "TRIBUTARY_DATABASE_HOST", "TRIBUTARY_LOG", "TRIBUTARY_MAPPING"]);
    assert_eq!(variables["TRIBUTARY_AIRTABLE_RATE"], "4");
    let storage = polls.bundle.function("odk-poll").await["EphemeralStorage"]["Size"].take();
    assert_eq!(storage.to_string().trim_matches('"'), "1024");
    let attributes = json!({ "QueueUrl": polls.failures_url().await, "AttributeNames": ["All"] });
    let queue = polls.bundle.aws().call("sqs", "AmazonSQS.GetQueueAttributes", &attributes).await["Attributes"].take();
    assert_eq!([&queue["MessageRetentionPeriod"], &queue["SqsManagedSseEnabled"]], ["1209600", "true"], "{queue:#}");
}

#[tokio::test]
async fn each_poll_has_its_alarms_and_lines_on_the_dashboard() {
    let polls = Polls::shared().await;
    let mut alarms: Vec<String> = Vec::new();
    for alarm in polls.bundle.alarms().await {
        let name = alarm["AlarmName"].as_str().unwrap().split('-').nth(1).unwrap().to_owned();
        alarms.push(format!("{name} {} {}", alarm["MetricName"].as_str().unwrap(), alarm["Threshold"]));
    }
    alarms.sort();
    let expect = [
        "AirtablePollDeadAlarm airtable-poll-dead 1.0",
        "AirtablePollDurationAlarm Duration 240000.0",
        "AirtablePollErrorsAlarm Errors 3.0",
        "AirtablePollOverdueAlarm airtable-poll-overdue 900.0",
        "AirtablePollThrottlesAlarm Throttles 1.0",
        "OdkPollDeadAlarm odk-poll-dead 1.0",
        "OdkPollDurationAlarm Duration 240000.0",
        "OdkPollErrorsAlarm Errors 3.0",
        "OdkPollOverdueAlarm odk-poll-overdue 900.0",
        "OdkPollThrottlesAlarm Throttles 1.0",
        "PollUndeliveredAlarm InvocationDroppedCount 1.0",
        "SequinPollDeadAlarm sequin-poll-dead 1.0",
        "SequinPollDurationAlarm Duration 48000.0",
        "SequinPollErrorsAlarm Errors 3.0",
        "SequinPollOverdueAlarm sequin-poll-overdue 900.0",
        "SequinPollThrottlesAlarm Throttles 1.0",
    ];
    assert_eq!(alarms, expect);
    let target = "GraniteServiceVersion20100801.GetDashboard";
    let answer = polls.bundle.aws().call("monitoring", target, &json!({ "DashboardName": "polls" })).await;
    let body: Value = serde_json::from_str(answer["DashboardBody"].as_str().unwrap()).expect("its text is JSON");
    let all =
        r#"(FunctionName="polls-sequin-poll" OR FunctionName="polls-airtable-poll" OR FunctionName="polls-odk-poll")"#;
    let invocations = body["widgets"][8]["properties"]["metrics"][0][0]["expression"].as_str().unwrap();
    assert!(invocations.contains(all), "{invocations}");
    assert!(!body.to_string().contains("dynamodb-stream"), "{body:#}");
}
