//! Events of one pipeline as a batch: routed, with those that could not be decoded as dead letters.

use tributary_core::batch::{Batch, Rejected};
use tributary_core::event::Decoded;
use tributary_core::pipeline::Pipeline;
use tributary_core::route::route;

use crate::clock::unix_micros;

/// A batch of these events. Each is dropped as soon as it is routed.
pub fn batch_of(pipeline: &Pipeline, events: impl IntoIterator<Item = Decoded>) -> Batch<'_> {
    let mut batch = Batch::empty(pipeline);
    let received = unix_micros();
    for (position, decoded) in (0u32..).zip(events) {
        match decoded {
            Ok(event) => {
                route(pipeline, &event, position, received, &mut batch.changes, &mut batch.rejected);
                batch.origins.push(event.origin);
            }
            Err(bad) => {
                batch.origins.push(bad.origin);
                batch.rejected.push(Rejected { event: position, table: None, error: bad.error.chain() });
            }
        }
    }
    batch
}
