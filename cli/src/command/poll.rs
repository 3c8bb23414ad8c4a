//! `tributary poll`: one tick of the polled pipelines, in this process, by the handlers of their functions.

use std::sync::Arc;

use serde_json::json;
use tributary_core::Error;
use tributary_core::pipeline::{Mapping, PostgresStore, SourceKind};
use tributary_runtime::airtable_poll::AirtablePoll;
use tributary_runtime::database::Database;
use tributary_runtime::odk_poll::OdkPoll;
use tributary_runtime::secrets::Secret;
use tributary_runtime::sequin_poll::SequinPoll;
use tributary_runtime::sinks::Sinks;
use tributary_runtime::tick::{Poller, Progress, Report, Request, Ticker};
use tributary_runtime::vault::Vault;

use super::backfill::UntilInterrupted;
use crate::args::{Args, Poll};
use crate::failure::{End, Failure};
use crate::interrupt::Interrupt;
use crate::mapping;
use crate::output::{Output, progress};

type Sink = Database<Vault>;

pub(crate) async fn run(args: &Args, poll: &Poll, output: &mut Output) -> Result<End, Failure> {
    let mapping = Arc::new(mapping::read(&args.mapping)?);
    for name in poll.pipelines.iter().chain(&poll.allow_mass_delete) {
        is_polled(&mapping, name)?;
    }
    let vault = Arc::new(Vault::new());
    let budget = UntilInterrupted(Interrupt::listen("this page"));
    let mut lines: Vec<Progress> = Vec::new();
    let reports = [
        Box::pin(tick(args, poll, &mapping, SequinPoll::new(Arc::clone(&vault)), &vault, &budget)).await?,
        Box::pin(tick(args, poll, &mapping, AirtablePoll::new(Arc::clone(&vault)), &vault, &budget)).await?,
        Box::pin(tick(args, poll, &mapping, OdkPoll::new(Arc::clone(&vault)), &vault, &budget)).await?,
    ];
    for report in reports.into_iter().flatten() {
        lines.extend(report.pipelines().iter().cloned());
    }
    if lines.is_empty() {
        return Err(Error::config("the mapping has no pipeline that is polled")
            .with_hint(
                "sources of type sequin, airtable and odk are; a DynamoDB stream is pushed, and `backfill` reads its table",
            )
            .into());
    }
    output.document(|| json!({ "pipelines": lines }))?;
    for line in &lines {
        show(line, output)?;
    }
    let failed = lines.iter().any(|line| matches!(line.state, "failed" | "more" | "waiting"));
    Ok(if failed { End::Failed } else { End::Fine })
}

/// A tick of one kind of source; none where the mapping has nothing of it that is asked for.
async fn tick<P: Poller<Sink>>(
    args: &Args,
    poll: &Poll,
    mapping: &Arc<Mapping>,
    poller: P,
    vault: &Arc<Vault>,
    budget: &UntilInterrupted,
) -> Result<Option<Report>, Failure> {
    let jobs = poller.jobs(mapping);
    let ours = |names: &[String]| -> Vec<String> {
        let has = |name: &&String| jobs.iter().any(|job| job.pipelines.iter().any(|pipeline| pipeline.name == **name));
        names.iter().filter(has).cloned().collect()
    };
    let pipelines = ours(&poll.pipelines);
    if jobs.is_empty() || (pipelines.is_empty() && !poll.pipelines.is_empty()) {
        return Ok(None);
    }
    let allow_mass_delete = ours(&poll.allow_mass_delete);
    let request = Request { pipelines, force: poll.force, allow_mass_delete };
    let credentials = |name: &str, store: &PostgresStore| {
        Database::new(store.clone(), Arc::clone(vault), name).with_url(args.database_url.as_deref().map(Secret::new))
    };
    let sinks = Sinks::new(mapping, jobs.iter().flat_map(|job| job.pipelines.iter().copied()), credentials);
    drop(jobs);
    let mut ticker = Ticker::new(Arc::clone(mapping), sinks, poller)?;
    let report = Box::pin(ticker.tick(&request, budget)).await?;
    Ok(Some(report))
}

fn is_polled(mapping: &Mapping, name: &str) -> Result<(), Error> {
    match mapping.pipeline(name).map(|pipeline| &pipeline.source.kind) {
        Some(SourceKind::Sequin(_) | SourceKind::SequinLegacy(_) | SourceKind::Airtable(_) | SourceKind::Odk(_)) => {
            Ok(())
        }
        Some(SourceKind::Webhook(_)) => Err(Error::config(format!("`{name}` is a webhook, which nobody polls"))
            .with_hint("`tributary hook test` sends a file to its hook")),
        Some(SourceKind::Dynamodb { .. }) => {
            Err(Error::config(format!("the source of `{name}` is pushed, not polled"))
                .with_hint(format!("`tributary backfill {name}` reads its table")))
        }
        None => {
            let known: Vec<&str> = mapping.pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
            Err(Error::config(format!("the mapping has no pipeline `{name}`"))
                .with_hint(format!("it has {}", known.join(", "))))
        }
    }
}

fn show(line: &Progress, output: &mut Output) -> Result<(), Failure> {
    let Progress { pipeline, state, records, applied, stale, unchanged, dead, .. } = line;
    let next = line.next.as_deref().map(|next| format!(", next {next}")).unwrap_or_default();
    let unchanged = if *unchanged > 0 { format!(", {unchanged} unchanged") } else { String::new() };
    output.line(&format!(
        "{pipeline}: {state}, {records} records, {applied} rows applied, {stale} stale{unchanged}, {dead} dead letters{next}"
    ))?;
    for note in &line.notes {
        output.line(&format!("  note: {}", crate::output::printable(note)))?;
    }
    if let Some(error) = &line.error {
        output.line(&format!("  error: {}", crate::output::printable(error)))?;
    }
    if let Some(hint) = &line.hint {
        output.line(&format!("  hint: {}", crate::output::printable(hint)))?;
    }
    if *state == "waiting" {
        progress(&format!("{pipeline}: there was no time for it"));
    }
    Ok(())
}
