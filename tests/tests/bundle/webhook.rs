//! The function that takes webhooks, behind what the template puts before it: a function URL, an HTTP API, and the queue with
//! its event source mapping. Each is called as a sender calls it, by the address that the stack says.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tributary_core::webhook::Scheme;
use tributary_sources::webhook::verify::{Outgoing, sign};
use tributary_tests::{Answer, Aws, Bundle, Database};

use crate::fixture::*;

/// The function.
const WEBHOOK: &str = "webhook";

/// Of Standard Webhooks.
const STANDARD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const STRIPE: &str = "whsec_of_this_endpoint";

/// The tolerance of both schemes.
const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// Hooks that answer when the row is there.
const DIRECT: &str = "
datastores:
  warehouse: { type: postgres, secret: STACK/warehouse, tls: off }
pipelines:
  orders:
    source:
      type: webhook
      verify: { scheme: standard, secret: { secret: STACK/senders, field: standard } }
      envelope: plain
      version: revision
    sink:
      datastore: warehouse
      tables: { orders: { key: { id: bigint }, columns: { status: text } } }
  customers:
    source:
      type: webhook
      hook: stripe
      verify: { scheme: stripe, secret: { secret: STACK/senders, field: stripe } }
      envelope: { type: stripe, objects: customer }
    sink:
      datastore: warehouse
      tables: { customers: { key: { id: text }, columns: { email: text } } }
";

/// A hook by the queue.
const QUEUED: &str = "
  parcels:
    source:
      type: webhook
      verify: { scheme: standard, secret: { secret: STACK/senders, field: standard } }
      envelope: plain
      version: revision
      mode: queue
      too_large: s3
    sink:
      datastore: warehouse
      tables: { parcels: { key: { id: bigint }, columns: { status: text } } }
";

/// A stack, and where its senders post to.
struct Hooks {
    warehouse: Warehouse,
    bundle: Bundle,
    /// The host of its URL, as the emulator takes it.
    host: String,
    /// What stands there before `/hooks`.
    path: &'static str,
}

