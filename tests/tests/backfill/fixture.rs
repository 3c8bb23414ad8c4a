//! A DynamoDB table of users, a database with the sample mapping's tables, and what ought to stand in them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use tributary_core::batch::Batch;
use tributary_core::cell::{Cell, Key, POSTGRES_EPOCH_MICROS};
use tributary_core::column_type::Base;
use tributary_core::event::{Body, Event, Origin};
use tributary_core::mapping;
use tributary_core::memory::{Memory, Stored};
use tributary_core::pipeline::{Mapping, Pipeline};
use tributary_core::route::route;
use tributary_core::sink::{Budget, Sink, Unlimited};
use tributary_core::table::{Column, Role, Table};
use tributary_core::value::Value;
use tributary_core::version::Version;
use tributary_postgres::Postgres;
use tributary_postgres::connect::{Policy, Target};
use tributary_runtime::backfill::{Progress, Request};
use tributary_runtime::dynamodb_stream::{Handler, pipelines};
use tributary_runtime::sinks::Sinks;
use tributary_sources::dynamodb::arn::StreamArn;
use tributary_sources::dynamodb::attribute::to_item;
use tributary_sources::dynamodb::generate::{KEY, Operation, Users};
use tributary_sources::dynamodb::record::{Change, record_json};
use tributary_sources::dynamodb::stream::decode_record;
use tributary_tests::{Aws, Database};

/// The time of all generated users: 2025-10-01.
const AT: i64 = 1_759_276_800_000_000;

/// One test's table, its stream, and the database that it is backfilled into.
pub(crate) struct World {
    pub(crate) aws: &'static Aws,
    pub(crate) table: String,
    pub(crate) arn: StreamArn,
    pub(crate) database: Database,
    /// The sample mapping, led to the table.
    pub(crate) text: String,
    pub(crate) mapping: Arc<Mapping>,
}

impl World {
    /// An empty table and empty tables.
    pub(crate) async fn new(test: &str) -> Self {
        let aws = Aws::start().await;
        let database = Database::new(test).await;
        let table = database.name().to_owned();
        let arn = aws.create_table(&table).await.parse().unwrap();
        let text = mapping_text(aws.endpoint(), &table);
        let mapping = read(&text);
        let tables = mapping.pipelines[0].tables.clone();
        Postgres::new(target(database.url()), tables, false).migrate().await.unwrap();
        World { aws, table, arn, database, text, mapping: Arc::new(mapping) }
    }

    /// A table with so many users, and these.
    pub(crate) async fn with_users(test: &str, count: usize) -> (Self, Vec<Value>) {
        let world = World::new(test).await;
        let users = users(count);
        world.put(&users).await;
        (world, users)
    }

    pub(crate) fn pipeline(&self) -> &Pipeline {
        &self.mapping.pipelines[0]
    }

    pub(crate) fn handler(&self) -> Handler<Target> {
        self.handler_at(self.database.url())
    }

    /// A handler that reaches the database by another URL.
    pub(crate) fn handler_at(&self, url: &str) -> Handler<Target> {
        handler(Arc::clone(&self.mapping), url)
    }

    /// A backfill to its end, by a handler of its own.
    pub(crate) async fn backfill(&self, request: &Request) -> Progress {
        Box::pin(self.handler().backfill(request, &Unlimited, |_| {})).await.unwrap()
    }

    /// Writes items into the DynamoDB table.
    pub(crate) async fn put(&self, items: &[Value]) {
        let client = self.aws.dynamodb().await;
        for some in items.chunks(25) {
            let put = |item| PutRequest::builder().set_item(Some(to_item(item).unwrap())).build().unwrap();
            let puts = some.iter().map(|item| WriteRequest::builder().put_request(put(item)).build());
            let answer = client.batch_write_item().request_items(&self.table, puts.collect()).send().await.unwrap();
            assert!(answer.unprocessed_items.is_none_or(|left| left.is_empty()));
        }
    }

