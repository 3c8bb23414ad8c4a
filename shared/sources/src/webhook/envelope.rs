//! What a verified body means: events, or a hint that something is to be read elsewhere.
//!
//! Called after [`super::verify`]. A body that is no JSON of the envelope's kind is [`Rejected`] as a whole, and the sender
//! hears of it; a record in it that cannot be made an event is an [`tributary_core::event::Undecodable`], which is
//! dead-lettered, and the sender doesn't send it again. Words about what is wrong name places, never values.
//!
//! # Versions
//! Where [`Envelope::version`] names a place, the integer or the time there is the version. A delete by an envelope that
//! sends the row as it was (Hasura, Supabase) gets the version after it. Else:
//! - Sequin: the place in the log;
//! - Stripe and Hasura: the time of the event, and of equal times the one that arrived later (`at · 10^20 + received`),
//!   because Stripe's is in seconds and Hasura's is the start of a transaction;
//! - all others: the time of receipt, so that **the last that arrives wins**. A sender that retries or runs in parallel
//!   delivers out of order, and an older state then stays: name a version wherever the sender has one.

mod body;
mod github;
mod hasura;
mod hint;
mod identity;
mod mapped;
mod pick;
mod plain;
mod sequin;
mod stripe;
mod supabase;
mod version;

use std::cell::RefCell;

use bytes::Bytes;
use tributary_core::event::{Body, Decoded, Event, Origin, Undecodable};
use tributary_core::path::Path;
use tributary_core::value::Value;
use tributary_core::version::Version;
pub use tributary_core::webhook::envelope::{Envelope, Mapped, Operation, Place, Sequin, Shape};
use tributary_core::{Error, Result};

use super::Headers;
pub use body::{MAX_BODY, MAX_RECORDS, MAX_VALUES};
pub use hint::{Central, Hint};
pub use identity::Dedupe;

/// A body, and what is needed of its request.
#[derive(Clone, Debug)]
pub struct Delivery<'d> {
    /// The headers.
    pub headers: &'d Headers,
    /// The body as it was verified, compressed or not.
    pub body: Bytes,
    /// The id that the signature covers, [`super::verify::Verified::id`].
    pub id: Option<&'d str>,
    /// When it was received, in microseconds since 1970, stamped once at the edge.
    pub received: i64,
    /// How large a body may be, uncompressed; [`MAX_BODY`] unless the operator says otherwise.
    pub limit: usize,
}

/// What a body holds.
#[derive(Debug)]
pub struct Opened {
    /// What tells a delivery from a redelivery.
    pub dedupe: Dedupe,
    /// What it means.
    pub content: Content,
}

/// What a body means.
#[derive(Debug)]
pub enum Content {
    /// Changes of rows.
    Events {
        /// The events, or why there is none. Their positions are unique for the hook, and their payloads are parts of the
        /// uncompressed body, each of which [`reopen`] reads by itself.
        events: Vec<Decoded>,
        /// How many records the envelope's filter (a table, an object type, an event name) leaves to others.
        skipped: usize,
    },
    /// Something is to be read, or run.
    Hint(Hint),
}

/// Why a body was not opened at all.
#[derive(Debug)]
pub enum Rejected {
    /// It is not what the envelope says: answer 400.
    Malformed(Error),
    /// It is larger than the limit, compressed or not, or holds more records or values than memory has room for: answer 413.
    TooLarge(Error),
    /// It is compressed, or of a type, that is not read here: answer 415.
    Unsupported(Error),
}

impl Rejected {
    /// What is wrong, without a value of the body.
    pub fn error(&self) -> &Error {
        match self {
            Rejected::Malformed(error) | Rejected::TooLarge(error) | Rejected::Unsupported(error) => error,
        }
    }
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error().fmt(f)
    }
}

impl std::error::Error for Rejected {}

/// Opens a verified body.
///
/// # Errors
/// [`Rejected`] when nothing in it can be told apart, and nothing is to be kept.
pub fn open(envelope: &Envelope, delivery: &Delivery<'_>) -> Result<Opened, Rejected> {
    let body = body::plain(delivery)?;
    let records = records(envelope, &body)?;
    let listed = records.listed;
    let (base, mut dedupe) = identity::of(envelope, delivery, &body);
    if let Some(hint) = hint::read(&envelope.shape, &body).map_err(Rejected::Malformed)? {
        return Ok(Opened { dedupe, content: Content::Hint(hint) });
    }
    if ids_are_of_records(envelope, listed) {
        dedupe = Dedupe::Events;
    }
    let context = Context::new(envelope, delivery.headers, delivery.received, &body);
    let mut events = Vec::with_capacity(records.parts.len());
    let mut skipped = 0;
    for (index, payload) in records.parts.into_iter().enumerate() {
        let position = if listed { format!("{base}/{index}").into() } else { base.clone() };
        match context.decode(payload, position) {
            Some(decoded) => events.push(decoded),
            None => skipped += 1,
        }
    }
    // Of equal versions the first that arrives counts, and all of a list arrived at once: the last of it counts.
    if listed && envelope.version.is_none() && !matches!(envelope.shape, Shape::Sequin(_)) {
        events.reverse();
    }
    Ok(Opened { dedupe, content: Content::Events { events, skipped } })
}

