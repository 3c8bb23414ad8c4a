//! Stream records as they are written: the payload of a scanned item, so that a replay decodes it like any other, and
//! sample events.

use serde::Serialize;
use tributary_core::value::Value;
use tributary_core::{Error, Result};

use super::arn::StreamArn;
use super::attribute::Fields;

/// What a record says of its item.
#[derive(Clone, Copy, Debug)]
pub enum Change<'v> {
    /// A new item.
    Insert(&'v Value),
    /// An item before and after.
    Modify(&'v Value, &'v Value),
    /// An item that is gone; whether its time to live took it.
    Remove(&'v Value, bool),
}

/// One record of a stream with the view type NEW_AND_OLD_IMAGES, as Lambda sends it.
///
/// `key` names the table's key attributes, `at` is in microseconds since 1970; AWS rounds it down to seconds, and so
/// does this.
///
/// # Errors
/// `Data` when an item is no map, lacks a key attribute, or holds what DynamoDB cannot.
pub fn record_json(
    change: Change<'_>,
    key: &[&str],
    arn: &StreamArn,
    sequence_number: &str,
    at: Option<i64>,
) -> Result<String> {
    let mut out = Vec::with_capacity(512);
    write_record(&mut out, change, key, arn, sequence_number, at)?;
    String::from_utf8(out).map_err(|e| Error::new(tributary_core::Kind::Bug, "JSON is not text").with_source(e))
}

/// As [`record_json`], at the end of a buffer.
pub(super) fn write_record(
    out: &mut Vec<u8>,
    change: Change<'_>,
    key: &[impl AsRef<str>],
    arn: &StreamArn,
    sequence_number: &str,
    at: Option<i64>,
) -> Result<()> {
    let (name, new, old, expired) = match change {
        Change::Insert(now) => ("INSERT", Some(now), None, false),
        Change::Modify(before, now) => ("MODIFY", Some(now), Some(before), false),
        Change::Remove(before, expired) => ("REMOVE", None, Some(before), expired),
    };
    let keys = keys_of(new.or(old).unwrap_or(&Value::Null), key)?;
    let size = size(&keys) + new.map_or(0, size) + old.map_or(0, size);
    let record = Record {
        event_id: format!("{:032x}", u128::from(arn.epoch()?.unsigned_abs()) << 64 | low_digits(sequence_number)),
        event_name: name,
        event_version: "1.1",
        event_source: "aws:dynamodb",
        aws_region: arn.region(),
        dynamodb: Inner {
            approximate_creation_date_time: at.map(|micros| micros.div_euclid(1_000_000)),
            keys: Fields(&keys),
            new_image: new.map(Fields),
            old_image: old.map(Fields),
            sequence_number,
            size_bytes: size,
            stream_view_type: "NEW_AND_OLD_IMAGES",
        },
        user_identity: expired.then_some(Identity { principal_id: "dynamodb.amazonaws.com", r#type: "Service" }),
        arn: arn.as_str(),
    };
    serde_json::to_writer(out, &record).map_err(|e| Error::data("not an item of DynamoDB").with_source(e))
}

/// The key attributes of an item, in the order of the table's key.
///
/// # Errors
/// `Data` when one of them is missing.
pub fn keys_of(item: &Value, key: &[impl AsRef<str>]) -> Result<Value> {
    let field = |name: &str| {
        let value = item.get(name).ok_or_else(|| Error::data(format!("the item has no key attribute `{name}`")))?;
        Ok((Box::from(name), value.clone()))
    };
    Ok(Value::Map(key.iter().map(|name| field(name.as_ref())).collect::<Result<_>>()?))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    #[serde(rename = "eventID")]
    event_id: String,
    event_name: &'a str,
    event_version: &'a str,
    event_source: &'a str,
    aws_region: &'a str,
    dynamodb: Inner<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_identity: Option<Identity<'a>>,
    #[serde(rename = "eventSourceARN")]
    arn: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Inner<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    approximate_creation_date_time: Option<i64>,
    keys: Fields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_image: Option<Fields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_image: Option<Fields<'a>>,
    sequence_number: &'a str,
    size_bytes: usize,
    stream_view_type: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    principal_id: &'a str,
    r#type: &'a str,
}

fn low_digits(sequence_number: &str) -> u128 {
    let low = &sequence_number[sequence_number.len().saturating_sub(19)..];
    low.parse().unwrap_or(0)
}

/// The size of an item by the rules of DynamoDB's developer guide ("item sizes and formats").
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Failed(_) | Value::Bool(_) => 1,
        Value::Number(number) => number.digits().len().div_ceil(2) + 1 + usize::from(number.is_negative()),
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(elements) => 3 + elements.iter().map(|element| size(element) + 1).sum::<usize>(),
        Value::Set(elements) => elements.iter().map(size).sum(),
        Value::Map(fields) => fields.iter().map(|(name, value)| name.len() + size(value)).sum(),
    }
}
