//! What every source delivers, whatever its wire format: one event a record.

use bytes::Bytes;

use crate::error::Error;
use crate::value::Value;
use crate::version::Version;

/// A record of a source, decoded: the state of one item at one version.
#[derive(Clone, Debug)]
pub struct Event {
    /// Where it came from and how the dead-letter table shows it.
    pub origin: Origin,
    /// The version of the item after this event.
    pub version: Version,
    /// When the source made the change, in microseconds since 1970; never used to order changes.
    pub at: Option<i64>,
    /// What happened.
    pub body: Body,
}

/// What happened to the item.
#[derive(Clone, Debug)]
pub enum Body {
    /// The item now is this, whole: a field that is absent here is gone.
    Image {
        /// The whole item.
        now: Value,
        /// The item before, where the source sends it.
        before: Option<Value>,
    },
    /// Some of the item's fields now are this. A field at its top that is absent here is as it was, whatever that is; one
    /// that is null is null. What stands inside of a field is whole.
    ///
    /// Only for sources whose [`crate::pipeline::SourceKind::sends_parts`] says so: their tables keep a version per column.
    /// The fields that the tables' keys come from must be in every part.
    Part {
        /// The fields that are known.
        now: Value,
        /// The item before, or what is known of it, where the source sends it.
        before: Option<Value>,
    },
    /// The item is gone.
    Gone {
        /// Its key fields.
        key: Value,
        /// The item before, where the source sends it.
        before: Option<Value>,
        /// Whether it expired instead of being deleted by somebody.
        expired: bool,
    },
}

/// Where an event came from: enough to find it again, and to replay it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The position within the source, unique for the pipeline: a dead letter is stored once a position.
    pub position: Box<str>,
    /// The item's key as text, for people; empty when unknown.
    pub key: Box<str>,
    /// The record as it arrived, byte for byte: mostly a part of the payload that all records of a delivery share.
    pub payload: Bytes,
}

/// A record that could not be decoded into an event. It is dead-lettered with its bytes.
#[derive(Debug)]
pub struct Undecodable {
    /// Where it came from.
    pub origin: Origin,
    /// Why.
    pub error: Error,
}

/// What decoding one record gives.
pub type Decoded = Result<Event, Undecodable>;
