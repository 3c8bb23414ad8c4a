//! The whole table, page by page; then what is stored and was not seen.
//!
//! A listing's place is kept by Airtable for some minutes, so a sweep that takes longer than a tick goes on in the next one
//! only where the function is still warm. Elsewhere, or when the place is gone, it begins anew: what it has written stays,
//! and only its knowledge of who is missing is lost.
//!
//! The order of a listing is frozen at its first page, its cells are not. So a record that was made meanwhile isn't in it,
//! and nothing is deleted for being missing from a listing: each such record is asked for by its id once more.

use std::collections::HashSet;
use std::sync::Arc;

use tributary_core::cell::Cell;
use tributary_core::pipeline::{From, RECORD_ID, Scope};
use tributary_core::{Error, Kind};
use tributary_postgres::Credentials;
use tributary_sources::airtable::Trouble;
use tributary_sources::airtable::client::{PAGE, Query};

use super::run::{Reach, Run};
use super::state::{Feed, Swept, text};
use crate::clock::unix_micros;

/// How often a listing may begin anew in one turn, because its place expired.
const RESTARTS: u32 = 2;
/// So few rows may always be deleted, unless the mapping allows none at all.
const FEW: usize = 10;

/// A sweep under way.
#[derive(Debug)]
pub(super) struct Sweep {
    /// When it began, in microseconds since 1970.
    began: i64,
    /// The breaks of the feed that were before it, which it heals.
    heals: u64,
    shape: String,
    /// Where the next page begins.
    offset: Option<String>,
    /// The records that are there: those listed, and those that the feed found meanwhile.
    seen: HashSet<Box<str>>,
    records: u64,
    /// Records without a readable id: whose rows they are isn't known.
    nameless: u64,
    /// Records that became dead letters since it began.
    refused: HashSet<Box<str>>,
    /// Once all pages are read: stored rows that were not in them, still to be asked for.
    missing: Option<Vec<Box<str>>>,
    /// How many rows it leaves alone because they would be too many.
    held: u64,
}

impl Sweep {
    fn new(heals: u64, shape: String) -> Self {
        Sweep {
            began: unix_micros(),
            heals,
            shape,
            offset: None,
            seen: HashSet::new(),
            records: 0,
            nameless: 0,
            refused: HashSet::new(),
            missing: None,
            held: 0,
        }
    }

    /// Notes that these records became dead letters.
    pub(super) fn refuse(&mut self, ids: impl IntoIterator<Item = Box<str>>) {
        self.refused.extend(ids);
    }

    /// Notes that these records are there.
    pub(super) fn see<'i>(&mut self, ids: impl IntoIterator<Item = &'i Box<str>>) {
        self.seen.extend(ids.into_iter().cloned());
    }
}

impl<C: Credentials> Run<'_, '_, C> {
    /// Reads the whole table, or goes on with it.
    pub(super) async fn sweep(&mut self, feed: &mut Feed) -> Result<Reach, Trouble> {
        if self.warm.sweep.is_none() {
            self.forget_lens();
        }
        let shape = self.lens().await?.shape.clone();
        // What a sweep under way has read before the feed broke once more, it has read too early.
        let goes_on = self.warm.sweep.take().filter(|sweep| sweep.shape == shape && sweep.heals == feed.breaks);
        let mut sweep = goes_on.unwrap_or_else(|| Sweep::new(feed.breaks, shape));
        let result = Box::pin(self.go_on(&mut sweep)).await;
        if !matches!(result, Ok(Reach::Done)) {
            self.warm.sweep = Some(sweep);
        }
        result
    }

    async fn go_on(&mut self, sweep: &mut Sweep) -> Result<Reach, Trouble> {
        if sweep.missing.is_none() && self.read_all(sweep).await? == Reach::More {
            return Ok(Reach::More);
        }
        if sweep.missing.is_none() {
            sweep.missing = Some(self.missing(sweep).await?);
        }
        while let Some(some) = sweep.missing.as_mut().and_then(next_chunk) {
            if !self.has_time() {
                sweep.missing.get_or_insert_default().extend(some);
                return Ok(Reach::More);
            }
            match self.look_for(&some, progress(sweep)).await {
                Ok(dead) => sweep.refuse(dead),
                Err(trouble) => {
                    sweep.missing.get_or_insert_default().extend(some);
                    return Err(trouble);
                }
            }
        }
        let Sweep { began, heals, shape, records, held, .. } = &*sweep;
        let swept = Swept { began: *began, healed: *heals, shape: shape.clone(), records: *records, held: *held };
        self.apply(Vec::new(), Swept::PARTITION, text(&swept)).await?;
        self.settle_letters(&sweep.refused).await?;
        tracing::info!(pipeline = self.name(), records, held, "a sweep is complete");
        Ok(Reach::Done)
    }

    /// Asks for records that were missing once more. Those that are there were made or restored meanwhile; the others are gone.
    async fn look_for(&mut self, missing: &[Box<str>], progress: String) -> Result<Vec<Box<str>>, Trouble> {
        let ids: Vec<_> = missing.iter().map(|id| (id.clone(), None)).collect();
        let fetched = self.fetch(&ids).await?;
        self.apply(fetched.events, Swept::UNDER_WAY, progress).await
    }

