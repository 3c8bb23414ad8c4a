//! The files that belong to submissions: from the server to a bucket or a directory, those of new submissions first.
//!
//! What is due stands in the table of files, where the passes over the rows have put it, so the order holds across ticks.
//! Here they are taken from there, a few at once. Each is written down when it is settled, under the lease: who is killed
//! between the two finds the file at its destination the next time. One that fails stops nobody. It waits, and the report
//! tells of it.

mod bucket;
mod directory;
mod errand;
mod spool;
mod store;

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tributary_core::batch::Fence;
use tributary_core::pipeline::{OdkSet, Pipeline, SourceKind};
use tributary_core::sink::Budget as _;
use tributary_core::table::Table;
use tributary_core::{Error, Kind};
use tributary_postgres::{Credentials, Due, Fetched};
use tributary_sources::odk::{Central, Trouble};

use crate::tick::{Share, Turn};
use errand::{Became, Errand};

pub use spool::Spool;
pub use store::{Content, Store};

/// A file is begun only while there is this much time.
const TIME_FOR_A_FILE: Duration = Duration::from_secs(5);
/// How many are taken from the queue at once, beside those that are under way.
const AHEAD: usize = 32;
/// How long a file may be waited for before the lease is looked after.
const A_WHILE: Duration = Duration::from_secs(20);
/// So many failures one after the other are no matter of single files.
const IN_A_ROW: u32 = 8;

/// What was done about files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Files that were put where they belong.
    pub stored: u64,
    /// Files that were there already.
    pub present: u64,
    /// Files that the server doesn't have.
    pub missing: u64,
    /// Files that could not be fetched or stored.
    pub failed: u64,
    /// Whether the time ended first.
    pub more: bool,
}

/// Fetches the files that are due, as long as `budget` lasts. `store` is kept while a function is warm; nothing is asked of
/// it, and none is made, before a file is due. A run that was asked for by hand doesn't wait for files that failed. Without
/// attachments in the mapping there is nothing to do.
///
/// # Errors
/// [`Trouble`] when the login is refused, the lease was lost or the database doesn't answer. What was settled stays.
pub async fn work<C: Credentials>(
    turn: &mut Turn<'_, C>,
    central: &Central,
    pipeline: &Pipeline,
    store: &mut Option<Store>,
    budget: &Share,
) -> Result<Work, Trouble> {
    let (Some(attachments), SourceKind::Odk(source)) = (&pipeline.attachments, &pipeline.source.kind) else {
        return Ok(Work::default());
    };
    let OdkSet::Form(form) = &source.set else { return Ok(Work::default()) };
    let wrong = || Error::new(Kind::Bug, format!("the files of `{}` have no table or no lease", pipeline.name));
    let table = pipeline.tables.get(attachments.table).ok_or_else(wrong)?;
    let fence = turn.fence_of(pipeline).cloned().ok_or_else(wrong)?;
    if turn.is_forced() {
        turn.sink(pipeline)?.wake_files(table).await?;
    }
    let first = turn.sink(pipeline)?.due_files(table, limit(0)).await?;
    if first.is_empty() {
        return Ok(Work::default());
    }
    if store.is_none() {
        *store = Some(Store::of(&attachments.to).await);
    }
    let Some(store) = store else { return Ok(Work::default()) };
    let errand =
        Errand { central, store, project: source.project, form, pipeline: &pipeline.name, path: &attachments.path };
    let mut bench = Bench {
        turn,
        pipeline,
        table,
        fence,
        retry_for: source.retry_attachments_for,
        budget,
        queue: first.into(),
        taken: HashSet::new(),
        failures: Failures::default(),
        work: Work::default(),
    };
    let worked = bench.all(&errand, attachments.max_workers.max(1)).await;
    bench.tell();
    let work = bench.work;
    worked.map(|()| work)
}

fn limit(under_way: usize) -> u32 {
    u32::try_from(AHEAD + under_way).unwrap_or(u32::MAX)
}

/// Where files are taken from the queue and what became of them is written down.
struct Bench<'b, 't, C> {
    turn: &'b mut Turn<'t, C>,
    pipeline: &'b Pipeline,
    table: &'b Table,
    fence: Fence,
    retry_for: Duration,
    budget: &'b Share,
    queue: VecDeque<Due>,
    /// Those that this run has begun.
    taken: HashSet<(String, String)>,
    failures: Failures,
    work: Work,
}

/// What went wrong.
#[derive(Default)]
struct Failures {
    in_a_row: u32,
    /// The first one, for the report.
    first: Option<String>,
    /// Whether there is no use in trying others in this run.
    of_all: bool,
    /// What the run as a whole failed with.
    trouble: Option<Trouble>,
}

