//! Hints: which pipelines they run, and the call of the functions that run them.
//!
//! `TRIBUTARY_POLL_FUNCTIONS` names those functions, by the kind of source that they poll:
//! `airtable=airtable-poll,sequin=arn:aws:lambda:…`. They are invoked without waiting for what they do; Lambda keeps such
//! calls for hours while the function is busy.

use std::collections::BTreeMap;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use serde_json::json;
use tokio::sync::OnceCell;
use tributary_core::pipeline::{Mapping, Pipeline, SourceKind};
use tributary_core::webhook::Trigger;
use tributary_core::{Error, Result};
use tributary_sources::webhook::envelope::Hint;

use super::queue::refused;
use crate::aws;

const FUNCTIONS: &str = "TRIBUTARY_POLL_FUNCTIONS";

/// The functions that poll.
#[derive(Debug, Default)]
pub(super) struct Pollers {
    functions: BTreeMap<String, String>,
    client: OnceCell<aws_sdk_lambda::Client>,
}

impl Pollers {
    /// Those that the environment names.
    ///
    /// # Errors
    /// `Config` when it isn't a list of kinds and functions.
    pub(super) fn of_environment() -> Result<Self> {
        let functions = named(&std::env::var(FUNCTIONS).unwrap_or_default())?;
        Ok(Pollers { functions, client: OnceCell::new() })
    }

    /// Whether there is a function for each of these pipelines.
    ///
    /// # Errors
    /// `Config` when there isn't.
    pub(super) fn serve(&self, pipelines: &[&Pipeline]) -> Result<()> {
        self.by_function(pipelines).map(drop)
    }

    /// Tells the functions of these pipelines to run them now.
    ///
    /// # Errors
    /// `Config` when one is not there or may not be invoked, `Unavailable` when Lambda doesn't answer.
    pub(super) async fn run(&self, pipelines: &[&Pipeline]) -> Result<()> {
        let client = self.client.get_or_init(async || aws_sdk_lambda::Client::new(aws::config().await)).await;
        for (function, pipelines) in self.by_function(pipelines)? {
            // Forced: what rests until its time is just what the hint is about.
            let tick = json!({ "tick": { "pipelines": pipelines, "force": true } }).to_string();
            let request = client.invoke().function_name(function).invocation_type(InvocationType::Event);
            let called = request.payload(Blob::new(tick)).send().await;
            called.map_err(|error| refused(&format!("the function {function}"), "lambda:InvokeFunction", &error))?;
        }
        Ok(())
    }

    fn by_function<'s, 'm>(&'s self, pipelines: &[&'m Pipeline]) -> Result<BTreeMap<&'s str, Vec<&'m str>>> {
        let mut by_function: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for pipeline in pipelines {
            let kind = kind(&pipeline.source.kind).ok_or_else(|| {
                Error::config(format!("the pipeline `{}` is not polled, so no hook can run it", pipeline.name))
            })?;
            let function = self.functions.get(kind).ok_or_else(|| {
                Error::config(format!("nobody knows which function runs the pipeline `{}`", pipeline.name))
                    .with_hint(format!("set {FUNCTIONS} to `{kind}=` and the name of the function"))
            })?;
            by_function.entry(function).or_default().push(&pipeline.name);
        }
        Ok(by_function)
    }
}

/// What a function that polls such a source goes by.
fn kind(source: &SourceKind) -> Option<&'static str> {
    match source {
        SourceKind::Airtable(_) => Some("airtable"),
        SourceKind::Sequin(_) | SourceKind::SequinLegacy(_) => Some("sequin"),
        SourceKind::Odk(_) => Some("odk"),
        SourceKind::Dynamodb { .. } | SourceKind::Webhook(_) => None,
    }
}

fn named(text: &str) -> Result<BTreeMap<String, String>> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let entry = |entry: &str| match entry.split_once('=') {
        Some((kind, function)) if !kind.trim().is_empty() && !function.trim().is_empty() => {
            Ok((kind.trim().to_owned(), function.trim().to_owned()))
        }
        _ => Err(Error::config(format!("{FUNCTIONS} holds `{entry}`"))
            .with_hint("write `airtable=` and the function's name, several with commas between")),
    };
    entries.map(entry).collect()
}

/// The pipelines of a trigger that a hint is about.
///
/// # Errors
/// The name that isn't the trigger's to run.
pub(super) fn runs<'m>(mapping: &'m Mapping, trigger: &Trigger, hint: &Hint) -> Result<Vec<&'m Pipeline>, Box<str>> {
    if let Hint::Run { pipelines } = hint
        && let Some(other) = pipelines.iter().find(|name| !trigger.runs.iter().any(|known| **known == ***name))
    {
        return Err(other.clone());
    }
    let all = trigger.runs.iter().filter_map(|name| mapping.pipeline(name));
    Ok(all.filter(|pipeline| concerns(hint, pipeline)).collect())
}

/// Whether a hint may be about a pipeline. One hook may be of several bases.
fn concerns(hint: &Hint, pipeline: &Pipeline) -> bool {
    match (hint, &pipeline.source.kind) {
        (Hint::Run { pipelines }, _) => pipelines.iter().any(|name| **name == *pipeline.name),
        (Hint::Airtable { base, .. }, SourceKind::Airtable(source)) => source.base == **base,
        (Hint::Airtable { .. } | Hint::Central { .. }, _) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_by_their_kind() {
        let check = |text: &str, expect: Option<&[(&str, &str)]>| {
            let named = named(text).ok();
            let named = named.as_ref().map(|named| named.iter().map(|(k, f)| (&**k, &**f)).collect::<Vec<_>>());
            assert_eq!(named.as_deref(), expect, "{text}");
        };
        check("", Some(&[]));
        check("airtable=poll", Some(&[("airtable", "poll")]));
        check(
            " airtable = poll , sequin=arn:aws:lambda:x, ",
            Some(&[("airtable", "poll"), ("sequin", "arn:aws:lambda:x")]),
        );
        check("poll", None);
        check("airtable=", None);
        check("=poll", None);
    }
}
