//! The Postgres sink: one connection, batches as one transaction, retries within the budget.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::time::{Duration, Instant};

use tributary_core::batch::{Batch, Outcome};
use tributary_core::change::compact;
use tributary_core::sink::{Budget, Sink};
use tributary_core::table::Table;
use tributary_core::view::Unified;
use tributary_core::{Error, Kind, Result};

use crate::bisect::{bisect, lost_lease};
use crate::chunk::{How, Writer};
use crate::connect::{Target, classify};
use crate::flush::{chunks, flush, is_of_a_row};
use crate::session::Session;
use crate::tally::{self, Tallied};
use crate::{catalog, checkpoint, dead_letter, receipt};

/// The statements of each table, by its qualified name.
pub(crate) type Writers = HashMap<String, Writer>;

/// Waits between attempts double from here, with full jitter.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Without a deadline, attempts at a batch end after this long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Left over after the last attempt, for the answer to the source.
const RESERVE: Duration = Duration::from_millis(500);
/// The share of stale changes from which the next batch is treated as a replay.
const MOSTLY_STALE: f64 = 0.3;

/// Where the database is and who we are there. Asked before each connection.
pub trait Credentials {
    /// The address and the credential. With `renew`, a cached secret was refused and must be fetched anew.
    ///
    /// # Errors
    /// `Auth`, `Config` or `Unavailable` when the secret cannot be had.
    fn target(&mut self, renew: bool) -> impl Future<Output = Result<Target>>;
}

/// A credential that doesn't change.
impl Credentials for Target {
    async fn target(&mut self, _renew: bool) -> Result<Target> {
        Ok(self.clone())
    }
}

/// A Postgres database that takes batches. It keeps one connection.
pub struct Postgres<C> {
    credentials: C,
    pub(crate) tables: Vec<Table>,
    pub(crate) views: Vec<Unified>,
    auto_migrate: bool,
    /// Those tables, by qualified name, whose columns follow their source: what they lack is always added.
    pub(crate) follows: BTreeSet<String>,
    pub(crate) session: Option<Session>,
    pub(crate) writers: Writers,
    /// Whether the next batch may have been applied already.
    suspect: bool,
}

impl<C: Credentials> Postgres<C> {
    /// A sink for these tables. With `auto_migrate`, what they lack is added at the first connection.
    pub fn new(credentials: C, tables: Vec<Table>, auto_migrate: bool) -> Self {
        let (follows, writers) = (BTreeSet::new(), Writers::new());
        let views = Vec::new();
        Postgres { credentials, tables, views, auto_migrate, follows, session: None, writers, suspect: false }
    }

    /// Connects, checks the tables against the mapping and prepares the statements. A function calls this while it is
    /// initialised, where time is not throttled; [`Sink::apply`] does it when it has not been done.
    ///
    /// # Errors
    /// As [`Sink::apply`].
    pub async fn warm_up(&mut self) -> Result<()> {
        self.session().await.map(drop)
    }

    /// Sends the statistics of the last batches without waiting. A function calls this before it answers.
    pub fn post(&mut self) {
        if let Some(session) = &mut self.session {
            session.post();
        }
    }

    /// Stores the statistics of the last batches. A command calls this before it ends.
    pub async fn settle(&mut self) {
        if let Some(session) = &mut self.session {
            session.settle().await;
        }
    }

    /// The live connection, opened if there is none.
    pub(crate) async fn session(&mut self) -> Result<&mut Session> {
        let alive = match &mut self.session {
            Some(session) => session.is_alive().await,
            None => false,
        };
        if !alive {
            self.session = None;
            let mut session = self.open().await?;
            let (following, others): (Vec<Table>, Vec<Table>) =
                self.tables.iter().cloned().partition(|table| self.follows.contains(&table.qualified_name()));
            self.writers = catalog::check(&mut session, &others, self.auto_migrate).await?;
            self.writers.extend(catalog::check(&mut session, &following, true).await?);
            let writes = self.writers.values().flat_map(Writer::common);
            let common = writes.map(|s| (s.sql.clone(), s.types()));
            let own = [
                (checkpoint::STORE.to_owned(), checkpoint::STORE_TYPES.to_vec()),
                (dead_letter::STORE.to_owned(), dead_letter::STORE_TYPES.to_vec()),
                (tally::STORE.to_owned(), tally::STORE_TYPES.to_vec()),
            ];
            session.prepare(common.chain(own)).await.map_err(|e| classify(e, "prepare statements"))?;
            self.session = Some(session);
        }
        self.session.as_mut().ok_or_else(|| Error::new(Kind::Bug, "the connection is gone"))
    }

    /// The tables that this sink writes.
    pub(crate) fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// A new connection.
    pub(crate) async fn open(&mut self) -> Result<Session> {
        let target = self.credentials.target(false).await?;
        match Session::open(&target).await {
            // A rotated secret: fetch it anew, once.
            Err(error) if error.kind() == Kind::Auth => {
                tracing::warn!(error = %error.chain(), "the credential was refused; fetching it anew");
                Session::open(&self.credentials.target(true).await?).await
            }
            other => other,
        }
    }