    /// Deletes an item from the DynamoDB table.
    pub(crate) async fn delete(&self, item: &Value) {
        let mut key = to_item(item).unwrap();
        key.retain(|name, _| KEY.contains(&name.as_str()));
        let client = self.aws.dynamodb().await;
        client.delete_item().table_name(&self.table).set_key(Some(key)).send().await.unwrap();
    }

    /// The stream's record of a change, as Lambda delivers it.
    pub(crate) fn record(&self, change: Change<'_>, sequence: u64) -> String {
        record_json(change, &KEY, &self.arn, &format!("4000000000{sequence:013}"), Some(AT)).unwrap()
    }

    /// Delivers records of the stream; all must be applied.
    pub(crate) async fn deliver(&self, records: &[String]) {
        let event = format!("{{\"Records\": [{}]}}", records.join(","));
        let answer = self.handler().handle(event.into(), &Unlimited).await.unwrap();
        assert_eq!((answer.retry_from, answer.records), (None, records.len()));
    }

    /// All rows of all tables, each with its version and whether it is a tombstone, sorted.
    pub(crate) async fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for table in &self.pipeline().tables {
            let columns = table.key.iter().chain(&table.columns).map(spelled_by_postgres);
            let columns = columns.chain(["_version".to_owned(), "_deleted".to_owned()]).collect::<Vec<_>>();
            let query = format!("select {} from \"{}\"", columns.join(", "), table.name);
            rows.extend(self.database.rows(&query).await.into_iter().map(|row| format!("{} | {row}", table.name)));
        }
        rows.sort();
        rows
    }

    /// What [`World::rows`] must answer after these items were scanned and these records applied.
    pub(crate) async fn twin(&self, items: &[Value], records: &[String]) -> Vec<String> {
        let version = Version::start_of(self.arn.epoch().unwrap()).unwrap();
        let scanned = items.iter().map(|item| {
            let origin = Origin { position: "".into(), key: "".into(), payload: "".into() };
            Event { origin, version, at: None, body: Body::Image { now: item.clone(), before: None } }
        });
        let streamed = records.iter().map(|record| decode_record(record.clone().into()).decoded.unwrap());
        let pipeline = self.pipeline();
        let mut batch = Batch {
            pipeline: &pipeline.name,
            tables: &pipeline.tables,
            origins: Vec::new(),
            changes: Vec::new(),
            rejected: Vec::new(),
            checkpoint: None,
            replay: false,
            only_writer: false,
            receipts: Vec::new(),
            received: Vec::new(),
        };
        let mut memory = Memory::default();
        for event in scanned.chain(streamed) {
            batch.changes.clear();
            route(pipeline, &event, 0, AT, &mut batch.changes, &mut batch.rejected);
            memory.apply(&batch, &Unlimited).await.unwrap();
        }
        assert!(batch.rejected.is_empty(), "{:?}", batch.rejected);
        let mut rows: Vec<String> = pipeline.tables.iter().flat_map(|table| twin_rows(&memory, table)).collect();
        rows.sort();
        rows
    }
}

fn twin_rows(memory: &Memory, table: &Table) -> Vec<String> {
    let row = |(key, stored): (&Key, &Stored)| {
        let columns = table.key.iter().zip(key).chain(table.columns.iter().zip(&stored.row));
        let mut cells: Vec<String> = columns.map(|(column, cell)| spelled(column, cell, stored.deleted)).collect();
        cells.extend([stored.version.to_string(), String::from(if stored.deleted { "t" } else { "f" })]);
        format!("{} | {}", table.name, cells.join(" | "))
    };
    memory.table(&table.name).iter().map(row).collect()
}

/// A column as text in which equal values are equal. When a tombstone was made depends on the time of the test.
fn spelled_by_postgres(column: &Column) -> String {
    let name = format!("\"{}\"", column.name);
    let spelled = match column.ty.base {
        Base::Uuid => format!("replace({name}::text, '-', '')"),
        Base::Float4 => format!("float4send({name})"),
        Base::Timestamptz => format!("(extract(epoch from {name}) * 1000000)::bigint"),
        Base::Bool | Base::Text | Base::Varchar(_) => name,
        ref other => panic!("{other:?} is not in the sample mapping"),
    };
    match column.role {
        Role::DeletedAt => format!("case when _deleted then 'at some time' else ({spelled})::text end"),
        _ => spelled,
    }
}

