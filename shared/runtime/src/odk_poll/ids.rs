//! Rows by their ids: as they are now, deleted, or gone for good.

use std::collections::HashMap;

use tributary_postgres::Credentials;
use tributary_sources::odk::{Filter, IDS, Query, Trouble, View};

use super::read::{Read, Sight};
use super::run::{Reach, Run};

/// A row that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Its `__id`.
    pub(super) id: Box<str>,
    /// The first part of the version that is stored of it: what is read now must not lose to that.
    pub(super) first: u64,
    /// The `$id`s of the rows of it that are in the tables, where that was looked for: those that aren't its own any more go,
    /// and all do when the server knows nothing of it.
    pub(super) keys: Vec<Box<str>>,
}

impl Asked {
    /// A row that is read anew, and doesn't go here if it isn't there.
    pub(super) fn anew(id: &str, first: u64) -> Self {
        Asked { id: id.into(), first, keys: Vec::new() }
    }
}

impl<C: Credentials> Run<'_, '_, C> {
    /// Reads these rows anew, so many at once, each lot in a transaction.
    pub(super) async fn fetch_all(&mut self, asked: &[Asked]) -> Result<Reach, Trouble> {
        for some in asked.chunks(IDS) {
            if !self.has_time() {
                return Ok(Reach::More);
            }
            let read = self.fetch(some).await?;
            self.apply(read).await?;
        }
        Ok(Reach::Done)
    }

    /// These rows as they are now. One that the server doesn't return has been purged.
    pub(super) async fn fetch(&mut self, asked: &[Asked]) -> Result<Read, Trouble> {
        let decoder = self.lens().await?;
        let filter = Filter::Ids(asked.iter().map(|row| row.id.clone()).collect());
        let request = self.turn.request();
        let query = Query { view: View::Whole, filter: Some(filter), top: 0, count: false, skiptoken: None };
        let page = self.client.page(&self.set, &query, self.budget).await?;
        let sight = Sight { set: &self.set, decoder: &decoder, fence: self.turn.fence().number, request };
        let mut left: HashMap<&str, &Asked> = asked.iter().map(|row| (&*row.id, row)).collect();
        let mut read = Read::default();
        for row in page.rows {
            let Some(asked) = left.remove(&*row.id) else { continue };
            let id = row.id.clone();
            let key = sight.read(row, asked.first, &mut read)?;
            // An edit may have given it another one.
            for other in asked.keys.iter().filter(|other| key.as_ref().is_some_and(|key| key != *other)) {
                sight.gone(&id, other, asked.first, &mut read)?;
            }
        }
        left.retain(|id, _| !page.unanswered.iter().any(|other| **other == **id));
        let mut gone: Vec<&Asked> = left.into_values().collect();
        gone.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        for row in gone {
            read.lacks.push((row.id.clone(), None));
            for key in &row.keys {
                sight.gone(&row.id, key, row.first, &mut read)?;
            }
        }
        read.unanswered = page.unanswered;
        Ok(read)
    }
}
