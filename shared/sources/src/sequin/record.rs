//! A record of the former Sequin: an Airtable row, or an object of another provider, as it now is.
//!
//! ```json
//! {"ack_token": "MTIy…", "record": {"collection_id": "airtable:97GJ…", "upstream_id": "rec…", "updated_idx": 2631315005,
//!   "deleted": false, "data": {"id": "rec…", "createdTime": "…", "fields": {"Email": "…"}}}}
//! ```
//!
//! A stream of records holds each record once, in its newest state; `updated_idx` is its version and passes 2^31. The fields
//! of an Airtable record lie in `data.fields`, by name; those of others are `data` itself.

use std::collections::HashSet;

use bytes::Bytes;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_core::decimal::Decimal;
use tributary_core::event::{Body, Decoded, Event, Origin, Undecodable};
use tributary_core::pipeline::{RECORD_CREATED, RECORD_ID, RECORD_UPDATED, SequinLegacySource};
use tributary_core::value::Value;
use tributary_core::version::Version;
use tributary_core::{Error, Result};

use super::answer::{elements, fingerprint};
use super::collection::Collection;
use crate::json;

/// A record as it was received.
#[derive(Clone, Debug)]
pub struct Record {
    /// What acknowledges it.
    pub ack_token: Box<str>,
    /// Its collection, by Sequin's id; empty when the record doesn't say.
    pub collection: Box<str>,
    /// The message, byte for byte.
    pub payload: Bytes,
    envelope: Option<Envelope>,
}

/// What a record says of itself beside its data.
#[derive(Clone, Debug)]
struct Envelope {
    upstream_id: Option<Box<str>>,
    updated_idx: Option<Box<str>>,
    deleted: bool,
    created: Option<Box<str>>,
    updated: Option<Box<str>>,
    data: Option<Bytes>,
}

/// What an answer to `next` holds.
#[derive(Debug)]
pub struct Answer {
    /// The records. They share the answer's bytes.
    pub records: Vec<Record>,
    /// How many more wait to be delivered, where the server says so.
    pub pending: Option<u64>,
    /// How many are delivered and not yet acknowledged, these among them, where the server says so.
    pub unacknowledged: Option<u64>,
}

/// Reads an answer to `next`: `{"data": […], "info": {…}}`, or a bare list.
///
/// # Errors
/// `Data` when it is neither, or a record has nothing to acknowledge it by.
pub fn records(answer: &Bytes) -> Result<Answer> {
    #[derive(Default, Deserialize)]
    struct Outer {
        #[serde(default)]
        info: Option<Info>,
    }
    #[derive(Default, Deserialize)]
    struct Info {
        num_pending: Option<u64>,
        num_ack_pending: Option<u64>,
    }
    let read = |payload: &Bytes| {
        let record = Record::read(payload);
        if record.ack_token.is_empty() {
            return Err(Error::data("a record of Sequin has no `ack_token`")
                .with_hint("look whether `protocol: legacy` is what the server speaks"));
        }
        Ok(record)
    };
    let records = elements(answer)?.iter().map(read).collect::<Result<_>>()?;
    let info = serde_json::from_slice::<Outer>(answer).unwrap_or_default().info.unwrap_or_default();
    Ok(Answer { records, pending: info.num_pending, unacknowledged: info.num_ack_pending })
}

