//! One scheduled invocation of a polling function: every pipeline of its kind gets a turn, under a lease and with a fair
//! share of the time.
//!
//! What a turn does is the business of its source ([`Poller`]). Here is what all have in common: who is due, in which
//! order, for how long; that one which fails stops no other; and what is reported. Called by the functions and the command
//! line.

mod report;
mod request;
mod share;
mod state;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tributary_core::batch::Checkpoint;
use tributary_core::pipeline::{Mapping, Pipeline};
use tributary_core::sink::Budget;
use tributary_core::{Error, Kind, Result};
use tributary_postgres::Credentials;

use crate::clock::unix_micros;
use crate::housekeeping::Housekeeping;
use crate::lease::Lease;
use crate::metrics::Metrics;
use crate::sinks::Sinks;

pub use report::{Items, Progress, Report};
pub use request::Request;
pub use share::Share;
pub use state::{State, Stop};
pub use turn::Turn;

/// A turn begins only while there is time for a page and its commit.
const TIME_FOR_A_TURN: Duration = Duration::from_secs(3);

/// What runs under one lease: mostly a pipeline, or several that read one queue.
#[derive(Clone, Debug)]
pub struct Job<'m> {
    /// Its name: that of its first pipeline, or of the queue.
    pub name: String,
    /// The pipelines. The lease and the state are kept in the sink of the first.
    pub pipelines: Vec<&'m Pipeline>,
    /// How long it rests between two runs.
    pub every: Duration,
}

impl<'m> Job<'m> {
    /// A pipeline by itself.
    pub fn of(pipeline: &'m Pipeline) -> Self {
        Job { name: pipeline.name.clone(), pipelines: vec![pipeline], every: pipeline.source.every }
    }

    /// The pipeline that stands for all: its sink keeps the lease.
    ///
    /// # Errors
    /// `Bug` when there is none.
    fn lead(&self) -> Result<&'m Pipeline> {
        let first = self.pipelines.first().copied();
        first.ok_or_else(|| Error::new(Kind::Bug, format!("the job `{}` has no pipeline", self.name)))
    }
}

/// The time of a turn.
#[derive(Clone, Copy)]
struct Time {
    /// While this lasts, the job may begin something.
    share: Share,
    /// What it has begun may take all that is left of the tick: a commit that is cut off is work lost.
    whole: Share,
}

/// A kind of source that is polled.
pub trait Poller<C> {
    /// What there is to do in this mapping.
    fn jobs<'m>(&self, mapping: &'m Mapping) -> Vec<Job<'m>>;

    /// Runs a job until it is done or its share of the time ends. What was committed stays, whatever happens then.
    ///
    /// # Errors
    /// Whatever keeps the job from going on. The next tick tries again.
    fn run(&mut self, turn: &mut Turn<'_, C>, budget: &Share) -> impl Future<Output = Result<Ended>>;
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left to do.
    Drained,
    /// Its share of the time ended first. It gets another turn if there is time, else the next tick goes on.
    More,
    /// Something is left to do, and there is no use in trying before the next tick.
    Later,
    /// It must not be tried again for now: a quota is used up.
    Stopped(Stop),
}

/// A polling function: its pipelines, their sinks, and what asks their source.
pub struct Ticker<P, C> {
    mapping: Arc<Mapping>,
    sinks: Sinks<C>,
    poller: P,
    housekeeping: Housekeeping,
    metrics: Metrics,
}

impl<P: Poller<C>, C: Credentials> Ticker<P, C> {
    /// A function for those pipelines of the mapping that this poller polls. The sinks must be theirs.
    ///
    /// # Errors
    /// `Config` when there is none.
    pub fn new(mapping: Arc<Mapping>, sinks: Sinks<C>, poller: P) -> Result<Self> {
        if poller.jobs(&mapping).is_empty() {
            return Err(Error::config("the mapping has no pipeline for this function")
                .with_hint("add one whose source is of its kind, or don't deploy the function"));
        }
        let (housekeeping, metrics) = (Housekeeping::default(), Metrics::default());
        Ok(Ticker { mapping, sinks, poller, housekeeping, metrics })
    }

    /// Prints metrics of what it does.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Connects to the sinks ahead of the first tick.
    pub async fn warm_up(&mut self) {
        self.sinks.warm_up().await;
    }

