//! Dead letters once more: decoded, routed and applied as on their first day, with the mapping of today.

use bytes::Bytes;
use tributary_core::auto::{self, Names};
use tributary_core::batch::{Batch, Rejected};
use tributary_core::event::{Body, Decoded, Event, Origin, Undecodable};
use tributary_core::pipeline::{Mapping, Pipeline, SourceKind};
use tributary_core::route::route;
use tributary_core::sink::{Budget, Sink};
use tributary_core::{Error, Result};
use tributary_postgres::{Credentials, Letter, Postgres, Which};

use crate::auto::remembered;
use crate::clock::unix_micros;

/// What came of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Letters that were applied and are gone from the table.
    pub applied: u64,
    /// Letters that stay, with the reason of today.
    pub dead: u64,
}

/// Replays letters of one pipeline. A row that has moved on in the meantime stays as it is: the letter is older.
///
/// # Errors
/// `Config` when the mapping has no such pipeline; what [`Sink::apply`] fails with. Letters stay then.
pub async fn replay<C: Credentials>(
    mapping: &Mapping,
    sink: &mut Postgres<C>,
    pipeline: &str,
    letters: Vec<Letter>,
    budget: &impl Budget,
) -> Result<Replayed> {
    let pipeline = mapping.pipeline(pipeline).ok_or_else(|| {
        Error::config(format!("the mapping has no pipeline `{pipeline}`"))
            .with_hint("its dead letters can be discarded, or replayed with a mapping that has it")
    })?;
    let shares = |one: &&Pipeline| one.sink == pipeline.sink && one.source.datastore == pipeline.source.datastore;
    let mut now: Vec<(Pipeline, Names)> = Vec::new();
    for one in mapping.pipelines.iter().filter(shares).filter(|one| auto::follows(one)) {
        now.push(Box::pin(remembered(sink, one)).await?);
    }
    let mut parts: Vec<Part<'_>> = Vec::new();
    // Letters by id, and whether they are done with.
    let mut ids = Vec::with_capacity(letters.len());
    for (number, letter) in letters.into_iter().enumerate() {
        ids.push(letter.id);
        let received = letter.received.unwrap_or((letter.first_at * 1e6) as i64);
        let decoded = owners(mapping, pipeline, &letter.position, Bytes::from(letter.payload), received)?;
        for (mut owner, mut decoded) in decoded {
            if let Some((now, names)) = now.iter().find(|(now, _)| now.name == owner.name) {
                owner = now;
                if let Ok(Event { body: Body::Part { now, .. } | Body::Image { now, .. }, .. }) = &mut decoded {
                    names.add_ids(now);
                }
            }
            let part = match parts.iter_mut().position(|part| part.pipeline.name == owner.name) {
                Some(position) => &mut parts[position],
                None => {
                    parts.push(Part { pipeline: owner, batch: Batch::empty(owner), letters: Vec::new() });
                    let last = parts.len() - 1;
                    &mut parts[last]
                }
            };
            part.add(number, &letter.position, decoded);
        }
    }
    let mut dead = vec![false; ids.len()];
    let mut moved = vec![false; ids.len()];
    for part in &parts {
        let outcome = Box::pin(sink.apply(&part.batch, budget)).await?;
        for rejected in part.batch.rejected.iter().chain(&outcome.refused) {
            let letter = part.letters[rejected.event as usize];
            dead[letter] = true;
            // It is now a letter of the pipeline whose it should have been.
            moved[letter] = part.pipeline.name != pipeline.name;
        }
    }
    let done: Vec<i64> = (0..).zip(&ids).filter(|(at, _)| !dead[*at] || moved[*at]).map(|(_, id)| *id).collect();
    // After the commit: a letter that is left over by a crash in between is replayed again, which changes nothing.
    if !done.is_empty() {
        sink.discard(Which::Ids(&done)).await?;
    }
    let still_dead = dead.iter().filter(|dead| **dead).count() as u64;
    Ok(Replayed { applied: ids.len() as u64 - still_dead, dead: still_dead })
}

/// The letters that one pipeline replays.
struct Part<'p> {
    pipeline: &'p Pipeline,
    batch: Batch<'p>,
    /// The letter of each event of the batch.
    letters: Vec<usize>,
}

impl Part<'_> {
    /// The letter keeps its position: whatever is wrong today is noted on the same letter.
    fn add(&mut self, letter: usize, position: &str, decoded: Decoded) {
        let event = self.batch.origins.len() as u32;
        self.letters.push(letter);
        let (Ok(Event { origin, .. }) | Err(Undecodable { origin, .. })) = &decoded;
        self.batch.origins.push(Origin { position: position.into(), ..origin.clone() });
        match decoded {
            Ok(decoded) => {
                let (received, Batch { changes, rejected, .. }) = (unix_micros(), &mut self.batch);
                #[cfg(feature = "sequin")]
                let from = changes.len();
                route(self.pipeline, &decoded, event, received, changes, rejected);
                #[cfg(feature = "sequin")]
                crate::sequin_poll::route_moved(self.pipeline, &decoded, event, received, changes, from);
            }
            Err(bad) => self.batch.rejected.push(Rejected { event, table: None, error: bad.error.chain() }),
        }
    }
}

/// What a letter is, and to which pipelines. Mostly to its own; a message of Sequin that nobody took on its day is a letter
/// of the first pipeline of its consumer, and may have found its own since. `received` is when it was received, in
/// microseconds since 1970.
///
/// # Errors
/// `Config` when this program was built without that source.
fn owners<'m>(
    mapping: &'m Mapping,
    pipeline: &'m Pipeline,
    position: &str,
    payload: Bytes,
    received: i64,
) -> Result<Vec<(&'m Pipeline, Decoded)>> {
    match &pipeline.source.kind {
        #[cfg(feature = "dynamodb")]
        SourceKind::Dynamodb { .. } => {
            Ok(vec![(pipeline, tributary_sources::dynamodb::stream::decode_record(payload).decoded)])
        }
        #[cfg(feature = "sequin")]
        SourceKind::Sequin(_) | SourceKind::SequinLegacy(_) => {
            Ok(crate::sequin_poll::owners(mapping, pipeline, position, &payload))
        }
        // A letter that the envelope no longer takes is applied to nothing.
        #[cfg(feature = "webhook")]
        SourceKind::Webhook(source) => {
            let decoded = tributary_sources::webhook::envelope::reopen(&source.envelope, payload, received);
            Ok(decoded.into_iter().map(|decoded| (pipeline, decoded)).collect())
        }
        SourceKind::Airtable(_) => {
            let tick = format!("{{\"tick\": {{\"pipelines\": [\"{}\"], \"force\": true}}}}", pipeline.name);
            Err(Error::config(format!("the records of `{}` are read anew, not replayed", pipeline.name)).with_hint(
                format!("mend what is wrong and send {tick} to airtable-poll: letters that it settles go away"),
            ))
        }
        SourceKind::Odk(_) => {
            let tick = format!("{{\"tick\": {{\"pipelines\": [\"{}\"], \"force\": true}}}}", pipeline.name);
            Err(Error::config(format!("the rows of `{}` are read anew, not replayed", pipeline.name))
                .with_hint(format!("mend what is wrong and send {tick} to odk-poll: letters that it settles go away")))
        }
        #[allow(unreachable_patterns, reason = "where every source is built in")]
        _ => {
            drop((payload, position, mapping, received));
            Err(Error::config("this program cannot decode what it should replay")
                .with_hint("replay with the command line, which has all sources"))
        }
    }
}
