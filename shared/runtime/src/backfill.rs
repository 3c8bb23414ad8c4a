//! A DynamoDB table as it stands, read by a parallel Scan and written with versions that lose to any stream event.
//!
//! Segments are read side by side and written by one connection; each page commits with the segment's cursor, so that
//! whoever comes next goes on from there. One runner a pipeline, by a lease.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tributary_core::batch::{Checkpoint, Outcome};
use tributary_core::pipeline::{Datastore, Mapping, Pipeline, SourceKind};
use tributary_core::sink::{Budget, Sink};
use tributary_core::source::{Page, Poll};
use tributary_core::{Error, Kind, Result};
use tributary_postgres::{Credentials, Postgres, Unseen};
use tributary_sources::dynamodb::rate::ReadRate;
use tributary_sources::dynamodb::scan::{Options, Scan};
use tributary_sources::dynamodb::table::{Table, describe_table};

use crate::aws;
use crate::batch::batch_of;
use crate::dynamodb_stream::Handler;
use crate::lease::Lease;
use crate::metrics::Figures;

/// While no page comes, how often the budget and the lease are looked at: a small read budget makes pages wait for long.
const BREATH: Duration = Duration::from_millis(250);
/// A page begins only while there is time to read and commit it.
const TIME_FOR_A_PAGE: Duration = Duration::from_secs(3);
/// What stands in the checkpoint of a segment that was read to its end.
const DONE: &str = "done";

/// What to backfill and how.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The pipeline.
    pub pipeline: String,
    /// How many segments are read side by side.
    #[serde(default = "four")]
    pub segments: u16,
    /// The read budget in read capacity units a second, for all segments together.
    #[serde(default = "hundred")]
    pub rcu: f64,
    /// Whether to forget how far an earlier run came.
    #[serde(default)]
    pub restart: bool,
    /// Whether to heal rows that a lost event left stale, and to delete those that the source no longer has; see
    /// [`Postgres::repair`].
    #[serde(default)]
    pub repair: bool,
    /// Whether a repair may delete more than half of a table's rows.
    #[serde(default)]
    pub allow_mass_delete: bool,
}

fn four() -> u16 {
    4
}

fn hundred() -> f64 {
    100.0
}

impl Request {
    /// The request in a Lambda payload of the form `{"backfill": {"pipeline": …}}`; `None` when it is something else.
    ///
    /// # Errors
    /// `Data` when it is one, and its content is wrong.
    pub fn in_payload(payload: &[u8]) -> Result<Option<Request>> {
        #[derive(Deserialize)]
        struct Payload {
            backfill: serde_json::Value,
        }
        // A stream's event is large, and this runs before every one: what is long or has records is none.
        const LONGEST: usize = 4_096;
        if payload.len() > LONGEST {
            return Ok(None);
        }
        let Ok(payload) = serde_json::from_slice::<Payload>(payload) else { return Ok(None) };
        let request = serde_json::from_value(payload.backfill).map_err(|e| {
            Error::data(format!("not a backfill: {e}"))
                .with_hint(r#"write {"backfill": {"pipeline": "users", "segments": 4, "rcu": 100}}"#)
        })?;
        Ok(Some(request))
    }

    fn check(&self) -> Result<()> {
        if self.segments == 0 || self.segments > 256 {
            return Err(Error::data("a backfill has 1 to 256 segments"));
        }
        if !self.rcu.is_finite() || self.rcu < 1.0 {
            return Err(Error::data("a backfill's read budget is at least 1 capacity unit a second"));
        }
        Ok(())
    }
}

/// How far a backfill is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Progress {
    /// Items read in this run.
    pub items: u64,
    /// How many items the table had at DynamoDB's last count.
    pub expected: u64,
    /// Rows written.
    pub applied: u64,
    /// Rows that were not newer than what is stored.
    pub stale: u64,
    /// Dead letters.
    pub dead: u64,
    /// Segments that are read to their end.
    pub segments_done: u16,
    /// All segments.
    pub segments: u16,
    /// Whether the whole table has been read; if not, the next run goes on from here.
    pub done: bool,
    /// In which tables a repair deleted nothing, and why.
    pub spared: Vec<String>,
}

/// A page of a segment, or why there is none.
struct Read {
    segment: usize,
    page: Result<Page>,
}

