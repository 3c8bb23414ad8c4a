//! The poller of Airtable tables: hears of changes by a feed, and reads whole tables now and then.
//!
//! A version is an observation: the lease's number and the request's. A record that is asked for later is newer, so rows
//! are only ever written from listings, whole, and a record that is asked for by its id and not returned is gone. What a
//! feed tells are ids, no more. Computed cells drift without any feed telling, and deletes are told by webhooks only: both
//! show in a sweep.
//!
//! Nothing between two reads is lost: a feed's position is stored before the sweep that fills the table begins, and
//! moves on only in the transaction of the rows that it led to.

mod feed;
mod hook;
mod letters;
mod modified;
mod run;
mod state;
mod sweep;
mod usage;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use tributary_core::pipeline::{AirtableStore, Datastore, Mapping, SourceKind};
use tributary_core::{Error, Kind, Result};
use tributary_postgres::Credentials;
use tributary_sources::airtable::client::Pace;
use tributary_sources::airtable::{Airtable, Refusal, Trouble};

use crate::auto::Following;
use crate::secrets::Secrets;
use crate::tick::{Ended, Job, Poller, Share, Stop, Turn};
use run::{Reach, Run, Warm};

pub use modified::Window;

/// Polls Airtable. Kept while a function is warm: its pace, tokens, and sweeps that go on in the next tick.
pub struct AirtablePoll<S> {
    secrets: Arc<S>,
    pace: Pace,
    window: Window,
    clients: HashMap<String, Airtable>,
    warm: HashMap<String, Warm>,
}

impl<S: Secrets> AirtablePoll<S> {
    /// A poller that gets its tokens from these secrets.
    pub fn new(secrets: Arc<S>) -> Self {
        AirtablePoll {
            secrets,
            pace: Pace::default(),
            window: Window::default(),
            clients: HashMap::new(),
            warm: HashMap::new(),
        }
    }

    /// Asks a base at another pace: slower where others use the base too.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Reads by time with another window.
    #[must_use]
    pub fn with_window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// Makes sure that there is a client of this datastore.
    async fn connect(&mut self, name: &str, store: &AirtableStore) -> Result<()> {
        if !self.clients.contains_key(name) {
            let token = self.secrets.get(&store.token).await?;
            self.clients.insert(name.to_owned(), Airtable::new(&store.base_url, token.expose(), self.pace));
        }
        Ok(())
    }
}

impl<C: Credentials, S: Secrets> Poller<C> for AirtablePoll<S> {
    fn jobs<'m>(&self, mapping: &'m Mapping) -> Vec<Job<'m>> {
        let ours = mapping.pipelines.iter().filter(|pipeline| matches!(pipeline.source.kind, SourceKind::Airtable(_)));
        ours.map(Job::of).collect()
    }

    async fn run(&mut self, turn: &mut Turn<'_, C>, budget: &Share) -> Result<Ended> {
        let wrong = || Error::new(Kind::Bug, "a job of Airtable without its pipeline or datastore");
        let pipeline = *turn.pipelines().first().ok_or_else(wrong)?;
        let name = &pipeline.source.datastore;
        let (Some(Datastore::Airtable(store)), SourceKind::Airtable(source)) =
            (turn.mapping().datastores.get(name), &pipeline.source.kind)
        else {
            return Err(wrong());
        };
        let mut renewed = false;
        loop {
            self.connect(name, store).await?;
            let client = self.clients.get(name).ok_or_else(wrong)?;
            let warm = self.warm.entry(pipeline.name.clone()).or_default();
            let following = Following::begin(turn, pipeline).await?;
            let mut run = Run::new(turn, client, budget, following, source, warm, self.window);
            match Box::pin(run.all()).await {
                Ok(Reach::Done) => return Ok(Ended::Drained),
                Ok(Reach::More) => return Ok(Ended::More),
                // The driver would give it another turn at once, and Airtable has just asked for patience.
                Err(Trouble::OutOfTime) => return Ok(Ended::Later),
                Err(Trouble::Quota) => return Ok(Ended::Stopped(until_next_month(Timestamp::now()))),
                Err(Trouble::Refused(Refusal { status: 401, .. })) if !renewed => {
                    tracing::warn!(datastore = name, "airtable refused the token; fetching it anew");
                    self.secrets.evict(&store.token);
                    self.clients.remove(name);
                    renewed = true;
                }
                Err(trouble) => return Err(trouble.into()),
            }
        }
    }
}

/// The quota of a workspace is by the month. Whose time zone counts isn't said, so it is UTC's month, and a first try
/// that comes too early is stopped once more.
fn until_next_month(now: Timestamp) -> Stop {
    let today = now.to_zoned(TimeZone::UTC);
    let next = today.date().first_of_month().checked_add(1.month()).ok();
    let until = next.and_then(|date| date.to_zoned(TimeZone::UTC).ok()).map(|at| at.timestamp().as_microsecond());
    let reason = "the Airtable workspace has used up its API calls of this month (PUBLIC_API_BILLING_LIMIT_EXCEEDED): \
                  the pipeline goes on in the next month; to go on earlier, upgrade the workspace's plan and send \
                  {\"tick\": {\"force\": true}}; to need fewer calls, raise `every`";
    Stop { reason: reason.to_owned(), until }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_lasts_until_the_first_of_the_next_month() {
        let check = |now: &str, expect: &str| {
            let stop = until_next_month(now.parse().unwrap());
            assert_eq!(Timestamp::from_microsecond(stop.until.unwrap()).unwrap().to_string(), expect, "{now}");
        };
        check("2026-11-20T12:00:00Z", "2026-12-01T00:00:00Z");
        check("2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z");
        check("2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z");
    }
}
