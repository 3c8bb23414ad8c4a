//! A source of type `webhook`: what a sender posts to `/hooks/{hook}`.

mod envelope;
mod verify;

use std::ops::Range;

use super::super::address::segment;
use super::super::fields::{Fields, Named};
use super::super::hooks::{Hooks, Taker};
use super::super::node::{Node, Text};
use super::super::report::Report;
use crate::webhook::{Mode, TooLarge, WebhookSource};
pub(in crate::mapping) use envelope::is_hint;
#[cfg(test)]
pub(in crate::mapping) use envelope::{ENVELOPE_KEYS, OPERATION_KEYS};
#[cfg(test)]
pub(in crate::mapping) use verify::{TIMESTAMP_KEYS, VERIFY_KEYS};

pub(in crate::mapping) const KEYS: &[&str] =
    &["type", "hook", "verify", "envelope", "version", "id", "mode", "too_large"];

/// Lowers what of a hook a pipeline takes, and the pipelines that it names where it only says that they shall run.
pub(in crate::mapping) fn lower(
    pipeline: &Named<'_>,
    fields: &Fields<'_>,
    hooks: &mut Hooks<'_>,
    report: &mut Report<'_>,
) -> Option<(WebhookSource, Vec<Text>)> {
    let hook = match fields.text("hook", report) {
        Some(hook) => segment(hook, "a hook", report),
        None if fields.get("hook").is_some() => None,
        None => own_name(&pipeline.name, report),
    };
    let name = hook.clone().unwrap_or_default();
    let verification = match fields.get("verify") {
        Some(node) => verify::lower(node, report),
        None => verify_of_another(fields, &name, hooks, report),
    };
    let envelope = fields.required("envelope", "plain", report);
    let envelope = envelope.and_then(|node| envelope::lower(node, fields, report));
    let mode = mode(fields, hooks, &name, report);
    let is_hint = fields.get("envelope").is_some_and(is_hint);
    if is_hint {
        for key in ["version", "id", "mode", "too_large"] {
            if let Some(span) = fields.key_span(key) {
                let message = format!("`{key}` is about rows, and these bodies hold none");
                report.add("conflict", span, message, "remove it");
            }
        }
    }
    let place = |key: &str| fields.key_span(key);
    hooks.add(Taker {
        pipeline: pipeline.name.text.clone(),
        hook: name,
        span: fields.at.clone(),
        takes_rows: !is_hint,
        verification: verification.clone().zip(place("verify")),
        mode: mode.zip(place("mode").or_else(|| place("too_large"))),
    });
    let (envelope, runs) = envelope?;
    Some((WebhookSource { hook: hook?, verification: verification?, envelope, mode: mode? }, runs))
}

/// The pipeline's own name, which becomes a part of a URL.
fn own_name(name: &Text, report: &mut Report<'_>) -> Option<String> {
    // A name that is none is reported once, where it stands; the remedy is another key.
    let mut quiet = Report::new("", "");
    let hook = segment(name.clone(), "a hook", &mut quiet);
    if hook.is_none() {
        let message = format!("`{}` is to be a part of a URL, and cannot", name.text);
        report.add("bad-id", name.span.clone(), message, "write `hook: …`: letters, digits, `-`, `_` and `.`");
    }
    hook
}

/// Another pipeline of the hook may say who sends to it.
fn verify_of_another(
    fields: &Fields<'_>,
    hook: &str,
    hooks: &Hooks<'_>,
    report: &mut Report<'_>,
) -> Option<crate::webhook::Verification> {
    if let Some(node) = hooks.said(hook, "verify") {
        // What is wrong there is reported there.
        return verify::lower(node, &mut Report::new("", ""));
    }
    let message = format!("nothing says who may send to hook `{hook}`");
    let hint = "write `verify: { scheme: standard, secret: { secret: … } }`, or `verify: none` if anybody may";
    report.add("missing-verify", fields.at.clone(), message, hint);
    None
}

fn mode(fields: &Fields<'_>, hooks: &Hooks<'_>, hook: &str, report: &mut Report<'_>) -> Option<Mode> {
    if fields.get("mode").is_none() && fields.get("too_large").is_none() {
        let node = |key| hooks.said(hook, key);
        return read_mode(node("mode"), node("too_large"), None, &mut Report::new("", ""));
    }
    read_mode(fields.get("mode"), fields.get("too_large"), fields.key_span("too_large"), report)
}

fn read_mode(
    mode: Option<&Node>,
    too_large: Option<&Node>,
    key: Option<Range<usize>>,
    report: &mut Report<'_>,
) -> Option<Mode> {
    use super::super::fields::choice_of;
    let word = mode.map_or(Some("direct"), |node| choice_of(node, "mode", &["direct", "queue"], report));
    let large = too_large.map_or(Some("refuse"), |node| choice_of(node, "too_large", &["refuse", "s3"], report));
    if word == Some("direct") {
        if let Some(key) = key {
            let message = "`too_large` is about the queue, and without `mode: queue` there is none";
            report.add("conflict", key, message, "remove it, or write `mode: queue`");
        }
        return Some(Mode::Direct);
    }
    let too_large = if large? == "s3" { TooLarge::S3 } else { TooLarge::Refuse };
    word.map(|_| Mode::Queue { too_large })
}
