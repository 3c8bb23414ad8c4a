//! Dead letters once more: decoded, routed and applied as on their first day, with the mapping of today.

use bytes::Bytes;
use tributary_core::batch::{Batch, Rejected};
use tributary_core::event::Decoded;
use tributary_core::pipeline::{Mapping, SourceKind};
use tributary_core::route::route;
use tributary_core::sink::{Budget, Sink};
use tributary_core::{Error, Result};
use tributary_postgres::{Credentials, Letter, Postgres, Which};

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
    let mut batch = Batch::empty(pipeline);
    let mut ids = Vec::with_capacity(letters.len());
    for letter in letters {
        let event = batch.origins.len() as u32;
        ids.push(letter.id);
        // The letter keeps its position: whatever is wrong today is noted on the same letter.
        match decode(&pipeline.source.kind, Bytes::from(letter.payload))? {
            Ok(mut decoded) => {
                decoded.origin.position = letter.position.into();
                batch.origins.push(decoded.origin.clone());
                route(pipeline, &decoded, event, unix_micros(), &mut batch.changes, &mut batch.rejected);
            }
            Err(bad) => {
                let mut origin = bad.origin;
                origin.position = letter.position.into();
                batch.origins.push(origin);
                batch.rejected.push(Rejected { event, table: None, error: bad.error.chain() });
            }
        }
    }
    let outcome = Box::pin(sink.apply(&batch, budget)).await?;
    let is_dead = |event: u32| batch.rejected.iter().chain(&outcome.refused).any(|rejected| rejected.event == event);
    let done: Vec<i64> = (0u32..).zip(&ids).filter(|(event, _)| !is_dead(*event)).map(|(_, id)| *id).collect();
    // After the commit: a letter that is left over by a crash in between is replayed again, which changes nothing.
    let applied = if done.is_empty() { 0 } else { sink.discard(Which::Ids(&done)).await? };
    Ok(Replayed { applied, dead: ids.len() as u64 - done.len() as u64 })
}

/// Decodes a letter's payload as its source does.
///
/// # Errors
/// `Config` when this program was built without that source.
fn decode(source: &SourceKind, payload: Bytes) -> Result<Decoded> {
    match source {
        #[cfg(feature = "dynamodb")]
        SourceKind::Dynamodb { .. } => Ok(tributary_sources::dynamodb::stream::decode_record(payload).decoded),
        #[allow(unreachable_patterns, reason = "where every source is built in")]
        _ => {
            drop(payload);
            Err(Error::config("this program cannot decode what it should replay")
                .with_hint("replay with the command line, which has all sources"))
        }
    }
}