impl Record {
    /// Reads one record by itself: a dead letter's payload, when it is replayed. Whatever is wrong with it shows when it is
    /// decoded.
    pub fn read(payload: &Bytes) -> Self {
        #[derive(Deserialize)]
        struct Outer<'a> {
            #[serde(borrow)]
            ack_token: Option<&'a RawValue>,
            #[serde(borrow)]
            ack_id: Option<&'a RawValue>,
            #[serde(borrow, alias = "event")]
            record: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Wire<'a> {
            #[serde(borrow)]
            collection_id: Option<&'a RawValue>,
            #[serde(borrow)]
            upstream_id: Option<&'a RawValue>,
            #[serde(borrow)]
            updated_idx: Option<&'a RawValue>,
            #[serde(borrow)]
            deleted: Option<&'a RawValue>,
            #[serde(borrow)]
            upstream_created_at: Option<&'a RawValue>,
            #[serde(borrow)]
            upstream_updated_at: Option<&'a RawValue>,
            #[serde(borrow)]
            data: Option<&'a RawValue>,
        }
        let mut record =
            Record { ack_token: "".into(), collection: "".into(), payload: payload.clone(), envelope: None };
        let Ok(outer) = serde_json::from_slice::<Outer<'_>>(payload) else { return record };
        record.ack_token = outer.ack_token.or(outer.ack_id).and_then(text).unwrap_or_default();
        let Some(wire) = outer.record.and_then(|raw| serde_json::from_str::<Wire<'_>>(raw.get()).ok()) else {
            return record;
        };
        record.collection = wire.collection_id.and_then(text).unwrap_or_default();
        record.envelope = Some(Envelope {
            upstream_id: wire.upstream_id.and_then(text).filter(|id| !id.is_empty()),
            updated_idx: wire.updated_idx.map(|raw| text(raw).unwrap_or_else(|| raw.get().into())),
            deleted: wire.deleted.is_some_and(|raw| raw.get() == "true"),
            created: wire.upstream_created_at.and_then(text),
            updated: wire.upstream_updated_at.and_then(text),
            data: wire.data.map(|raw| payload.slice_ref(raw.get().as_bytes())),
        });
        record
    }

    /// Whether a pipeline with this source takes it. `collection` is what the server says of the record's collection, where
    /// it is known.
    pub fn is_of(&self, source: &SequinLegacySource, collection: Option<&Collection>) -> bool {
        *self.collection == *source.collection || collection.is_some_and(|collection| collection.is(&source.collection))
    }

    /// Where it came from. A record has one state at each `updated_idx`.
    pub fn origin(&self, epoch: u32) -> Origin {
        let envelope = self.envelope.as_ref();
        let id = envelope.and_then(|envelope| envelope.upstream_id.clone()).unwrap_or_default();
        let index = envelope.and_then(|envelope| envelope.updated_idx.as_deref());
        let position = match index {
            Some(index) if !id.is_empty() => format!("{epoch}/{}/{id}/{index}", self.collection),
            _ => format!("record-{:016x}", fingerprint(&self.payload)),
        };
        Origin { position: position.into(), key: id, payload: self.payload.clone() }
    }

    /// Why nobody takes it: it is of a collection of no pipeline.
    pub fn unclaimed(&self) -> Undecodable {
        let error = match &*self.collection {
            "" => Error::data("the record doesn't say its `collection_id`"),
            collection => Error::data(format!("no pipeline reads the collection {collection} from this consumer")),
        };
        Undecodable { origin: super::unclaimed(self.origin(0)), error }
    }

    /// The names of its fields; none when it has no data.
    pub fn field_names(&self) -> HashSet<Box<str>> {
        let fields = self.envelope.as_ref().and_then(|envelope| envelope.cells().ok());
        fields.map(|fields| fields.into_keys().collect()).unwrap_or_default()
    }

    /// The event that it is to a pipeline with this source: a part of the record, of which the fields that the collection
    /// has are known. An absent one of these is empty. When the record has a field that the collection doesn't, the two
    /// speak of different times, and what is absent is unknown.
    pub fn decode(&self, source: &SequinLegacySource, collection: Option<&Collection>) -> Decoded {
        let origin = self.origin(source.epoch);
        match self.event(source, collection) {
            Ok((version, at, body)) => Ok(Event { origin, version, at, body }),
            Err(error) => Err(Undecodable { origin, error }),
        }
    }

    fn event(
        &self,
        source: &SequinLegacySource,
        collection: Option<&Collection>,
    ) -> Result<(Version, Option<i64>, Body)> {
        let envelope = self.envelope.as_ref().ok_or_else(|| Error::data("record: is not a JSON object"))?;
        let id = envelope.upstream_id.as_deref().ok_or_else(|| Error::data("upstream_id: is missing"))?;
        let index = envelope.updated_idx.as_deref().ok_or_else(|| Error::data("updated_idx: is missing"))?;
        // `2.6e9` is a number too.
        let index = Decimal::parse(index).and_then(|number| Version::new(i64::from(source.epoch), &number.to_string()));
        let version = index.map_err(|_| Error::data("updated_idx: is not an integer of up to 40 digits"))?;
        let at = envelope.updated.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let at = at.map(|at| at.as_microsecond());
        if envelope.deleted {
            let key = Value::from([(RECORD_ID, Value::from(id))]);
            return Ok((version, at, Body::Gone { key, before: None, expired: false }));
        }
        let mut now = complete(envelope.cells()?, collection);
        now.insert(RECORD_ID.into(), Value::from(id));
        let mut time = |name: &str, text: Option<&str>| match text {
            Some(text) => now.insert(name.into(), Value::from(text)),
            None => now.shift_remove(name),
        };
        time(RECORD_CREATED, envelope.created.as_deref());
        time(RECORD_UPDATED, envelope.updated.as_deref());
        Ok((version, at, Body::Part { now: Value::Map(now), before: None }))
    }
}

