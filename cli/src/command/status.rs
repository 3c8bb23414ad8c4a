//! `tributary status`: how far each pipeline is, what became of its changes, and who runs it.

use serde_json::{Value, json};
use tributary_postgres::{Lease, Status, Tally};

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
        all.extend(sink.postgres.status(&names).await?.into_iter().map(|status| (sink.name.to_owned(), status)));
    }
    output.document(|| json!({ "pipelines": all.iter().map(document).collect::<Vec<_>>() }))?;
    let rows: Vec<Vec<String>> = all.iter().map(|(_, status)| row(status)).collect();
    output.table(&HEAD, &HEAD[2..9], &rows)?;
    for (_, status) in &all {
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

fn document((datastore, status): &(String, Status)) -> Value {
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
    })
}
