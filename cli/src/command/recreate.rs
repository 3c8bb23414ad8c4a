//! `tributary migrate --recreate`: a pipeline begun anew, after a look at what that takes away.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use serde_json::json;
use tributary_core::Error;
use tributary_core::auto::{self, Names};
use tributary_core::pipeline::{AirtableFeed, Mapping, Pipeline, SourceKind};
use tributary_postgres::{COUNTED, Holdings, Made};
use tributary_runtime::auto::views;
use tributary_runtime::lease::Lease;

use crate::args::{Args, Migrate};
use crate::failure::{End, Failure};
use crate::output::Output;
use crate::{mapping, sink};

pub(crate) async fn run(args: &Args, migrate: &Migrate, name: &str, output: &mut Output) -> Result<End, Failure> {
    let mapping = mapping::read(&args.mapping)?;
    let pipeline = mapping.pipeline(name).ok_or_else(|| {
        let known: Vec<&str> = mapping.pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
        Error::config(format!("the mapping has no pipeline `{name}`")).with_hint(format!("it has {}", known.join(", ")))
    })?;
    let mut sinks = sink::all(args, &mapping)?;
    let mut find = |name: &str| {
        let at = sinks.iter().position(|sink| sink.pipelines.iter().any(|one| one.name == name));
        at.map(|at| sinks.swap_remove(at))
    };
    let mut sink = find(name).ok_or_else(|| Error::config(format!("the pipeline `{name}` has no sink")))?;
    // Pipelines that share a queue have one lease, in the sink of the first of them, which may be another database.
    let mut other = find(&first_of_queue(&mapping, pipeline).name);
    let names = sink.postgres.stored(name, auto::PARTITION).await?;
    let names = names.as_deref().map(Names::parse).transpose()?.unwrap_or_default();
    let known = auto::remembered(pipeline, &names)?;
    let (views, plain) = (views(&known)?, views(pipeline)?);
    let holdings = sink.postgres.holdings(name, &known.tables, &views).await?;
    check(&holdings, migrate.drop_other_columns)?;
    if migrate.dry_run {
        return tell(pipeline, &holdings, false, output);
    }
    if !migrate.yes {
        confirm(name, &holdings)?;
    }
    let leases = leases(pipeline);
    let mut held = Vec::new();
    if let Some(other) = &mut other {
        for lease in &leases {
            held.push(Lease::take(&mut other.postgres, lease).await?);
        }
    }
    let made = Made { tables: &pipeline.tables, known: &known.tables, views: &plain };
    let done = Box::pin(sink.postgres.recreate(name, &leases, made)).await;
    if let Some(other) = &mut other {
        for lease in held {
            lease.give_back(&mut other.postgres).await?;
        }
    }
    done?;
    tell(pipeline, &holdings, true, output)?;
    output.line(&format!("to fill it: {}", refill(pipeline)))?;
    if auto::follows(pipeline) {
        output.line("columns that follow the source are added then, and are named anew")?;
    }
    Ok(End::Fine)
}

/// What the pipeline has may not be dropped.
fn check(holdings: &Holdings, drop_other_columns: bool) -> Result<(), Error> {
    if let Some(view) = holdings.tables.iter().find(|held| held.is_no_table) {
        return Err(Error::config(format!("{} is no table, and is not dropped", view.table))
            .with_hint("name another table in the mapping, or drop it yourself"));
    }
    if !holdings.dependents.is_empty() {
        return Err(Error::config(format!("the tables are used by {}", holdings.dependents.join(", ")))
            .with_hint("drop these first, and make them again afterwards"));
    }
    let others: Vec<String> = holdings
        .tables
        .iter()
        .flat_map(|held| held.other_columns.iter().map(|column| format!("{}.{column}", held.table)))
        .collect();
    if !others.is_empty() && !drop_other_columns {
        return Err(Error::config(format!("the mapping doesn't have the columns {}", others.join(", "))).with_hint(
            "what is in them comes from nowhere again: save it, or map them; --drop-other-columns drops them too",
        ));
    }
    Ok(())
}

fn rows(count: i64) -> String {
    match count {
        1 => "1 row".to_owned(),
        count if count > COUNTED => format!("more than {COUNTED} rows"),
        count => format!("{count} rows"),
    }
}

/// What is dropped, as lines.
fn losses(holdings: &Holdings) -> Vec<String> {
    let mut lines: Vec<String> =
        holdings.tables.iter().map(|held| format!("table {} with {}", held.table, rows(held.rows))).collect();
    for held in &holdings.tables {
        lines.extend(
            held.other_columns
                .iter()
                .map(|name| format!("column {}.{name}, which the mapping doesn't have", held.table)),
        );
    }
    lines.extend(holdings.views.iter().map(|view| format!("view {view}")));
    lines.extend(holdings.extras.iter().cloned());
    lines
}

