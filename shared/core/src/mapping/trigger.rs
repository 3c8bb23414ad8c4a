//! A hook whose bodies hold no rows: they say that pipelines shall run. It stands among the pipelines, without a sink.

use super::fields::{Fields, Named};
use super::hooks::{Hooks, is_webhook};
use super::node::Text;
use super::report::Report;
use super::source::webhook;
use super::spelling::nearest;
use crate::pipeline::{AirtableFeed, Pipeline, SourceKind};
use crate::webhook::Trigger;
use crate::webhook::envelope::Shape;

/// Whether a pipeline is one.
pub(super) fn is_trigger(part: &Named<'_>) -> bool {
    let source = part.body.entry("source").filter(|source| is_webhook(source));
    source.and_then(|source| source.entry("envelope")).is_some_and(webhook::is_hint)
}

/// Lowers a hook without rows, with the places of the pipelines that it runs.
pub(super) fn lower(part: &Named<'_>, hooks: &mut Hooks<'_>, report: &mut Report<'_>) -> Option<(Trigger, Vec<Text>)> {
    let fields = part.open("a pipeline", super::pipeline::KEYS, report)?;
    if let Some(span) = fields.key_span("sink") {
        let message = "these bodies hold no rows, so there is nothing to write";
        report.add("conflict", span, message, "remove it: the pipelines that `runs` names have sinks of their own");
    }
    let source = fields.required("source", "{ type: webhook }", report)?;
    let at = fields.key_span("source").unwrap_or_default();
    let source = Fields::open(source, "a webhook source", at, webhook::KEYS, report)?;
    let (source, runs) = webhook::lower(part, &source, hooks, report)?;
    let names = runs.iter().map(|name| name.text.clone()).collect();
    Some((Trigger { name: part.name.text.clone(), source, runs: names }, runs))
}

/// Reports what cannot be run: pipelines that there are not, and those that wait for their source anyway. `all` are the names
/// of all pipelines, bad ones among them.
pub(super) fn check(
    trigger: &Trigger,
    runs: &[Text],
    all: &[&str],
    pipelines: &[Option<Pipeline>],
    report: &mut Report<'_>,
) {
    for name in runs {
        if !all.contains(&name.text.as_str()) {
            let hint = match nearest(&name.text, all.iter().copied()) {
                Some(meant) => format!("write `{meant}`"),
                None => "name a pipeline that polls its source".to_owned(),
            };
            report.add("unknown-pipeline", name.span.clone(), format!("there is no pipeline `{}`", name.text), hint);
            continue;
        }
        let Some(pipeline) = pipelines.iter().flatten().find(|pipeline| pipeline.name == name.text) else { continue };
        let by_ping = match &pipeline.source.kind {
            SourceKind::Airtable(source) => matches!(source.feed, AirtableFeed::Webhook { .. }),
            SourceKind::Sequin(_) | SourceKind::SequinLegacy(_) => trigger.source.envelope.shape != Shape::Airtable,
            SourceKind::Odk(_) => trigger.source.envelope.shape != Shape::Airtable,
            SourceKind::Dynamodb { .. } | SourceKind::Webhook(_) => {
                let message = format!("`{}` reads {}, which comes by itself", name.text, pipeline.source.kind.noun());
                report.add("not-polled", name.span.clone(), message, "name a pipeline that polls its source");
                continue;
            }
        };
        if trigger.source.envelope.shape == Shape::Airtable && !by_ping {
            let message = format!("Airtable's pings say nothing about `{}`", name.text);
            let hint = "name a pipeline that reads an Airtable table with `feed: webhook`";
            report.add("not-polled", name.span.clone(), message, hint);
        }
    }
}
