//! What stands between a DynamoDB stream and the function in AWS: an event source mapping, in this process. It hands
//! records to whatever answers as the function does, and goes by Lambda's rules for batches, partial answers, retries
//! and giving up. On demand it is worse than Lambda: late, twice, out of order.
//!
//! It knows neither AWS nor Postgres: records come from a file or from whoever has read a stream, and the function is a
//! closure. Called by `tributary replay-stream` and by tests; the functions themselves never do.
//!
//! The rules are those of the Lambda developer guide: "Process DynamoDB records with Lambda", "Configuring partial batch
//! response with DynamoDB and Lambda", "Retain discarded records for a DynamoDB event source". Where it is silent, a
//! partial answer uses up an attempt.

mod answer;
mod discard;
mod disorder;
mod record;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

pub use discard::{Discarded, Reason};
pub use disorder::Disorder;
pub use record::{Record, Shard};

use crate::clock::unix_micros;
use answer::Verdict;

/// The most that a payload holds, in bytes: 6 MB.
const LARGEST_PAYLOAD: usize = 6 * 1024 * 1024;
/// Pauses between retries double up to this many times the first.
const LONGEST_PAUSE: u32 = 64;

/// The settings of an event source mapping, with the defaults of AWS.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The most records of a batch, `BatchSize`.
    pub batch_size: usize,
    /// Whether a batch that fails as a whole is halved, `BisectBatchOnFunctionError`. It costs no attempt.
    pub bisect: bool,
    /// How often a batch is tried again before it is given up, `MaximumRetryAttempts`; `None` is −1, without end.
    pub retries: Option<u32>,
    /// The age at which a record is given up, `MaximumRecordAgeInSeconds`; `None` is −1, never.
    pub record_age: Option<Duration>,
    /// The pause before the first retry; it doubles with each further one.
    pub pause: Duration,
    /// What goes wrong on the way; `None` for a stream as AWS delivers it at its best.
    pub disorder: Option<Disorder>,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { batch_size: 100, bisect: false, retries: None, record_age: None, pause: Duration::ZERO, disorder: None }
    }
}

/// An invocation and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The shard.
    pub shard: String,
    /// How many records it had.
    pub records: usize,
    /// The sequence number of its first record, as far as that has one.
    pub first: Option<String>,
    /// That of its last.
    pub last: Option<String>,
    /// How often it had been tried before.
    pub retry: u32,
    /// What came of it.
    pub fate: Fate,
}

/// What came of an invocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// All records are done.
    Done,
    /// From this sequence number on the records come again.
    From(String),
    /// The function failed, or its answer counts as that: the whole batch comes again.
    Failed(String),
}

/// What has happened.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The invocations, in the order in which they ended.
    pub deliveries: Vec<Delivery>,
    /// What was given up.
    pub discarded: Vec<Discarded>,
    /// Up to where each shard is done, by its id: everything before is done or given up.
    pub checkpoints: BTreeMap<String, String>,
}

impl Report {
    /// Invocations that ended otherwise than done.
    pub fn failures(&self) -> usize {
        self.deliveries.iter().filter(|delivery| delivery.fate != Fate::Done).count()
    }

    /// Records that were handed over, each as often as it was.
    pub fn records(&self) -> usize {
        self.deliveries.iter().map(|delivery| delivery.records).sum()
    }
}

/// Delivers all records of these shards, and returns when each is done or given up. Shards go on side by side, each in
/// its own order; a shard that came of another begins when that one has ended.
///
/// `invoke` gets an event's payload, as Lambda would send it, and returns the function's response, or why it failed.
pub async fn drive<E: Display>(
    rules: &Rules,
    shards: Vec<Shard>,
    invoke: impl AsyncFn(Bytes) -> Result<Bytes, E>,
) -> Report {
    let report = RefCell::new(Report::default());
    for generation in record::generations(shards) {
        let lanes = generation.into_iter().map(|shard| Lane { rules, report: &report, invoke: &invoke }.run(shard));
        futures_util::future::join_all(lanes.map(Box::pin)).await;
    }
    report.into_inner()
}

/// Records that are delivered together.
#[derive(Clone, Debug)]
struct Batch {
    records: Vec<Record>,
    retries: u32,
    /// Whether it was done before, and is delivered once more out of spite.
    again: bool,
}

/// One shard on its way.
struct Lane<'a, F> {
    rules: &'a Rules,
    report: &'a RefCell<Report>,
    invoke: &'a F,
}

