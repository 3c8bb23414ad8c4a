//! The sender's side: what a request must carry to be accepted. For `tributary hook test`, and for tests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tributary_core::{Error, Result};

use super::Verifier;
use super::claim::{AIRTABLE, GITHUB, Part, SHOPIFY, STRIPE};
use super::encoding::Coding;
use super::key::{Key, Keys, join, tag};
use crate::webhook::scheme::{Encoding, Hmac, Piece, Scheme, Unit};

/// A request to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'o> {
    /// The body, compressed if it is to be sent so.
    pub body: &'o [u8],
    /// The id of the delivery, for schemes that sign one.
    pub id: &'o str,
    /// The time, in seconds since 1970, for schemes that sign one.
    pub now: i64,
}

/// The headers that the scheme's sender adds: with a signature for each of the secrets where the scheme has room for
/// several, else for the first one.
///
/// # Errors
/// `Config` as of [`Verifier::new`], and when a `whpk_…` is to sign: the private key is `whsk_…`.
pub fn sign<S: AsRef<str>>(scheme: &Scheme, secrets: &[S], outgoing: &Outgoing<'_>) -> Result<Vec<(String, String)>> {
    Verifier::new(scheme.clone(), secrets)?;
    let first = secrets.first().map(S::as_ref).unwrap_or_default();
    let keys = Keys::new(scheme, secrets)?;
    let one = |header: &str, value: String| Ok(vec![(header.to_owned(), value)]);
    let body_alone = |header: &str, prefix: &str, encoding: Encoding| {
        one(header, format!("{prefix}{}", mac(&keys, &[Part::Body], outgoing.body, encoding)?))
    };
    match scheme {
        Scheme::None => Ok(Vec::new()),
        Scheme::Bearer => one("authorization", format!("Bearer {first}")),
        Scheme::Basic => one("authorization", format!("Basic {}", STANDARD.encode(first))),
        Scheme::Header { header } => one(header, first.to_owned()),
        Scheme::Github => body_alone(GITHUB, "sha256=", Encoding::Hex),
        Scheme::Shopify => body_alone(SHOPIFY, "", Encoding::Base64),
        Scheme::Airtable => body_alone(AIRTABLE, "hmac-sha256=", Encoding::Hex),
        Scheme::Convoy { header, encoding, advanced: None, .. } => body_alone(header, "", *encoding),
        Scheme::Convoy { header, encoding, advanced: Some(_), .. } => {
            one(header, pairs(&keys, outgoing, *encoding, ",")?)
        }
        Scheme::Stripe { .. } => one(STRIPE, pairs(&keys, outgoing, Encoding::Hex, ".")?),
        Scheme::Standard { .. } => standard(&keys, outgoing),
        Scheme::Hmac(hmac) => generic(&keys, hmac, outgoing),
    }
}

fn pairs(keys: &Keys, outgoing: &Outgoing<'_>, encoding: Encoding, between: &str) -> Result<String> {
    let time = outgoing.now.to_string();
    let signed = [Part::Text(&time), Part::Text(between), Part::Body];
    let signatures = keys.iter().map(|key| Ok(format!(",v1={}", mac_of(key, &signed, outgoing.body, encoding)?)));
    Ok(format!("t={time}{}", signatures.collect::<Result<String>>()?))
}

fn standard(keys: &Keys, outgoing: &Outgoing<'_>) -> Result<Vec<(String, String)>> {
    let time = outgoing.now.to_string();
    let signed = [Part::Text(outgoing.id), Part::Text("."), Part::Text(&time), Part::Text("."), Part::Body];
    let signature = |key: &Key| match key {
        Key::Pair(pair) => Ok(format!("v1a,{}", STANDARD.encode(pair.sign(&join(&signed, outgoing.body))))),
        key => Ok(format!("v1,{}", mac_of(key, &signed, outgoing.body, Encoding::Base64)?)),
    };
    let signatures = keys.iter().map(signature).collect::<Result<Vec<String>>>()?;
    Ok(vec![
        ("webhook-id".to_owned(), outgoing.id.to_owned()),
        ("webhook-timestamp".to_owned(), time),
        ("webhook-signature".to_owned(), signatures.join(" ")),
    ])
}

fn generic(keys: &Keys, hmac: &Hmac, outgoing: &Outgoing<'_>) -> Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    let mut time = String::new();
    if let Some(timestamp) = &hmac.timestamp {
        time = match timestamp.unit {
            Unit::Seconds => outgoing.now.to_string(),
            Unit::Milliseconds => outgoing.now.saturating_mul(1000).to_string(),
            Unit::Iso => jiff::Timestamp::from_second(outgoing.now)
                .map_err(|e| Error::config("the time to sign with is out of range").with_source(e))?
                .to_string(),
        };
        headers.push((timestamp.header.to_string(), time.clone()));
    }
    headers.extend(hmac.id.iter().map(|header| (header.to_string(), outgoing.id.to_owned())));
    let signed: Vec<Part<'_>> = hmac
        .template
        .pieces()
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => Part::Text(text),
            Piece::Body => Part::Body,
            Piece::Timestamp => Part::Text(&time),
            Piece::Id => Part::Text(outgoing.id),
        })
        .collect();
    let signature = mac(keys, &signed, outgoing.body, hmac.encoding)?;
    headers.push((hmac.header.to_string(), format!("{}{signature}", hmac.prefix)));
    Ok(headers)
}

fn mac(keys: &Keys, signed: &[Part<'_>], body: &[u8], encoding: Encoding) -> Result<String> {
    keys.iter().next().map_or_else(|| Err(no_key()), |key| mac_of(key, signed, body, encoding))
}

fn mac_of(key: &Key, signed: &[Part<'_>], body: &[u8], encoding: Encoding) -> Result<String> {
    match key {
        Key::Mac(key) => Ok(encoding.encode(tag(key, signed, body).as_ref())),
        Key::Public(_) | Key::Pair(_) => Err(no_key()),
    }
}

fn no_key() -> Error {
    Error::config("a public key verifies, it cannot sign").with_hint("name the private key, `whsk_…`")
}
