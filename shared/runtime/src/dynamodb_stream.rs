//! The handler behind a DynamoDB stream: the event of an event source mapping in, a partial batch response out.
//!
//! Records are decoded, routed and applied in portions, so that memory stays small and a late failure keeps what was
//! committed before it. Only a failing database makes records come again; a bad record is dead-lettered.

mod delivery;

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use bytes::Bytes;
use serde::Serialize;
use tributary_core::batch::{Batch, Outcome};
use tributary_core::pipeline::{Mapping, Pipeline, SourceKind};
use tributary_core::sink::{Budget, Sink};
use tributary_core::{Error, Result};
use tributary_postgres::Credentials;
use tributary_sources::dynamodb::stream;

use crate::clock::unix_micros;
use crate::housekeeping::Housekeeping;
use crate::metrics::{Figures, Metrics};
use crate::sinks::Sinks;
use delivery::Portion;
pub(crate) use delivery::by_number;

/// Records that are committed together.
const PORTION: usize = 2_000;
/// A portion begins only while there is time to commit it.
const TIME_FOR_A_PORTION: Duration = Duration::from_secs(1);

/// Applies stream events.
pub struct Handler<C> {
    mapping: Arc<Mapping>,
    sinks: Sinks<C>,
    housekeeping: Housekeeping,
    metrics: Metrics,
}

/// What came of an event.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The sequence number from which the stream must deliver again; `None` when all is done.
    pub retry_from: Option<String>,
    /// What became of the changes, by pipeline: of those that are committed.
    pub shares: Vec<Share>,
    /// How many records came.
    pub records: usize,
}

/// A pipeline's share of an event.
#[derive(Clone, Debug)]
pub struct Share {
    /// The pipeline.
    pub pipeline: String,
    /// Records that are committed.
    pub records: u64,
    /// What became of their changes.
    pub outcome: Outcome,
    /// Seconds from the newest change at the source to its commit here; `None` when no record says when it was made.
    pub lag: Option<f64>,
}

impl Answer {
    /// The answer in the form that Lambda expects of a function with `ReportBatchItemFailures`
    /// (Lambda developer guide, "Configuring partial batch response with DynamoDB and Lambda").
    pub fn to_response(&self) -> impl Serialize + use<> {
        let mut response = DynamoDbEventResponse::default();
        response.batch_item_failures.extend(self.retry_from.as_ref().map(|number| {
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = Some(number.clone());
            failure
        }));
        response
    }

    /// Adds what has just been committed.
    fn add(&mut self, pipeline: &Pipeline, batch: &Batch<'_>, outcome: Outcome) {
        let records = batch.origins.len() as u64;
        let at = batch.checkpoint.as_ref().and_then(|checkpoint| checkpoint.at);
        let lag = at.map(|at| (unix_micros() - at) as f64 / 1e6);
        match self.shares.iter_mut().find(|share| share.pipeline == pipeline.name) {
            Some(share) => {
                share.records += records;
                share.outcome.add(outcome);
                // That of the last portion, whose changes are the newest.
                share.lag = lag.or(share.lag);
            }
            None => self.shares.push(Share { pipeline: pipeline.name.clone(), records, outcome, lag }),
        }
    }
}

/// The pipelines of a mapping that read DynamoDB.
pub fn pipelines(mapping: &Mapping) -> impl Iterator<Item = &Pipeline> {
    mapping.pipelines.iter().filter(|pipeline| matches!(pipeline.source.kind, SourceKind::Dynamodb { .. }))
}

impl<C: Credentials> Handler<C> {
    /// A handler for the mapping's DynamoDB pipelines.
    ///
    /// # Errors
    /// `Config` when there is none.
    pub fn new(mapping: Arc<Mapping>, sinks: Sinks<C>) -> Result<Self> {
        if pipelines(&mapping).next().is_none() {
            return Err(Error::config("the mapping has no pipeline that reads DynamoDB")
                .with_hint("add one with `source: { datastore: …, table: … }`"));
        }
        Ok(Handler { mapping, sinks, housekeeping: Housekeeping::default(), metrics: Metrics::default() })
    }

    /// Prints metrics of what it does.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.metrics
    }

    /// Connects to the sinks ahead of the first event.
    pub async fn warm_up(&mut self) {
        self.sinks.warm_up().await;
    }

    /// The mapping.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// The sinks, for commands that look at what the handler has done.
    pub fn sinks(&mut self) -> &mut Sinks<C> {
        &mut self.sinks
    }

    /// Applies an event.
    ///
    /// # Errors
    /// `Data` when it is no event of a DynamoDB stream, `Config` when no pipeline reads its stream or the mapping and
    /// the database disagree, `Auth` when the database refuses us. Nothing is acknowledged then. A database that is
    /// merely away is no error but an [`Answer::retry_from`].
    pub async fn handle(&mut self, payload: Bytes, budget: &impl Budget) -> Result<Answer> {
        let mapping = Arc::clone(&self.mapping);
        let mut answer = Answer::default();
        let result = Box::pin(self.deliver(&mapping, payload, &mut answer, budget)).await;
        // An event that fails in the end may have had portions that are committed.
        for share in &answer.shares {
            let Share { pipeline, records, outcome: Outcome { applied, stale, dead, .. }, lag } = share;
            let (records, applied, stale, dead) = (*records, *applied, *stale, *dead);
            tracing::info!(pipeline, records, applied, stale, rejected = dead, "applied an event");
            self.metrics.print(&Figures { pipeline, records, applied, stale, dead, lag: *lag, ..Figures::default() });
        }
        result?;
        if answer.retry_from.is_none() {
            self.housekeeping.keep(&mapping, pipelines(&mapping), &mut self.sinks, budget).await;
        }
        self.sinks.post();
        Ok(answer)
    }

    /// Applies an event portion by portion.
    async fn deliver(
        &mut self,
        mapping: &Mapping,
        payload: Bytes,
        answer: &mut Answer,
        budget: &impl Budget,
    ) -> Result<()> {
        let mut records = stream::decode(payload)?;
        answer.records = records.len();
        let mut streams = delivery::Streams::new(mapping);
        while records.len() > 0 {
            let portion = Portion::read(records.by_ref().take(PORTION), &mut streams)?;
            let in_time = answer.shares.is_empty() || budget.allows(TIME_FOR_A_PORTION);
            let failed = if in_time { self.apply(&portion, answer, budget).await? } else { true };
            if failed {
                // Records come in the order of their numbers, but a file for trying things out may not.
                let left = records.filter_map(|record| record.sequence_number);
                let lowest = left.chain(portion.lowest()).min_by(|a, b| by_number(a, b));
                let lowest = lowest.ok_or_else(|| {
                    Error::unavailable("the batch must come again, and no record has a sequence number")
                })?;
                answer.retry_from = Some(lowest.into());
                break;
            }
        }
        Ok(())
    }

    /// Applies a portion; whether it must come again.
    async fn apply(&mut self, portion: &Portion<'_>, answer: &mut Answer, budget: &impl Budget) -> Result<bool> {
        for (pipeline, batch) in portion.batches() {
            let sink = self.sinks.get(&pipeline.sink)?;
            match Box::pin(sink.apply(batch, budget)).await {
                Ok(outcome) => answer.add(pipeline, batch, outcome),
                Err(error) if error.retry() => {
                    tracing::error!(pipeline = pipeline.name, error = %error.chain(), hint = error.hint(), "a batch must come again");
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}
