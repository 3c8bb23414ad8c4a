//! `tributary generate`: sample items with changes and deletes, into a DynamoDB table or an event file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};
use tributary_core::pipeline::DynamodbStore;
use tributary_core::value::Value;
use tributary_core::{Error, Kind};
use tributary_sources::dynamodb::arn::StreamArn;
use tributary_sources::dynamodb::attribute::to_item;
use tributary_sources::dynamodb::generate::{KEY, Operation, Users};
use tributary_sources::dynamodb::record::record_json;

use crate::args::{Generate, Sample};
use crate::failure::{End, Failure};
use crate::output::{Output, progress};

/// The stream that generated events say they are of: that of the sample mapping's table.
const STREAM: &str = "arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2024-05-01T12:00:00.123";

/// How many operations a file gets when nothing is said.
const IN_A_FILE: u64 = 100;

pub(crate) async fn run(generate: &Generate, output: &mut Output) -> Result<End, Failure> {
    let Sample::Users = generate.sample;
    let users = Users::new(generate.seed);
    match (&generate.to.to, &generate.to.table) {
        (Some(path), _) => file(generate, users, path, output),
        (None, Some(table)) => into_table(generate, users, table, output).await,
        (None, None) => Err(Error::config("neither --table nor --to").into()),
    }
}

#[derive(Default)]
struct Counts {
    put: u64,
    updated: u64,
    deleted: u64,
}

impl Counts {
    fn count(&mut self, operation: &Operation) {
        match operation {
            Operation::Put(_) => self.put += 1,
            Operation::Update(..) => self.updated += 1,
            Operation::Delete(_) => self.deleted += 1,
        }
    }

    fn print(&self, place: &str, output: &mut Output) -> Result<(), Failure> {
        output
            .document(|| json!({ "to": place, "put": self.put, "updated": self.updated, "deleted": self.deleted }))?;
        output.line(&format!("{place}: {self}"))?;
        Ok(())
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} put, {} updated, {} deleted", self.put, self.updated, self.deleted)
    }
}

fn file(generate: &Generate, mut users: Users, path: &Path, output: &mut Output) -> Result<End, Failure> {
    let arn: StreamArn = STREAM.parse()?;
    let start = Timestamp::now().as_microsecond();
    let mut counts = Counts::default();
    let mut records = Vec::new();
    for number in 0..generate.count.unwrap_or(IN_A_FILE) {
        let at = start + (number as f64 / generate.rate * 1e6) as i64;
        let operation = users.next(at);
        counts.count(&operation);
        let sequence = users.sequence_number();
        records.push(record_json(operation.change(), &KEY, &arn, &sequence, Some(at))?);
    }
    let event = format!("{{\"Records\": [\n{}\n]}}", records.join(",\n"));
    if path == Path::new("-") {
        // The event is the result; what it holds is said beside it.
        output.raw(&event)?;
        progress(&format!("standard output: {counts}"));
        return Ok(End::Fine);
    }
    let failed = |cause| Error::config(format!("cannot write `{}`", path.display())).with_source(cause);
    let mut to = BufWriter::new(File::create(path).map_err(failed)?);
    writeln!(to, "{event}").and_then(|()| to.flush()).map_err(failed)?;
    counts.print(&path.display().to_string(), output)?;
    Ok(End::Fine)
}

async fn into_table(generate: &Generate, mut users: Users, table: &str, output: &mut Output) -> Result<End, Failure> {
    let store = DynamodbStore { region: generate.region.clone(), endpoint: generate.endpoint.clone() };
    let client = tributary_runtime::aws::dynamodb(&store).await;
    let bar = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} {msg}  {elapsed}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    let mut counts = Counts::default();
    let mut ticks = interval(Duration::from_secs_f64(1.0 / generate.rate));
    // After a pause the rate stays what it was: the table's capacity may depend on it.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let work = async {
        for _ in 0..generate.count.unwrap_or(u64::MAX) {
            ticks.tick().await;
            let operation = users.next(Timestamp::now().as_microsecond());
            write(&client, table, &operation).await?;
            counts.count(&operation);
            bar.set_message(format!("{table}: {counts}"));
            bar.tick();
        }
        Ok::<(), Error>(())
    };
    let ended = tokio::select! {
        ended = work => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    bar.finish_and_clear();
    ended?;
    counts.print(table, output)?;
    Ok(End::Fine)
}

async fn write(client: &Client, table: &str, operation: &Operation) -> Result<(), Error> {
    match operation {
        Operation::Put(now) | Operation::Update(_, now) => {
            let put = client.put_item().table_name(table).set_item(Some(to_item(now)?));
            put.send().await.map(drop).map_err(|e| failed(table, e.code().map(str::to_owned).as_deref(), e))
        }
        Operation::Delete(before) => {
            let key =
                to_item(&Value::Map(KEY.iter().filter_map(|k| Some(((*k).into(), before.get(k)?.clone()))).collect()))?;
            let delete = client.delete_item().table_name(table).set_key(Some(key));
            delete.send().await.map(drop).map_err(|e| failed(table, e.code().map(str::to_owned).as_deref(), e))
        }
    }
}

fn failed(table: &str, code: Option<&str>, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    let (kind, hint) = match code {
        Some("ResourceNotFoundException") => (Kind::Config, "make the table, or check its name and --region"),
        Some("ValidationException") => (Kind::Config, "the table's key must be the attribute `id`, a string, alone"),
        Some("AccessDeniedException") => (Kind::Config, "allow dynamodb:PutItem and dynamodb:DeleteItem on the table"),
        Some("ProvisionedThroughputExceededException" | "ThrottlingException") => (Kind::Unavailable, "lower --rate"),
        Some("UnrecognizedClientException" | "ExpiredTokenException" | "InvalidSignatureException") => {
            (Kind::Auth, "sign in to AWS again")
        }
        _ => (Kind::Unavailable, "check the credentials, the region and --endpoint"),
    };
    Error::new(kind, format!("cannot write to the DynamoDB table `{table}`")).with_hint(hint).with_source(cause)
}