fn confirm(name: &str, holdings: &Holdings) -> Result<(), Error> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Error::config("nobody is there to confirm that the pipeline's tables are dropped")
            .with_hint("--dry-run shows what is lost; --yes goes on without asking"));
    }
    let mut stderr = anstream::stderr();
    let unwritten = |cause| Error::unavailable("cannot ask").with_source(cause);
    let mut ask = || {
        for line in losses(holdings) {
            writeln!(stderr, "drops {line}")?;
        }
        write!(stderr, "type the pipeline's name to go on: ")?;
        stderr.flush()?;
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer).map(|_| answer)
    };
    if ask().map_err(unwritten)?.trim() == name {
        return Ok(());
    }
    Err(Error::config("that is not the pipeline's name; nothing was changed"))
}

fn tell(pipeline: &Pipeline, holdings: &Holdings, done: bool, output: &mut Output) -> Result<End, Failure> {
    let name = &pipeline.name;
    output.document(|| {
        let tables: Vec<_> = holdings
            .tables
            .iter()
            .map(|held| json!({ "table": held.table, "rows": held.rows, "other_columns": held.other_columns }))
            .collect();
        json!({ "pipeline": name, "done": done, "dropped": tables, "views": holdings.views, "extras": holdings.extras, "dead_letters": holdings.letters })
    })?;
    let verb = if done { "dropped" } else { "would drop" };
    for line in losses(holdings) {
        output.line(&format!("{verb} {line}"))?;
    }
    if done {
        output.line(&format!(
            "{name} is begun anew: its tables are empty, and nothing is remembered of how far it was"
        ))?;
        if let SourceKind::Webhook(source) = &pipeline.source.kind {
            output.line(&format!(
                "nobody reads it anew: let the sender of the hook {} send again, which counts as new",
                source.hook
            ))?;
        }
    }
    let letters = match holdings.letters {
        0 => return Ok(End::Fine),
        1 => "its dead letter stays".to_owned(),
        many => format!("its {many} dead letters stay"),
    };
    let next = match &pipeline.source.kind {
        SourceKind::Airtable(_) => "the sweep reads what it can of them anew".to_owned(),
        SourceKind::Odk(_) => "the first pass reads what it can of them anew".to_owned(),
        _ => format!("`tributary dead-letters replay {name}`"),
    };
    output.line(&format!("{letters}: {next}"))?;
    Ok(End::Fine)
}

/// The first pipeline that reads the same queue; the pipeline itself where it has none.
fn first_of_queue<'m>(mapping: &'m Mapping, pipeline: &'m Pipeline) -> &'m Pipeline {
    let is_queue = matches!(pipeline.source.kind, SourceKind::Sequin(_) | SourceKind::SequinLegacy(_));
    let shares = |one: &&Pipeline| is_queue && leases(one) == leases(pipeline);
    mapping.pipelines.iter().find(shares).unwrap_or(pipeline)
}

/// Under which names somebody may run the pipeline.
fn leases(pipeline: &Pipeline) -> Vec<String> {
    let (name, datastore) = (&pipeline.name, &pipeline.source.datastore);
    match &pipeline.source.kind {
        SourceKind::Dynamodb { .. } => vec![format!("{name}/backfill")],
        SourceKind::Airtable(_) | SourceKind::Odk(_) => vec![format!("{name}/poll")],
        // Senders run it, whenever they like.
        SourceKind::Webhook(_) => Vec::new(),
        SourceKind::Sequin(source) => vec![format!("{datastore}/{}/poll", source.consumer)],
        SourceKind::SequinLegacy(source) => vec![format!("{datastore}/{}/poll", source.consumer)],
    }
}

/// What fills the tables.
fn refill(pipeline: &Pipeline) -> String {
    let name = &pipeline.name;
    match &pipeline.source.kind {
        SourceKind::Dynamodb { .. } => {
            format!("`tributary backfill {name}`; events of the stream are applied meanwhile")
        }
        SourceKind::Airtable(source) if source.feed == AirtableFeed::Sweep => {
            format!("the next tick, or `tributary poll {name}`")
        }
        SourceKind::Webhook(_) => {
            "what senders post from now on; what they posted under an id within the last 7 days is known, and not \
                                   taken again"
                .to_owned()
        }
        SourceKind::Odk(_) => format!("the next tick reads all rows anew, or `tributary poll {name}`"),
        SourceKind::Airtable(_) => format!("the next tick begins with a sweep, or `tributary poll {name}`"),
        SourceKind::Sequin(source) => format!(
            "run a backfill of the sink `{}` in Sequin's console, then the next tick or `tributary poll {name}`: what was \
             acknowledged doesn't come again by itself",
            source.consumer
        ),
        SourceKind::SequinLegacy(source) => format!(
            "let Sequin deliver the consumer `{}` from its beginning, then the next tick or `tributary poll {name}`: what was \
             acknowledged doesn't come again by itself",
            source.consumer
        ),
    }
}
