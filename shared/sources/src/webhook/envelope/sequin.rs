//! A push of a Sequin sink: its messages as [`crate::sequin::message`] reads them, one or several.

use std::time::Duration;

use bytes::Bytes;
use tributary_core::event::{Decoded, Event, Origin, Undecodable};
use tributary_core::path::Path;
use tributary_core::pipeline::SequinSource;

use super::body::{Records, list_at, one};
use super::pick::pick;
use super::{Rejected, Sequin, identity};
use crate::sequin::message::Message;

/// A batch is `{"data": […]}`, its single message has `record`. A row in place of a message may have a column `data`, but
/// hardly one that is a list and its only one.
pub(super) fn records(body: &Bytes) -> Result<Records, Rejected> {
    let json = std::str::from_utf8(body).unwrap_or_default();
    let batch = matches!(
        pick(json, ["data", "record", "metadata"]),
        Ok([Some(data), None, None]) if data.get().starts_with('[')
    );
    if batch { list_at(body, "data") } else { one(body) }
}

/// `None` when the message is about another table.
pub(super) fn decode(sequin: &Sequin, payload: &Bytes, position: &str, version: Option<Path>) -> Option<Decoded> {
    let source = SequinSource {
        consumer: String::new(),
        table: sequin.table.clone(),
        key: sequin.key.clone(),
        epoch: sequin.epoch,
        whole: sequin.whole,
        version,
        ack_wait: Duration::ZERO,
    };
    let message = Message::read(payload);
    if !message.is_of(&source) {
        return None;
    }
    // A message without an idempotency key has no id but the delivery's.
    let place = |origin: Origin| match origin.position.starts_with("message-") {
        true => Origin { position: identity::kept(position).unwrap_or(origin.position), ..origin },
        false => Origin { position: identity::kept(&origin.position).unwrap_or(origin.position), ..origin },
    };
    Some(match message.decode(&source) {
        Ok(event) => Ok(Event { origin: place(event.origin), ..event }),
        Err(bad) => Err(Undecodable { origin: place(bad.origin), ..bad }),
    })
}
