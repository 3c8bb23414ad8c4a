//! The event that Lambda hands to a function behind a DynamoDB stream, record by record.
//!
//! One broken record never takes the others with it: the payload is cut into records first, and each is decoded when
//! the iterator reaches it. A record that cannot be decoded says at which place of its JSON, never what stands there.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tributary_core::decimal::Decimal;
use tributary_core::event::{Body, Decoded, Event, Origin, Undecodable};
use tributary_core::source::Decode;
use tributary_core::value::Value;
use tributary_core::version::Version;
use tributary_core::{Error, Result};

use super::arn::StreamArn;
use super::attribute::plain_json;
use super::wire::read_item;

/// One record of a stream.
#[derive(Debug)]
pub struct Record {
    /// The stream; all records of one stream share it. `None` when the record doesn't say, or says what is no stream.
    pub arn: Option<Arc<StreamArn>>,
    /// The sequence number as it was sent, also where the record is broken: what a partial batch response names.
    pub sequence_number: Option<Box<str>>,
    /// The event, or why there is none.
    pub decoded: Decoded,
}

/// DynamoDB streams as a source that pushes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stream;

impl Decode for Stream {
    type Record = Record;

    fn decode(&self, payload: Bytes) -> Result<impl Iterator<Item = Record>> {
        decode(payload)
    }
}

/// Cuts a Lambda event, `{"Records":[…]}`, into its records. They share its bytes; a `Box<RawValue>` of the Lambda runtime
/// becomes such bytes without a copy: `Bytes::from(String::from(Box::<str>::from(raw)))`.
///
/// # Errors
/// `Data` when this is no JSON, or holds no `Records`.
pub fn decode(payload: Bytes) -> Result<Records> {
    #[derive(Deserialize)]
    struct Delivery<'a> {
        #[serde(borrow, rename = "Records")]
        records: Vec<&'a RawValue>,
    }
    let delivery: Delivery<'_> = serde_json::from_slice(&payload).map_err(|e| {
        // The parser's own words may quote the payload.
        Error::data(format!("not the event of a DynamoDB stream: line {}, column {}", e.line(), e.column()))
            .with_hint("it is a JSON object with a list of `Records`, as an event source mapping sends it")
    })?;
    let start = payload.as_ptr() as usize;
    let range = |raw: &&RawValue| {
        let from = raw.get().as_ptr() as usize - start;
        (from, from + raw.get().len())
    };
    let ranges: Vec<(usize, usize)> = delivery.records.iter().map(range).collect();
    Ok(Records { payload, ranges: ranges.into_iter(), arns: Arns::default() })
}

/// Decodes one record by itself: a dead letter's payload, when it is replayed.
pub fn decode_record(payload: Bytes) -> Record {
    read(payload, &mut Arns::default())
}

/// The records of one Lambda event, in its order; each is decoded as the iterator reaches it.
#[derive(Debug)]
pub struct Records {
    payload: Bytes,
    ranges: std::vec::IntoIter<(usize, usize)>,
    arns: Arns,
}

impl Iterator for Records {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let (from, to) = self.ranges.next()?;
        Some(read(self.payload.slice(from..to), &mut self.arns))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ranges.size_hint()
    }
}

impl ExactSizeIterator for Records {}

/// The last stream seen. An event source mapping sends records of one stream only, so it is parsed once.
#[derive(Debug, Default)]
struct Arns(Option<Arc<StreamArn>>);

impl Arns {
    fn get(&mut self, text: &str) -> Result<Arc<StreamArn>> {
        match &self.0 {
            Some(arn) if arn.as_str() == text => Ok(Arc::clone(arn)),
            _ => {
                let arn = Arc::new(text.parse::<StreamArn>()?);
                self.0 = Some(Arc::clone(&arn));
                Ok(arn)
            }
        }
    }
}

/// A record's outer fields, none of them read yet: one of the wrong type must not hide the others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, C> {
    #[serde(borrow, rename = "eventSourceARN")]
    arn: Option<&'a RawValue>,
    #[serde(borrow)]
    event_name: Option<&'a RawValue>,
    #[serde(borrow)]
    event_source: Option<&'a RawValue>,
    #[serde(borrow)]
    user_identity: Option<&'a RawValue>,
    dynamodb: Option<C>,
    kinesis: Option<IgnoredAny>,
    record_format: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamRecord<'a> {
    #[serde(borrow)]
    keys: Option<&'a RawValue>,
    #[serde(borrow)]
    new_image: Option<&'a RawValue>,
    #[serde(borrow)]
    old_image: Option<&'a RawValue>,
    #[serde(borrow)]
    sequence_number: Option<&'a RawValue>,
    #[serde(borrow)]
    approximate_creation_date_time: Option<&'a RawValue>,
    #[serde(borrow)]
    stream_view_type: Option<&'a RawValue>,
}