/// Reads one record by itself: a dead letter's payload, when it is replayed. `received` is when it was received at
/// first: a replay must not be newer than what came since. `None` when it is not for this envelope.
///
/// What stood beside the record in the body, or in a header, is not there any more: paths that begin with `$root.` reach
/// the record only, the position is a digest, and an event of GitHub counts as one of those that are taken.
pub fn reopen(envelope: &Envelope, payload: Bytes, received: i64) -> Option<Decoded> {
    let position = identity::digest(&payload);
    let whole = payload.clone();
    let headers = Headers::default();
    Context::new(envelope, &headers, received, &whole).decode(payload, position)
}

fn records(envelope: &Envelope, body: &Bytes) -> Result<body::Records, Rejected> {
    match &envelope.shape {
        Shape::Plain => body::list_or_one(body),
        Shape::Data => body::list_at(body, "data"),
        Shape::Sequin(_) => sequin::records(body),
        Shape::Mapped(Mapped { rows: Some(rows), .. }) => body::list_at_path(body, rows),
        Shape::Mapped(_)
        | Shape::Hasura { .. }
        | Shape::HasuraSchedule
        | Shape::Supabase { .. }
        | Shape::Stripe { .. }
        | Shape::Github { .. }
        | Shape::Airtable
        | Shape::Central => body::one(body),
    }
}

/// Whether each record of a list says an id of its own.
fn ids_are_of_records(envelope: &Envelope, listed: bool) -> bool {
    match (&envelope.shape, &envelope.id) {
        (Shape::Sequin(_), None) => true,
        (_, Some(Place::Path(path))) => listed && path.first_field() != Some(identity::ROOT),
        _ => false,
    }
}

/// What a path from the top of the body leads to, or why it doesn't.
type Shared = Result<Option<Value>, String>;

/// What all records of a delivery share.
struct Context<'c> {
    envelope: &'c Envelope,
    headers: &'c Headers,
    received: i64,
    whole: &'c Bytes,
    /// What paths from the top of the body lead to, as far as it was asked.
    top: RefCell<Vec<(Path, Shared)>>,
}

impl<'c> Context<'c> {
    fn new(envelope: &'c Envelope, headers: &'c Headers, received: i64, whole: &'c Bytes) -> Self {
        Context { envelope, headers, received, whole, top: RefCell::default() }
    }
}

/// A record that was understood.
struct Understood {
    version: Version,
    at: Option<i64>,
    body: Body,
    key: Box<str>,
}

impl Context<'_> {
    fn decode(&self, payload: Bytes, position: Box<str>) -> Option<Decoded> {
        if let Shape::Sequin(sequin) = &self.envelope.shape {
            return sequin::decode(sequin, &payload, &position, self.envelope.version.clone());
        }
        let mut origin = Origin { position, key: "".into(), payload };
        let understood = std::str::from_utf8(&origin.payload)
            .map_err(|_| Error::data("the record is not UTF-8"))
            .and_then(|record| {
                if let Some(id) = identity::of_record(self, record)? {
                    origin.position = id;
                }
                self.understand(record)
            });
        match understood {
            Ok(None) => None,
            Ok(Some(Understood { version, at, body, key })) => {
                origin.key = key;
                Some(Ok(Event { origin, version, at, body }))
            }
            Err(error) => Some(Err(Undecodable { origin, error })),
        }
    }

    fn understand(&self, record: &str) -> Result<Option<Understood>> {
        match &self.envelope.shape {
            Shape::Plain | Shape::Data => plain::read(self, record).map(Some),
            Shape::Hasura { table } => hasura::read(self, record, table.as_deref()),
            Shape::Supabase { table } => supabase::read(self, record, table.as_deref()),
            Shape::Stripe { objects } => stripe::read(self, record, objects),
            Shape::Github { events } => github::read(self, record, events),
            Shape::Mapped(mapped) => mapped::read(self, record, mapped),
            Shape::Sequin(_) | Shape::HasuraSchedule | Shape::Airtable | Shape::Central => Ok(None),
        }
    }
}

#[cfg(test)]
#[path = "envelope/abuse_tests.rs"]
mod abuse_tests;
#[cfg(test)]
#[path = "envelope/sender_tests.rs"]
mod sender_tests;
#[cfg(test)]
#[path = "envelope/tests.rs"]
mod tests;
