//! A message of either product, and the pipelines that take it.

use bytes::Bytes;
use tributary_core::event::{Decoded, Undecodable};
use tributary_core::pipeline::{Mapping, Pipeline, SourceKind};
use tributary_sources::sequin::collection::Collection;
use tributary_sources::sequin::record::Record;
use tributary_sources::sequin::{UNCLAIMED, message};

use super::consumer_of;

/// What was received.
#[derive(Debug)]
pub(super) enum Message {
    /// A change, from Sequin Stream.
    Change(message::Message),
    /// A record, from the former Sequin.
    Record(Record),
}

impl Message {
    /// What acknowledges it.
    pub(super) fn id(&self) -> &str {
        match self {
            Message::Change(message) => &message.ack_id,
            Message::Record(record) => &record.ack_token,
        }
    }

    /// What it is to a pipeline; `None` when it isn't for that one.
    pub(super) fn decode(&self, pipeline: &Pipeline, collections: &[Collection]) -> Option<Decoded> {
        match (self, &pipeline.source.kind) {
            (Message::Change(message), SourceKind::Sequin(source)) => {
                message.is_of(source).then(|| message.decode(source))
            }
            (Message::Record(record), SourceKind::SequinLegacy(source)) => {
                let collection = collections.iter().find(|collection| *collection.id == *record.collection);
                record.is_of(source, collection).then(|| record.decode(source, collection))
            }
            _ => None,
        }
    }

    /// Why nobody takes it.
    pub(super) fn unclaimed(&self) -> Undecodable {
        match self {
            Message::Change(message) => message.unclaimed(),
            Message::Record(record) => record.unclaimed(),
        }
    }
}

/// What a dead letter is, and to which pipelines: to its own, or, where that doesn't take it, to those of the same consumer
/// that do and write the same sink. Where nobody takes it, it stays what it is.
///
/// A record of the former Sequin is replayed without its collection: only the cells that it has are known.
pub(crate) fn owners<'m>(
    mapping: &'m Mapping,
    pipeline: &'m Pipeline,
    position: &str,
    payload: &Bytes,
) -> Vec<(&'m Pipeline, Decoded)> {
    let message = match &pipeline.source.kind {
        SourceKind::SequinLegacy(_) => Message::Record(Record::read(payload)),
        _ => Message::Change(message::Message::read(payload)),
    };
    // Without the server's word a collection is known by Sequin's own id only, and the mapping may have another name for it.
    let own = match (&message, &pipeline.source.kind) {
        (Message::Record(record), SourceKind::SequinLegacy(source)) if !position.starts_with(UNCLAIMED) => {
            Some(record.decode(source, None))
        }
        _ => message.decode(pipeline, &[]),
    };
    if let Some(decoded) = own {
        return vec![(pipeline, decoded)];
    }
    let shares = |other: &&Pipeline| {
        other.name != pipeline.name
            && other.sink == pipeline.sink
            && other.source.datastore == pipeline.source.datastore
            && consumer_of(other).map(|(consumer, _)| consumer) == consumer_of(pipeline).map(|(consumer, _)| consumer)
    };
    let others = mapping.pipelines.iter().filter(shares);
    let owners: Vec<_> = others.filter_map(|other| Some((other, message.decode(other, &[])?))).collect();
    if owners.is_empty() { vec![(pipeline, Err(message.unclaimed()))] } else { owners }
}