fn read(payload: Bytes, arns: &mut Arns) -> Record {
    let mut known = Known::default();
    let read = read_event(&payload, arns, &mut known);
    let origin = Origin { position: known.position(&payload), key: known.key, payload };
    let decoded = match read {
        Ok((version, at, body)) => Ok(Event { origin, version, at, body }),
        Err(error) => Err(Undecodable { origin, error }),
    };
    Record { arn: known.arn, sequence_number: known.sequence_number, decoded }
}

/// What is known of a record, whether or not it can be decoded.
#[derive(Default)]
struct Known {
    arn: Option<Arc<StreamArn>>,
    sequence_number: Option<Box<str>>,
    key: Box<str>,
}

impl Known {
    /// The record's place in its stream. A scanned item has sequence number 0 and is told apart by its key; a record
    /// without a number of its own, by a hash of its bytes.
    fn position(&self, payload: &[u8]) -> Box<str> {
        let label = self.arn.as_ref().map_or("unknown", |arn| arn.label());
        match self.sequence_number.as_deref() {
            Some("0") => backfill_position(label, &self.key),
            Some(number) if is_sequence_number(number) => format!("{label}/{number}").into(),
            _ => format!("{label}/record-{:016x}", fnv1a(payload)).into(),
        }
    }
}

/// The position of an item that a scan found.
pub(super) fn backfill_position(label: &str, key: &str) -> Box<str> {
    format!("backfill/{label}/{key}").into()
}

/// The key of an item as text for people, `{"id":"…"}`.
pub(super) fn key_text(key: &Value) -> Box<str> {
    let mut text = String::with_capacity(48);
    plain_json(key, &mut text);
    text.into()
}

fn read_event(payload: &[u8], arns: &mut Arns, known: &mut Known) -> Result<(Version, Option<i64>, Body)> {
    let envelope: Envelope<'_, StreamRecord<'_>> = serde_json::from_slice(payload).map_err(|_| {
        // Whatever is wrong inside, the stream's name leads to the pipeline whose dead letter this is.
        let outer = serde_json::from_slice::<Envelope<'_, IgnoredAny>>(payload);
        known.arn = outer.ok().and_then(|outer| arns.get(&text(outer.arn)?).ok());
        Error::data("the record or its `dynamodb` is not a JSON object, or has a field twice")
    })?;
    let arn = text(envelope.arn).map(|text| arns.get(&text)).transpose();
    known.arn = arn.as_ref().ok().cloned().flatten();
    let number = envelope.dynamodb.as_ref().and_then(|record| text(record.sequence_number));
    known.sequence_number = number.map(|number| number.into());
    let source = text(envelope.event_source);
    if envelope.kinesis.is_some() || envelope.record_format.is_some() || source.as_deref() == Some("aws:kinesis") {
        return Err(Error::data("the record came by Kinesis, which has no sequence numbers of the table")
            .with_hint("attach the function to the table's DynamoDB stream instead"));
    }
    if source.is_some_and(|source| source != "aws:dynamodb") {
        return Err(Error::data("eventSource: is not aws:dynamodb"));
    }
    let record = envelope.dynamodb.ok_or_else(|| missing("dynamodb"))?;
    let keys = record.keys.ok_or_else(|| missing("dynamodb.Keys")).and_then(|keys| item("Keys", keys));
    if let Ok(keys) = &keys {
        known.key = key_text(keys);
    }

    let arn = arn.map_err(|e| in_field("eventSourceARN", &e))?.ok_or_else(|| missing("eventSourceARN"))?;
    let epoch = arn.epoch().map_err(|e| in_field("eventSourceARN", &e))?;
    let keys = keys?;
    if matches!(&keys, Value::Map(fields) if fields.is_empty()) {
        return Err(missing("dynamodb.Keys"));
    }
    let number = known.sequence_number.as_deref().ok_or_else(|| missing("dynamodb.SequenceNumber"))?;
    if !is_sequence_number(number) {
        return Err(Error::data("dynamodb.SequenceNumber: is not 1 to 40 digits"));
    }
    let version = Version::new(epoch, number).map_err(|e| in_field("dynamodb.SequenceNumber", &e))?;
    let at = record.approximate_creation_date_time.map(creation_time).transpose()?;
    let before = record.old_image.map(|image| item("OldImage", image)).transpose()?;

    let body = match text(envelope.event_name).as_deref() {
        Some("INSERT" | "MODIFY") => {
            let image = record.new_image.ok_or_else(|| no_new_image(record.stream_view_type))?;
            Body::Image { now: item("NewImage", image)?, before }
        }
        Some("REMOVE") => Body::Gone { key: keys, before, expired: expired(envelope.user_identity) },
        Some(_) => return Err(Error::data("eventName: is none of INSERT, MODIFY, REMOVE")),
        None => return Err(missing("eventName")),
    };
    Ok((version, at, body))
}

