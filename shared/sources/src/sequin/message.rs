//! A message of Sequin Stream: one change of one row of a Postgres table.
//!
//! ```json
//! {"ack_id": "7c0d1b9e-…", "data": {"action": "update", "record": {…}, "changes": {…}, "metadata": {…}}}
//! ```
//!
//! Sequin's documents show the four fields beside `ack_id`, its code sends them inside of `data`; both are read, and so is
//! `ack_token`, the older name. A sink with a transform may send the bare row in their place.
//!
//! What is known of a row, and what isn't:
//! - **version**: `commit_lsn · 2^32 + commit_idx`, the place of the change in the log of the database. The timestamp is no
//!   version: it is neither unique nor ascending. Servers before v0.11 don't send `commit_idx`; two changes of a row in one
//!   transaction would then be equal, so their messages are refused.
//! - **`read`**, a backfill, has no place in the log. It gets the first version of the epoch and loses to every change.
//! - **`"unchanged_toast"`** as the value of a column in an update means that the database didn't say it. The field is
//!   left out, so that it is unknown. With `replica identity full` it never comes, and is just text.
//! - **a delete** has the columns of the replica identity, all others null: only the key is believed, unless the
//!   identity is full.
//! - **a changed primary key** shows in `changes` where the identity is full, and not at all where it isn't.

mod metadata;

use bytes::Bytes;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_core::event::{Body, Decoded, Event, Origin, Undecodable};
use tributary_core::path::Path;
use tributary_core::pipeline::SequinSource;
use tributary_core::value::Value;
use tributary_core::version::Version;
use tributary_core::{Error, Result};

use super::answer::{elements, fingerprint};
use crate::json;
use metadata::{Metadata, Wire, text};

/// What stands for the value of a column that an update didn't touch and the log therefore doesn't hold (Sequin,
/// "Databases": TOAST columns).
const UNCHANGED: &str = "unchanged_toast";

/// A message as it was received.
#[derive(Clone, Debug)]
pub struct Message {
    /// What acknowledges it.
    pub ack_id: Box<str>,
    /// The message, byte for byte.
    pub payload: Bytes,
    spans: Spans,
    metadata: Option<Metadata>,
}

type Fields = IndexMap<Box<str>, Value>;

/// The parts of a message, slices of its payload.
#[derive(Clone, Debug, Default)]
struct Spans {
    record: Option<Bytes>,
    changes: Option<Bytes>,
    action: Option<Box<str>>,
}

/// Cuts an answer to `receive` into its messages. They share its bytes.
///
/// # Errors
/// `Data` when it is no list of messages, or one of them has nothing to acknowledge it by.
pub fn messages(answer: &Bytes) -> Result<Vec<Message>> {
    let read = |payload: &Bytes| {
        let message = Message::read(payload);
        if message.ack_id.is_empty() {
            return Err(Error::data("a message of Sequin has neither `ack_id` nor `ack_token`")
                .with_hint("look whether `protocol` is the one that the server speaks"));
        }
        Ok(message)
    };
    elements(answer)?.iter().map(read).collect()
}

