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
    /// Whether a row of it is in the tables, which goes when the server knows nothing of it.
    pub(super) is_live: bool,
    /// Its `$id`, where that is known and isn't its `__id`.
    pub(super) key: Option<Box<str>>,
}

impl<C: Credentials> Run<'_, '_, C> {
    /// Reads these rows anew, so many at once, each lot in a transaction.
    pub(super) async fn fetch_all(&mut self, mut asked: Vec<Asked>) -> Result<Reach, Trouble> {
        while !asked.is_empty() {
            if !self.has_time() {
                return Ok(Reach::More);
            }
            let some = asked.split_off(asked.len().saturating_sub(IDS));
            let read = self.fetch(&some).await?;
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
            let first = left.remove(&*row.id).map_or(0, |asked| asked.first);
            sight.read(row, first, &mut read)?;
        }
        left.retain(|id, _| !page.unanswered.iter().any(|other| **other == **id));
        let mut gone: Vec<&Asked> = left.into_values().filter(|row| row.is_live).collect();
        gone.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        for row in gone {
            sight.gone(&row.id, row.key.as_deref(), row.first, &mut read)?;
        }
        read.unanswered = page.unanswered;
        Ok(read)
    }
}