impl Hooks {
    /// The stack of this process with a function URL and a queue.
    async fn by_url() -> &'static Hooks {
        static HOOKS: OnceCell<Result<Hooks, String>> = OnceCell::const_new();
        let made = HOOKS.get_or_init(async || {
            let made = tokio::spawn(async {
                let mapping = [DIRECT, QUEUED].concat().replace("STACK", "hooks");
                Aws::with_functions().await.create_bucket("hooks-large").await;
                let parameters = [("WebhookQueue", "on"), ("WebhookWorkers", "2"), ("WebhookBucket", "hooks-large")];
                let hooks = Hooks::deploy("hooks", &mapping, &parameters).await;
                let url = hooks.bundle.output("WebhookFunctionUrl").await;
                Hooks { host: host(&url), ..hooks }
            });
            made.await.map_err(|why| why.to_string())
        });
        made.await.as_ref().unwrap_or_else(|why| panic!("there is no stack to test: {why}"))
    }

    async fn deploy(stack: &str, mapping: &str, parameters: &[(&str, &str)]) -> Hooks {
        let database = Database::alone(&stack.replace('-', "_"), false, &[]).await;
        assert!(!database.single_connection(), "this Postgres serves one connection at a time: install a real one");
        let warehouse = Warehouse::new(stack, mapping, database, None).await;
        let senders = json!({ "standard": STANDARD, "stripe": STRIPE }).to_string();
        let secret = json!({ "Name": format!("{stack}/senders"), "SecretString": senders });
        let senders = warehouse.aws.call("secretsmanager", "secretsmanager.CreateSecret", &secret).await;
        let secrets = format!("{},{}", warehouse.secret_arn, senders["ARN"].as_str().unwrap());
        let ours = [("DynamodbStream", "off"), ("Webhook", "on"), ("SecretArns", &*secrets)];
        let bundle = Bundle::deploy(stack, mapping, &[&ours, parameters].concat()).await;
        Hooks { warehouse, bundle, host: String::new(), path: "" }
    }

    async fn post(&self, hook: &str, headers: &[(String, String)], body: &str) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let path = format!("{}/hooks/{hook}", self.path);
        self.bundle.aws().send(&self.host, "POST", &path, &all, body.to_owned()).await
    }

    /// Posts what is signed as the sender of the hook does; the status and the answer.
    async fn signed(&self, hook: &str, id: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let answer = self.post(hook, &signature(hook, id, &body, 0), &body).await;
        let said = serde_json::from_slice(&answer.body).unwrap_or_else(|why| panic!("{why}: {answer:?}"));
        (answer.status.as_u16(), said)
    }

    /// An order comes, comes again, comes forged and comes late.
    async fn takes_who_signs(&self) {
        let database = &self.warehouse.database;
        let order = json!({ "id": 1, "status": "paid", "revision": 7 });
        let summary = |applied: u32, duplicates: u32| json!({ "records": 1, "applied": applied, "stale": 0, "duplicates": duplicates, "dead": 0, "skipped": 0 });
        assert_eq!(self.signed("orders", "msg_1", &order).await, (200, summary(1, 0)), "{}", self.log().await);
        // Which transaction wrote it, so that one that writes the same shows.
        let written = "select id, status, xmin from orders";
        let rows = database.rows(written).await;
        assert!(rows.len() == 1 && rows[0].starts_with("1 | paid | "), "{rows:?}");
        assert_eq!(self.signed("orders", "msg_1", &order).await, (200, summary(0, 1)));

        let stolen = json!({ "id": 1, "status": "stolen", "revision": 99 }).to_string();
        let ours = signature("orders", "msg_2", &order.to_string(), 0);
        for (headers, why) in [
            (vec![], "not signed"),
            (ours, "signed for another body"),
            (signature("stripe", "", &stolen, 0), "signed by another sender"),
            (signature("orders", "msg_3", &stolen, 600), "signed ten minutes ago"),
        ] {
            let answer = self.post("orders", &headers, &stolen).await;
            assert_eq!(answer.status, 401, "{why}: {answer:?}");
        }
        assert_eq!(database.rows(written).await, rows, "nothing of it is written");

        let event = json!({
            "id": "evt_1", "object": "event", "created": 1_795_168_800, "type": "customer.created",
            "data": { "object": { "id": "cus_1", "object": "customer", "email": "ada@example.org" } },
        });
        for (applied, duplicates) in [(1, 0), (0, 1)] {
            assert_eq!(self.signed("stripe", "", &event).await, (200, summary(applied, duplicates)));
        }
        assert_eq!(database.rows("select id, email from customers").await, ["cus_1 | ada@example.org"]);

        let aws = self.bundle.aws();
        let looked_at = aws.send(&self.host, "GET", &format!("{}/hooks/orders", self.path), &[], "").await;
        assert_eq!((looked_at.status.as_u16(), looked_at.headers["allow"].to_str().unwrap()), (405, "POST"));
        assert_eq!(self.post("nobody", &[], "{}").await.status, 404);

        let log = self.log().await;
        for secret in [STANDARD, STRIPE, "ada@example.org", "stolen", "v1,"] {
            assert!(!log.contains(secret), "`{secret}` is in the log: {log}");
        }
        assert!(log.contains("refused a request") && log.contains("applied a delivery"), "{log}");
    }

    async fn log(&self) -> String {
        self.bundle.log_lines(WEBHOOK).await.join("\n")
    }
}

fn host(url: &str) -> String {
    url.strip_prefix("https://").and_then(|rest| rest.strip_suffix('/')).expect("https://…/").to_owned()
}

