//! Working off the queue: verified deliveries, many in one transaction.

use tributary_core::pipeline::Mapping;
use tributary_core::sink::Budget;
use tributary_core::{Error, Result};
use tributary_postgres::Credentials;
use tributary_sources::webhook::Headers;

use super::delivery::{Batches, Delivery, Part};
use super::hook::Takers;
use super::message::Message;
use super::worker::Record;
use super::{Done, Handler, Summary};
use crate::secrets::Secrets;

impl<C: Credentials, S: Secrets> Handler<C, S> {
    /// Applies messages, in one transaction a pipeline. When one fails, the messages of its hook come again; what others
    /// have committed of them is known then by the sender's id or the version.
    pub(super) async fn work(&mut self, mapping: &Mapping, records: Vec<Record>, budget: &impl Budget) -> Done {
        let mut batches = Batches::default();
        let mut failed = Vec::new();
        // The messages by the hook that they are for.
        let mut hooks: Vec<(String, String)> = Vec::with_capacity(records.len());
        for Record { message_id, body } in records {
            match Box::pin(self.unpack(mapping, &message_id, &body, &mut batches)).await {
                Ok(hook) => hooks.push((hook, message_id)),
                Err(error) => {
                    tracing::error!(message = message_id, error = %error.chain(), hint = error.hint(), "a message must come again");
                    failed.push(message_id);
                }
            }
        }
        let mut summary = Summary { records: batches.records, skipped: batches.skipped, ..Summary::default() };
        for part in batches.into_parts() {
            let Err(error) = Box::pin(self.commit(&part, &mut summary, budget)).await else { continue };
            let Part { pipeline, .. } = part;
            tracing::error!(pipeline = pipeline.name, error = %error.chain(), hint = error.hint(), "a batch must come again");
            let hook = super::hook::source(pipeline).map(|source| source.hook.as_str());
            let theirs = hooks.iter().filter(|(name, _)| Some(name.as_str()) == hook).map(|(_, id)| id);
            failed.extend(theirs.cloned().collect::<Vec<_>>());
        }
        failed.sort_unstable();
        failed.dedup();
        Done::Worked { failed, summary }
    }

    /// Adds a message to the batches. The hook that it is for.
    async fn unpack<'m>(
        &mut self,
        mapping: &'m Mapping,
        message_id: &str,
        text: &str,
        batches: &mut Batches<'m>,
    ) -> Result<String> {
        let Message { hook, received, id, headers, content } = Message::of_text(text)?;
        let takers = self.hooks.iter().find(|known| known.name == hook).map(|known| &known.takers);
        let Some(takers @ Takers::Pipelines(_)) = takers else {
            return Err(Error::config(format!("no pipeline takes what was sent to the hook `{hook}`"))
                .with_hint("put a pipeline for it back into the mapping until the queue is empty"));
        };
        let takers = takers.clone();
        let body = match content.into_body()? {
            Ok(body) => body,
            Err((bucket, key)) => self.queue.get(&bucket, &key).await?,
        };
        let delivery = Delivery { headers: Headers::new(headers), body, id, received };
        match super::open(mapping, &takers, &delivery) {
            Ok(opened) => self.skipped(&hook, batches.add(opened, received)?),
            // It was readable when it was taken: the mapping has changed since.
            Err(rejected) => {
                let pipelines = takers.pipelines(mapping).into_iter().map(|(pipeline, _)| pipeline);
                batches.bury(pipelines, &format!("sqs:{message_id}"), &delivery, rejected.error());
            }
        }
        Ok(hook)
    }
}
