//! Dead letters of ODK Central: their rows are read anew, never replayed, because only what is observed now has a version.

use std::collections::HashSet;
use std::sync::Arc;

use tributary_postgres::{Credentials, Letter, Which};
use tributary_sources::odk::{IDS, Trouble};

use super::ids::Asked;
use super::run::{Reach, Run};

/// Letters that are looked at once; others the next time.
const MOST: u32 = 10_000;

impl<C: Credentials> Run<'_, '_, C> {
    /// Reads the rows anew whose letters are due: those that wait for another row, or all when somebody asks for a run.
    pub(super) async fn retry_letters(&mut self) -> Result<Reach, Trouble> {
        if self.turn.is_forced() {
            return self.settle_letters().await;
        }
        let name = self.name().to_owned();
        let letters = self.letters(Which::Due(&name)).await?;
        self.read_anew(letters).await
    }

    /// Reads the rows of all letters anew.
    pub(super) async fn settle_letters(&mut self) -> Result<Reach, Trouble> {
        let name = self.name().to_owned();
        let letters = self.letters(Which::Of(&name)).await?;
        self.read_anew(letters).await
    }

    /// The rows that are dead letters, by their `__id`.
    pub(super) async fn lettered(&mut self) -> Result<HashSet<Box<str>>, Trouble> {
        let name = self.name().to_owned();
        let letters = self.letters(Which::Of(&name)).await?;
        Ok(letters.into_iter().map(|letter| letter.position.into()).collect())
    }

    async fn letters(&mut self, which: Which<'_>) -> Result<Vec<Letter>, Trouble> {
        let pipeline = &Arc::clone(self.pipeline.pipeline());
        Ok(self.turn.sink(pipeline)?.letters(which, MOST).await?)
    }

    /// What can be applied now, or is gone, has nothing to say any more.
    async fn read_anew(&mut self, mut letters: Vec<Letter>) -> Result<Reach, Trouble> {
        // What has no id cannot be asked for: such a letter stays until somebody discards it.
        letters.retain(|letter| !letter.key.is_empty());
        for letters in letters.chunks(IDS) {
            if !self.has_time() {
                return Ok(Reach::More);
            }
            let asked: Vec<Asked> = letters.iter().map(|letter| Asked::anew(&letter.position, 0)).collect();
            let read = self.fetch(&asked).await?;
            let mut open = read.unanswered.clone();
            open.extend(self.apply(read).await?);
            let settled = letters.iter().filter(|letter| !open.iter().any(|id| **id == *letter.position));
            let settled: Vec<i64> = settled.map(|letter| letter.id).collect();
            if !settled.is_empty() {
                tracing::info!(pipeline = self.name(), letters = settled.len(), "dead letters are settled");
                let pipeline = &Arc::clone(self.pipeline.pipeline());
                self.turn.sink(pipeline)?.discard(Which::Ids(&settled)).await?;
            }
        }
        Ok(Reach::Done)
    }
}
