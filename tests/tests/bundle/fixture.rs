//! A stack as README.md has it made: the database's two roles, its tables, a secret, streams, then the deployment.

use std::collections::HashMap;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};
use tributary_core::pipeline::Mapping;
use tributary_postgres::Postgres;
use tributary_postgres::connect::{Policy, Target};
use tributary_tests::{Aws, Bundle, Database, built};

/// What `within seconds` means here: the emulator looks at a stream each second, and all tests share two processors.
pub(crate) const SECONDS: Duration = Duration::from_secs(20);

/// The function behind streams.
pub(crate) const STREAM: &str = "dynamodb-stream";

const ROLES: &str = include_str!("../../../infra/role.sql");
/// The mapping of the repository.
pub(crate) const SAMPLE: &str = include_str!("../../../tributary.yaml");

/// A second pipeline, behind the parameter `StreamArn2`.
const ORDERS: &str = "
  orders:
    source: { datastore: app, table: orders, key: id }
    sink:
      datastore: warehouse
      tables:
        order_line:
          from: lines[]
          key: { order_id: { from: $root.id, type: text }, position: { from: $index, type: int } }
          columns: { sku: text, amount: numeric }
          delete: hard
";

/// A database as `infra/role.sql` and `tributary migrate` leave it, and the secret of who writes to it.
pub(crate) struct Warehouse {
    pub(crate) aws: &'static Aws,
    pub(crate) database: Database,
    pub(crate) secret: String,
    pub(crate) secret_arn: String,
    /// Where the secret says the server is.
    place: (String, u16),
}

impl Warehouse {
    /// Makes the tables of this mapping. `through` is the URL of a proxy, if the functions shall go through one.
    pub(crate) async fn new(name: &str, mapping: &str, database: Database, through: Option<&str>) -> Self {
        let aws = Aws::with_functions().await;
        database.execute(ROLES).await;
        database.execute("alter role tributary_migrate login password 'migrates'").await;
        let (_, place) = database.url().split_once('@').unwrap();
        migrate_as(&format!("postgres://tributary_migrate:migrates@{place}"), mapping).await;

        let (_, place) = through.unwrap_or(database.url()).split_once('@').unwrap();
        let (host, port) = place.split('/').next().unwrap().split_once(':').unwrap();
        let place = (host.to_owned(), port.parse().unwrap());
        let secret = format!("{name}/warehouse");
        let made = json!({ "Name": secret, "SecretString": "{}" });
        let made = aws.call("secretsmanager", "secretsmanager.CreateSecret", &made).await;
        let secret_arn = made["ARN"].as_str().unwrap().to_owned();
        let warehouse = Warehouse { aws, database, secret, secret_arn, place };
        warehouse.change_password("first").await;
        warehouse.put_secret("first").await;
        warehouse
    }

    /// The password of the functions' user in the database.
    pub(crate) async fn change_password(&self, password: &str) {
        self.database.execute(&format!("alter role tributary_sync login password '{password}'")).await;
    }

    /// The password in the secret, which has the form that RDS gives it.
    pub(crate) async fn put_secret(&self, password: &str) {
        let (host, port) = &self.place;
        let login = json!({
            "engine": "postgres", "username": "tributary_sync", "password": password, "host": host, "port": port,
            "dbname": self.database.name(),
        });
        let put = json!({ "SecretId": self.secret, "SecretString": login.to_string() });
        self.aws.call("secretsmanager", "secretsmanager.PutSecretValue", &put).await;
    }

    /// Ends the connections of the functions.
    pub(crate) async fn disconnect(&self) {
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'tributary_sync'";
        self.database.execute(end).await;
    }

