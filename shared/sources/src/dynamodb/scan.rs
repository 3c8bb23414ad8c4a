//! A backfill: one segment of a parallel Scan, page by page, within a read budget.
//!
//! A scanned item gets the first version of the current stream's epoch, so that any event of the stream wins over it,
//! whichever arrives first. Its payload is a stream record with the sequence number 0, which a replay decodes like any
//! other.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use bytes::Bytes;
use tributary_core::event::{Body, Decoded, Event, Origin, Undecodable};
use tributary_core::sink::Budget;
use tributary_core::source::{Page, Poll};
use tributary_core::value::Value;
use tributary_core::version::Version;
use tributary_core::{Error, Result};

use super::attribute::{Item, from_item, from_json, to_item, to_json};
use super::failure::failed;
use super::rate::ReadRate;
use super::record::{Change, keys_of, write_record};
use super::stream::{backfill_position, key_text};
use super::table::Table;

/// DynamoDB answers a page of 1 MB in well under this; a connection that died doesn't.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a throttled or failed page is tried again when there is no deadline.
const RETRIES: u32 = 10;
/// Items of the first page, before we know what an item costs.
const FIRST_PAGE: i32 = 100;

/// How a scan reads.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The segment, from 0.
    pub segment: i32,
    /// Into how many segments the table is divided; a cursor holds for one number of segments only.
    pub segments: i32,
    /// Whether a page sees every write that was done before it was asked for. Costs twice the units. A repair needs it.
    pub consistent: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { segment: 0, segments: 1, consistent: true }
    }
}

/// One segment of a parallel Scan. The cursor is DynamoDB's JSON of `LastEvaluatedKey`.
#[derive(Debug)]
pub struct Scan {
    client: Client,
    table: Arc<Table>,
    options: Options,
    rate: Arc<ReadRate>,
    /// What an item costs in read capacity units, as far as we have seen.
    item_cost: Option<f64>,
}

impl Scan {
    /// A segment of the table; segments that run side by side share the rate.
    ///
    /// # Errors
    /// `Config` when the segment is not one of the segments.
    pub fn new(client: Client, table: Arc<Table>, options: Options, rate: Arc<ReadRate>) -> Result<Self> {
        if !(0..options.segments).contains(&options.segment) || options.segments > 1_000_000 {
            return Err(Error::config(format!("there is no segment {} of {}", options.segment, options.segments)));
        }
        Ok(Scan { client, table, options, rate, item_cost: None })
    }

    /// The name under which this segment's cursor is kept: another stream or number of segments begins anew.
    pub fn partition(&self) -> String {
        let Options { segment, segments, .. } = self.options;
        format!("backfill/{}/{segment}-of-{segments}", self.table.stream.label())
    }

    /// How long until the read budget allows the next page. Who has less time than that stops here and resumes later.
    pub fn ready_in(&self) -> Duration {
        self.rate.ready_in()
    }

    /// A page that costs about a second of this segment's share of the budget: a larger one would take the table's
    /// capacity in one gulp. The smallest page costs a whole unit, so one that is to cost less would only get smaller and
    /// smaller, down to a unit an item.
    fn limit(&self) -> i32 {
        let share = (self.rate.per_second() / f64::from(self.options.segments)).max(1.0);
        self.item_cost.map_or(FIRST_PAGE, |cost| (share / cost).clamp(1.0, 10_000.0) as i32)
    }

