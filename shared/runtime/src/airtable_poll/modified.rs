//! The feed by time: records whose `lastModifiedTime` field moved since the last look.
//!
//! It hears neither of deletes nor of computed cells; sweeps do.

use std::time::Duration;

use jiff::Timestamp;
use tributary_core::Error;
use tributary_postgres::Credentials;
use tributary_sources::airtable::client::{Query, Sort};
use tributary_sources::airtable::record::time_of;
use tributary_sources::airtable::{Trouble, formula};

use super::run::{Reach, Run};
use super::state::Feed;
use crate::clock::unix_micros;

/// How often a listing may begin anew in one run, because its place in it expired.
const RESTARTS: u32 = 2;

/// Between which times records are looked for. Airtable's clock isn't ours, and a change may show in a listing a little
/// after the time that it bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How far the end stays behind our clock.
    pub horizon: Duration,
    /// How far the beginning goes back behind the last end.
    pub overlap: Duration,
}

impl Default for Window {
    fn default() -> Self {
        Window { horizon: Duration::from_secs(10), overlap: Duration::from_secs(120) }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// To the millisecond, which is what Airtable keeps.
fn rfc3339(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map(|at| format!("{at:.3}")).unwrap_or_default()
}

impl<C: Credentials> Run<'_, '_, C> {
    /// Reads what was changed since the last look.
    pub(super) async fn read_modified(&mut self, feed: &mut Feed) -> Result<Reach, Trouble> {
        let end = unix_micros().saturating_sub(micros(self.window.horizon));
        if feed.until == 0 {
            // From now on; what was before is for the sweep.
            feed.table = self.lens().await?.table.clone();
            feed.until = end;
            feed.breaks += 1;
            self.store(feed, Vec::new()).await?;
            return Ok(Reach::Done);
        }
        let begin = feed.until.saturating_sub(micros(self.window.overlap));
        self.warm.seen.retain(|_, at| *at >= begin);
        let mut restarts = 0;
        let mut offset = None;
        loop {
            if !self.has_time() {
                return Ok(Reach::More);
            }
            let lens = self.lens().await?;
            let time = lens
                .time
                .clone()
                .ok_or_else(|| Error::new(tributary_core::Kind::Bug, "a feed by time without its field"))?;
            let version = self.turn.observation()?;
            let query = Query {
                filter_by_formula: Some(formula::modified_between(&time, &rfc3339(begin), &rfc3339(end))),
                sort: vec![Sort { field: time.clone() }],
                offset: offset.take(),
                ..Query::default()
            };
            let goes_on = query.offset.is_some();
            let page = match self.list(query).await {
                Err(Trouble::Refused(refusal)) if goes_on && refusal.is_expired_offset() => {
                    restarts += 1;
                    if restarts > RESTARTS {
                        return Err(Trouble::OutOfTime);
                    }
                    tracing::info!(pipeline = self.name(), "a listing expired and begins anew");
                    continue;
                }
                other => other?,
            };
            let lens = self.lens().await?;
            let (mut events, mut shown) = (Vec::new(), Vec::new());
            for record in page.records {
                let at = time_of(&record, &time);
                let read = lens.decoder.read(record, version, at);
                if let Some(at) = at {
                    shown.push((read.id.clone(), at));
                }
                events.push((read, at));
            }
            // A record that bears the time that it bore has not been changed since it was committed.
            let known = &self.warm.seen;
            let events = events.into_iter().filter(|(read, at)| at.is_none() || known.get(&read.id) != at.as_ref());
            let events: Vec<_> = events.map(|(read, _)| read.decoded).collect();
            // They come by their time as it was when the listing began, and one that was changed since bears a time past the
            // end: so all before the last time that is not have been read.
            let reached = shown.iter().map(|(_, at)| *at).filter(|at| *at < end).max().unwrap_or(feed.until);
            offset = page.offset;
            let done = offset.is_none();
            feed.until = feed.until.max(if done { end } else { reached });
            feed.read_at = unix_micros();
            if let Some(sweep) = &mut self.warm.sweep {
                sweep.see(shown.iter().map(|(id, _)| id));
            }
            self.store(feed, events).await?;
            self.warm.seen.extend(shown);
            if done {
                return Ok(Reach::Done);
            }
        }
    }
}
