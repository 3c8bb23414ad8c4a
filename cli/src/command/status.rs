//! `tributary status`: how far each pipeline is, what became of its changes, and who runs it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tributary_core::auto::{self, Names};
use tributary_core::pipeline::{Pipeline, View};
use tributary_core::table::Table;
use tributary_postgres::{Lease, Postgres, Status, Tally};
use tributary_runtime::database::Database;
use tributary_runtime::vault::Vault;

use crate::args::Args;
use crate::failure::{End, Failure};
use crate::output::Output;
use crate::{clock, mapping, sink};

const HEAD: [&str; 11] = [
    "pipeline",
    "last batch",
    "lag",
    "applied 1 h",
    "stale 1 h",
    "dead 1 h",
    "applied 24 h",
    "stale 24 h",
    "dead 24 h",
    "dead letters",
    "run by",
];

pub(crate) async fn run(args: &Args, output: &mut Output) -> Result<End, Failure> {
    let mapping = mapping::read(&args.mapping)?;
    let mut all = Vec::new();
    for mut sink in sink::all(args, &mapping)? {
        let names: Vec<&str> = sink.pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
        for status in sink.postgres.status(&names).await? {
            let pipeline = sink.pipelines.iter().find(|pipeline| pipeline.name == status.pipeline);
            let parts = match pipeline {
                Some(pipeline) => parts(&mut sink.postgres, pipeline).await?,
                None => Parts::default(),
            };
            all.push((sink.name.clone(), status, parts));
        }
    }
    output.document(|| json!({ "pipelines": all.iter().map(document).collect::<Vec<_>>() }))?;
    let rows: Vec<Vec<String>> = all.iter().map(|(_, status, _)| row(status)).collect();
    output.table(&HEAD, &HEAD[2..9], &rows)?;
    for (_, status, parts) in &all {
        for line in parts.lines() {
            output.line(&format!("{}: {line}", status.pipeline))?;
        }
        if status.open_letters > 0 {
            output
                .line(&format!("`tributary dead-letters list {}` shows what could not be applied", status.pipeline))?;
        }
    }
    Ok(End::Fine)
}

fn row(status: &Status) -> Vec<String> {
    let last = status.checkpoints.first();
    let letters = match (status.open_letters, status.waiting_letters) {
        (0, 0) => "none".to_owned(),
        (open, 0) => format!("{open} open"),
        (open, waiting) => format!("{open} open, {waiting} waiting"),
    };
    let mut row = vec![
        status.pipeline.clone(),
        status.last.map_or_else(|| "never".to_owned(), |at| format!("{} ago", clock::span(clock::since(at)))),
        last.and_then(|stand| stand.lag).map_or_else(|| "–".to_owned(), clock::span),
    ];
    for tally in [status.hour, status.day] {
        row.extend([tally.applied, tally.stale, tally.dead].map(|figure| figure.to_string()));
    }
    row.extend([letters, runner(status.lease.as_ref())]);
    row
}

fn runner(lease: Option<&Lease>) -> String {
    match lease {
        Some(lease) if lease.left > 0.0 => format!("{}, {} left", lease.holder, clock::span(lease.left)),
        _ => "nobody".to_owned(),
    }
}

fn document((datastore, status, parts): &(String, Status, Parts)) -> Value {
    let tally = |tally: Tally| json!({ "applied": tally.applied, "stale": tally.stale, "dead": tally.dead });
    let stands = status.checkpoints.iter().map(|stand| {
        json!({
            "partition": stand.partition,
            "position": stand.position,
            "committed_at": clock::iso(stand.committed_at),
            "lag_seconds": stand.lag,
        })
    });
    let lease = status.lease.as_ref().map(|lease| {
        json!({ "holder": lease.holder, "fence": lease.fence, "seconds_left": lease.left, "held": lease.left > 0.0 })
    });
    json!({
        "pipeline": status.pipeline,
        "datastore": datastore,
        "last_batch_at": status.last.map(clock::iso),
        "checkpoints": stands.collect::<Vec<_>>(),
        "hour": tally(status.hour),
        "day": tally(status.day),
        "dead_letters": { "open": status.open_letters, "waiting": status.waiting_letters },
        "lease": lease,
        "lists": parts.lists,
        "views": parts.views,
        "files": parts.files.iter().cloned().collect::<BTreeMap<_, _>>(),
    })
}

/// What a pipeline has beside the tables that the mapping names.
#[derive(Default)]
struct Parts {
    /// The tables that lists were given.
    lists: Vec<String>,
    views: Vec<String>,
    /// How many files are in which state.
    files: Vec<(String, i64)>,
}

async fn parts(postgres: &mut Postgres<Database<Vault>>, pipeline: &Pipeline) -> Result<Parts, Failure> {
    let mut parts = Parts::default();
    if pipeline.routes.iter().any(|route| route.lists.is_some()) {
        let names = postgres.stored(&pipeline.name, auto::PARTITION).await?;
        let names = names.as_deref().map(Names::parse).transpose()?.unwrap_or_default();
        let known = auto::remembered(pipeline, &names)?;
        parts.lists = known.tables[pipeline.tables.len()..].iter().map(Table::qualified_name).collect();
    }
    parts.views = pipeline.views.iter().map(View::qualified_name).collect();
    if let Some(table) = pipeline.attachments.as_ref().and_then(|files| pipeline.tables.get(files.table)) {
        parts.files = postgres.files(table).await?;
    }
    Ok(parts)
}

impl Parts {
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.lists.is_empty() {
            lines.push(format!("repeats in {}", self.lists.join(", ")));
        }
        if !self.views.is_empty() {
            lines.push(format!("all together in {}", self.views.join(", ")));
        }
        if !self.files.is_empty() {
            let states: Vec<String> = self.files.iter().map(|(state, count)| format!("{count} {state}")).collect();
            lines.push(format!("files: {}", states.join(", ")));
        }
        lines
    }
}