    async fn page(&self, start: Option<Item>, budget: &impl Budget) -> Result<ScanOutput> {
        let mut attempt = 0;
        loop {
            let request = self
                .client
                .scan()
                .table_name(&self.table.name)
                .segment(self.options.segment)
                .total_segments(self.options.segments)
                .consistent_read(self.options.consistent)
                .limit(self.limit())
                .set_exclusive_start_key(start.clone())
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send();
            let patience = budget.remaining().map_or(PATIENCE, |left| left.min(PATIENCE));
            let error = match tokio::time::timeout(patience, request).await {
                Ok(Ok(page)) => return Ok(page),
                Ok(Err(error)) => failed(error, "dynamodb:Scan", &self.table.name),
                Err(_) => Error::unavailable("DynamoDB did not answer a scan in time"),
            };
            let wait = full_jitter(attempt);
            let hopeless = match budget.remaining() {
                Some(left) => left <= wait,
                None => attempt >= RETRIES,
            };
            if !error.retry() || hopeless {
                return Err(error);
            }
            tracing::debug!(table = self.table.name, attempt, "a scan failed, trying again");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    fn note_cost(&mut self, page: &ScanOutput) {
        let units = page.consumed_capacity().and_then(|consumed| consumed.capacity_units());
        // An emulator that doesn't say: half a unit an item is the least that a consistent read of one costs.
        let units = units.unwrap_or_else(|| f64::from(page.scanned_count()) / 2.0);
        self.rate.spend(units);
        if page.scanned_count() > 0 {
            self.item_cost = Some((units / f64::from(page.scanned_count())).max(0.001));
        }
    }

    /// The items' records lie in one buffer, of which each event's payload is a part.
    fn events(&self, items: Vec<Item>) -> Result<Vec<Decoded>> {
        let version = Version::start_of(self.table.stream.epoch()?)?;
        let mut buffer = Vec::with_capacity(items.len() * 512);
        let mut read = Vec::with_capacity(items.len());
        for item in items {
            let start = buffer.len();
            let key = self.key_of(&item);
            let now = from_item(item).and_then(|now| {
                write_record(&mut buffer, Change::Insert(&now), &self.table.key, &self.table.stream, "0", None)?;
                Ok(now)
            });
            read.push((key, now, start..buffer.len()));
        }
        let buffer = Bytes::from(buffer);
        let events = read.into_iter().map(|(key, now, range)| {
            let position = backfill_position(self.table.stream.label(), &key);
            let origin = Origin { position, key, payload: buffer.slice(range) };
            match now {
                Ok(now) => Ok(Event { origin, version, at: None, body: Body::Image { now, before: None } }),
                Err(error) => Err(Undecodable { origin, error }),
            }
        });
        Ok(events.collect())
    }

    /// The key as text; read by itself, so that an item with a bad attribute is named too.
    fn key_of(&self, item: &Item) -> Box<str> {
        let of_key = item.iter().filter(|(name, _)| self.table.key.contains(name));
        let key = from_item(of_key.map(|(name, value)| (name.clone(), value.clone())).collect());
        let key = key.and_then(|key| keys_of(&key, &self.table.key)).unwrap_or(Value::Null);
        key_text(&key)
    }
}

impl Poll for Scan {
    async fn next(&mut self, cursor: Option<&str>, budget: &impl Budget) -> Result<Page> {
        let start = cursor.map(|cursor| from_json(cursor).and_then(|key| to_item(&key))).transpose().map_err(|e| {
            Error::config("the stored cursor of the backfill is not a key of DynamoDB")
                .with_hint("start the backfill anew")
                .with_source(e)
        })?;
        if !budget.allows(self.rate.ready_in()) {
            return Err(Error::unavailable("the read budget allows no further page in the time that is left")
                .with_hint("run the backfill again to go on where it stopped, or raise its read budget"));
        }
        self.rate.ready().await;
        let asked_at = unix_micros();
        let mut page = self.page(start, budget).await?;
        self.note_cost(&page);
        let events = self.events(page.items.take().unwrap_or_default())?;
        // A page may be empty and still not the last one: only a missing key ends a segment.
        let next = page.last_evaluated_key.map(from_item).transpose()?.map(|key| to_json(&key)).transpose()?;
        Ok(Page { events, next, asked_at })
    }
}

/// A random wait up to 50 ms, doubled by each attempt up to 5 s, so that segments don't come back in step.
fn full_jitter(attempt: u32) -> Duration {
    let most = Duration::from_millis(50).saturating_mul(1 << attempt.min(10)).min(Duration::from_secs(5));
    most.mul_f64(fastrand::f64())
}

fn unix_micros() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
