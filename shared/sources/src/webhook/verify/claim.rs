//! What a request claims: its signatures, and what it says was signed, read from its headers.

use std::time::Duration;

use super::encoding::Coding;
use super::{Kind, MAX_HEADER, MAX_SIGNATURES, Refusal, Subject};
use crate::webhook::Headers;
use crate::webhook::scheme::{Encoding, Hmac, Piece, Scheme, Unit};

/// What a request claims.
pub(super) struct Claim<'r> {
    /// The signatures that could be read, at least one.
    pub(super) signatures: Vec<Signature>,
    /// What was signed, in its order.
    pub(super) signed: Vec<Part<'r>>,
    /// The signed time.
    pub(super) time: Option<Time>,
    /// The signed id.
    pub(super) id: Option<&'r str>,
}

/// A signature, decoded.
pub(super) enum Signature {
    /// An HMAC.
    Mac(Vec<u8>),
    /// A signature of Ed25519.
    Ed25519(Vec<u8>),
}

/// A part of what was signed.
#[derive(Clone, Copy)]
pub(super) enum Part<'r> {
    /// Text.
    Text(&'r str),
    /// The body.
    Body,
}

/// A signed time.
pub(super) struct Time {
    pub(super) micros: i64,
    pub(super) tolerance: Duration,
}

pub(super) const GITHUB: &str = "x-hub-signature-256";
pub(super) const SHOPIFY: &str = "x-shopify-hmac-sha256";
pub(super) const AIRTABLE: &str = "x-airtable-content-mac";
pub(super) const STRIPE: &str = "stripe-signature";

impl<'r> Claim<'r> {
    /// Reads the headers of a scheme that signs.
    pub(super) fn read(scheme: &'r Scheme, headers: &'r Headers) -> Result<Self, Refusal> {
        use Encoding::{Base64, Hex};
        match scheme {
            Scheme::Standard { tolerance } => standard(headers, *tolerance),
            Scheme::Stripe { tolerance } => pairs(headers, STRIPE, Hex, ".", *tolerance),
            Scheme::Github => body_alone(headers, GITHUB, "sha256=", Hex),
            Scheme::Shopify => body_alone(headers, SHOPIFY, "", Base64),
            Scheme::Airtable => body_alone(headers, AIRTABLE, "hmac-sha256=", Hex),
            Scheme::Convoy { header, encoding, advanced: None, .. } => body_alone(headers, header, "", *encoding),
            Scheme::Convoy { header, encoding, advanced: Some(tolerance), .. } => {
                pairs(headers, header, *encoding, ",", *tolerance)
            }
            Scheme::Hmac(hmac) => generic(headers, hmac),
            Scheme::Bearer | Scheme::Header { .. } | Scheme::Basic | Scheme::None => {
                Err(Refusal::new(Kind::Missing, Subject::Signature))
            }
        }
    }
}

fn standard(headers: &Headers, tolerance: Duration) -> Result<Claim<'_>, Refusal> {
    // Who sends both sends the same; one family is read, whole.
    let svix = headers.get("webhook-signature").is_none() && headers.get("svix-signature").is_some();
    let names = if svix {
        ["svix-id", "svix-timestamp", "svix-signature"]
    } else {
        ["webhook-id", "webhook-timestamp", "webhook-signature"]
    };
    let id = present(headers, names[0], Subject::Id)?;
    let timestamp = present(headers, names[1], Subject::Timestamp)?;
    let signature = present(headers, names[2], Subject::Signature)?;
    // `v1,AAA= v1a,BBB=`; a header that came twice is joined by a comma, which base64 doesn't have.
    let mut words = signature.split([' ', ',']).filter(|word| !word.is_empty());
    let mut signatures = Vec::new();
    let mut seen = 0;
    while let Some(version) = words.next() {
        bounded(&mut seen)?;
        let read: fn(Vec<u8>) -> Signature = match version {
            "v1" => Signature::Mac,
            "v1a" => Signature::Ed25519,
            _ => continue,
        };
        signatures.extend(words.next().and_then(|word| Encoding::Base64.decode(word)).map(read));
    }
    let time = Time { micros: micros(timestamp, Unit::Seconds)?, tolerance };
    let signed = vec![Part::Text(id), Part::Text("."), Part::Text(timestamp), Part::Text("."), Part::Body];
    Ok(Claim { signatures: some(signatures)?, signed, time: Some(time), id: Some(id) })
}