impl Envelope {
    fn cells(&self) -> Result<IndexMap<Box<str>, Value>> {
        let missing = || Error::data("data: is not a JSON object");
        let data = self.data.as_ref().ok_or_else(missing)?;
        let data = json::read(std::str::from_utf8(data).map_err(|_| missing())?);
        let Value::Map(mut data) = data.map_err(|error| Error::data(format!("data: {error}")))? else {
            return Err(missing());
        };
        let mut cells = match data.get_mut("fields") {
            Some(Value::Map(fields)) => std::mem::take(fields),
            _ => data,
        };
        cells.values_mut().for_each(admit_failure);
        Ok(cells)
    }
}

/// A formula that Airtable cannot compute has an object in place of its value: `{"error": "#ERROR!"}`,
/// `{"specialValue": "NaN"}`.
fn admit_failure(cell: &mut Value) {
    match cell {
        Value::Map(fields) if fields.len() == 1 => {
            let reason = fields.get("error").or_else(|| fields.get("specialValue"));
            if let Some(Value::Text(reason)) = reason {
                *cell = Value::Failed(reason.clone());
            }
        }
        Value::List(items) => items.iter_mut().for_each(admit_failure),
        _ => {}
    }
}

/// The cells by name and by id, with the empty ones that Sequin left out.
fn complete(mut cells: IndexMap<Box<str>, Value>, collection: Option<&Collection>) -> IndexMap<Box<str>, Value> {
    let Some(collection) = collection else { return cells };
    let known: HashSet<&str> = collection.fields.iter().map(|field| &*field.name).collect();
    let up_to_date = cells.keys().all(|name| known.contains(&**name));
    let by_name = cells.clone();
    for field in &collection.fields {
        let cell = match by_name.get(&*field.name) {
            Some(cell) => cell.clone(),
            None if !up_to_date => continue,
            // A checkbox has no other way to say that it isn't checked.
            None if field.kind == "boolean" => Value::Bool(false),
            None => Value::Null,
        };
        if let Some(id) = &field.id {
            cells.insert(id.as_str().into(), cell.clone());
        }
        cells.insert(field.name.as_str().into(), cell);
    }
    cells
}

/// The text of a JSON string; `None` for any other JSON.
fn text(raw: &RawValue) -> Option<Box<str>> {
    serde_json::from_str::<String>(raw.get()).ok().map(Into::into)
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
