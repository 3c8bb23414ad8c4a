//! Messages that were received and are committed together.

use std::time::{Duration, Instant};

use tributary_core::batch::{Batch, Checkpoint, Rejected};
use tributary_core::event::{Decoded, Event};
use tributary_core::pipeline::Pipeline;
use tributary_core::route::route;
use tributary_sources::sequin::collection::Collection;

use super::message::Message;
use super::moved::route_moved;
use crate::clock::unix_micros;

/// The partition of the checkpoint that says how far a consumer was drained. It is for people: where to go on is
/// Sequin's business.
const PARTITION: &str = "messages";

/// What was received together.
#[derive(Debug, Default)]
pub(super) struct Portion {
    messages: Vec<Message>,
    bytes: usize,
    since: Option<Instant>,
}

impl Portion {
    /// A request is about to be sent. The age counts from the first one.
    pub(super) fn begin(&mut self) {
        if self.messages.is_empty() {
            self.since = Some(Instant::now());
        }
    }

    pub(super) fn add(&mut self, messages: Vec<Message>, bytes: usize) {
        self.messages.extend(messages);
        self.bytes += bytes;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// How long the oldest message has been held.
    pub(super) fn age(&self) -> Duration {
        self.since.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// How long it may be held still, of this much in all.
    pub(super) fn left(&self, hold: Duration) -> Duration {
        hold.saturating_sub(self.age())
    }

    /// What acknowledges them.
    pub(super) fn ids(&self) -> Vec<&str> {
        self.messages.iter().map(Message::id).collect()
    }

    /// What some of the messages are to each of the pipelines. One that nobody takes is a dead letter of the first: it is
    /// never acknowledged into nothing.
    pub(super) fn batches<'m>(
        messages: &[&Message],
        pipelines: &[&'m Pipeline],
        collections: &[Collection],
    ) -> Vec<(&'m Pipeline, Batch<'m>)> {
        let received = unix_micros();
        let mut batches: Vec<Batch<'m>> = pipelines.iter().map(|pipeline| Batch::empty(pipeline)).collect();
        for message in messages {
            let mut claimed = false;
            for (pipeline, batch) in pipelines.iter().zip(&mut batches) {
                if let Some(decoded) = message.decode(pipeline, collections) {
                    claimed = true;
                    add(pipeline, batch, decoded, received);
                }
            }
            if !claimed && let (Some(pipeline), Some(batch)) = (pipelines.first(), batches.first_mut()) {
                add(pipeline, batch, Err(message.unclaimed()), received);
            }
        }
        let all = pipelines.iter().copied().zip(batches);
        all.filter(|(_, batch)| !batch.origins.is_empty()).collect()
    }
}

/// Adds what a message is to a pipeline.
fn add(pipeline: &Pipeline, batch: &mut Batch<'_>, decoded: Decoded, received: i64) {
    let position = u32::try_from(batch.origins.len()).unwrap_or(u32::MAX);
    match decoded {
        Ok(event) => {
            let from = batch.changes.len();
            route(pipeline, &event, position, received, &mut batch.changes, &mut batch.rejected);
            route_moved(pipeline, &event, position, received, &mut batch.changes, from);
            note_place(batch, &event);
            batch.origins.push(event.origin);
        }
        Err(bad) => {
            batch.origins.push(bad.origin);
            batch.rejected.push(Rejected { event: position, table: None, error: bad.error.chain() });
        }
    }
}

/// The checkpoint shows the newest change of the batch.
fn note_place(batch: &mut Batch<'_>, event: &Event) {
    let Some(at) = event.at else { return };
    if batch.checkpoint.as_ref().and_then(|checkpoint| checkpoint.at).is_none_or(|known| known <= at) {
        batch.checkpoint = Some(Checkpoint {
            partition: PARTITION.to_owned(),
            position: event.version.to_string(),
            at: Some(at),
            fence: None,
        });
    }
}