    /// Reads the pages that are left.
    async fn read_all(&mut self, sweep: &mut Sweep) -> Result<Reach, Trouble> {
        let mut restarts = 0;
        loop {
            if !self.has_time() {
                return Ok(Reach::More);
            }
            self.lens().await?;
            let version = self.turn.observation()?;
            let query = Query { offset: sweep.offset.clone(), ..Query::default() };
            let page = match self.list(query).await {
                Err(Trouble::Refused(refusal)) if sweep.offset.is_some() && begins_anew(&refusal) => {
                    restarts += 1;
                    let (pipeline, records) = (self.name(), sweep.records);
                    tracing::warn!(
                        pipeline,
                        records,
                        reason = refusal.code,
                        "a listing ended early; the sweep begins anew"
                    );
                    *sweep = Sweep::new(sweep.heals, sweep.shape.clone());
                    if restarts > RESTARTS {
                        return Err(Trouble::OutOfTime);
                    }
                    continue;
                }
                other => other?,
            };
            let lens = self.lens().await?;
            let mut events = Vec::with_capacity(page.records.len());
            for record in page.records {
                let read = lens.decoder.read(record, version, None);
                sweep.nameless += u64::from(read.id.is_empty());
                sweep.seen.insert(read.id);
                events.push(read.decoded);
            }
            sweep.records += events.len() as u64;
            let dead = self.apply(events, Swept::UNDER_WAY, progress(sweep)).await?;
            sweep.refuse(dead);
            sweep.offset = page.offset;
            if sweep.offset.is_none() {
                return Ok(Reach::Done);
            }
        }
    }

    /// The rows that are stored and whose records were not seen. None, where they are too many to be believed.
    async fn missing(&mut self, sweep: &mut Sweep) -> Result<Vec<Box<str>>, Trouble> {
        let Some(stored) = self.stored().await? else {
            self.note("no key is a record's id as it is, so a sweep cannot tell which rows to delete");
            return Ok(Vec::new());
        };
        let mut missing: Vec<Box<str>> = stored.iter().filter(|id| !sweep.seen.contains(*id)).cloned().collect();
        missing.sort_unstable();
        if missing.is_empty() {
            return Ok(missing);
        }
        if sweep.nameless > 0 {
            let (rows, nameless) = (missing.len(), sweep.nameless);
            self.note(format!("{nameless} records came without an id; {rows} rows that were not seen are left alone"));
            sweep.held = rows as u64;
            return Ok(Vec::new());
        }
        let share = self.source.mass_delete;
        let few = if share > 0.0 { FEW } else { 0 };
        let too_many = missing.len() > few && missing.len() as f64 > share * stored.len() as f64;
        if too_many && !self.turn.may_delete_many(self.name()) {
            let name = self.name();
            self.note(format!(
                "{} of {} rows have no record in Airtable any more, more than `mass_delete: {share}` allows; none is \
                 deleted. If that is right, send {{\"tick\": {{\"allow_mass_delete\": [\"{name}\"]}}}}",
                missing.len(),
                stored.len()
            ));
            sweep.held = missing.len() as u64;
            return Ok(Vec::new());
        }
        Ok(missing)
    }

    /// The ids of the records whose rows are stored and not deleted, in any table; `None` where no key tells.
    async fn stored(&mut self) -> Result<Option<HashSet<Box<str>>>, Trouble> {
        let mut ids = None;
        let pipeline = &Arc::clone(self.pipeline.pipeline());
        for (table, route) in pipeline.tables.iter().zip(&pipeline.routes) {
            let of_root = matches!(route.scope, Scope::Root);
            let is_id = |from: &From| match from {
                From::Root(path) => path.first_field() == Some(RECORD_ID),
                From::Row(path) => of_root && path.first_field() == Some(RECORD_ID),
                From::Whole | From::Index | From::Program(_) | From::Nothing => false,
            };
            let Some(position) = route.key.iter().position(|binding| is_id(&binding.from)) else { continue };
            let ids = ids.get_or_insert_with(HashSet::new);
            let sink = self.turn.sink(pipeline)?;
            sink.live(table, |key, _| match key.get(position) {
                Some(Cell::Text(id)) => {
                    ids.insert(id.clone());
                    Ok(())
                }
                _ => Err(Error::new(Kind::Bug, "a record's id is no text")),
            })
            .await?;
        }
        Ok(ids)
    }
}

/// Whether the place in a listing is gone: it expired, or a field of it did.
fn begins_anew(refusal: &tributary_sources::airtable::Refusal) -> bool {
    refusal.is_expired_offset() || refusal.is_unknown_field()
}

fn next_chunk(missing: &mut Vec<Box<str>>) -> Option<Vec<Box<str>>> {
    let rest = missing.len().saturating_sub(PAGE);
    Some(missing.split_off(rest)).filter(|some| !some.is_empty())
}

/// What a checkpoint shows of a sweep under way.
fn progress(sweep: &Sweep) -> String {
    serde_json::json!({ "began": sweep.began, "records": sweep.records }).to_string()
}
