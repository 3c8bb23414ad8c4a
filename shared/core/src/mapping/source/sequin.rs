//! A source of type `sequin`: a Postgres table by a Sequin Stream sink, or a collection by a consumer of the former Sequin.

use std::ops::Range;
use std::time::Duration;

use super::super::address::segment;
use super::super::column::path;
use super::super::duration::duration;
use super::super::fields::Fields;
use super::super::report::Report;
use super::super::table::table_name;
use super::{epoch, names};
use crate::pipeline::{SequinLegacySource, SequinSource, SourceKind};

pub(in crate::mapping) const KEYS: &[&str] =
    &["datastore", "consumer", "table", "key", "every", "epoch", "replica_identity", "version", "ack_wait"];
pub(in crate::mapping) const LEGACY_KEYS: &[&str] =
    &["datastore", "consumer", "collection", "every", "epoch", "ack_wait"];

/// What tells a consumer's messages apart, in the one product and in the other.
pub(super) const TABLE: &str = "table";
pub(super) const COLLECTION: &str = "collection";

/// The visibility timeout of both products where nobody set another.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// How many columns a primary key of Postgres may have (`INDEX_MAX_KEYS`).
const MOST_KEYS: usize = 32;

/// A table of a Sequin Stream sink.
pub(super) fn stream(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<SourceKind> {
    let consumer = consumer(fields, report);
    let message =
        "a source's `collection` belongs to `protocol: legacy`; a Sequin Stream sends rows of Postgres tables";
    foreign(fields, COLLECTION, message, "write `table: schema.table`", report);
    let table = fields.text("table", report).map(|table| table_name(&table, report).map(|_| table.text));
    let wanted = format!("a primary key has 1 to {MOST_KEYS} columns");
    let key = fields.get("key").map(|node| names(node, MOST_KEYS, &wanted, report));
    let identity = fields.choice("replica_identity", &["default", "full"], report);
    let whole = identity == Some("full");
    if let (true, Some(span)) = (whole, fields.key_span("key")) {
        let message = "with `replica_identity: full` a delete carries every column, so any of them can be a sink key";
        report.add("conflict", span, message, "remove `key`, or `replica_identity: full` if the table has it not");
    }
    let version = fields.text("version", report).map(|text| path(&text.text, &text.span, report));
    let epoch = epoch(fields, report);
    let ack_wait = ack_wait(fields, report);
    Some(SourceKind::Sequin(SequinSource {
        consumer: consumer?,
        table: table.map_or(Some(None), |table| table.map(Some))?,
        key: key.map_or(Some(None), |key| key.map(Some))?,
        epoch: epoch?,
        whole,
        version: version.map_or(Some(None), |version| version.map(Some))?,
        ack_wait: ack_wait?,
    }))
}

/// A collection of a consumer of the former Sequin.
pub(super) fn legacy(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<SourceKind> {
    let consumer = consumer(fields, report);
    let message = "a source's `table` belongs to `protocol: stream`; the former Sequin sends records of collections";
    foreign(fields, TABLE, message, "write `collection: …`: its id, its name, or its upstream id (`tbl…`)", report);
    let collection = match fields.get("table") {
        None => fields.required_text("collection", "tblrZN6sFVhMD0P07", report),
        Some(_) => fields.text("collection", report),
    };
    let epoch = epoch(fields, report);
    let ack_wait = ack_wait(fields, report);
    Some(SourceKind::SequinLegacy(SequinLegacySource {
        consumer: consumer?,
        collection: collection?.text,
        epoch: epoch?,
        ack_wait: ack_wait?,
    }))
}

fn consumer(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<String> {
    let consumer = fields.required_text("consumer", "orders-sink", report)?;
    segment(consumer, "a consumer", report)
}

/// A key that only the other product's sources have.
fn foreign(fields: &Fields<'_>, key: &str, message: &str, hint: &str, report: &mut Report<'_>) {
    let span: Option<Range<usize>> = fields.key_span(key);
    if let Some(span) = span {
        report.add("wrong-protocol", span, message, hint);
    }
}

fn ack_wait(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Duration> {
    let Some(node) = fields.get("ack_wait") else { return Some(ACK_WAIT) };
    let wait = duration(node, "30s", report)?;
    if wait.is_zero() {
        let message = "without time to acknowledge, every message is delivered again";
        report.add("bad-duration", node.span.clone(), message, "write the consumer's own, such as `ack_wait: 30s`");
        return None;
    }
    Some(wait)
}
