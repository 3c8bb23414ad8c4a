//! What a warm function does now and then, after its source was served: replays letters that wait for another row, and
//! purges tombstones and receipts whose time is up.

use std::time::{Duration, Instant};

use tributary_core::auto::{Names, PARTITION, remembered};
use tributary_core::pipeline::{Mapping, Pipeline, SourceKind};
use tributary_core::sink::Budget;
use tributary_core::{Error, Result};
use tributary_postgres::{Credentials, Which};

use crate::replay::replay;
use crate::sinks::Sinks;

/// How often letters that are due are looked for.
const LETTERS_EVERY: Duration = Duration::from_secs(60);
/// How often tombstones are purged.
const PURGE_EVERY: Duration = Duration::from_secs(3_600);
/// Not when the invocation has less time left than this.
const TIME_NEEDED: Duration = Duration::from_secs(5);
/// Letters that one round replays.
const LETTERS_AT_ONCE: u32 = 200;

/// When what is due.
pub(crate) struct Housekeeping {
    letters: Instant,
    purge: Instant,
}

impl Default for Housekeeping {
    fn default() -> Self {
        let now = Instant::now();
        Housekeeping { letters: now + LETTERS_EVERY, purge: now + LETTERS_EVERY }
    }
}

impl Housekeeping {
    /// Has all of it due at once.
    #[cfg(feature = "webhook")]
    pub(crate) fn make_due(&mut self) {
        (self.letters, self.purge) = (Instant::now(), Instant::now());
    }

    /// Does what is due for these pipelines. A failure is logged and nothing else: the source has been served.
    pub(crate) async fn keep<'m, C: Credentials>(
        &mut self,
        mapping: &'m Mapping,
        pipelines: impl Iterator<Item = &'m Pipeline>,
        sinks: &mut Sinks<C>,
        budget: &impl Budget,
    ) {
        let now = Instant::now();
        if now < self.letters || !budget.allows(TIME_NEEDED) {
            return;
        }
        self.letters = now + LETTERS_EVERY;
        let purge = now >= self.purge;
        if purge {
            self.purge = now + PURGE_EVERY;
        }
        if let Err(error) = Box::pin(round(mapping, pipelines, sinks, purge, budget)).await {
            tracing::warn!(error = %error.chain(), "housekeeping failed");
        }
    }
}

async fn round<'m, C: Credentials>(
    mapping: &'m Mapping,
    pipelines: impl Iterator<Item = &'m Pipeline>,
    sinks: &mut Sinks<C>,
    purge: bool,
    budget: &impl Budget,
) -> Result<(), Error> {
    for pipeline in pipelines {
        let sink = sinks.get(&pipeline.sink)?;
        // What is observed is observed anew by its poll, not replayed.
        let observed = matches!(pipeline.source.kind, SourceKind::Airtable(_) | SourceKind::Odk(_));
        let due = if observed { Vec::new() } else { sink.letters(Which::Due(&pipeline.name), LETTERS_AT_ONCE).await? };
        if !due.is_empty() {
            let replayed = replay(mapping, sink, &pipeline.name, due, budget).await?;
            tracing::info!(
                pipeline = pipeline.name,
                applied = replayed.applied,
                still_dead = replayed.dead,
                "replayed dead letters"
            );
        }
        if purge {
            let mut names = Names::default();
            if pipeline.routes.iter().any(|route| route.lists.is_some()) {
                // Lists may have been given tables of their own.
                let stored = sink.checkpoint(&pipeline.name, PARTITION).await?;
                names = stored.as_deref().map(Names::parse).transpose()?.unwrap_or_default();
            }
            let rows = sink.purge(&pipeline.name, &remembered(pipeline, &names)?.tables).await?;
            tracing::info!(pipeline = pipeline.name, rows, "purged what was due");
        }
    }
    Ok(())
}