impl Message {
    /// Reads one message by itself: a dead letter's payload, when it is replayed. Whatever is wrong with it shows when it
    /// is decoded.
    pub fn read(payload: &Bytes) -> Self {
        #[derive(Deserialize)]
        struct Outer<'a> {
            #[serde(borrow)]
            ack_id: Option<&'a RawValue>,
            #[serde(borrow)]
            ack_token: Option<&'a RawValue>,
            #[serde(borrow)]
            data: Option<&'a RawValue>,
        }
        if let Some(message) = Message::read_usual(payload) {
            return message;
        }
        let mut message =
            Message { ack_id: "".into(), payload: payload.clone(), spans: Spans::default(), metadata: None };
        let Ok(outer) = serde_json::from_slice::<Outer<'_>>(payload) else { return message };
        message.ack_id = outer.ack_id.or(outer.ack_token).and_then(text).unwrap_or_default();
        let inner = outer.data.map_or_else(|| payload.clone(), |data| payload.slice_ref(data.get().as_bytes()));
        message.read_inner(&inner);
        message
    }

    /// Reads a message of the usual form at one go; `None` when it has another.
    fn read_usual(payload: &Bytes) -> Option<Self> {
        #[derive(Deserialize)]
        struct Parts<'a> {
            #[serde(borrow)]
            record: Option<&'a RawValue>,
            #[serde(borrow)]
            changes: Option<&'a RawValue>,
            #[serde(borrow)]
            action: Option<&'a RawValue>,
            #[serde(borrow)]
            metadata: Option<Wire<'a>>,
        }
        #[derive(Deserialize)]
        struct Usual<'a> {
            #[serde(borrow)]
            ack_id: &'a RawValue,
            #[serde(borrow)]
            data: Parts<'a>,
        }
        let Usual { ack_id, data } = serde_json::from_str(std::str::from_utf8(payload).ok()?).ok()?;
        let slice = |raw: &RawValue| payload.slice_ref(raw.get().as_bytes());
        let metadata = Metadata::of(&data.metadata?)?;
        let record = data.record.filter(|raw| raw.get().starts_with('{'))?;
        let action = data.action.and_then(text);
        let spans = Spans { record: Some(slice(record)), changes: data.changes.map(slice), action };
        Some(Message { ack_id: text(ack_id)?, payload: payload.clone(), spans, metadata: Some(metadata) })
    }

    fn read_inner(&mut self, inner: &Bytes) {
        #[derive(Deserialize)]
        struct Inner<'a> {
            #[serde(borrow)]
            record: Option<&'a RawValue>,
            #[serde(borrow)]
            changes: Option<&'a RawValue>,
            #[serde(borrow)]
            action: Option<&'a RawValue>,
            #[serde(borrow)]
            metadata: Option<&'a RawValue>,
        }
        let Ok(parts) = serde_json::from_slice::<Inner<'_>>(inner) else { return };
        let slice = |raw: &RawValue| inner.slice_ref(raw.get().as_bytes());
        self.metadata = parts.metadata.and_then(Metadata::read);
        let action = parts.action.and_then(text);
        let is_object = |raw: &RawValue| raw.get().starts_with('{');
        // A transform may send the bare row, and a row may have a column of any of these names.
        if parts.record.is_some_and(is_object) && (self.metadata.is_some() || action.is_some()) {
            self.spans = Spans { record: parts.record.map(slice), changes: parts.changes.map(slice), action };
        } else if self.metadata.is_none() {
            self.spans = Spans { record: Some(inner.clone()), changes: None, action: None };
        } else {
            self.spans.action = action;
        }
    }

    /// The table that it is about, `schema.table`; `None` when there is no metadata.
    pub fn table(&self) -> Option<String> {
        let metadata = self.metadata.as_ref()?;
        Some(format!("{}.{}", metadata.schema, metadata.table))
    }

    /// Whether a pipeline with this source takes it. A message without metadata doesn't say its table: it is for whoever
    /// takes every table, or has said where the version stands, since the metadata is gone.
    pub fn is_of(&self, source: &SequinSource) -> bool {
        let Some(wanted) = &source.table else { return true };
        match &self.metadata {
            None => source.version.is_some(),
            Some(metadata) => match wanted.split_once('.') {
                Some((schema, table)) => *metadata.schema == *schema && *metadata.table == *table,
                None => *metadata.table == **wanted,
            },
        }
    }

    /// Where it came from. The position is the message's idempotency key, which survives a redelivery, else its `ack_id`.
    pub fn origin(&self, epoch: u32) -> Origin {
        let metadata = self.metadata.as_ref();
        let key = metadata.and_then(|metadata| metadata.idempotency_key.as_deref()).unwrap_or(&self.ack_id);
        let position = match key {
            "" => format!("message-{:016x}", fingerprint(&self.payload)).into(),
            // A log that counts anew has the same places again.
            key if epoch > 0 => format!("{epoch}/{key}").into(),
            key => key.into(),
        };
        let key = metadata.map(|metadata| metadata.pks.clone()).unwrap_or_default();
        Origin { position, key, payload: self.payload.clone() }
    }

    /// Why nobody takes it: it is about a table of no pipeline, or doesn't say which.
    pub fn unclaimed(&self) -> Undecodable {
        let error = match self.table() {
            Some(table) => Error::data(format!("no pipeline reads the table {table} from this consumer")),
            None => no_metadata(),
        };
        Undecodable { origin: super::unclaimed(self.origin(0)), error }
    }

    /// The event that it is to a pipeline with this source.
    pub fn decode(&self, source: &SequinSource) -> Decoded {
        let origin = self.origin(source.epoch);
        match self.event(source) {
            Ok((version, at, body)) => Ok(Event { origin, version, at, body }),
            Err(error) => Err(Undecodable { origin, error }),
        }
    }

    fn event(&self, source: &SequinSource) -> Result<(Version, Option<i64>, Body)> {
        let action = match self.spans.action.as_deref() {
            Some("insert") => Action::Insert,
            Some("update") => Action::Update,
            Some("delete") => Action::Delete,
            Some("read") => Action::Read,
            Some(_) => return Err(Error::data("action: is none of insert, update, delete, read")),
            None if self.metadata.is_none() && source.version.is_some() => Action::Update,
            None if self.metadata.is_none() => return Err(no_metadata()),
            None => return Err(Error::data("action: is missing")),
        };
        let record = self.spans.record.as_ref().ok_or_else(|| Error::data("record: is not a JSON object"))?;
        let record = fields("record", record)?;
        let (version, record) = match &source.version {
            Some(path) => self.configured(path, record, source.epoch)?,
            None => (self.place(action, source.epoch)?, record),
        };
        // A backfill reads at some time; nothing was changed then.
        let at = self.metadata.as_ref().and_then(|metadata| metadata.at).filter(|_| action != Action::Read);
        let changes = match &self.spans.changes {
            Some(changes) if &changes[..] != b"null" => fields("changes", changes)?,
            _ => IndexMap::new(),
        };
        Ok((version, at, body(action, record, changes, source)))
    }

    /// The change's place in the log.
    fn place(&self, action: Action, epoch: u32) -> Result<Version> {
        if action == Action::Read {
            return Version::start_of(i64::from(epoch));
        }
        let metadata = self.metadata.as_ref().ok_or_else(no_metadata)?;
        let lsn = metadata.lsn.ok_or_else(|| Error::data("metadata.commit_lsn: is missing or no place in a log"))?;
        let idx = metadata.idx.ok_or_else(|| {
            Error::data(
                "metadata.commit_idx: is missing, and without it two changes of one transaction have no order; \
                 Sequin sends it since v0.11, or name a field of the row in `version:`",
            )
        })?;
        Ok(Version::from_u128(epoch, u128::from(lsn) << 32 | u128::from(idx)))
    }

    /// The version at the mapping's path: in the record, else beside it. Gives the record back.
    fn configured(&self, path: &Path, record: Fields, epoch: u32) -> Result<(Version, Fields)> {
        let bad = |what: &str| Error::data(format!("version: `{path}` {what}"));
        let record = Value::Map(record);
        let beside = match path.find(&record) {
            Some(_) => None,
            None => std::str::from_utf8(&self.payload).ok().and_then(|text| json::read(text).ok()),
        };
        let inner = beside.as_ref().and_then(|outer| outer.get("data").or(Some(outer)));
        let found = path.find(&record).or_else(|| path.find(inner?)).ok_or_else(|| bad("is not in the message"))?;
        let digits = match found {
            Value::Number(number) => number.to_string(),
            Value::Text(text) => text.to_string(),
            other => return Err(bad(&format!("is {}, where an integer is expected", other.kind()))),
        };
        let version = Version::new(i64::from(epoch), &digits);
        let version = version.map_err(|_| bad("is not an integer of up to 40 digits"))?;
        match record {
            Value::Map(record) => Ok((version, record)),
            _ => Err(bad("is not in the message")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Insert,
    Update,
    Delete,
    Read,
}

fn no_metadata() -> Error {
    Error::data(
        "the message has no metadata and so no version; let the sink's transform keep `action` and `metadata`, or name a \
         field of the row in `version:`",
    )
}

fn fields(part: &str, json: &Bytes) -> Result<Fields> {
    let wrong = |what: &str| Error::data(format!("{part}: {what}"));
    let text = std::str::from_utf8(json).map_err(|_| wrong("is not text"))?;
    match json::read(text).map_err(|error| wrong(&error.to_string()))? {
        Value::Map(fields) => Ok(fields),
        other => Err(wrong(&format!("is {}, where a JSON object is expected", other.kind()))),
    }
}

fn body(action: Action, mut record: Fields, mut changes: Fields, source: &SequinSource) -> Body {
    if action == Action::Delete {
        if source.whole {
            let record = Value::Map(record);
            return Body::Gone { key: record.clone(), before: Some(record), expired: false };
        }
        match &source.key {
            Some(key) => record.retain(|name, _| key.iter().any(|part| **part == **name)),
            None => record.retain(|_, value| *value != Value::Null),
        }
        return Body::Gone { key: Value::Map(record), before: None, expired: false };
    }
    // An insert has all its values, so that text is text there.
    if action == Action::Update && !source.whole {
        let unchanged = |value: &Value| matches!(value, Value::Text(text) if **text == *UNCHANGED);
        record.retain(|_, value| !unchanged(value));
        changes.retain(|_, value| !unchanged(value));
    }
    let before = (!changes.is_empty()).then(|| {
        let mut before = record.clone();
        before.extend(changes);
        Value::Map(before)
    });
    let now = Value::Map(record);
    if source.whole { Body::Image { now, before } } else { Body::Part { now, before } }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
