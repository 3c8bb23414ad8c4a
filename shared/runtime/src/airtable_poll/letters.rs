//! Dead letters of Airtable: their records are read anew, never replayed, because only what is observed now has a version.

use std::collections::HashSet;
use std::sync::Arc;

use tributary_postgres::{Credentials, Letter, Which};
use tributary_sources::airtable::Trouble;
use tributary_sources::airtable::client::PAGE;

use super::run::Run;

/// The name of the checkpoint that carries the lease of a retry.
const PARTITION: &str = "letters";
/// Letters that are looked at after a sweep; the others after the next.
const MOST: u32 = 10_000;

impl<C: Credentials> Run<'_, '_, C> {
    /// Reads the records anew whose letters wait for another row and are due.
    pub(super) async fn retry_letters(&mut self) -> Result<(), Trouble> {
        let pipeline = &Arc::clone(self.pipeline.pipeline());
        let due = Which::Due(&pipeline.name);
        let letters = self.turn.sink(pipeline)?.letters(due, PAGE as u32).await?;
        if letters.is_empty() || !self.has_time() {
            return Ok(());
        }
        let ids: Vec<_> = letters.iter().map(|letter| (letter.position.as_str().into(), None)).collect();
        let fetched = self.fetch(&ids).await?;
        let dead = self.apply(fetched.events, PARTITION, String::new()).await?;
        self.discard(&letters, |letter| !dead.iter().any(|id| **id == *letter.position)).await
    }

    /// After a whole sweep: letters of records that it could apply, or that are gone, have nothing to say any more.
    pub(super) async fn settle_letters(&mut self, refused: &HashSet<Box<str>>) -> Result<(), Trouble> {
        let pipeline = &Arc::clone(self.pipeline.pipeline());
        let letters = self.turn.sink(pipeline)?.letters(Which::Of(&pipeline.name), MOST).await?;
        self.discard(&letters, |letter| !refused.contains(letter.position.as_str())).await
    }

    async fn discard(&mut self, letters: &[Letter], settled: impl Fn(&Letter) -> bool) -> Result<(), Trouble> {
        let ids: Vec<i64> = letters.iter().filter(|letter| settled(letter)).map(|letter| letter.id).collect();
        if !ids.is_empty() {
            tracing::info!(pipeline = self.name(), letters = ids.len(), "dead letters are settled");
            self.turn.sink(self.pipeline.pipeline())?.discard(Which::Ids(&ids)).await?;
        }
        Ok(())
    }
}
