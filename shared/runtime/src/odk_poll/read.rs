//! Rows that came from the server, on their way to a batch.

use tributary_core::Result;
use tributary_core::event::{Body, Decoded};
use tributary_core::value::Value;
use tributary_sources::odk::{Decoder, Row, Set, version};

use super::waiting::Lack;

/// Rows that were read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Each of them.
    pub(super) events: Vec<Decoded>,
    /// What each lacks.
    pub(super) lacks: Vec<(Box<str>, Option<Lack>)>,
    /// Rows of which the server cannot say anything.
    pub(super) unanswered: Vec<Box<str>>,
}

/// What was observed, and under which number.
pub(super) struct Sight<'d> {
    pub(super) set: &'d Set,
    pub(super) decoder: &'d Decoder,
    /// The number of the lease.
    pub(super) fence: i64,
    /// The number of the request within it.
    pub(super) request: u64,
}

impl Sight<'_> {
    /// Reads a row. `first` is the least that the first part of its version may be: a row that is known to differ must not
    /// lose to what was read before, whatever the server's clock says. Gives its `$id`, if it has one.
    pub(super) fn read(&self, row: Row, first: u64, into: &mut Read) -> Result<Option<Box<str>>> {
        let first = row.first(self.set).max(first);
        let version = version(first, self.fence, self.request)?;
        let lack = row.system().filter(|_| row.deleted_at().is_none()).and_then(|system| Lack::of(system, first));
        into.lacks.push((row.id.clone(), lack));
        let event = self.decoder.decode(row, version);
        let key = event.as_ref().ok().map(|event| event.origin.key.clone());
        into.events.push(event);
        Ok(key)
    }

    /// A row that isn't at the source any more. `key` is its `$id`.
    pub(super) fn gone(&self, id: &str, key: &str, first: u64, into: &mut Read) -> Result<()> {
        into.events.push(Ok(self.decoder.gone(key, id, version(first, self.fence, self.request)?)));
        Ok(())
    }
}

impl Read {
    /// Leaves deletes out: they are too many to be believed. Gives how many.
    pub(super) fn keep_rows(&mut self) -> usize {
        let before = self.events.len();
        self.events.retain(|event| !matches!(event, Ok(event) if matches!(event.body, Body::Gone { .. })));
        before - self.events.len()
    }
}

/// When a row was made, in microseconds since 1970, by what the server says of it.
pub(super) fn made_at(system: &Value) -> Option<i64> {
    let at = |name: &str| match system.get(name) {
        Some(Value::Text(text)) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond),
        _ => None,
    };
    at("submissionDate").or_else(|| at("createdAt"))
}