impl<C: Credentials> Handler<C> {
    /// Runs a backfill until it is done or the budget ends; `report` hears of every page.
    ///
    /// # Errors
    /// `Config` when the pipeline, its table or its stream isn't there, `Conflict` when somebody else runs it,
    /// `Unavailable` when DynamoDB or Postgres doesn't answer. What was committed stays, and the next run goes on.
    pub async fn backfill(
        &mut self,
        request: &Request,
        budget: &impl Budget,
        mut report: impl FnMut(&Progress),
    ) -> Result<Progress> {
        request.check()?;
        let mapping = Arc::clone(self.mapping());
        let pipeline = mapping.pipeline(&request.pipeline).ok_or_else(|| unknown(&mapping, &request.pipeline))?;
        let SourceKind::Dynamodb { table, key } = &pipeline.source.kind else {
            return Err(Error::config(format!(
                "the pipeline `{}` reads {}",
                pipeline.name,
                pipeline.source.kind.noun()
            ))
            .with_hint("a backfill is for DynamoDB; other sources are read whole by their own ticks"));
        };
        let Some(Datastore::Dynamodb(store)) = mapping.datastores.get(&pipeline.source.datastore) else {
            return Err(Error::new(Kind::Bug, "a DynamoDB pipeline without its datastore"));
        };
        let client = aws::dynamodb(store).await;
        let table = Arc::new(describe_table(&client, table).await?);
        check_key(&table, key.as_deref())?;
        let rate = Arc::new(ReadRate::new(request.rcu));
        let scans = (0..i32::from(request.segments)).map(|segment| {
            let options = Options { segment, segments: i32::from(request.segments), consistent: true };
            Scan::new(client.clone(), Arc::clone(&table), options, Arc::clone(&rate))
        });
        let scans = scans.collect::<Result<Vec<Scan>>>()?;

        let sink = self.sinks().get(&pipeline.sink)?;
        let lease = format!("{}/backfill", pipeline.name);
        let lease = Lease::take(sink, &lease).await?;
        let mut last = Progress::default();
        let report = |progress: &Progress| {
            last.clone_from(progress);
            report(progress);
        };
        let mut run = Run { pipeline, sink, lease, healing: None, report };
        let result = Box::pin(run.all(request, scans, table.items, budget)).await;
        let lease = run.lease;
        // What an interrupted run has committed counts too.
        let Progress { items: records, applied, stale, dead, .. } = *result.as_ref().unwrap_or(&last);
        if result.is_ok() || records > 0 {
            self.metrics().print(&Figures {
                pipeline: &pipeline.name,
                records,
                applied,
                stale,
                dead,
                ..Figures::default()
            });
        }
        let given_back = lease.give_back(self.sinks().get(&pipeline.sink)?).await;
        let progress = result?;
        given_back?;
        Ok(progress)
    }
}

fn unknown(mapping: &Mapping, name: &str) -> Error {
    let known: Vec<&str> = mapping.pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
    Error::config(format!("the mapping has no pipeline `{name}`")).with_hint(format!("it has {}", known.join(", ")))
}

fn check_key(table: &Table, declared: Option<&[String]>) -> Result<()> {
    match declared {
        Some(declared) if declared != table.key => Err(Error::config(format!(
            "the key of the DynamoDB table `{}` is {}, and the mapping says {}",
            table.name,
            table.key.join(", "),
            declared.join(", ")
        ))
        .with_hint("mend `key:` of the pipeline's source")),
        _ => Ok(()),
    }
}

/// A backfill under its lease.
struct Run<'a, C, F> {
    pipeline: &'a Pipeline,
    sink: &'a mut Postgres<C>,
    lease: Lease,
    /// When the repair began, by the database's clock; `None` when this is none.
    healing: Option<String>,
    report: F,
}

