//! What has changed since the last pass: the gate, the window of changes, and the ids that are there.
//!
//! The gate is asked first and the rows after it, so whatever happens in between changes the gate's next answer. Its mark is
//! stored when all that it stood for is done: a run that ends before leaves the old one, and the next begins here again.

use std::collections::{HashMap, HashSet};

use tributary_postgres::Credentials;
use tributary_sources::odk::{Gate, Trouble};

use super::guard::{self, FEW, Verdict};
use super::ids::Asked;
use super::run::{Reach, Run};
use super::state::{Kind, Pass};
use super::stored::Ledger;
use crate::clock::unix_micros;

/// What the ids at the source and those in the tables have against each other.
#[derive(Debug, Default)]
struct Difference {
    /// Rows that are at the source only.
    missing: Vec<Asked>,
    /// Rows that are in the tables only.
    vanished: Vec<Asked>,
    /// Rows that are in the tables under several keys.
    doubled: Vec<Asked>,
    /// Rows in the tables.
    stored: usize,
}

impl<C: Credentials> Run<'_, '_, C> {
    /// Finishes the pass under way, then reads what has changed.
    pub(super) async fn follow(&mut self) -> Result<Reach, Trouble> {
        if self.state.since.is_none() && self.state.pass.is_none() {
            self.state.pass = Some(Pass::new(Kind::First, 0));
        }
        if self.state.pass.is_some() && Box::pin(self.pass()).await? == Reach::More {
            return Ok(Reach::More);
        }
        if !self.has_time() {
            return Ok(Reach::More);
        }
        if self.state.blind && !self.looks_closely() {
            let (date, count) = self.count().await?;
            let lost = self.gap(count).await?.map(|gap| self.state.gap.saturating_sub(gap));
            // So many deletes at once are looked at before they are read one by one.
            if lost.is_none_or(|lost| lost <= FEW) {
                return Box::pin(self.follow_blindly(date, count)).await;
            }
        }
        let etag = self.state.etag.clone().filter(|_| !self.looks_closely());
        match self.client.gate(&self.set, etag.as_deref(), self.budget).await? {
            Gate::Same { date } => {
                self.now = date;
                Ok(Reach::Done)
            }
            Gate::Changed { etag, date, ids } => {
                self.now = date;
                self.state.blind = etag.is_none();
                let ids: HashSet<Box<str>> = ids.into_iter().collect();
                let before = self.difference(&ids).await?;
                self.judge(before.as_ref());
                drop(before);
                self.state.pass = Some(Pass::new(Kind::Window, date));
                if Box::pin(self.pass()).await? == Reach::More || self.settle(&ids).await? == Reach::More {
                    return Ok(Reach::More);
                }
                self.state.etag = etag;
                self.save().await?;
                Ok(Reach::Done)
            }
        }
    }

    /// Whether the ids are compared whatever the gate's mark says.
    fn looks_closely(&self) -> bool {
        self.state.held.is_some()
            || self.turn.is_forced()
            || self.turn.may_delete_many(self.name())
            || self.state.begins_manifest(unix_micros(), self.source.sweep_every)
    }

    /// Of a server without marks: the window at once, and the ids only when there are more or fewer than before.
    async fn follow_blindly(&mut self, date: i64, count: Option<u64>) -> Result<Reach, Trouble> {
        self.state.pass = Some(Pass::new(Kind::Window, date));
        if Box::pin(self.pass()).await? == Reach::More {
            return Ok(Reach::More);
        }
        if self.gap(count).await? == Some(self.state.gap) {
            return Ok(Reach::Done);
        }
        if !self.has_time() {
            return Ok(Reach::More);
        }
        let Gate::Changed { etag, ids, .. } = self.client.gate(&self.set, None, self.budget).await? else {
            return Ok(Reach::Done);
        };
        self.state.blind = etag.is_none();
        let ids: HashSet<Box<str>> = ids.into_iter().collect();
        let before = self.difference(&ids).await?;
        self.judge(before.as_ref());
        if self.settle(&ids).await? == Reach::More {
            return Ok(Reach::More);
        }
        self.save().await?;
        Ok(Reach::Done)
    }

