//! Records and shards: the text of a record as it stood in its event, and the little that the rules need to know of it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tributary_core::{Error, Result};

pub(super) use crate::dynamodb_stream::by_number;

/// A record of a stream. A copy costs nothing.
#[derive(Clone, Debug)]
pub struct Record(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    json: Box<str>,
    number: Option<String>,
    at: Option<i64>,
    stream: Option<String>,
    key: String,
}

impl Record {
    /// A record in the form that Lambda sends. It may be broken: then there is little to know of it, and it is delivered
    /// all the same.
    pub fn new(json: impl Into<Box<str>>) -> Self {
        let json = json.into();
        let read: Value = serde_json::from_str(&json).unwrap_or_default();
        let inner = &read["dynamodb"];
        let number =
            inner["SequenceNumber"].as_str().filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        let parts = Parts {
            number: number.map(str::to_owned),
            at: inner["ApproximateCreationDateTime"].as_f64().map(|seconds| (seconds * 1e6) as i64),
            stream: read["eventSourceARN"].as_str().map(str::to_owned),
            key: inner["Keys"].to_string(),
            json,
        };
        Record(Arc::new(parts))
    }

    /// The records of an event, `{"Records": […]}`. One that doesn't say its stream is of that of the others.
    ///
    /// # Errors
    /// `Data` when it is no such event.
    pub fn of_event(payload: &[u8]) -> Result<Vec<Record>> {
        #[derive(Deserialize)]
        struct Event<'a> {
            #[serde(borrow, rename = "Records")]
            records: Vec<&'a RawValue>,
        }
        // The parser's own words may quote the payload.
        let event: Event<'_> = serde_json::from_slice(payload).map_err(|e| {
            Error::data(format!("not the event of a DynamoDB stream: line {}, column {}", e.line(), e.column()))
                .with_hint("it is a JSON object with a list of `Records`, as an event source mapping sends it")
        })?;
        let mut records: Vec<Record> = event.records.iter().map(|raw| Record::new(raw.get())).collect();
        let stream = records.iter().find_map(|record| record.0.stream.clone());
        for record in &mut records {
            if let Some(parts) = Arc::get_mut(&mut record.0)
                && parts.stream.is_none()
            {
                parts.stream.clone_from(&stream);
            }
        }
        Ok(records)
    }

    /// The text.
    pub fn json(&self) -> &str {
        &self.0.json
    }

    /// The sequence number, unless the record is broken.
    pub fn number(&self) -> Option<&str> {
        self.0.number.as_deref()
    }

    /// The ARN of its stream.
    pub fn stream(&self) -> Option<&str> {
        self.0.stream.as_deref()
    }

    /// When the change was made, in microseconds since 1970.
    pub(super) fn at(&self) -> Option<i64> {
        self.0.at
    }

    /// Whether it lies before this sequence number. One without a number cannot be told, and so does not.
    pub fn is_before(&self, number: &str) -> bool {
        self.number().is_some_and(|own| by_number(own, number).is_lt())
    }

    /// Whether it lies after this sequence number. One without a number cannot be told, and so does not.
    pub fn is_after(&self, number: &str) -> bool {
        self.number().is_some_and(|own| by_number(own, number).is_gt())
    }

    fn lot(&self, of: usize) -> usize {
        (hash(&self.0.key) % of.max(1) as u64) as usize
    }
}

/// Part of a stream: its records in order. All changes of an item are in one shard, or in those that came of it.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// The shard that it came of when that was split.
    pub parent: Option<String>,
    /// Its records.
    pub records: Vec<Record>,
}

impl Shard {
    /// Records as so many shards a stream, those of an item all in one, in the order in which they are given.
    pub fn of_records(records: Vec<Record>, shards: usize) -> Vec<Shard> {
        let mut lots: BTreeMap<(String, usize), Vec<Record>> = BTreeMap::new();
        for record in records {
            let stream = record.stream().unwrap_or_default().to_owned();
            let lot = record.lot(shards);
            lots.entry((stream, lot)).or_default().push(record);
        }
        let mut number = 0;
        let shard = |(_, records)| {
            number += 1;
            Shard { id: format!("shardId-{number:020}"), parent: None, records }
        };
        lots.into_iter().map(shard).collect()
    }
}

/// Shards by generation: parents before their children. A parent that is not among them has ended long ago.
pub(super) fn generations(mut shards: Vec<Shard>) -> Vec<Vec<Shard>> {
    let mut generations = Vec::new();
    while !shards.is_empty() {
        let ids: Vec<String> = shards.iter().map(|shard| shard.id.clone()).collect();
        let waits = |shard: &Shard| shard.parent.as_ref().is_some_and(|p| *p != shard.id && ids.contains(p));
        let (later, now): (Vec<Shard>, Vec<Shard>) = shards.into_iter().partition(waits);
        // A circle, which no stream has, is broken anywhere.
        let (now, later) = if now.is_empty() { (later, now) } else { (now, later) };
        generations.push(now);
        shards = later;
    }
    generations
}

/// The payload of these records.
pub(super) fn event(records: &[Record]) -> Bytes {
    let length = records.iter().map(|record| record.json().len() + 1).sum::<usize>();
    let mut payload = String::with_capacity(length + 16);
    payload.push_str("{\"Records\":[");
    for (position, record) in records.iter().enumerate() {
        if position > 0 {
            payload.push(',');
        }
        payload.push_str(record.json());
    }
    payload.push_str("]}");
    payload.into()
}

/// The record that comes first in its shard.
pub(super) fn lowest<'n>(numbers: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    numbers.min_by(|a, b| -> Ordering { by_number(a, b) })
}

/// FNV-1a, 64 bits: the same in every version of this program, unlike the standard library's hash.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
