//! `source:` of a pipeline — what is read.

pub(super) mod airtable;
pub(super) mod dynamodb;
pub(super) mod odk;
pub(super) mod sequin;
pub(super) mod webhook;

use std::time::Duration;

use super::datastore::Datastores;
use super::duration::duration;
use super::fields::{Fields, Named, text_of};
use super::hooks::is_webhook;
use super::node::{Node, Shape, Text};
use super::pipeline::Shared;
use super::report::Report;
use crate::pipeline::{Datastore, SequinProtocol, Source, SourceKind};
use crate::value::Value;

/// Lowers the source of a pipeline.
pub(super) fn lower(
    pipeline: &Fields<'_>,
    part: &Named<'_>,
    stores: &Datastores,
    shared: &mut Shared<'_, '_>,
    report: &mut Report<'_>,
) -> Option<Source> {
    let node = pipeline.required("source", "{ datastore: app, table: users }", report)?;
    let at = pipeline.key_span("source").unwrap_or_default();
    if is_webhook(node) {
        let fields = Fields::open(node, "a webhook source", at, webhook::KEYS, report)?;
        let (source, _) = webhook::lower(part, &fields, shared.hooks, report)?;
        return Some(Source {
            datastore: String::new(),
            kind: SourceKind::Webhook(Box::new(source)),
            every: Duration::ZERO,
        });
    }
    if let Some(kind) = node.entry("type") {
        let message = "a source has a `type` only where it has no datastore, and that is `webhook`";
        report.add("unknown-word", kind.span.clone(), message, "write `type: webhook`, or `datastore: …` instead");
        return None;
    }
    // The datastore decides which keys there are, so it is looked up before the map is opened.
    let datastore = node.entry("datastore").and_then(|node| text_of(node, "datastore", report));
    let store = datastore.as_ref().and_then(|name| stores.find(name, report));
    let (what, keys, others): (_, _, &[&str]) = match store {
        Some(Datastore::Dynamodb(_)) => ("a dynamodb source", dynamodb::KEYS.to_vec(), &[]),
        Some(Datastore::Sequin(store)) if store.protocol == SequinProtocol::Stream => {
            ("a source of a sequin stream", sequin::KEYS.to_vec(), &[sequin::COLLECTION])
        }
        Some(Datastore::Sequin(_)) => ("a source of a legacy sequin", sequin::LEGACY_KEYS.to_vec(), &[sequin::TABLE]),
        Some(Datastore::Airtable(_)) => ("an airtable source", airtable::KEYS.to_vec(), &[]),
        Some(Datastore::Odk(_)) => ("an odk source", odk::KEYS.to_vec(), &[]),
        Some(Datastore::Postgres(_)) | None => {
            let all = [dynamodb::KEYS, sequin::KEYS, sequin::LEGACY_KEYS, airtable::KEYS, odk::KEYS].concat();
            ("a source", all, &[])
        }
    };
    let fields = Fields::open_beside(node, what, at, &keys, others, report)?;
    fields.required("datastore", "app", report)?;
    let (datastore, store) = (datastore?, store?);
    let every = match store {
        Datastore::Dynamodb(_) => Some(Duration::ZERO),
        _ => fields.get("every").map_or(Some(Duration::ZERO), |node| duration(node, "5m", report)),
    };
    let kind = match store {
        Datastore::Dynamodb(_) => dynamodb::lower(&fields, report),
        Datastore::Sequin(store) if store.protocol == SequinProtocol::Stream => sequin::stream(&fields, report),
        Datastore::Sequin(_) => sequin::legacy(&fields, report),
        Datastore::Airtable(_) => airtable::lower(&fields, every, report),
        Datastore::Odk(_) => odk::lower(&fields, report),
        Datastore::Postgres(_) => {
            let message = format!("`{}` is a postgres datastore, which this release cannot read from", datastore.text);
            let hint = "name a datastore of type `dynamodb`, `sequin`, `airtable` or `odk`";
            report.add("wrong-datastore", datastore.span.clone(), message, hint);
            None
        }
    };
    let source = Source { datastore: datastore.text, kind: kind?, every: every? };
    shared.consumers.add(&part.name.text, &source, &fields);
    Some(source)
}

/// A name, or a list of different ones.
fn names(node: &Node, most: usize, wanted: &str, report: &mut Report<'_>) -> Option<Vec<String>> {
    let names: Vec<Text> = match &node.shape {
        Shape::List(items) => {
            if !(1..=most).contains(&items.len()) {
                report.add("bad-source-key", node.span.clone(), wanted, "write `key: id` or `key: [pk, sk]`");
                return None;
            }
            items.iter().map(|item| text_of(item, "key", report)).collect::<Option<Vec<_>>>()?
        }
        _ => vec![text_of(node, "key", report)?],
    };
    for (position, name) in names.iter().enumerate() {
        if names[..position].iter().any(|earlier| earlier.text == name.text) {
            let message = format!("`{}` stands in the key twice", name.text);
            report.add("bad-source-key", name.span.clone(), message, "remove one of the two");
            return None;
        }
    }
    Some(names.into_iter().map(|name| name.text).collect())
}

/// `epoch:` — which count of the source its versions are of.
fn epoch(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<u32> {
    let Some(node) = fields.get("epoch") else { return Some(0) };
    let epoch = match node.literal() {
        Some(Value::Number(number)) => number.to_i128().and_then(|number| u32::try_from(number).ok()),
        _ => None,
    };
    if epoch.is_none() {
        let message = format!("`epoch` is a whole number from 0 to {}", u32::MAX);
        report.add("wrong-type", node.span.clone(), message, "write `epoch: 1` when the source counts anew");
    }
    epoch
}

/// Which consumer of Sequin a source reads, and whether it takes a part of its messages only.
pub(super) fn consumer(kind: &SourceKind) -> Option<(&str, bool, Duration)> {
    match kind {
        SourceKind::Sequin(source) => Some((&source.consumer, source.table.is_some(), source.ack_wait)),
        SourceKind::SequinLegacy(source) => Some((&source.consumer, true, source.ack_wait)),
        SourceKind::Dynamodb { .. } | SourceKind::Airtable(_) | SourceKind::Odk(_) | SourceKind::Webhook(_) => None,
    }
}
