//! Our side of the comparison with other tools: reads the file of `tests/peers`, writes it in batches, prints a line of
//! JSON. Interpreter and imports don't count for the peers, so connecting and all that follows counts for us.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Instant;

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_core::cast::cast;
use tributary_core::cell::Cell;
use tributary_core::change::{Change, Op};
use tributary_core::decimal::Decimal;
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::table::{MetaColumns, Table};
use tributary_core::value::Value;
use tributary_core::version::Version;

use crate::measure::own_cpu;
use crate::report::say;
use crate::{Failure, rows, server};

/// A line of the file, as `tests/peers/rows.py` writes it.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    email: Cow<'a, str>,
    #[serde(borrow)]
    city: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    note: Cow<'a, str>,
    #[serde(borrow)]
    amount: Cow<'a, str>,
    quantity: i64,
    score: f64,
    active: bool,
    #[serde(borrow)]
    created_at: Cow<'a, str>,
    #[serde(borrow)]
    attributes: &'a RawValue,
    #[serde(borrow)]
    r#ref: Cow<'a, str>,
    version: u64,
    deleted: bool,
}

fn table() -> Table {
    let meta = MetaColumns { version: "version".to_owned(), deleted: "deleted".to_owned(), ..MetaColumns::default() };
    Table { schema: Some("peers".to_owned()), meta, ..rows::table("peer_rows") }
}

/// Writes the file's changes and prints what that took.
pub(crate) async fn run(file: &Path, url: &str, size: usize) -> Result<(), Failure> {
    let (began, cpu) = (Instant::now(), own_cpu());
    let tables = [table()];
    let mut sink = server::sink(url, tables.to_vec(), "peer").await?;
    let mut lines = BufReader::new(File::open(file)?);
    let mut line = String::new();
    let mut count = 0;
    loop {
        let mut changes = Vec::with_capacity(size);
        while changes.len() < size {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                break;
            }
            changes.push(change(&tables[0], &line)?);
        }
        if changes.is_empty() {
            break;
        }
        count += changes.len();
        sink.apply(&rows::batch(&tables, changes), &Unlimited).await?;
    }
    sink.settle().await;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), own_cpu() - cpu);
    say(&format!(
        r#"{{"tool":"tributary","rows":{count},"seconds":{seconds},"client_cpu_us_per_row":{},"peak_rss_mb":{}}}"#,
        cpu.as_secs_f64() * 1e6 / count as f64,
        peak_rss_mb()
    ));
    Ok(())
}

fn change(table: &Table, line: &str) -> Result<Change, Failure> {
    let line: Line<'_> = serde_json::from_str(line)?;
    let text = |text: Cow<'_, str>| Cell::Text(text.into());
    let read = |place: usize, text: Cow<'_, str>| {
        cast(&Value::text(text), &table.columns[place].ty).map_err(|misfit| misfit.reason().to_owned())
    };
    let row = Box::new([
        text(line.name),
        text(line.email),
        text(line.city),
        text(line.status),
        text(line.note),
        Cell::Numeric(Decimal::parse(&line.amount)?),
        Cell::Int(line.quantity),
        Cell::Float(line.score),
        Cell::Bool(line.active),
        read(9, line.created_at)?,
        Cell::Text(line.attributes.get().into()),
        read(11, line.r#ref)?,
    ]);
    Ok(Change {
        table: 0,
        event: 0,
        key: Box::new([text(line.id)]),
        version: Version::from_u128(0, line.version.into()),
        at: None,
        op: if line.deleted { Op::Delete(row) } else { Op::Upsert(row, None) },
    })
}

/// The most memory that this process has had, in megabytes; zero where the system doesn't say.
fn peak_rss_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kilobytes.unwrap_or_default() / 1024.0
}
