//! A source of type `airtable`: a table, and how changes of it are heard.

use std::time::Duration;

use super::super::duration::duration;
use super::super::fields::{Fields, choice_of};
use super::super::node::{Node, Shape, Text};
use super::super::report::Report;
use crate::pipeline::{AirtableFeed, AirtableSource, SourceKind};
use crate::value::Value;

pub(in crate::mapping) const KEYS: &[&str] =
    &["datastore", "base", "table", "every", "feed", "sweep_every", "mass_delete"];
pub(in crate::mapping) const FEED_KEYS: &[&str] = &["webhook", "last_modified"];

const SWEEP_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
const MASS_DELETE: f64 = 0.5;

/// Payloads of a webhook are kept for a week, and a hook that nobody reads expires after one (Airtable's webhooks overview).
const PAYLOADS_STAY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub(super) fn lower(fields: &Fields<'_>, every: Option<Duration>, report: &mut Report<'_>) -> Option<SourceKind> {
    let base = fields.required_text("base", "appAbCdEfGhIjKlMn", report);
    let base = base.and_then(|base| id(base, "app", "a base", report));
    let table = fields.required_text("table", "tblAbCdEfGhIjKlMn", report).and_then(|table| table_of(table, report));
    let feed = match fields.get("feed") {
        Some(node) => feed(node, report),
        None => Some(AirtableFeed::Webhook { id: None }),
    };
    let sweep_every = match fields.get("sweep_every") {
        Some(node) => sweep_every(node, feed.as_ref(), report),
        None => Some(SWEEP_EVERY),
    };
    if let (Some(AirtableFeed::Webhook { .. }), Some(node), Some(every)) = (&feed, fields.get("every"), every)
        && every >= PAYLOADS_STAY
    {
        let message = "Airtable keeps what a webhook tells for a week, and then the webhook itself is gone";
        report.add("bad-duration", node.span.clone(), message, "write `every: 1d` or shorter, or `feed: sweep`");
    }
    let mass_delete = fields.get("mass_delete").map_or(Some(MASS_DELETE), |node| share(node, report));
    Some(SourceKind::Airtable(AirtableSource {
        base: base?,
        table: table?,
        feed: feed?,
        sweep_every: sweep_every?,
        mass_delete: mass_delete?,
    }))
}

/// An id: three letters that say of what, and fourteen more.
fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.len() == 14 && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn id(text: Text, prefix: &str, what: &str, report: &mut Report<'_>) -> Option<String> {
    if is_id(&text.text, prefix) {
        return Some(text.text);
    }
    let message = format!("`{}` is not the id of {what}", text.text);
    let hint = format!("an id is `{prefix}` and 14 letters and digits; it stands in the address bar, or in the API");
    report.add("bad-id", text.span, message, hint);
    None
}

/// An id or a name. What begins like an id and is none is more likely a mistyped id than a name.
fn table_of(text: Text, report: &mut Report<'_>) -> Option<String> {
    let looks_like_id =
        text.text.starts_with("tbl") && text.text.len() > 10 && text.text.bytes().all(|b| b.is_ascii_alphanumeric());
    if looks_like_id {
        return id(text, "tbl", "a table", report);
    }
    non_empty(text, "a table", report)
}

fn non_empty(text: Text, what: &str, report: &mut Report<'_>) -> Option<String> {
    if text.text.trim().is_empty() {
        report.add("bad-id", text.span, format!("this is not the id or name of {what}"), "write an id or a name");
        return None;
    }
    Some(text.text)
}

fn feed(node: &Node, report: &mut Report<'_>) -> Option<AirtableFeed> {
    if !matches!(node.shape, Shape::Map(_)) {
        return choice_of(node, "feed", &["webhook", "sweep"], report).map(|word| match word {
            "sweep" => AirtableFeed::Sweep,
            _ => AirtableFeed::Webhook { id: None },
        });
    }
    let fields = Fields::open(node, "a feed", node.span.clone(), FEED_KEYS, report)?;
    let hook = fields.text("webhook", report);
    let field = fields.text("last_modified", report);
    match (hook, field) {
        (Some(hook), None) => id(hook, "ach", "a webhook", report).map(|id| AirtableFeed::Webhook { id: Some(id) }),
        (None, Some(field)) => non_empty(field, "a field", report).map(|field| AirtableFeed::LastModified { field }),
        (None, None) if fields.get("webhook").or(fields.get("last_modified")).is_some() => None,
        _ => {
            let message = "a feed is one of `webhook` and `last_modified`";
            let hint = "write `feed: webhook`, `feed: { webhook: ach… }` or `feed: { last_modified: fld… }`";
            report.add("bad-feed", node.span.clone(), message, hint);
            None
        }
    }
}

fn sweep_every(node: &Node, feed: Option<&AirtableFeed>, report: &mut Report<'_>) -> Option<Duration> {
    let every = duration(node, "24h", report)?;
    let (message, hint) = if feed == Some(&AirtableFeed::Sweep) {
        ("with `feed: sweep` every run is a sweep", "remove `sweep_every`; `every` says how often")
    } else if every.is_zero() {
        ("so every run would be a sweep", "write `feed: sweep`, or a time such as `sweep_every: 24h`")
    } else {
        return Some(every);
    };
    report.add("conflict", node.span.clone(), message, hint);
    None
}

/// A share of a whole: `0.5`, `50%`.
pub(super) fn share(node: &Node, report: &mut Report<'_>) -> Option<f64> {
    let share = match node.literal() {
        Some(Value::Number(number)) => number.to_string().parse::<f64>().ok(),
        Some(Value::Text(text)) => {
            let digits = |text: &&str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let percent = text.strip_suffix('%').map(str::trim_end).filter(digits).and_then(|n| n.parse::<f64>().ok());
            percent.map(|percent| percent / 100.0)
        }
        _ => None,
    };
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    if share.is_none() {
        let message = "this is not a share of a table's rows";
        report.add("wrong-type", node.span.clone(), message, "write a number from 0 to 1, or `50%`");
    }
    share
}
