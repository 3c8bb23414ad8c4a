//! The manifest: what the server says of every row, beside what it said when the row was stored.
//!
//! It finds what moves neither a time nor the gate's mark: files that were taken away, submitters who were renamed, data of
//! encrypted submissions, rows that a clock that was put back hides from windows of time.

use std::collections::{HashMap, HashSet};

use tributary_postgres::Credentials;
use tributary_sources::odk::{Filter, Query, Trouble, View};

use super::digest::digest;
use super::ids::Asked;
use super::listing::Turned;
use super::pass::leaf;
use super::run::{Reach, Run};
use super::state::{Kind, Pass};
use super::stored::Ledger;
use crate::clock::unix_micros;

/// Rows of a page, a fraction of a whole row each.
pub(super) const MANIFEST_PAGE: u32 = 2_000;

/// What is stored of a row.
#[derive(Clone, Copy)]
struct Entry {
    digest: u64,
    first: u64,
}

impl<C: Credentials> Run<'_, '_, C> {
    /// Reads the manifest if it is time, or goes on with it. Rows that differ are read anew.
    pub(super) async fn read_manifest(&mut self) -> Result<Reach, Trouble> {
        let begins = self.state.begins_manifest(unix_micros(), self.source.sweep_every);
        if !begins && self.state.manifest.is_none() {
            return Ok(Reach::Done);
        }
        if begins {
            if self.settle_letters().await? == Reach::More {
                return Ok(Reach::More);
            }
            self.state.manifest = Some(Pass::new(Kind::Manifest, unix_micros()));
        }
        let stored = self.entries().await?;
        if let Some(stored) = stored
            && Box::pin(self.go_through(&stored)).await? == Reach::More
        {
            return Ok(Reach::More);
        }
        if let Some(pass) = self.state.manifest.take() {
            self.state.manifest_at = pass.start;
        }
        self.save().await?;
        Ok(Reach::Done)
    }

    /// What is stored of each row, by its id; `None` where the tables don't keep it.
    async fn entries(&mut self) -> Result<Option<HashMap<Box<str>, Entry>>, Trouble> {
        let pipeline = self.pipeline.pipeline();
        let Some(ledger) = Ledger::of(pipeline, self.source).filter(Ledger::has_system) else { return Ok(None) };
        let mut entries = HashMap::new();
        ledger
            .visit(self.turn.sink(pipeline)?, true, |row| {
                if row.is_live || (ledger.is_partial && row.was_left_out()) {
                    entries.insert(row.id.clone(), Entry { digest: row.digest(), first: row.first });
                }
            })
            .await?;
        Ok(Some(entries))
    }

    async fn go_through(&mut self, stored: &HashMap<Box<str>, Entry>) -> Result<Reach, Trouble> {
        loop {
            if !self.has_time() {
                return Ok(Reach::More);
            }
            let Some(before) = self.state.manifest.clone() else { return Ok(Reach::Done) };
            let listing = before.listing.clone();
            let filter = listing.until.map(|at| Filter::Until { at });
            let had_token = listing.token.is_some();
            let query =
                Query { view: View::Manifest, filter, top: MANIFEST_PAGE, count: true, skiptoken: listing.token };
            let (leaf, differing) = match self.client.page(&self.set, &query, self.budget).await {
                Err(Trouble::Refused(refusal)) if refusal.status == 400 && had_token => (None, Vec::new()),
                other => {
                    let page = other?;
                    let differs = |row: &tributary_sources::odk::Row| {
                        let entry = stored.get(&row.id);
                        let is_same = entry.is_some_and(|entry| row.system().map(digest) == Some(entry.digest));
                        let first = entry.map_or(0, |entry| entry.first);
                        (!is_same && !row.id.is_empty()).then(|| Asked::anew(&row.id, first))
                    };
                    (Some(leaf(&page)), page.rows.iter().filter_map(differs).collect::<Vec<_>>())
                }
            };
            if !differing.is_empty() {
                tracing::info!(pipeline = self.name(), rows = differing.len(), "rows differ from the manifest");
            }
            // Before the place moves on: what is not read now is found again.
            let mut unanswered = HashSet::new();
            if self.fetch_all(&differing, &mut unanswered).await? == Reach::More {
                return Ok(Reach::More);
            }
            if !unanswered.is_empty() && self.read_all_anew(unanswered.len()).await? {
                return Ok(Reach::More);
            }
            let Some(pass) = &mut self.state.manifest else { return Ok(Reach::Done) };
            let turned = match leaf {
                Some(leaf) => pass.listing.turn(leaf, true),
                None => pass.listing.again(true),
            };
            match turned {
                Turned::More => self.save().await?,
                Turned::Done => return Ok(Reach::Done),
                Turned::Short => {
                    // The next tick tries as often again.
                    pass.listing.forgive();
                    self.save().await?;
                    return Err(self.short(&before).into());
                }
            }
        }
    }
}