impl<F, E: Display> Lane<'_, F>
where
    F: AsyncFn(Bytes) -> Result<Bytes, E>,
{
    async fn run(self, shard: Shard) {
        let Shard { id, records, .. } = shard;
        let mut spite = self.rules.disorder.as_ref().map(|disorder| disorder.dice(&id));
        let cut = match (&self.rules.disorder, &mut spite) {
            (Some(disorder), Some(dice)) => disorder.cut(records, self.rules.batch_size, dice),
            _ => cut(records, |_| self.rules.batch_size),
        };
        let fresh = |records| Batch { records, retries: 0, again: false };
        let mut queue: VecDeque<Batch> = cut.into_iter().map(fresh).collect();
        while let Some(mut batch) = queue.pop_front() {
            let old = self.too_old(&mut batch);
            self.discard(&id, &old, Reason::RecordAgeExceeded, batch.retries);
            if batch.records.is_empty() {
                continue;
            }
            let fate = match (self.invoke)(record::event(&batch.records)).await {
                Ok(response) => match answer::read(&response, &batch.records) {
                    Verdict::Done => Fate::Done,
                    Verdict::From(number) => Fate::From(number),
                    Verdict::Failed(why) => Fate::Failed(why),
                },
                Err(why) => Fate::Failed(why.to_string()),
            };
            self.note(&id, &batch, fate.clone());
            match fate {
                Fate::Done => {
                    self.checkpoint(&id, &batch.records);
                    if let (Some(disorder), Some(dice)) = (&self.rules.disorder, &mut spite)
                        && !batch.again
                        && disorder.replays(dice)
                    {
                        // As if the acknowledgement had been lost, now or a little later.
                        let position = dice.usize(..=queue.len().min(3));
                        queue.insert(position, Batch { retries: 0, again: true, ..batch });
                    }
                }
                Fate::Failed(_) if self.rules.bisect && batch.records.len() > 1 => {
                    let second = batch.records.split_off(batch.records.len() / 2);
                    queue.push_front(Batch { records: second, ..batch });
                    queue.push_front(batch);
                }
                Fate::Failed(_) => self.again(&id, batch, &mut queue).await,
                Fate::From(number) => {
                    let (rest, done): (Vec<_>, Vec<_>) =
                        batch.records.into_iter().partition(|record| !record.is_before(&number));
                    self.checkpoint(&id, &done);
                    self.again(&id, Batch { records: rest, ..batch }, &mut queue).await;
                }
            }
        }
    }

    /// Queues a batch once more, or gives it up.
    async fn again(&self, shard: &str, mut batch: Batch, queue: &mut VecDeque<Batch>) {
        if self.rules.retries.is_some_and(|most| batch.retries >= most) {
            self.discard(shard, &batch.records, Reason::RetryAttemptsExhausted, batch.retries + 1);
            return;
        }
        let factor = LONGEST_PAUSE.min(1 << batch.retries.min(31));
        if !self.rules.pause.is_zero() {
            tokio::time::sleep(self.rules.pause * factor).await;
        }
        batch.retries += 1;
        queue.push_front(batch);
    }

    fn too_old(&self, batch: &mut Batch) -> Vec<Record> {
        let Some(limit) = self.rules.record_age else { return Vec::new() };
        let oldest = unix_micros().saturating_sub(i64::try_from(limit.as_micros()).unwrap_or(i64::MAX));
        batch.records.extract_if(.., |record| record.at().is_some_and(|at| at < oldest)).collect()
    }

    fn note(&self, shard: &str, batch: &Batch, fate: Fate) {
        let number = |record: Option<&Record>| record.and_then(Record::number).map(str::to_owned);
        self.report.borrow_mut().deliveries.push(Delivery {
            shard: shard.to_owned(),
            records: batch.records.len(),
            first: number(batch.records.first()),
            last: number(batch.records.last()),
            retry: batch.retries,
            fate,
        });
    }

    fn discard(&self, shard: &str, records: &[Record], reason: Reason, invocations: u32) {
        if !records.is_empty() {
            self.checkpoint(shard, records);
            self.report.borrow_mut().discarded.push(Discarded::new(shard, records, reason, invocations));
        }
    }

    fn checkpoint(&self, shard: &str, done: &[Record]) {
        let Some(last) = done.iter().rev().find_map(Record::number) else { return };
        let mut report = self.report.borrow_mut();
        match report.checkpoints.get_mut(shard) {
            Some(number) if record::by_number(number, last).is_lt() => last.clone_into(number),
            Some(_) => {}
            None => drop(report.checkpoints.insert(shard.to_owned(), last.to_owned())),
        }
    }
}

/// Records in batches of so many as `size` says for each, or fewer where a payload would be too large.
fn cut(records: Vec<Record>, mut size: impl FnMut(usize) -> usize) -> Vec<Vec<Record>> {
    let mut batches: Vec<Vec<Record>> = Vec::new();
    let (mut wanted, mut bytes) = (0, 0);
    for record in records {
        let length = record.json().len() + 1;
        match batches.last_mut() {
            Some(batch) if batch.len() < wanted && bytes + length < LARGEST_PAYLOAD => {
                bytes += length;
                batch.push(record);
            }
            _ => {
                wanted = size(batches.len()).max(1);
                bytes = length;
                batches.push(vec![record]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests;