impl<C: Credentials, F: FnMut(&Progress)> Run<'_, C, F> {
    async fn all(
        &mut self,
        request: &Request,
        scans: Vec<Scan>,
        expected: u64,
        budget: &impl Budget,
    ) -> Result<Progress> {
        let name = &self.pipeline.name;
        let prefix = if request.repair { "repair/" } else { "backfill/" };
        if request.restart {
            self.sink.forget_checkpoints(name, prefix).await?;
        }
        if request.repair {
            self.healing = Some(self.sink.begin_repair(name, self.lease.fence()).await?);
        }
        let mut progress = Progress { expected, segments: request.segments, ..Progress::default() };
        let mut partitions = Vec::with_capacity(scans.len());
        let mut open = Vec::new();
        for (segment, scan) in scans.into_iter().enumerate() {
            let partition = scan.partition().replacen("backfill/", prefix, 1);
            match self.sink.checkpoint(name, &partition).await? {
                Some(position) if position == DONE => progress.segments_done += 1,
                position => open.push((segment, scan, position)),
            }
            partitions.push(partition);
        }
        let result = self.read(open, &partitions, &mut progress, budget).await;
        self.sink.settle().await;
        result?;
        progress.done = progress.segments_done == progress.segments;
        if self.healing.is_some() && !budget.allows(TIME_FOR_A_PAGE) {
            // What it didn't see is still to be buried, and that is left to the next run.
            progress.done = false;
        }
        if let Some(began) = self.healing.as_deref().filter(|_| progress.done) {
            let unseen = Unseen {
                pipeline: name,
                tables: &self.pipeline.tables,
                began,
                fence: self.lease.fence(),
                allow_mass_delete: request.allow_mass_delete,
            };
            let burial = self.sink.bury_unseen(&unseen, budget).await?;
            progress.applied += burial.rows;
            progress.spared = burial.spared;
        }
        Ok(progress)
    }

    async fn read(
        &mut self,
        open: Vec<(usize, Scan, Option<String>)>,
        partitions: &[String],
        progress: &mut Progress,
        budget: &impl Budget,
    ) -> Result<()> {
        // As many pages wait as there are segments: memory stays bounded, and no segment waits for another's commit.
        let (send, mut pages) = mpsc::channel::<Read>(open.len().max(1));
        let mut readers = JoinSet::new();
        for (segment, scan, cursor) in open {
            readers.spawn(read_segment(segment, scan, cursor, send.clone()));
        }
        drop(send);
        // Dropping the set at the end of the budget ends the readers; what they hold was not committed and is read again.
        while budget.allows(TIME_FOR_A_PAGE) {
            let Ok(received) = tokio::time::timeout(BREATH, pages.recv()).await else {
                self.lease.prolong(self.sink).await?;
                continue;
            };
            let Some(Read { segment, page }) = received else { break };
            let page = page?;
            progress.items += page.events.len() as u64;
            let ended = page.next.is_none();
            let outcome = self.write(page, &partitions[segment], budget).await?;
            progress.applied += outcome.applied;
            progress.stale += outcome.stale;
            progress.dead += outcome.dead;
            progress.segments_done += u16::from(ended);
            (self.report)(progress);
        }
        Ok(())
    }

    async fn write(&mut self, page: Page, partition: &str, budget: &impl Budget) -> Result<Outcome> {
        self.lease.prolong(self.sink).await?;
        let mut batch = batch_of(self.pipeline, page.events);
        batch.replay = true;
        batch.checkpoint = Some(Checkpoint {
            partition: partition.to_owned(),
            position: page.next.unwrap_or_else(|| DONE.to_owned()),
            at: None,
            fence: Some(self.lease.fence().clone()),
        });
        match self.healing.as_deref() {
            Some(began) => Box::pin(self.sink.repair(&batch, began, budget)).await,
            None => Box::pin(self.sink.apply(&batch, budget)).await,
        }
    }
}

/// Reads a segment page by page until its end, or until nobody takes its pages any more.
async fn read_segment(segment: usize, mut scan: Scan, mut cursor: Option<String>, pages: mpsc::Sender<Read>) {
    loop {
        let page = scan.next(cursor.as_deref(), &tributary_core::sink::Unlimited).await;
        let next = page.as_ref().ok().and_then(|page| page.next.clone());
        if pages.send(Read { segment, page }).await.is_err() || next.is_none() {
            return;
        }
        cursor = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_from_an_event() {
        let check = |payload: &str, expect: Result<Option<&str>, ()>| {
            let request = Request::in_payload(payload.as_bytes());
            let pipeline = request.map(|request| request.map(|request| request.pipeline)).map_err(drop);
            assert_eq!(pipeline, expect.map(|pipeline| pipeline.map(str::to_owned)), "{payload}");
        };
        check(r#"{"Records": []}"#, Ok(None));
        check("no json", Ok(None));
        check(r#"{"backfill": {"pipeline": "users"}}"#, Ok(Some("users")));
        check(r#"{"backfill": {"pipeline": "users", "speed": 3}}"#, Err(()));
    }
}