/// The headers of a hook's sender, who signed so many seconds ago.
fn signature(hook: &str, id: &str, body: &str, age: i64) -> Vec<(String, String)> {
    let (scheme, secret) = match hook {
        "stripe" => (Scheme::Stripe { tolerance: FIVE_MINUTES }, STRIPE),
        _ => (Scheme::Standard { tolerance: FIVE_MINUTES }, STANDARD),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 - age;
    sign(&scheme, &[secret], &Outgoing { body: body.as_bytes(), id, now }).unwrap()
}

#[tokio::test]
async fn a_function_url_takes_who_signs() {
    Hooks::by_url().await.takes_who_signs().await;
}

#[tokio::test]
async fn an_http_api_takes_who_signs() {
    let mapping = DIRECT.replace("STACK", "http-hooks");
    let parameters = [("WebhookFront", "api"), ("WebhookRateLimit", "7"), ("WebhookBurstLimit", "9")];
    let hooks = Hooks::deploy("http-hooks", &mapping, &parameters).await;
    let url = host(&hooks.bundle.output("WebhookApiUrl").await);
    let (id, rest) = url.split_once('.').unwrap();
    assert_eq!(rest, "execute-api.us-east-2.amazonaws.com");
    // The emulator has each stage in the path, also the one that AWS keeps out of it.
    let port = hooks.bundle.aws().endpoint().rsplit(':').next().unwrap();
    let hooks = Hooks { host: format!("{id}.execute-api.localhost:{port}"), path: "/$default", ..hooks };
    hooks.takes_who_signs().await;

    // What is no hook doesn't reach the function.
    let aws = hooks.bundle.aws();
    let before = hooks.log().await.matches("a request for no hook").count();
    assert_eq!(aws.send(&hooks.host, "POST", "/$default/else", &[], "{}").await.status, 404);
    assert_eq!(hooks.log().await.matches("a request for no hook").count(), before);

    let of =
        async |what: &str| aws.request("apigateway", "GET", &format!("/v2/apis/{id}/{what}"), &[], "").await.json();
    assert_eq!(of("routes").await["items"][0]["routeKey"], "ANY /hooks/{hook}");
    assert_eq!(of("integrations").await["items"][0]["payloadFormatVersion"], "2.0");
    let limits = &of("stages").await["items"][0]["defaultRouteSettings"];
    assert_eq!(plain(&[&limits["ThrottlingRateLimit"], &limits["ThrottlingBurstLimit"]]), ["7", "9"]);
    let allowed = policy(&hooks).await;
    assert_eq!(allowed.len(), 1, "{allowed:#?}");
    assert_eq!(allowed[0]["Principal"]["Service"], "apigateway.amazonaws.com");
    let source = format!("arn:aws:execute-api:us-east-2:000000000000:{id}/*/*/hooks/{{hook}}");
    assert_eq!(allowed[0]["Condition"]["ArnLike"]["AWS:SourceArn"], source.as_str(), "{allowed:#?}");
    assert!(hooks.bundle.event_source_mappings(WEBHOOK).await.is_empty(), "there is no queue");
}

#[tokio::test]
async fn what_the_queue_takes_a_worker_applies() {
    let hooks = Hooks::by_url().await;
    let (database, aws) = (&hooks.warehouse.database, hooks.bundle.aws());
    let parcel = |id: u32, revision: u32| json!({ "id": id, "status": format!("s{revision}"), "revision": revision });
    let queue = json!({ "QueueUrl": hooks.bundle.output("WebhookQueueUrl").await });

    // Somebody else's message must stop none of ours.
    let stray = json!({ "QueueUrl": queue["QueueUrl"], "MessageBody": "of somebody else" });
    aws.call("sqs", "AmazonSQS.SendMessage", &stray).await;
    for number in 0..60 {
        let (id, body) = (format!("msg_q{number}"), parcel(number % 7, number));
        // Every third comes twice.
        for _ in 0..=u32::from(number % 3 == 0) {
            let answer = hooks.signed("parcels", &id, &body).await;
            assert_eq!(answer, (202, json!({ "queued": true })), "{}", hooks.log().await);
        }
    }
    assert_eq!(hooks.post("parcels", &[], &parcel(1, 999).to_string()).await.status, 401);
    let rows = "select string_agg(concat(id, ' ', status), ', ' order by id) from parcels where id < 7";
    let newest = "0 s56, 1 s57, 2 s58, 3 s59, 4 s53, 5 s54, 6 s55";
    let waited = hooks.warehouse.awaits(rows, newest, SECONDS).await;
    println!("the last row was there {waited:.1?} after the last 202");
    let receipts = "select count(*) from tributary.receipt where pipeline = 'parcels'";
    hooks.warehouse.awaits(receipts, "60", SECONDS).await;

    // Too large for a message: it goes by the bucket.
    let large = json!({ "id": 9, "status": "x".repeat(1_200_000), "revision": 1 });
    assert_eq!(hooks.signed("parcels", "msg_large", &large).await.0, 202, "{}", hooks.log().await);
    hooks.warehouse.awaits("select length(status) from parcels where id = 9", "1200000", SECONDS).await;

    // A redelivery after all of that, and until it is worked off.
    left(hooks, &queue, 1).await;
    let written = "select id, xmin from parcels order by id";
    let before = database.rows(written).await;
    assert_eq!(hooks.signed("parcels", "msg_q59", &parcel(3, 59)).await.0, 202);
    left(hooks, &queue, 1).await;
    assert_eq!(database.rows(written).await, before, "the redelivery wrote nothing");
    assert_eq!(database.rows("select * from tributary.dead_letter").await, [""; 0]);
    let log = hooks.log().await;
    assert!(!log.contains("somebody else") && !log.contains("s58"), "a body is in the log: {log}");
}

/// Waits until no more messages than these are in the queue, waiting or with a worker.
async fn left(hooks: &Hooks, queue: &Value, expect: u64) {
    let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
    let asked = json!({ "QueueUrl": queue["QueueUrl"], "AttributeNames": names });
    let begin = Instant::now();
    loop {
        let found = hooks.bundle.aws().call("sqs", "AmazonSQS.GetQueueAttributes", &asked).await["Attributes"].take();
        let count = |name: &str| found[name].as_str().unwrap().parse::<u64>().unwrap();
        if names.map(count).iter().sum::<u64>() == expect {
            return;
        }
        assert!(begin.elapsed() < SECONDS, "{found:#}, not {expect}: {}", hooks.log().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the function allows to whom.
async fn policy(hooks: &Hooks) -> Vec<Value> {
    let path = format!("/2015-03-31/functions/{}/policy", hooks.bundle.function_name(WEBHOOK));
    let answer = hooks.bundle.aws().request("lambda", "GET", &path, &[], "").await.json();
    let policy: Value = serde_json::from_str(answer["Policy"].as_str().unwrap()).unwrap();
    policy["Statement"].as_array().unwrap().clone()
}

/// Values as text: CloudFormation hands parameters on as that.
fn plain<const N: usize>(values: &[&Value; N]) -> [String; N] {
    values.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[tokio::test]
async fn the_webhook_has_its_settings_and_its_url_is_public() {
    let hooks = Hooks::by_url().await;
    let aws = hooks.bundle.aws();
    let function = hooks.bundle.function(WEBHOOK).await;
    assert_eq!(plain(&[&function["MemorySize"], &function["Timeout"]]), ["512", "30"]);
    let variables = &function["Environment"]["Variables"];
    let names: Vec<&String> = variables.as_object().unwrap().keys().collect();
    let expect = ["TRIBUTARY_LOG", "TRIBUTARY_MAPPING", "TRIBUTARY_WEBHOOK_BUCKET", "TRIBUTARY_WEBHOOK_QUEUE"];
    assert_eq!(names, expect, "{variables}");

    let name = hooks.bundle.function_name(WEBHOOK);
    let url = aws.request("lambda", "GET", &format!("/2021-10-31/functions/{name}/url"), &[], "").await.json();
    assert_eq!((&url["AuthType"], &url["FunctionUrl"]), (&json!("NONE"), &json!(format!("https://{}/", hooks.host))));
    let mut allowed: Vec<String> = policy(hooks)
        .await
        .iter()
        .map(|one| {
            assert_eq!((&one["Effect"], &one["Principal"]), (&json!("Allow"), &json!("*")), "{one:#}");
            format!("{} {}", one["Action"].as_str().unwrap(), one["Condition"])
        })
        .collect();
    allowed.sort();
    let expect = [
        r#"lambda:InvokeFunction {"Bool":{"lambda:InvokedViaFunctionUrl":"true"}}"#,
        r#"lambda:InvokeFunctionUrl {"StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}}"#,
    ];
    assert_eq!(allowed, expect);

    let queue = json!({ "QueueUrl": hooks.bundle.output("WebhookQueueUrl").await, "AttributeNames": ["All"] });
    let queue = aws.call("sqs", "AmazonSQS.GetQueueAttributes", &queue).await["Attributes"].take();
    let settings = ["VisibilityTimeout", "MessageRetentionPeriod", "SqsManagedSseEnabled"];
    assert_eq!(settings.map(|setting| queue[setting].as_str().unwrap()), ["180", "345600", "true"], "{queue:#}");
    let redrive: Value = serde_json::from_str(queue["RedrivePolicy"].as_str().unwrap()).unwrap();
    assert_eq!(redrive["deadLetterTargetArn"], "arn:aws:sqs:us-east-2:000000000000:hooks-webhook-failures");
    assert_eq!(plain(&[&redrive["maxReceiveCount"]]), ["100"]);

    let [worker] = hooks.bundle.event_source_mappings(WEBHOOK).await.try_into().expect("one worker");
    assert_eq!(worker["EventSourceArn"], queue["QueueArn"], "{worker:#}");
    let workers = &worker["ScalingConfig"]["MaximumConcurrency"];
    assert_eq!(plain(&[&worker["BatchSize"], &worker["MaximumBatchingWindowInSeconds"], workers]), ["100", "1", "2"]);
    assert_eq!(worker["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{worker:#}");
}

#[tokio::test]
async fn the_webhook_has_its_alarms_and_lines_on_the_dashboard() {
    let hooks = Hooks::by_url().await;
    let aws = hooks.bundle.aws();
    let mut alarms: Vec<String> = Vec::new();
    for alarm in hooks.bundle.alarms().await {
        let name = alarm["AlarmName"].as_str().unwrap().split('-').nth(1).unwrap();
        let of = alarm["Dimensions"][0]["Value"].as_str().unwrap_or(alarm["Namespace"].as_str().unwrap());
        alarms.push(format!("{name} {} {} of {of}", alarm["MetricName"].as_str().unwrap(), alarm["Threshold"]));
    }
    alarms.sort();
    let expect = [
        "WebhookDeadAlarm webhook-dead 1.0 of Tributary/hooks",
        "WebhookDelayAlarm ApproximateAgeOfOldestMessage 900.0 of hooks-webhook",
        "WebhookDurationAlarm Duration 24000.0 of hooks-webhook",
        "WebhookErrorsAlarm Errors 1.0 of hooks-webhook",
        "WebhookFailedAlarm webhook-failed 5.0 of Tributary/hooks",
        "WebhookFailuresAlarm ApproximateNumberOfMessagesVisible 1.0 of hooks-webhook-failures",
        "WebhookThrottlesAlarm Throttles 1.0 of hooks-webhook",
    ];
    assert_eq!(alarms, expect);

    let group = "/aws/lambda/hooks-webhook";
    let filters = aws.call("logs", "Logs_20140328.DescribeMetricFilters", &json!({ "logGroupName": group })).await;
    let mut filters: Vec<String> = filters["metricFilters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|filter| {
            let [of] = filter["metricTransformations"].as_array().unwrap().as_slice() else { panic!("{filter:#}") };
            let [name, value] = [&of["metricName"], &of["metricValue"]].map(|text| text.as_str().unwrap());
            format!("{name}: {value} of {}", filter["filterPattern"].as_str().unwrap())
        })
        .collect();
    filters.sort();
    let expect = [
        "webhook-dead: $.dead of { ($._aws.Timestamp = *) && ($.dead > 0) }",
        r#"webhook-failed: 1 of { $.level = "ERROR" }"#,
    ];
    assert_eq!(filters, expect);
    let target = "GraniteServiceVersion20100801.GetDashboard";
    let answer = aws.call("monitoring", target, &json!({ "DashboardName": "hooks" })).await;
    let body: Value = serde_json::from_str(answer["DashboardBody"].as_str().unwrap()).expect("its text is JSON");
    let invocations = body["widgets"][8]["properties"]["metrics"][0][0]["expression"].as_str().unwrap();
    assert!(invocations.contains(r#"(FunctionName="hooks-webhook")"#), "{invocations}");
    let query = body["widgets"][11]["properties"]["query"].as_str().unwrap();
    assert!(query.starts_with("SOURCE '/aws/lambda/hooks-webhook' | fields "), "{query}");
    assert!(!body.to_string().contains("dynamodb-stream"), "{body:#}");
}
