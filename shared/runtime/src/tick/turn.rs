//! What a job has in hand while it runs.

use tributary_core::batch::{Batch, Fence, Outcome};
use tributary_core::pipeline::{Mapping, Pipeline};
use tributary_core::sink::Sink;
use tributary_core::version::Version;
use tributary_core::{Error, Result};
use tributary_postgres::{Credentials, Postgres};

use super::{Job, Report, Request, Share};
use crate::clock::unix_micros;
use crate::lease::Lease;
use crate::sinks::Sinks;

/// One run of a job: its pipelines, their sinks, the lease, and what is to be reported.
pub struct Turn<'t, C> {
    mapping: &'t Mapping,
    job: &'t Job<'t>,
    sinks: &'t mut Sinks<C>,
    lease: Lease,
    request: &'t Request,
    report: &'t mut Report,
    whole: Share,
    observations: u64,
}

impl<'t, C: Credentials> Turn<'t, C> {
    pub(super) fn new(
        mapping: &'t Mapping,
        job: &'t Job<'t>,
        sinks: &'t mut Sinks<C>,
        lease: Lease,
        request: &'t Request,
        report: &'t mut Report,
        whole: Share,
    ) -> Self {
        Turn { mapping, job, sinks, lease, request, report, whole, observations: 0 }
    }

    pub(super) fn into_lease(self) -> Lease {
        self.lease
    }

    /// The mapping.
    pub fn mapping(&self) -> &'t Mapping {
        self.mapping
    }

    /// The pipelines of the job. There is at least one.
    pub fn pipelines(&self) -> &'t [&'t Pipeline] {
        &self.job.pipelines
    }

    /// The lease with its number.
    pub fn fence(&self) -> &Fence {
        self.lease.fence()
    }

    /// The lease, for a checkpoint of this pipeline; `None` where its sink is another one than that which keeps the lease.
    pub fn fence_of(&self, pipeline: &Pipeline) -> Option<&Fence> {
        self.lead().ok().filter(|lead| lead.sink == pipeline.sink).map(|_| self.lease.fence())
    }

    /// The version of what is observed by the request that is about to be sent: later ones are greater, also those of a
    /// later runner, and no clock takes part. For sources whose items have no version of their own.
    ///
    /// # Errors
    /// `Bug` when the lease's number is negative.
    pub fn observation(&mut self) -> Result<Version> {
        let number = self.request();
        Version::new(0, &format!("{}{number:020}", self.lease.fence().number))
    }

    /// The number of the request that is about to be sent, within the lease: for sources that make versions of it themselves.
    pub fn request(&mut self) -> u64 {
        self.observations += 1;
        self.observations
    }

    /// Whether somebody has allowed this pipeline to delete more rows than its guard would.
    pub fn may_delete_many(&self, pipeline: &str) -> bool {
        self.request.allow_mass_delete.iter().any(|name| name == pipeline)
    }

    /// Whether this run was asked for by hand, whatever is due.
    pub fn is_forced(&self) -> bool {
        self.request.force
    }

    /// What is left of the tick, beyond the job's own share: for what must not be broken off once it is begun.
    pub fn whole(&self) -> Share {
        self.whole
    }

    /// Prolongs the lease when it is time to; to be called once a page.
    ///
    /// # Errors
    /// `Conflict` when it was lost.
    pub async fn prolong(&mut self) -> Result<()> {
        let sink = self.sinks.get(&self.lead()?.sink)?;
        self.lease.prolong(sink).await
    }

    /// Where a partition of a pipeline stands.
    ///
    /// # Errors
    /// `Unavailable` when the database doesn't answer.
    pub async fn checkpoint(&mut self, pipeline: &Pipeline, partition: &str) -> Result<Option<String>> {
        self.sinks.get(&pipeline.sink)?.checkpoint(&pipeline.name, partition).await
    }

    /// The sink of a pipeline.
    ///
    /// # Errors
    /// `Bug` when it was not made.
    pub fn sink(&mut self, pipeline: &Pipeline) -> Result<&mut Postgres<C>> {
        self.sinks.get(&pipeline.sink)
    }

    /// Applies a batch of one of the job's pipelines, and counts what came of it. It may take all that is left of the tick,
    /// beyond the job's own share.
    ///
    /// # Errors
    /// As [`Sink::apply`].
    pub async fn apply(&mut self, pipeline: &Pipeline, batch: &Batch<'_>) -> Result<Outcome> {
        let whole = self.whole;
        self.apply_within(pipeline, batch, &whole).await
    }

    /// As [`Turn::apply`], in less time: what was received may be on lease.
    ///
    /// # Errors
    /// As [`Sink::apply`].
    pub async fn apply_within(&mut self, pipeline: &Pipeline, batch: &Batch<'_>, budget: &Share) -> Result<Outcome> {
        let sink = self.sinks.get(&pipeline.sink)?;
        let outcome = Box::pin(sink.apply(batch, budget)).await?;
        let newest = batch.changes.iter().filter_map(|change| change.at).max();
        let lag = newest.map(|at| (unix_micros() - at) as f64 / 1e6);
        self.report.add(pipeline, batch.origins.len() as u64, &outcome, lag);
        Ok(outcome)
    }

    /// Counts files that were stored.
    pub fn count_files(&mut self, pipeline: &Pipeline, files: u64) {
        self.report.of(&pipeline.name).attachments += files;
    }

    /// Adds something that somebody should know: to the log, and to the report.
    pub fn note(&mut self, pipeline: &Pipeline, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!(pipeline = pipeline.name, note = text, "noted");
        self.report.of(&pipeline.name).notes.push(text);
    }

    /// Adds something that is as it should be, and may be of use to know.
    pub fn tell(&mut self, pipeline: &Pipeline, text: impl Into<String>) {
        let text = text.into();
        tracing::info!(pipeline = pipeline.name, note = text, "noted");
        self.report.of(&pipeline.name).notes.push(text);
    }

    fn lead(&self) -> Result<&'t Pipeline> {
        let first = self.job.pipelines.first().copied();
        first.ok_or_else(|| Error::new(tributary_core::Kind::Bug, "a job without a pipeline"))
    }
}
