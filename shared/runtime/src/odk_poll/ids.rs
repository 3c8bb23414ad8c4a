//! Rows by their ids: as they are now, deleted, or gone for good.

use std::collections::{HashMap, HashSet};

use tributary_postgres::Credentials;
use tributary_sources::odk::{Filter, Gate, IDS, Query, Trouble, View};

use super::read::{Read, Sight};
use super::run::{Reach, Run};
use super::state::{Kind, Pass};
use crate::clock::unix_micros;

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
    /// Reads these rows anew, so many at once, each lot in a transaction. Those of which this server cannot be asked by their
    /// ids are added to `unanswered`.
    pub(super) async fn fetch_all(
        &mut self,
        asked: &[Asked],
        unanswered: &mut HashSet<Box<str>>,
    ) -> Result<Reach, Trouble> {
        for some in asked.chunks(IDS) {
            if !self.has_time() {
                return Ok(Reach::More);
            }
            let mut read = self.fetch(some).await?;
            unanswered.extend(std::mem::take(&mut read.unanswered));
            self.apply(read).await?;
        }
        Ok(Reach::Done)
    }

    /// Old servers cannot be asked for some rows by their ids. What vanished is looked for in a listing of all ids once more:
    /// a row that was read before and isn't in it is gone. What is missing is found by a pass over all rows.
    pub(super) async fn settle_unanswered(
        &mut self,
        asked: &[Asked],
        unanswered: &HashSet<Box<str>>,
    ) -> Result<(), Trouble> {
        let (vanished, missing): (Vec<&Asked>, Vec<&Asked>) =
            asked.iter().filter(|row| unanswered.contains(&row.id)).partition(|row| !row.keys.is_empty());
        if !vanished.is_empty() {
            let decoder = self.lens().await?;
            let request = self.turn.request();
            let Gate::Changed { ids, .. } = self.client.gate(&self.set, None, self.budget).await? else {
                return Ok(());
            };
            let ids: HashSet<Box<str>> = ids.into_iter().collect();
            let sight = Sight { set: &self.set, decoder: &decoder, fence: self.turn.fence().number, request };
            let mut read = Read::default();
            for row in vanished.into_iter().filter(|row| !ids.contains(&row.id)) {
                for key in &row.keys {
                    sight.gone(&row.id, key, row.first, &mut read)?;
                }
            }
            self.apply(read).await?;
        }
        if !missing.is_empty() {
            self.read_all_anew(missing.len()).await?;
        }
        Ok(())
    }

    /// Rows that differ cannot be asked for by their ids: all are read, if that wasn't tried lately.
    pub(super) async fn read_all_anew(&mut self, rows: usize) -> Result<bool, Trouble> {
        let again = self.state.may_read_all_anew(unix_micros(), self.source.sweep_every);
        if again {
            tracing::info!(
                pipeline = self.name(),
                rows,
                "rows that differ cannot be asked for by their ids: all are read"
            );
            self.state.pass = Some(Pass::new(Kind::Full, 0));
            self.save().await?;
        } else {
            self.note(format!(
                "{rows} rows differ from those at ODK Central, which is too old to be asked for them by their ids"
            ));
        }
        Ok(again)
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
