//! The most memory that reading a file and writing it takes, in a process of its own.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use serde::Deserialize;
use tributary_core::cast::cell_text;
use tributary_core::change::{Change, Op};

use crate::report::{Bound, Goal, say};
use crate::rows::{self, Rows};
use crate::server::Server;
use crate::{Failure, Options};

const ROWS: usize = 50_000;

/// What the `peer` command prints.
#[derive(Deserialize)]
struct Line {
    rows: f64,
    seconds: f64,
    client_cpu_us_per_row: f64,
    peak_rss_mb: f64,
}

pub(crate) async fn run(server: &Server, _: &Options) -> Result<Vec<Goal>, Failure> {
    let mut rows = Rows::new(6);
    let file = tempfile::NamedTempFile::new()?;
    let lines: String = rows.keys(ROWS).iter().map(|key| line(&rows.newer(key))).collect();
    std::fs::write(file.path(), lines)?;
    say("\n### JSON lines to rows, a process of its own\n");
    say("| rows a transaction | rows/s | client CPU µs/row | peak RSS MB |\n|---:|---:|---:|---:|");
    let mut goals = Vec::new();
    for size in [100, 1_000, 10_000] {
        server.observer.batch_execute("drop schema if exists peers cascade").await?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("peer").arg("--rows-file").arg(file.path()).args(["--database-url", server.url()]);
        command.args(["--batch", &size.to_string()]).stderr(Stdio::inherit());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let line: Line = serde_json::from_slice(&output.stdout)?;
        let (rate, cpu) = (line.rows / line.seconds, line.client_cpu_us_per_row);
        say(&format!("| {size} | {rate:.0} | {cpu:.2} | {:.1} |", line.peak_rss_mb));
        if size == 1_000 {
            let what = "peak RSS at 1000 rows a transaction, MB";
            goals.push(Goal::new(what, Bound::AtMost(12.0), line.peak_rss_mb));
        }
    }
    server.observer.batch_execute("drop schema if exists peers cascade").await?;
    Ok(goals)
}

/// A change as a line of the file. The benchmark's texts need no escape.
fn line(change: &Change) -> String {
    let table = rows::table("lines");
    let Op::Upsert(row, _) = &change.op else { return String::new() };
    let mut line = format!(r#"{{"id":"{}""#, cell_text(&change.key[0], &table.key[0].ty).unwrap_or_default());
    for (column, cell) in table.columns.iter().zip(row) {
        let text = cell_text(cell, &column.ty).unwrap_or_default();
        let value = match column.name.as_str() {
            "quantity" | "score" | "attributes" => text,
            "active" => (text.starts_with('t')).to_string(),
            _ => format!("\"{text}\""),
        };
        // Writing to a string cannot fail.
        let _ = write!(line, r#","{}":{value}"#, column.name);
    }
    let _ = writeln!(line, r#","version":{},"deleted":false}}"#, change.version.epoch());
    line
}
