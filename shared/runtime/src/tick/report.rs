//! What came of a tick, for the answer, the log and the metrics.

use serde::Serialize;
use tributary_core::batch::{Counts, Outcome};
use tributary_core::pipeline::{Pipeline, Scope};
use tributary_core::{Error, Kind};

use super::state::Rest;
use super::{Ended, Job};
use crate::metrics::{Figures, Metrics};

/// What came of a tick, a line a pipeline.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pipelines: Vec<Progress>,
    #[serde(skip)]
    failures: Vec<(String, Kind)>,
}

/// What came of a pipeline.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// The pipeline.
    pub pipeline: String,
    /// `drained`, `more`, `later`, `waiting`, `resting`, `busy`, `stopped`, `failed`.
    pub state: &'static str,
    /// Records that came.
    pub records: u64,
    /// Rows written.
    pub applied: u64,
    /// Changes that were not newer than their rows.
    pub stale: u64,
    /// Changes that were newer and changed nothing.
    pub unchanged: u64,
    /// Records in the dead letters.
    pub dead: u64,
    /// Of the items themselves, without those of their lists: what became of them. Only sources that are observed tell.
    #[serde(flatten)]
    pub items: Items,
    /// Files that were stored.
    #[serde(skip_serializing_if = "is_zero")]
    pub attachments: u64,
    /// Seconds from the newest change at the source to its commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<f64>,
    /// Seconds since it should have caught up with its source and has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue_seconds: Option<f64>,
    /// When it is due again, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What somebody should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Why it failed or was stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What can be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What became of items, by the first table that has a row for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Items {
    /// Those that were new.
    #[serde(skip_serializing_if = "is_zero")]
    pub inserted: u64,
    /// Those that differed.
    #[serde(skip_serializing_if = "is_zero")]
    pub updated: u64,
    /// Those that were deleted.
    #[serde(skip_serializing_if = "is_zero")]
    pub deleted: u64,
    /// Those that were deleted before and live again.
    #[serde(skip_serializing_if = "is_zero")]
    pub restored: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Items {
    fn add(&mut self, counts: &Counts) {
        self.inserted += counts.inserted;
        self.updated += counts.updated;
        self.deleted += counts.deleted;
        self.restored += counts.restored;
    }
}

impl Progress {
    fn new(pipeline: &str) -> Self {
        Progress {
            pipeline: pipeline.to_owned(),
            state: "waiting",
            records: 0,
            applied: 0,
            stale: 0,
            unchanged: 0,
            items: Items::default(),
            attachments: 0,
            dead: 0,
            lag_seconds: None,
            overdue_seconds: None,
            next: None,
            notes: Vec::new(),
            error: None,
            hint: None,
        }
    }

    /// Logs it, and prints its metrics.
    pub(super) fn tell(&self, metrics: Metrics) {
        let Progress { pipeline, state, records, applied, stale, unchanged, dead, lag_seconds, .. } = self;
        let (records, applied, stale, dead) = (*records, *applied, *stale, *dead);
        let Items { inserted, updated, deleted, restored } = self.items;
        let (attachments, next) = (self.attachments, self.next.as_deref());
        match &self.error {
            Some(error) => {
                let hint = self.hint.as_deref();
                tracing::error!(pipeline, state, records, applied, rejected = dead, next, error, hint, "a poll ended");
            }
            None => tracing::info!(
                pipeline,
                state,
                records,
                applied,
                stale,
                unchanged,
                inserted,
                updated,
                deleted,
                restored,
                attachments,
                rejected = dead,
                next,
                "a poll ended"
            ),
        }
        let (lag, overdue) = (*lag_seconds, self.overdue_seconds);
        let became = [
            ("inserted", inserted),
            ("updated", updated),
            ("deleted", deleted),
            ("restored", restored),
            ("unchanged", *unchanged),
            ("attachments", attachments),
        ];
        metrics.print(&Figures { pipeline, records, applied, stale, dead, lag, overdue, became: &became });
    }
}

impl Report {
    /// What came of each pipeline.
    pub fn pipelines(&self) -> &[Progress] {
        &self.pipelines
    }

