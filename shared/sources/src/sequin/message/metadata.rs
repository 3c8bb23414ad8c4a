//! What a message says of itself beside the row.

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_core::decimal::Decimal;

/// The metadata of a message, as much of it as is needed. A field of the wrong type counts as missing: the others still
/// say which table and which row a dead letter is about.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    /// The schema of the source table.
    pub(super) schema: Box<str>,
    /// The source table.
    pub(super) table: Box<str>,
    /// The end of the transaction in the log.
    pub(super) lsn: Option<u64>,
    /// The change's place within the transaction.
    pub(super) idx: Option<u32>,
    /// When the transaction was committed, in microseconds since 1970.
    pub(super) at: Option<i64>,
    /// The same for every delivery of the change.
    pub(super) idempotency_key: Option<Box<str>>,
    /// The row's primary key for people, its columns joined by commas; empty when the server doesn't send it.
    pub(super) pks: Box<str>,
}

/// The metadata as it is sent, none of its fields read yet: one of the wrong type must not hide the others.
#[derive(Deserialize)]
pub(super) struct Wire<'a> {
    #[serde(borrow)]
    table_schema: Option<&'a RawValue>,
    #[serde(borrow)]
    table_name: Option<&'a RawValue>,
    #[serde(borrow)]
    commit_timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    commit_lsn: Option<&'a RawValue>,
    #[serde(borrow)]
    commit_idx: Option<&'a RawValue>,
    #[serde(borrow)]
    idempotency_key: Option<&'a RawValue>,
    #[serde(borrow)]
    record_pks: Option<&'a RawValue>,
}

impl Metadata {
    /// `None` when this is no object that names a table.
    pub(super) fn read(raw: &RawValue) -> Option<Self> {
        Metadata::of(&serde_json::from_str(raw.get()).ok()?)
    }

    /// `None` when it names no table.
    pub(super) fn of(wire: &Wire<'_>) -> Option<Self> {
        let at = wire.commit_timestamp.and_then(text).and_then(|text| text.parse::<jiff::Timestamp>().ok());
        Some(Metadata {
            schema: wire.table_schema.and_then(text).unwrap_or_default(),
            table: wire.table_name.and_then(text)?,
            lsn: wire.commit_lsn.and_then(integer),
            idx: wire.commit_idx.and_then(integer),
            at: at.map(|at| at.as_microsecond()),
            idempotency_key: wire.idempotency_key.and_then(text).filter(|key| !key.is_empty()),
            pks: wire.record_pks.map(joined).unwrap_or_default(),
        })
    }
}

/// The text of a JSON string; `None` for any other JSON.
pub(super) fn text(raw: &RawValue) -> Option<Box<str>> {
    let inside = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') { serde_json::from_str::<Box<str>>(raw.get()).ok() } else { Some(inside.into()) }
}

/// A number without a fraction, also as text.
fn integer<T: TryFrom<i128>>(raw: &RawValue) -> Option<T> {
    let digits = text(raw).unwrap_or_else(|| raw.get().into());
    T::try_from(Decimal::parse(&digits).ok()?.to_i128()?).ok()
}

fn joined(raw: &RawValue) -> Box<str> {
    let parts: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
    let parts: Vec<Box<str>> = parts.into_iter().map(|part| text(part).unwrap_or_else(|| part.get().into())).collect();
    parts.join(",").into()
}
