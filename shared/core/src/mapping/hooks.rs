//! Pipelines that share a hook: who may send to it and what becomes of a body is said once, or everywhere the same.

use std::ops::Range;

use super::fields::Named;
use super::node::{Node, Shape};
use super::report::Report;
use crate::webhook::{Mode, Verification};

/// What all pipelines of the file say about their hooks.
#[derive(Default)]
pub(super) struct Hooks<'n> {
    written: Vec<Written<'n>>,
    all: Vec<Taker>,
}

/// A source of a hook as it stands in the file.
struct Written<'n> {
    hook: String,
    source: &'n Node,
}

/// A pipeline of a hook, lowered.
pub(super) struct Taker {
    pub(super) pipeline: String,
    pub(super) hook: String,
    /// Where the pipeline's source stands.
    pub(super) span: Range<usize>,
    /// Whether it takes rows, and is not told only that something is to be run.
    pub(super) takes_rows: bool,
    /// Who may send, where this pipeline says so.
    pub(super) verification: Option<(Verification, Range<usize>)>,
    /// What becomes of a body, where this pipeline says so.
    pub(super) mode: Option<(Mode, Range<usize>)>,
}

/// Whether this is the source of a hook.
pub(super) fn is_webhook(source: &Node) -> bool {
    matches!(source.entry("type"), Some(node) if node.as_text().is_some_and(|text| text.text == "webhook"))
}

impl<'n> Hooks<'n> {
    /// Looks through pipelines for sources of hooks, before any of them is lowered.
    pub(super) fn gather(pipelines: &[Named<'n>]) -> Self {
        let written = pipelines.iter().filter_map(|part| {
            let source = part.body.entry("source").filter(|source| is_webhook(source))?;
            let hook = source.entry("hook").and_then(Node::as_text).map(|text| text.text);
            Some(Written { hook: hook.unwrap_or_else(|| part.name.text.clone()), source })
        });
        Hooks { written: written.collect(), all: Vec::new() }
    }

    /// What a pipeline of the hook says at this key; the first one that does.
    pub(super) fn said(&self, hook: &str, key: &str) -> Option<&'n Node> {
        let of_hook = self.written.iter().filter(|written| written.hook == hook);
        of_hook
            .filter_map(|written| match &written.source.shape {
                Shape::Map(entries) => entries.iter().find(|entry| entry.key.text == key).map(|entry| &entry.value),
                _ => None,
            })
            .next()
    }

    /// Notes a pipeline of a hook.
    pub(super) fn add(&mut self, taker: Taker) {
        self.all.push(taker);
    }

    /// Reports pipelines of one hook that don't agree.
    pub(super) fn check(&self, report: &mut Report<'_>) {
        for (position, taker) in self.all.iter().enumerate() {
            let earlier = || self.all[..position].iter().filter(|other| other.hook == taker.hook);
            if let Some(other) = earlier().find(|other| other.takes_rows != taker.takes_rows) {
                let (rows, runs) = if taker.takes_rows { (taker, other) } else { (other, taker) };
                let message = format!(
                    "`{}` takes rows from hook `{}`, and `{}` takes bodies from it that hold none",
                    rows.pipeline, taker.hook, runs.pipeline
                );
                report.add("shared-hook", taker.span.clone(), message, "give one of the two a `hook:` of its own");
            }
            let first = earlier().find_map(|other| Some((other, &other.verification.as_ref()?.0)));
            if let (Some((ours, span)), Some((other, theirs))) = (&taker.verification, first)
                && ours != theirs
            {
                let message = format!("`{}` says otherwise who may send to hook `{}`", other.pipeline, taker.hook);
                let hint = "remove one of the two, or write the same, secrets included";
                report.add("shared-hook", span.clone(), message, hint);
            }
            let first = earlier().find_map(|other| Some((other, &other.mode.as_ref()?.0)));
            if let (Some((ours, span)), Some((other, theirs))) = (&taker.mode, first)
                && ours != theirs
            {
                let message =
                    format!("`{}` says otherwise what becomes of a body of hook `{}`", other.pipeline, taker.hook);
                report.add("shared-hook", span.clone(), message, "remove one of the two, or write the same");
            }
        }
    }
}