fn missing(field: &str) -> Error {
    Error::data(format!("{field}: is missing"))
}

fn in_field(field: &str, error: &Error) -> Error {
    let hint = error.hint().map(str::to_owned);
    let error = Error::data(format!("{field}: {error}"));
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn item(field: &str, raw: &RawValue) -> Result<Value> {
    read_item(raw.get()).map_err(|fault| Error::data(format!("dynamodb.{field}{}: {}", fault.path, fault.reason)))
}

fn no_new_image(view: Option<&RawValue>) -> Error {
    let view = match text(view).as_deref() {
        Some("KEYS_ONLY") => "; the stream's view type is KEYS_ONLY",
        Some("OLD_IMAGE") => "; the stream's view type is OLD_IMAGE",
        _ => "",
    };
    Error::data(format!("dynamodb.NewImage: is missing{view}"))
        .with_hint("enable the stream with the view type NEW_AND_OLD_IMAGES, then run a backfill")
}

/// The text of a JSON string; `None` for any other JSON.
fn text(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let raw = raw?.get();
    let inside = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') { serde_json::from_str(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inside)) }
}

/// DynamoDB documents 21 to 40 digits; the console's test event has three.
fn is_sequence_number(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether the table's time to live removed the item. Lambda sends lowercase names, `GetRecords` capitalized ones.
fn expired(identity: Option<&RawValue>) -> bool {
    #[derive(Deserialize)]
    struct Identity<'a> {
        #[serde(borrow, alias = "Type")]
        r#type: Option<&'a RawValue>,
        #[serde(borrow, rename = "principalId", alias = "PrincipalId")]
        principal: Option<&'a RawValue>,
    }
    let identity = identity.and_then(|raw| serde_json::from_str::<Identity<'_>>(raw.get()).ok());
    identity.is_some_and(|identity| {
        text(identity.r#type).as_deref() == Some("Service")
            && text(identity.principal).as_deref() == Some("dynamodb.amazonaws.com")
    })
}

/// When the change was made, in microseconds since 1970. AWS sends whole seconds, emulators fractions or text like
/// `1.7E9`, and a copied record may have an ISO time.
fn creation_time(raw: &RawValue) -> Result<i64> {
    /// The end of the year 9999.
    const LAST: i64 = 253_402_300_799_999_999;
    let bad = || Error::data("dynamodb.ApproximateCreationDateTime: is not a time");
    let shown = text(Some(raw)).unwrap_or(Cow::Borrowed(raw.get()));
    let micros = match Decimal::parse(&shown) {
        Ok(seconds) => micros_of(&seconds).ok_or_else(bad)?,
        Err(_) => shown.parse::<jiff::Timestamp>().map_err(|_| bad())?.as_microsecond(),
    };
    if (0..=LAST).contains(&micros) { Ok(micros) } else { Err(bad()) }
}

fn micros_of(seconds: &Decimal) -> Option<i64> {
    let (digits, shift) = (seconds.digits(), seconds.exponent() + 6);
    if digits.is_empty() {
        return Some(0);
    }
    let kept = digits.len().saturating_sub(shift.min(0).unsigned_abs() as usize);
    let whole: i64 = if kept == 0 { 0 } else { digits[..kept].parse().ok()? };
    let micros = whole.checked_mul(10i64.checked_pow(shift.max(0).unsigned_abs())?)?;
    Some(if seconds.is_negative() { -micros } else { micros })
}

/// FNV-1a, 64 bits: the same in every version of this program, unlike the standard library's hash.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