type Running<'f> = Pin<Box<dyn Future<Output = (Due, bool, Became)> + 'f>>;

impl<C: Credentials> Bench<'_, '_, C> {
    async fn all(&mut self, errand: &Errand<'_>, at_once: usize) -> Result<(), Trouble> {
        let mut running: FuturesUnordered<Running<'_>> = FuturesUnordered::new();
        loop {
            while running.len() < at_once {
                let Some(due) = self.next(running.len()).await? else { break };
                // Before these nothing took of this run's time.
                let is_early = self.taken.len() <= at_once;
                let share = *self.budget;
                running.push(Box::pin(async move {
                    let became = errand.run(&due, share).await;
                    (due, is_early, became)
                }));
            }
            let waited = tokio::time::timeout(A_WHILE, running.next()).await;
            match waited {
                Ok(Some((due, is_early, became))) => self.settle(&due, is_early, became).await?,
                Ok(None) => return self.failures.trouble.take().map_or(Ok(()), Err),
                Err(_) => {}
            }
            self.turn.prolong().await?;
        }
    }

    /// The next file to begin, if one is due and there is time for it.
    async fn next(&mut self, under_way: usize) -> Result<Option<Due>, Error> {
        if self.failures.of_all {
            return Ok(None);
        }
        if self.queue.is_empty() {
            let due = self.turn.sink(self.pipeline)?.due_files(self.table, limit(under_way)).await?;
            self.queue = due.into_iter().filter(|due| !self.taken.contains(&id(due))).collect();
        }
        if !self.queue.is_empty() && !self.budget.allows(TIME_FOR_A_FILE) {
            self.work.more = true;
            return Ok(None);
        }
        let due = self.queue.pop_front();
        self.taken.extend(due.as_ref().map(id));
        Ok(due)
    }

    async fn settle(&mut self, due: &Due, is_early: bool, became: Became) -> Result<(), Error> {
        let too_large = "the file did not come within the time of a run";
        match became {
            Became::Stored { location, md5, size, content_type, put } => {
                let content_type = content_type.as_deref();
                self.write(due, Fetched::Stored { location: &location, md5: &md5, size, content_type }).await?;
                *(if put { &mut self.work.stored } else { &mut self.work.present }) += 1;
                self.failures.in_a_row = 0;
            }
            Became::Same => {
                self.write(due, Fetched::Same).await?;
                self.work.present += 1;
                self.failures.in_a_row = 0;
            }
            Became::Missing => {
                self.write(due, Fetched::Missing { retry_for: self.retry_for }).await?;
                self.work.missing += 1;
                self.failures.in_a_row = 0;
            }
            Became::Failed { error, of_all } => {
                self.failed(due, &error).await?;
                self.failures.of_all |= of_all;
            }
            // One that had all the time there is would keep others from getting any.
            Became::Late if is_early => {
                let hint = "give the function more time and memory, or write `max_workers: 1`";
                self.failed(due, &Error::unavailable(too_large).with_hint(hint)).await?;
            }
            Became::Late => self.work.more = true,
            Became::Ended(trouble) => {
                self.failures.trouble.get_or_insert(trouble);
                self.failures.of_all = true;
            }
        }
        Ok(())
    }

    async fn failed(&mut self, due: &Due, error: &Error) -> Result<(), Error> {
        let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let problem = format!("{}{hint}", error.chain());
        self.write(due, Fetched::Failed { problem: &problem }).await?;
        self.work.failed += 1;
        self.failures.in_a_row += 1;
        self.failures.of_all |= self.failures.in_a_row >= IN_A_ROW;
        self.failures.first.get_or_insert(problem);
        Ok(())
    }

    async fn write(&mut self, due: &Due, fetched: Fetched<'_>) -> Result<(), Error> {
        let whole = self.turn.whole();
        let sink = self.turn.sink(self.pipeline)?;
        Box::pin(sink.settle_file(&self.pipeline.name, self.table, &self.fence, due, fetched, &whole)).await.map(drop)
    }

    fn tell(&mut self) {
        let Work { stored, present, missing, failed, more } = self.work;
        let pipeline = self.pipeline.name.as_str();
        tracing::info!(pipeline, stored, present, missing, failed, more, "files were fetched");
        if let Some(first) = self.failures.first.take() {
            let rest = if self.failures.of_all { "; the others wait for the next run" } else { "" };
            let table = self.table.qualified_name();
            let note =
                format!("{failed} attachments failed{rest}; `problem` in {table} tells why, of the first: {first}");
            self.turn.note(self.pipeline, note);
        }
    }
}

fn id(due: &Due) -> (String, String) {
    (due.submission.clone(), due.name.clone())
}