    /// The sinks, for commands that look at what was done.
    pub fn sinks(&mut self) -> &mut Sinks<C> {
        &mut self.sinks
    }

    /// The mapping.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// Gives every job that is due its turn.
    ///
    /// # Errors
    /// `Config` when the request names a pipeline that isn't there. Jobs that fail are in the report.
    pub async fn tick(&mut self, request: &Request, budget: &impl Budget) -> Result<Report> {
        let mapping = Arc::clone(&self.mapping);
        let jobs = request.among(self.poller.jobs(&mapping))?;
        let mut report = Report::default();
        let mut due = Vec::new();
        for job in jobs {
            match self.state(&job).await {
                Ok(state) => {
                    let now = unix_micros();
                    report.overdue(&job, state.overdue(job.every, now));
                    match state.rests(job.every, now).filter(|_| !request.force) {
                        Some(rest) => report.resting(&job, &rest),
                        None => due.push((state, job)),
                    }
                }
                Err(error) => report.failed(&job, &error),
            }
        }
        // Who has waited longest comes first.
        due.sort_by_key(|(state, _)| state.began);
        let mut queue: VecDeque<(State, Job<'_>)> = due.into();
        while let Some((mut state, job)) = queue.pop_front() {
            if !budget.allows(TIME_FOR_A_TURN) {
                report.waiting(&job);
                continue;
            }
            let time = Time { share: Share::of(budget, queue.len() + 1), whole: Share::of(budget, 1) };
            match Box::pin(self.turn(&job, &mut state, request, time, &mut report)).await {
                Ok(Ended::More) => queue.push_back((state, job)),
                Ok(_) => {}
                Err(error) => report.failed(&job, &error),
            }
        }
        for progress in report.pipelines() {
            progress.tell(self.metrics);
        }
        let all: Vec<&Pipeline> = self.poller.jobs(&mapping).into_iter().flat_map(|job| job.pipelines).collect();
        self.housekeeping.keep(&mapping, all.into_iter(), &mut self.sinks, budget).await;
        self.sinks.settle().await;
        Ok(report)
    }

    async fn state(&mut self, job: &Job<'_>) -> Result<State> {
        let lead = job.lead()?;
        let stored = self.sinks.get(&lead.sink)?.checkpoint(&lead.name, State::PARTITION).await?;
        Ok(stored.map(|text| State::parse(&text)).unwrap_or_default())
    }

    /// One turn of a job, under its lease.
    async fn turn(
        &mut self,
        job: &Job<'_>,
        state: &mut State,
        request: &Request,
        time: Time,
        report: &mut Report,
    ) -> Result<Ended> {
        let lead = job.lead()?;
        let began = unix_micros();
        let lease = match Lease::take(self.sinks.get(&lead.sink)?, &format!("{}/poll", job.name)).await {
            Ok(lease) => lease,
            Err(error) if error.kind() == Kind::Conflict => {
                report.busy(job);
                return Ok(Ended::Later);
            }
            Err(error) => return Err(error),
        };
        let mut turn = Turn::new(&self.mapping, job, &mut self.sinks, lease, request, report, time.whole);
        let ended = Box::pin(self.poller.run(&mut turn, &time.share)).await;
        let lease = turn.into_lease();
        // A turn that failed counts as a turn: others wait too.
        *state = state.after(began, ended.as_ref().ok());
        report.overdue(job, state.overdue(job.every, unix_micros()));
        let stored = self.store(lead, state, &lease, &time.whole).await;
        let given_back = lease.give_back(self.sinks.get(&lead.sink)?).await;
        let ended = ended?;
        stored.and(given_back)?;
        report.ended(job, &ended, state.next(job.every));
        Ok(ended)
    }

    async fn store(&mut self, lead: &Pipeline, state: &State, lease: &Lease, budget: &Share) -> Result<()> {
        let mut batch = tributary_core::batch::Batch::empty(lead);
        batch.checkpoint = Some(Checkpoint {
            partition: State::PARTITION.to_owned(),
            position: state.to_text(),
            at: None,
            fence: Some(lease.fence().clone()),
        });
        let sink = self.sinks.get(&lead.sink)?;
        Box::pin(tributary_core::sink::Sink::apply(sink, &batch, budget)).await.map(drop)
    }
}