fn spelled(column: &Column, cell: &Cell, deleted: bool) -> String {
    if column.role == Role::DeletedAt && deleted {
        return "at some time".to_owned();
    }
    match cell {
        Cell::Null => "∅".to_owned(),
        Cell::Bool(value) => String::from(if *value { "t" } else { "f" }),
        Cell::Text(text) => text.to_string(),
        Cell::Uuid(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Cell::Float(number) => format!("\\x{:08x}", (*number as f32).to_bits()),
        Cell::Micros(micros) => (micros + POSTGRES_EPOCH_MICROS).to_string(),
        other => panic!("{other:?} is not in the sample mapping"),
    }
}

/// So many users after a history of sign-ups, changes and deletes.
pub(crate) fn users(count: usize) -> Vec<Value> {
    let mut history = Users::new(7);
    let mut present: BTreeMap<String, Value> = BTreeMap::new();
    while present.len() < count {
        match history.next(AT) {
            Operation::Put(now) | Operation::Update(_, now) => drop(present.insert(id(&now), now)),
            Operation::Delete(before) => drop(present.remove(&id(&before))),
        }
    }
    present.into_values().collect()
}

pub(crate) fn id(user: &Value) -> String {
    match user.get("id") {
        Some(Value::Text(id)) => id.to_string(),
        other => panic!("{other:?} is no id"),
    }
}

/// The user under another name.
pub(crate) fn renamed(user: &Value, name: &str) -> Value {
    with(user, "name", name)
}

/// The user with another text in this field.
pub(crate) fn with(user: &Value, field: &str, text: &str) -> Value {
    let mut user = user.clone();
    let Value::Map(fields) = &mut user else { panic!("a user is a map") };
    fields.insert(field.into(), Value::text(text));
    user
}

/// The sample mapping, with an endpoint and another table's name.
pub(crate) fn mapping_text(endpoint: &str, table: &str) -> String {
    let sample = include_str!("../../../tributary.yaml");
    let store = format!("type: dynamodb\n    region: {}\n    endpoint: {endpoint}\n", Aws::REGION);
    let text = sample.replace("type: dynamodb\n", &store).replace("table: users,", &format!("table: {table},"));
    assert!(text.contains(endpoint) && text.contains(table), "the sample mapping has changed its spelling");
    text
}

pub(crate) fn read(text: &str) -> Mapping {
    let checked = mapping::load("tributary.yaml", text);
    checked.mapping.unwrap_or_else(|| panic!("{:?}", checked.findings))
}

pub(crate) fn target(url: &str) -> Target {
    Target::from_url(url, &Policy::default()).unwrap()
}

pub(crate) fn handler(mapping: Arc<Mapping>, url: &str) -> Handler<Target> {
    let sinks = Sinks::new(&mapping, pipelines(&mapping), |_, _| target(url));
    Handler::new(mapping, sinks).unwrap()
}

/// Four segments as fast as they go.
pub(crate) fn request() -> Request {
    serde_json::from_str(r#"{"pipeline": "users", "segments": 4, "rcu": 1000}"#).unwrap()
}

/// Four segments in pages of about a hundred items, four pages a second: the emulator's pages cost one unit each.
pub(crate) fn slowly() -> Request {
    Request { rcu: 4.0, ..request() }
}

/// A budget of so many pages, which [`Pages::took_one`] uses up.
pub(crate) struct Pages(AtomicI64);

impl Pages {
    pub(crate) fn new(count: i64) -> Self {
        Pages(AtomicI64::new(count))
    }

    pub(crate) fn took_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Budget for Pages {
    fn remaining(&self) -> Option<Duration> {
        (self.0.load(Ordering::Relaxed) <= 0).then_some(Duration::ZERO)
    }
}

/// A budget that ends at this time.
pub(crate) struct Until(pub(crate) Instant);

impl Budget for Until {
    fn remaining(&self) -> Option<Duration> {
        Some(self.0.saturating_duration_since(Instant::now()))
    }
}
