//! What operators and runners ask of the sink beside applying batches: plans, leases, checkpoints, dead letters, status.

use std::time::Duration;

use tributary_core::batch::Fence;
use tributary_core::{Error, Result};

use crate::checkpoint;
use crate::connect::classify;
use crate::dead_letter::{self, Letter, Which};
use crate::migrate::{self, Plan};
use crate::session::Session;
use crate::sink::{Credentials, Postgres};
use crate::status::{self, Status};

impl<C: Credentials> Postgres<C> {
    /// What has to be done before the tables can be written. Changes nothing.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn plan(&mut self) -> Result<Plan> {
        let session = self.open().await?;
        let mut plan = migrate::dry_run(&session, self.tables()).await?;
        let views = crate::view::plan(&session, &self.views).await?;
        plan.steps.extend(views.steps);
        plan.refusals.extend(views.refusals);
        Ok(plan)
    }

    /// Adds what is missing, and says what that was.
    ///
    /// # Errors
    /// `Config` when something can only be settled by a person; then nothing is changed.
    pub async fn migrate(&mut self) -> Result<Plan> {
        let session = self.open().await?;
        migrate::run_all(&session, self.tables(), &self.views).await
    }

    /// Where a partition of a pipeline stands.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn checkpoint(&mut self, pipeline: &str, partition: &str) -> Result<Option<String>> {
        checkpoint::load(self.session().await?, pipeline, partition).await
    }

    /// Forgets where those partitions of a pipeline stand whose name begins so; they start anew.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn forget_checkpoints(&mut self, pipeline: &str, prefix: &str) -> Result<()> {
        checkpoint::forget(self.session().await?, pipeline, prefix).await
    }

    /// Takes a lease, or prolongs it for the holder that has it.
    ///
    /// # Errors
    /// `Conflict` when somebody else holds it.
    pub async fn acquire(&mut self, lease: &str, holder: &str, term: Duration) -> Result<Fence> {
        checkpoint::acquire(self.session().await?, lease, holder, term).await
    }

    /// Gives a lease back.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn release(&mut self, fence: &Fence) -> Result<()> {
        checkpoint::release(self.session().await?, fence).await
    }

    /// Dead letters, the oldest first, at most this many; their payloads included.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn letters(&mut self, which: Which<'_>, limit: u32) -> Result<Vec<Letter>> {
        dead_letter::read(self.own_tables().await?.client(), which, limit).await
    }

    /// Removes dead letters for good; how many there were.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn discard(&mut self, which: Which<'_>) -> Result<u64> {
        dead_letter::remove(self.own_tables().await?.client(), which).await
    }

    /// How the pipelines are doing.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn status(&mut self, pipelines: &[&str]) -> Result<Vec<Status>> {
        status::read(self.own_tables().await?.client(), pipelines).await
    }

    /// How many files of a table of files are in which state, by its name; none where the table has no queue yet.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn files(&mut self, table: &tributary_core::table::Table) -> Result<Vec<(String, i64)>> {
        status::files(&self.own_tables().await?, table).await
    }

    /// Removes tombstones whose time is up, and old statistics; how many rows. Tombstones of a pipeline with open dead
    /// letters stay: a replay of one could bring a row back.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn purge(&mut self, pipeline: &str, tables: &[tributary_core::table::Table]) -> Result<u64> {
        let session = self.session().await?;
        crate::purge::purge(session.client(), pipeline, tables).await
    }

    /// A connection for questions about our own tables: the sink tables may disagree with the mapping.
    async fn own_tables(&mut self) -> Result<Session> {
        let session = self.open().await?;
        if migrate::own_tables_exist(&session).await? {
            return Ok(session);
        }
        Err(Error::config("the database has no tables of Tributary yet").with_hint("run `tributary migrate`"))
    }
}

/// A failed question.
pub(crate) fn asking(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> Error {
    move |error| classify(error, doing)
}