    /// Whether rows that vanished may be deleted.
    fn judge(&mut self, difference: Option<&Difference>) {
        let Some(difference) = difference else { return };
        let vanished = difference.vanished.iter().map(|row| &*row.id);
        let (share, allowed) = (self.source.mass_delete, self.turn.may_delete_many(self.name()));
        let verdict = guard::judge(vanished, difference.stored, share, self.state.held.as_ref(), allowed);
        if let Verdict::Hold(held) = &verdict {
            let (rows, stored, name) = (held.rows, difference.stored, self.name().to_owned());
            self.note(format!(
                "{rows} of {stored} rows are not at ODK Central any more, more than `mass_delete: {share}` allows at once; they \
                 are deleted when the next pass finds the same. To delete them now, send {{\"tick\": \
                 {{\"allow_mass_delete\": [\"{name}\"]}}}}"
            ));
        }
        self.state.held = verdict.held().cloned();
    }

    /// Reads the rows that are on one side only.
    async fn settle(&mut self, ids: &HashSet<Box<str>>) -> Result<Reach, Trouble> {
        let Some(difference) = self.difference(ids).await? else {
            self.note("no table has a column that is `__id`, so rows that vanish cannot be told");
            return Ok(Reach::Done);
        };
        let holds = self.state.held.as_ref().is_some_and(|held| !held.agreed);
        let letters = self.lettered().await?;
        let mut asked = difference.missing;
        asked.retain(|row| !letters.contains(&row.id));
        asked.extend(difference.doubled);
        if !holds {
            asked.extend(difference.vanished);
        }
        if !asked.is_empty() {
            tracing::info!(pipeline = self.name(), rows = asked.len(), "rows differ from the ids at the source");
        }
        let mut unanswered = HashSet::new();
        if self.fetch_all(&asked, &mut unanswered).await? == Reach::More {
            return Ok(Reach::More);
        }
        self.settle_unanswered(&asked, &unanswered).await?;
        if !holds {
            self.state.held = None;
        }
        self.state.gap = self.gap(Some(ids.len() as u64)).await?.unwrap_or_default();
        Ok(Reach::Done)
    }

    /// How many rows the server has more than the tables.
    async fn gap(&mut self, count: Option<u64>) -> Result<Option<i64>, Trouble> {
        let stored = self.stored_rows().await?;
        Ok(count.zip(stored).map(|(count, stored)| count.cast_signed() - stored.cast_signed()))
    }

    /// How many rows the tables have; `None` where none tells whose rows it holds.
    async fn stored_rows(&mut self) -> Result<Option<u64>, Trouble> {
        let pipeline = self.pipeline.pipeline();
        let Some(ledger) = Ledger::of(pipeline, self.source) else { return Ok(None) };
        let mut rows = 0;
        ledger.visit(self.turn.sink(pipeline)?, false, |row| rows += u64::from(row.is_live)).await?;
        Ok(Some(rows))
    }

    async fn difference(&mut self, ids: &HashSet<Box<str>>) -> Result<Option<Difference>, Trouble> {
        let pipeline = self.pipeline.pipeline();
        let Some(ledger) = Ledger::of(pipeline, self.source) else { return Ok(None) };
        let mut missing: HashSet<&str> = ids.iter().map(|id| &**id).collect();
        let mut tombstones: HashMap<Box<str>, u64> = HashMap::new();
        let may_move = !self.source.is_keyed_by_id();
        let mut rows: HashMap<Box<str>, Asked> = HashMap::new();
        let mut difference = Difference::default();
        ledger
            .visit(self.turn.sink(pipeline)?, ledger.is_partial, |row| {
                let is_there = ids.contains(&row.id);
                if row.is_live {
                    difference.stored += 1;
                    missing.remove(&*row.id);
                    let key = row.key.unwrap_or_else(|| row.id.clone());
                    if may_move {
                        let known = rows.entry(row.id.clone()).or_insert_with(|| Asked::anew(&row.id, row.first));
                        known.first = known.first.max(row.first);
                        known.keys.push(key);
                    } else if !is_there {
                        difference.vanished.push(Asked { id: row.id, first: row.first, keys: vec![key] });
                    }
                } else if is_there && row.was_left_out() {
                    // The mapping wants no row of it.
                    missing.remove(&*row.id);
                } else if is_there {
                    tombstones.insert(row.id, row.first);
                }
            })
            .await?;
        for row in rows.into_values() {
            if !ids.contains(&row.id) {
                difference.vanished.push(row);
            } else if row.keys.len() > 1 {
                difference.doubled.push(row);
            }
        }
        // A tombstone's version must not freeze it.
        let asked = |id: &str| Asked::anew(id, tombstones.get(id).copied().unwrap_or_default());
        difference.missing = missing.into_iter().map(asked).collect();
        Ok(Some(difference))
    }
}
