//! `tributary replay-stream`: records through a function's handler in this process, by the rules of an event source
//! mapping.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::Mutex;
use tributary_core::Error;
use tributary_core::pipeline::{Datastore, DynamodbStore, Mapping, SourceKind};
use tributary_runtime::stream_driver::{Delivery, Disorder, Fate, Record, Report, Rules, Shard, drive};
use tributary_sources::dynamodb::table::describe_table;

use crate::args::{Args, Function, ReplayStream};
use crate::failure::{End, Failure};
use crate::output::{Output, progress};
use crate::{function, input, local, mapping, stream};

/// Before the first retry; it doubles with each.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Default)]
struct Figures {
    applied: u64,
    stale: u64,
    dead: u64,
}

pub(crate) async fn run(args: &Args, replay: &ReplayStream, output: &mut Output) -> Result<End, Failure> {
    let mapping = mapping::read(&args.mapping)?;
    let shards = match &replay.from.stream {
        Some(table) => Box::pin(of_table(&mapping, table, replay)).await?,
        None => of_files(replay)?,
    };
    let mut args = args.clone();
    let _server = local::stand_in(&mut args, &mapping).await?;
    let handler = function::Handler::new(Function::DynamodbStream, mapping, args.database_url.as_deref())?;
    let handler = Mutex::new(handler);
    let figures = RefCell::new(Figures::default());
    let invoke = async |event: Bytes| {
        let answer = Box::pin(handler.lock().await.handle(event)).await.map_err(|error| error.chain())?;
        let mut sum = figures.borrow_mut();
        sum.applied += answer.applied;
        sum.stale += answer.stale;
        sum.dead += answer.dead;
        Ok::<_, String>(Bytes::from(answer.response.to_string()))
    };
    let report = Box::pin(drive(&rules(replay), shards, invoke)).await;
    handler.lock().await.settle().await;
    if let Some(file) = &replay.on_failure {
        keep(&report, file)?;
    }
    let figures = figures.into_inner();
    print(&report, &figures, output)?;
    Ok(if report.discarded.is_empty() { End::Fine } else { End::Failed })
}

fn rules(replay: &ReplayStream) -> Rules {
    let ReplayStream { seed, shuffle, duplicate, replay: again, split, .. } = *replay;
    let disorder = Disorder { seed, shuffle, duplicate, replay: again, split };
    let quiet = Disorder { seed, ..Disorder::default() };
    Rules {
        batch_size: replay.batch_size.into(),
        bisect: replay.bisect,
        retries: u32::try_from(replay.retries).ok(),
        record_age: replay.record_age.map(Duration::from_secs),
        pause: PAUSE,
        disorder: (disorder != quiet).then_some(disorder),
    }
}

fn of_files(replay: &ReplayStream) -> Result<Vec<Shard>, Error> {
    let mut records = Vec::new();
    for path in &replay.from.events {
        let event = Record::of_event(&input::read(path, "the event")?);
        records.extend(event.inspect_err(|_| progress(&format!("{}: refused", input::name(path))))?);
    }
    Ok(Shard::of_records(records, replay.shards.into()))
}

async fn of_table(mapping: &Mapping, table: &str, replay: &ReplayStream) -> Result<Vec<Shard>, Error> {
    let mut store = store(mapping, table)?.clone();
    store.endpoint = replay.endpoint.clone().or(store.endpoint);
    let table = describe_table(&tributary_runtime::aws::dynamodb(&store).await, table).await?;
    let shards = stream::read(&store, &table.stream).await?;
    let records: usize = shards.iter().map(|shard| shard.records.len()).sum();
    progress(&format!("{}: {records} records in {} shards", table.stream, shards.len()));
    Ok(shards)
}

/// Where the mapping says that this table is.
fn store<'m>(mapping: &'m Mapping, table: &str) -> Result<&'m DynamodbStore, Error> {
    let reads = |name: &SourceKind| matches!(name, SourceKind::Dynamodb { table: known, .. } if known == table);
    let pipeline = mapping.pipelines.iter().find(|pipeline| reads(&pipeline.source.kind));
    match pipeline.and_then(|pipeline| mapping.datastores.get(&pipeline.source.datastore)) {
        Some(Datastore::Dynamodb(store)) => Ok(store),
        _ => Err(Error::config(format!("no pipeline reads the table `{table}`"))
            .with_hint("name a table that is a pipeline's source in the mapping")),
    }
}

/// What S3 would get, a JSON document a line.
fn keep(report: &Report, file: &Path) -> Result<(), Error> {
    let failed = |cause| Error::config(format!("cannot write `{}`", file.display())).with_source(cause);
    let mut out = std::fs::File::create(file).map_err(failed)?;
    report.discarded.iter().try_for_each(|discarded| writeln!(out, "{}", discarded.whole())).map_err(failed)
}

fn print(report: &Report, figures: &Figures, output: &mut Output) -> Result<(), Failure> {
    let Figures { applied, stale, dead } = figures;
    let given_up: u64 = report.discarded.iter().map(|discarded| discarded.records()).sum();
    output.document(|| {
        json!({
            "deliveries": report.deliveries,
            "discarded": report.discarded,
            "checkpoints": report.checkpoints,
            "figures": {
                "invocations": report.deliveries.len(), "failed": report.failures(), "records": report.records(),
                "applied": applied, "stale": stale, "dead": dead, "given_up": given_up,
            },
        })
    })?;
    let head = ["shard", "try", "records", "from", "to", "result"];
    let names: BTreeMap<&str, usize> = report.deliveries.iter().map(|d| (d.shard.as_str(), 0)).collect();
    let names: BTreeMap<&str, usize> = names.into_keys().zip(1..).collect();
    let row = |delivery: &Delivery| {
        let number = |number: &Option<String>| number.clone().unwrap_or_else(|| "?".to_owned());
        let result = match &delivery.fate {
            Fate::Done => "done".to_owned(),
            Fate::From(number) => format!("again from {number}"),
            Fate::Failed(why) => format!("failed: {why}"),
        };
        vec![
            names[delivery.shard.as_str()].to_string(),
            (delivery.retry + 1).to_string(),
            delivery.records.to_string(),
            number(&delivery.first),
            number(&delivery.last),
            result,
        ]
    };
    let rows: Vec<Vec<String>> = report.deliveries.iter().map(row).collect();
    output.table(&head, &["shard", "try", "records"], &rows)?;
    let (invocations, failed) = (report.deliveries.len(), report.failures());
    output.line(&format!(
        "\n{invocations} invocations, {failed} failed; {applied} rows applied, {stale} stale, {dead} dead letters, {given_up} records given up"
    ))?;
    for discarded in &report.discarded {
        let batch = &discarded.whole()["DDBStreamBatchInfo"];
        let number = |name: &str| batch[name].as_str().unwrap_or("?").to_owned();
        let (from, to) = (number("startSequenceNumber"), number("endSequenceNumber"));
        output.line(&format!("given up ({}): {from} to {to}, {:?}", discarded.records(), discarded.reason()))?;
    }
    Ok(())
}