/// `t=…,v1=…`, of Stripe and Convoy.
fn pairs<'r>(
    headers: &'r Headers,
    header: &str,
    encoding: Encoding,
    between: &'static str,
    tolerance: Duration,
) -> Result<Claim<'r>, Refusal> {
    let value = present(headers, header, Subject::Signature)?;
    let mut timestamp = None;
    let mut signatures = Vec::new();
    let mut seen = 0;
    for pair in value.split(',') {
        bounded(&mut seen)?;
        match pair.trim().split_once('=') {
            // Of two times it would be open which one was signed.
            Some(("t", _)) if timestamp.is_some() => return Err(malformed(Subject::Timestamp)),
            Some(("t", text)) => timestamp = Some(text),
            Some(("v1", text)) => signatures.extend(encoding.decode(text).map(Signature::Mac)),
            _ => {}
        }
    }
    let timestamp = timestamp.ok_or(Refusal::new(Kind::Missing, Subject::Timestamp))?;
    let time = Time { micros: micros(timestamp, Unit::Seconds)?, tolerance };
    let signed = vec![Part::Text(timestamp), Part::Text(between), Part::Body];
    Ok(Claim { signatures: some(signatures)?, signed, time: Some(time), id: None })
}

fn body_alone<'r>(headers: &'r Headers, header: &str, prefix: &str, encoding: Encoding) -> Result<Claim<'r>, Refusal> {
    let signatures = list(headers, header, prefix, encoding)?;
    Ok(Claim { signatures, signed: vec![Part::Body], time: None, id: None })
}

fn generic<'r>(headers: &'r Headers, hmac: &'r Hmac) -> Result<Claim<'r>, Refusal> {
    let timestamp = hmac.timestamp.as_ref();
    let sent = timestamp.map(|time| present(headers, &time.header, Subject::Timestamp)).transpose()?;
    let id = hmac.id.as_ref().map(|header| present(headers, header, Subject::Id)).transpose()?;
    let signatures = list(headers, &hmac.header, &hmac.prefix, hmac.encoding)?;
    let signed = hmac.template.pieces().iter().map(|piece| match piece {
        Piece::Text(text) => Part::Text(text),
        Piece::Body => Part::Body,
        Piece::Timestamp => Part::Text(sent.unwrap_or_default()),
        Piece::Id => Part::Text(id.unwrap_or_default()),
    });
    let signed = signed.collect();
    let time = match (timestamp, sent) {
        (Some(time), Some(sent)) => Some(Time { micros: micros(sent, time.unit)?, tolerance: time.tolerance }),
        _ => None,
    };
    Ok(Claim { signatures, signed, time, id })
}

/// A signature, or several where the header came several times.
fn list(headers: &Headers, header: &str, prefix: &str, encoding: Encoding) -> Result<Vec<Signature>, Refusal> {
    let value = present(headers, header, Subject::Signature)?;
    let mut signatures = Vec::new();
    let mut seen = 0;
    for word in value.split(',') {
        bounded(&mut seen)?;
        let text = word.trim().strip_prefix(prefix);
        signatures.extend(text.and_then(|text| encoding.decode(text)).map(Signature::Mac));
    }
    some(signatures)
}

fn malformed(subject: Subject) -> Refusal {
    Refusal::new(Kind::Malformed, subject)
}

fn bounded(seen: &mut usize) -> Result<(), Refusal> {
    *seen += 1;
    // Beside the signatures there may be a time, and versions that we don't know.
    if *seen > 2 * MAX_SIGNATURES { Err(malformed(Subject::Signature)) } else { Ok(()) }
}

fn some(signatures: Vec<Signature>) -> Result<Vec<Signature>, Refusal> {
    let readable = signatures.iter().any(|signature| match signature {
        Signature::Mac(bytes) | Signature::Ed25519(bytes) => !bytes.is_empty(),
    });
    if readable && signatures.len() <= MAX_SIGNATURES { Ok(signatures) } else { Err(malformed(Subject::Signature)) }
}

/// A header that is there, says something, and isn't too long.
pub(super) fn present<'r>(headers: &'r Headers, name: &str, subject: Subject) -> Result<&'r str, Refusal> {
    match headers.get(name) {
        None | Some("") => Err(Refusal::new(Kind::Missing, subject)),
        Some(value) if value.len() > MAX_HEADER => Err(malformed(subject)),
        Some(value) => Ok(value),
    }
}

/// A time as it was sent, in microseconds since 1970.
fn micros(text: &str, unit: Unit) -> Result<i64, Refusal> {
    let bad = malformed(Subject::Timestamp);
    let factor = match unit {
        Unit::Seconds => 1_000_000,
        Unit::Milliseconds => 1_000,
        Unit::Iso => return text.parse::<jiff::Timestamp>().map(|time| time.as_microsecond()).map_err(|_| bad),
    };
    // `parse` takes a sign too.
    if !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(bad);
    }
    text.parse::<i64>().ok().and_then(|number| number.checked_mul(factor)).ok_or(bad)
}
