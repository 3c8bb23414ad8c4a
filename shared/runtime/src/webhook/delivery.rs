//! Verified bodies as one batch a pipeline.

use std::collections::BTreeSet;

use bytes::Bytes;
use tributary_core::batch::{Batch, Receipt, Rejected};
use tributary_core::event::{Decoded, Event, Origin, Undecodable};
use tributary_core::pipeline::Pipeline;
use tributary_core::route::route;
use tributary_core::webhook::WebhookSource;
use tributary_core::{Error, Kind, Result};
use tributary_sources::webhook::Headers;
use tributary_sources::webhook::envelope::{self, Content, Dedupe, MAX_BODY, Opened, Rejected as Unopened};

/// A body that was verified.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) headers: Headers,
    pub(super) body: Bytes,
    /// The id that the signature covers.
    pub(super) id: Option<Box<str>>,
    /// When it was received, in microseconds since 1970.
    pub(super) received: i64,
}

impl Delivery {
    /// Opens it as this source says.
    pub(super) fn open(&self, source: &WebhookSource) -> Result<Opened, Unopened> {
        let delivery = envelope::Delivery {
            headers: &self.headers,
            body: self.body.clone(),
            id: self.id.as_deref(),
            received: self.received,
            limit: MAX_BODY,
        };
        envelope::open(&source.envelope, &delivery)
    }
}

/// A pipeline's share of one or more deliveries.
pub(super) struct Part<'m> {
    pub(super) pipeline: &'m Pipeline,
    pub(super) batch: Batch<'m>,
    /// When the newest change was made at the source, in microseconds since 1970.
    pub(super) at: Option<i64>,
}

/// Deliveries, routed.
#[derive(Default)]
pub(super) struct Batches<'m> {
    parts: Vec<Part<'m>>,
    /// Records in the bodies.
    pub(super) records: u64,
    /// Records that no pipeline takes.
    pub(super) skipped: u64,
}

impl<'m> Batches<'m> {
    /// Adds what the pipelines of a hook make of a delivery that was received then, in microseconds since 1970. How many of
    /// its records none of them takes.
    ///
    /// # Errors
    /// `Bug` when it is a hint: the checker lets no pipeline have such an envelope.
    pub(super) fn add(&mut self, opened: Vec<(&'m Pipeline, Opened)>, received: i64) -> Result<u64> {
        let mut taken = BTreeSet::new();
        let mut records = 0;
        for (pipeline, Opened { dedupe, content }) in opened {
            let Content::Events { events, skipped } = content else {
                return Err(Error::new(Kind::Bug, format!("the pipeline `{}` was sent a hint", pipeline.name)));
            };
            records = records.max(events.len() + skipped);
            taken.extend(events.iter().map(|event| Box::<str>::from(position(event))));
            self.part(pipeline).add(events, &dedupe, received);
        }
        let skipped = records.saturating_sub(taken.len()) as u64;
        self.records += records as u64;
        self.skipped += skipped;
        Ok(skipped)
    }

    /// Keeps a body as a dead letter of these pipelines: it was read when it was taken, and isn't any more.
    pub(super) fn bury(
        &mut self,
        pipelines: impl Iterator<Item = &'m Pipeline>,
        position: &str,
        delivery: &Delivery,
        why: &Error,
    ) {
        self.records += 1;
        for pipeline in pipelines {
            let origin = Origin { position: position.into(), key: "".into(), payload: delivery.body.clone() };
            let error = Error::data(why.to_string());
            self.part(pipeline).event(Err(Undecodable { origin, error }), delivery.received);
        }
    }

    /// A batch a pipeline.
    pub(super) fn into_parts(self) -> Vec<Part<'m>> {
        self.parts
    }

    fn part(&mut self, pipeline: &'m Pipeline) -> &mut Part<'m> {
        let known = self.parts.iter().position(|part| part.pipeline.name == pipeline.name);
        let position = known.unwrap_or_else(|| {
            self.parts.push(Part { pipeline, batch: Batch::empty(pipeline), at: None });
            self.parts.len() - 1
        });
        &mut self.parts[position]
    }
}

fn position(decoded: &Decoded) -> &str {
    let (Ok(Event { origin, .. }) | Err(Undecodable { origin, .. })) = decoded;
    &origin.position
}

impl Part<'_> {
    fn add(&mut self, events: Vec<Decoded>, dedupe: &Dedupe, received: i64) {
        let first = self.end();
        for decoded in events {
            let sender = matches!(dedupe, Dedupe::Events).then(|| Box::from(position(&decoded)));
            let from = self.end();
            self.event(decoded, received);
            self.batch.receipts.extend(sender.map(|sender| Receipt { sender, events: from..self.end() }));
        }
        // A digest is no id: the same state may come again after another one.
        if let Dedupe::Sender(sender) = dedupe
            && self.end() > first
        {
            self.batch.receipts.push(Receipt { sender: sender.clone(), events: first..self.end() });
        }
    }

    fn event(&mut self, decoded: Decoded, received: i64) {
        let position = self.end();
        let Batch { changes, rejected, origins, received: times, .. } = &mut self.batch;
        times.push(received);
        match decoded {
            Ok(event) => {
                let from = changes.len();
                route(self.pipeline, &event, position, received, changes, rejected);
                crate::sequin_poll::route_moved(self.pipeline, &event, position, received, changes, from);
                self.at = self.at.max(event.at);
                origins.push(event.origin);
            }
            Err(Undecodable { origin, error }) => {
                origins.push(origin);
                rejected.push(Rejected { event: position, table: None, error: error.chain() });
            }
        }
    }

    fn end(&self) -> u32 {
        self.batch.origins.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: &str = "
datastores: { warehouse: { type: postgres, url: { env: DATABASE_URL } } }
pipelines:
  customers:
    source: { type: webhook, verify: none, envelope: { type: stripe, objects: customer } }
    sink: { datastore: warehouse, tables: { customers: { key: { id: text }, columns: { email: text } } } }
";

    #[test]
    fn what_a_pipeline_leaves_to_others_is_not_taken() {
        let mapping = tributary_core::mapping::load("hooks.yaml", MAPPING).mapping.unwrap();
        let pipeline = &mapping.pipelines[0];
        let source = crate::webhook::hook::source(pipeline).unwrap();
        let mut batches = Batches::default();
        let mut add = |id: &str, object: &str, received: i64| {
            let body = format!(
                r#"{{"id":"{id}","type":"x.updated","created":1,"data":{{"object":{{"id":"x","object":"{object}"}}}}}}"#
            );
            let delivery = Delivery { headers: Headers::default(), body: body.into(), id: None, received };
            batches.add(vec![(pipeline, delivery.open(source).unwrap())], received).unwrap()
        };
        assert_eq!([add("a", "payout", 1), add("b", "customer", 2), add("c", "payout", 3)], [1, 0, 1]);
        assert_eq!((batches.records, batches.skipped), (3, 2));
        let parts = batches.into_parts();
        let [Part { batch, .. }] = parts.as_slice() else { panic!("{} parts", parts.len()) };
        assert_eq!(batch.receipts, [Receipt { sender: "b".into(), events: 0..1 }]);
        assert_eq!(batch.received, [2]);
    }
}