    /// Waits until a query has this one row.
    pub(crate) async fn awaits(&self, query: &str, row: &str, patience: Duration) -> Duration {
        let begin = Instant::now();
        loop {
            let rows = self.database.rows(query).await;
            if rows == [row] {
                return begin.elapsed();
            }
            assert!(begin.elapsed() < patience, "{query}: {rows:?}, not {row}\n{}", last_lines(&self.aws.log()));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The end of a log that may be long.
fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// The stack that most tests share.
pub(crate) struct World {
    pub(crate) warehouse: Warehouse,
    pub(crate) bundle: Bundle,
    /// Held by who invokes functions himself, or counts their environments.
    pub(crate) turn: Mutex<()>,
    /// The streams of users and orders.
    pub(crate) streams: [String; 2],
}

/// How many users were there before their table had a stream.
pub(crate) const EARLY: usize = 300;

impl World {
    /// The one of this process.
    pub(crate) async fn shared() -> &'static World {
        static WORLD: OnceCell<Result<World, String>> = OnceCell::const_new();
        // On a task of its own: one that fails shall fail once, and for all.
        let made = WORLD.get_or_init(async || tokio::spawn(World::new()).await.map_err(|why| why.to_string()));
        made.await.as_ref().unwrap_or_else(|why| panic!("there is no stack to test: {why}"))
    }

    async fn new() -> Self {
        let aws = Aws::with_functions().await;
        let mapping = mapping();
        let database = Database::alone("bundle", false, &[]).await;
        assert!(!database.single_connection(), "this Postgres serves one connection at a time: install a real one");
        let warehouse = Warehouse::new("bundle", &mapping, database, None).await;
        aws.create_table_without_stream("users").await;
        for number in 0..EARLY {
            put(aws, "users", user(&early_id(number), "Early")).await;
        }
        let streams = [aws.enable_stream("users").await, aws.create_table("orders").await];
        let parameters = [
            ("StreamArn", &*streams[0]),
            ("StreamArn2", &streams[1]),
            ("SecretArns", &warehouse.secret_arn),
            ("StreamTimeout", "30"),
            ("LogRetentionDays", "14"),
        ];
        let bundle = Bundle::deploy("bundle", &mapping, &parameters).await;
        World { warehouse, bundle, turn: Mutex::new(()), streams }
    }
}

/// The sample mapping, with the database's login in a secret and a second pipeline.
fn mapping() -> String {
    let url = "url: { env: DATABASE_URL }";
    assert!(SAMPLE.contains(url));
    // The server of the tests has no certificate.
    SAMPLE.replace(url, "secret: bundle/warehouse\n    tls: off") + ORDERS
}

/// Makes a mapping's tables.
pub(crate) async fn migrate(database: &Database, mapping: &str) {
    migrate_as(database.url(), mapping).await;
}

async fn migrate_as(url: &str, mapping: &str) {
    let target = Target::from_url(url, &Policy::default()).unwrap();
    let tables = read(mapping).pipelines.into_iter().flat_map(|pipeline| pipeline.tables).collect();
    Postgres::new(target, tables, false).migrate().await.unwrap();
}

/// A mapping of a DynamoDB table of this name to the table `thing`, for a stack of that name.
pub(crate) fn one_table(name: &str) -> String {
    format!(
        "
datastores:
  warehouse: {{ type: postgres, secret: {name}/warehouse, tls: off }}
  app: {{ type: dynamodb }}
pipelines:
  things:
    source: {{ datastore: app, table: {name}, key: id }}
    sink:
      datastore: warehouse
      tables:
        thing:
          key: {{ id: text }}
          columns: {{ name: text }}
"
    )
}

fn read(text: &str) -> Mapping {
    let checked = tributary_core::mapping::load("tributary.yaml", text);
    let findings: Vec<String> = checked.findings.iter().map(|finding| finding.render(text)).collect();
    checked.mapping.unwrap_or_else(|| panic!("{}", findings.join("\n")))
}

pub(crate) type Item = HashMap<String, AttributeValue>;

/// The id of a user who was there before the stream.
pub(crate) fn early_id(number: usize) -> String {
    format!("eeeeeeee-0000-4000-8000-{number:012}")
}

/// The id of a user of a test.
pub(crate) fn id(test: u8, number: usize) -> String {
    format!("{test:08}-0000-4000-8000-{number:012}")
}

/// A user with something for each of the three tables.
pub(crate) fn user(id: &str, name: &str) -> Item {
    item(&json!({
        "id": id, "name": name, "handle": format!("@{name}"), "createdAt": "2026-01-02T03:04:05Z",
        "appearance": { "mode": "dark", "theme": "night" },
        "notifications": { "push_likes": true, "app_likes": false },
    }))
}

/// An item of JSON.
pub(crate) fn item(value: &Value) -> Item {
    let Value::Object(fields) = value else { panic!("an object") };
    fields.iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(truth) => AttributeValue::Bool(*truth),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(list) => AttributeValue::L(list.iter().map(attribute).collect()),
        Value::Object(_) => AttributeValue::M(item(value)),
    }
}

/// Writes an item.
pub(crate) async fn put(aws: &Aws, table: &str, item: Item) {
    aws.dynamodb().await.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
}

/// Deletes an item.
pub(crate) async fn delete(aws: &Aws, table: &str, id: &str) {
    let key = AttributeValue::S(id.to_owned());
    aws.dynamodb().await.delete_item().table_name(table).key("id", key).send().await.unwrap();
}

/// All records of a stream, in the form that Lambda hands on.
pub(crate) async fn records_of(aws: &Aws, stream: &str) -> Vec<Value> {
    let call = async |operation: &str, body: Value| {
        aws.call("dynamodb", &format!("DynamoDBStreams_20120810.{operation}"), &body).await
    };
    let described = call("DescribeStream", json!({ "StreamArn": stream })).await;
    let shard = &described["StreamDescription"]["Shards"][0]["ShardId"];
    let from = json!({ "StreamArn": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let iterator = call("GetShardIterator", from).await;
    let page = call("GetRecords", json!({ "ShardIterator": iterator["ShardIterator"] })).await;
    let mut records = page["Records"].as_array().unwrap().clone();
    for record in &mut records {
        record["eventSourceARN"] = stream.into();
    }
    records
}

/// Runs the command line with this mapping, in AWS as a stack's function is.
pub(crate) async fn tributary(warehouse: &Warehouse, mapping: &str, arguments: &[&str]) -> Output {
    let program = tokio::task::spawn_blocking(|| built("tributary")).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("tributary.yaml");
    std::fs::write(&file, mapping).unwrap();
    let mut command = tokio::process::Command::new(program);
    command.env_clear().envs(warehouse.aws.environment()).args(["--mapping", file.to_str().unwrap()]);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap()
}