    /// Applies a batch, trying again while it may help; see [`Sink::apply`]. `began` makes it part of a repair.
    pub(crate) async fn apply_within(
        &mut self,
        batch: &Batch<'_>,
        began: Option<&str>,
        budget: &impl Budget,
    ) -> Result<Outcome> {
        if batch.only_writer && batch.checkpoint.as_ref().is_none_or(|checkpoint| checkpoint.fence.is_none()) {
            return Err(Error::new(Kind::Bug, "a batch of an only writer has no lease")
                .with_hint("its checkpoint must carry the fence under which it was read"));
        }
        let apply = async |session: &mut Session, writers: &Writers, suspect: bool| {
            let how = How {
                replay: batch.replay || suspect || began.is_some(),
                began,
                fenced: batch.only_writer && began.is_none(),
            };
            apply_once(session, writers, batch, how).await
        };
        let outcome = Box::pin(self.persist(batch.pipeline, budget, PATIENCE, apply)).await?;
        self.suspect = is_mostly_stale(&outcome);
        if let Some(session) = &mut self.session {
            let Outcome { applied, stale, dead, .. } = outcome;
            session.note(Tallied { pipeline: batch.pipeline.to_owned(), applied, stale, dead });
        }
        Ok(outcome)
    }

    /// Tries a transaction until it commits, within the budget (where it has no end: `patience`), as long as trying again
    /// may help. It is told whether an earlier attempt may have committed.
    pub(crate) async fn persist<T>(
        &mut self,
        pipeline: &str,
        budget: &impl Budget,
        patience: Duration,
        mut transaction: impl AsyncFnMut(&mut Session, &Writers, bool) -> Result<T>,
    ) -> Result<T> {
        let started = Instant::now();
        let mut longest = FIRST_WAIT;
        loop {
            let limit = budget.remaining().unwrap_or(patience).saturating_sub(RESERVE);
            let attempt = Box::pin(tokio::time::timeout(limit, self.once(&mut transaction))).await;
            let result = attempt.unwrap_or_else(|_| Err(Error::unavailable("postgres did not answer in time")));
            let error = match result {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // The transaction may have committed all the same. The connection, in the middle of anything, is gone.
            self.suspect = true;
            let wait = longest.mul_f64(fastrand::f64());
            let in_time = match budget.remaining() {
                Some(left) => left > wait + RESERVE * 2,
                None => started.elapsed() + wait < patience,
            };
            if !error.retry() || !in_time {
                return Err(error);
            }
            tracing::warn!(pipeline, error = %error.chain(), "retrying a transaction");
            tokio::time::sleep(wait).await;
            longest = (longest * 2).min(LONGEST_WAIT);
        }
    }

    async fn once<T>(
        &mut self,
        transaction: &mut impl AsyncFnMut(&mut Session, &Writers, bool) -> Result<T>,
    ) -> Result<T> {
        self.session().await?;
        // Taken out: when this future is dropped half-way, a connection in the middle of a transaction goes with it.
        let Some(mut session) = self.session.take() else {
            return Err(Error::new(Kind::Bug, "the connection is gone"));
        };
        session.prepare_wanted().await.map_err(|e| classify(e, "prepare statements"))?;
        let value = transaction(&mut session, &self.writers, self.suspect).await?;
        self.session = Some(session);
        Ok(value)
    }
}

impl<C: Credentials> Sink for Postgres<C> {
    async fn apply(&mut self, batch: &Batch<'_>, budget: &impl Budget) -> Result<Outcome> {
        self.apply_within(batch, None, budget).await
    }
}

async fn apply_once(session: &mut Session, writers: &Writers, batch: &Batch<'_>, how: How<'_>) -> Result<Outcome> {
    if batch.receipts.is_empty() {
        return apply_all(session, writers, batch, how, false).await;
    }
    let fresh = receipt::begin(session, batch).await?;
    session.want(receipt::TAKE, &receipt::TAKE_TYPES);
    let outcome = apply_all(session, writers, &fresh.batch, how, true).await?;
    Ok(Outcome { duplicates: outcome.duplicates.max(fresh.duplicates), ..outcome })
}

/// Applies a batch in one transaction, which has `begun` where its receipts are taken.
async fn apply_all(
    session: &mut Session,
    writers: &Writers,
    batch: &Batch<'_>,
    how: How<'_>,
    begun: bool,
) -> Result<Outcome> {
    let survivors = compact(&batch.changes, batch.tables);
    let chunks = chunks(batch, &survivors, writers)?;
    match flush(session, batch, &chunks, how, begun).await {
        Ok(outcome) => Ok(outcome),
        Err(error) if is_of_a_row(&error) => {
            tracing::info!(pipeline = batch.pipeline, code = ?error.code(), "a row was refused; looking for it");
            bisect(session, batch, writers, how).await
        }
        Err(error) => Err(lost_lease(&error).unwrap_or_else(|| classify(error, "apply a batch"))),
    }
}

fn is_mostly_stale(outcome: &Outcome) -> bool {
    let all = outcome.applied + outcome.stale;
    all > 0 && outcome.stale as f64 / all as f64 > MOSTLY_STALE
}