    /// Whether something is left that a further tick could do at once.
    pub fn has_more(&self) -> bool {
        self.pipelines.iter().any(|progress| matches!(progress.state, "more" | "waiting"))
    }

    /// The error of the tick as a whole: Lambda counts it, and an alarm hears of it. A source that doesn't answer is one too;
    /// the alarm decides how often it may be so.
    ///
    /// # Errors
    /// When a pipeline failed; of the kind of the first.
    pub fn into_result(self) -> Result<Self, Error> {
        let Some((_, kind)) = self.failures.first() else { return Ok(self) };
        let failed: Vec<&str> = self.failures.iter().map(|(text, _)| text.as_str()).collect();
        let message = format!("{} of {} pipelines failed: {}", failed.len(), self.pipelines.len(), failed.join("; "));
        Err(Error::new(*kind, message))
    }

    pub(super) fn of(&mut self, pipeline: &str) -> &mut Progress {
        let known = self.pipelines.iter().position(|progress| progress.pipeline == pipeline);
        let position = known.unwrap_or_else(|| {
            self.pipelines.push(Progress::new(pipeline));
            self.pipelines.len() - 1
        });
        &mut self.pipelines[position]
    }

    pub(super) fn add(&mut self, pipeline: &Pipeline, records: u64, outcome: &Outcome, lag: Option<f64>) {
        let progress = self.of(&pipeline.name);
        let first = pipeline.routes.iter().position(|route| matches!(route.scope, Scope::Root));
        if let Some(counts) = first.and_then(|first| outcome.counts.get(first)) {
            progress.items.add(counts);
        }
        progress.records += records;
        progress.applied += outcome.applied;
        progress.stale += outcome.stale;
        progress.unchanged += outcome.unchanged;
        progress.dead += outcome.dead;
        progress.lag_seconds = lag.or(progress.lag_seconds);
    }

    /// How late the job is, by what is stored of it.
    pub(super) fn overdue(&mut self, job: &Job<'_>, seconds: f64) {
        self.each(job, |progress| progress.overdue_seconds = Some(seconds));
    }

    pub(super) fn resting(&mut self, job: &Job<'_>, rest: &Rest) {
        self.each(job, |progress| match rest {
            Rest::Until(next) => {
                progress.state = "resting";
                progress.next = Some(rfc3339(*next));
            }
            Rest::Stopped(stop) => {
                progress.state = "stopped";
                progress.error = Some(stop.reason.clone());
                progress.next = stop.until.map(rfc3339);
            }
        });
    }

    pub(super) fn waiting(&mut self, job: &Job<'_>) {
        // One that had a turn, and would take another, keeps its state `more`.
        self.each(job, |_| {});
    }

    pub(super) fn busy(&mut self, job: &Job<'_>) {
        self.each(job, |progress| progress.state = "busy");
    }

    pub(super) fn ended(&mut self, job: &Job<'_>, ended: &Ended, next: i64) {
        self.each(job, |progress| match ended {
            Ended::Drained => (progress.state, progress.next) = ("drained", Some(rfc3339(next))),
            Ended::More => progress.state = "more",
            Ended::Later => progress.state = "later",
            Ended::Stopped(stop) => {
                progress.state = "stopped";
                progress.error = Some(stop.reason.clone());
                progress.next = stop.until.map(rfc3339);
            }
        });
    }

    pub(super) fn failed(&mut self, job: &Job<'_>, error: &Error) {
        self.each(job, |progress| {
            progress.state = "failed";
            progress.error = Some(error.chain());
            progress.hint = error.hint().map(str::to_owned);
        });
        let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        self.failures.push((format!("{}: {}{hint}", job.name, error.chain()), error.kind()));
    }

    fn each(&mut self, job: &Job<'_>, change: impl Fn(&mut Progress)) {
        job.pipelines.iter().for_each(|pipeline| change(self.of(&pipeline.name)));
    }
}

fn rfc3339(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map(|time| format!("{time:.0}")).unwrap_or_default()
}
