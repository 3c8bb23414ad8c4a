//! A body as text of a bounded size, and the records that it is cut into.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tributary_core::path::Path;
use tributary_core::{Error, Result};

use super::pick::{find, pick, scanning};
use super::{Delivery, Rejected};

/// How large a body may be, uncompressed: Lambda takes 6 MB, and text shrinks to about a quarter.
pub const MAX_BODY: usize = 24 << 20;

/// How many records a body may hold. A list of empty objects would take a hundred times its size in memory.
pub const MAX_RECORDS: usize = 10_000;

/// How many values, nested ones too, a body may hold: a megabyte of the smallest objects takes 80 in memory.
pub const MAX_VALUES: usize = 250_000;

/// The parts of a body that are records each.
pub(super) struct Records {
    pub(super) parts: Vec<Bytes>,
    /// Whether they stood in a list.
    pub(super) listed: bool,
}

/// The body, uncompressed, known to be text, and not to be too much.
pub(super) fn plain(delivery: &Delivery<'_>) -> Result<Bytes, Rejected> {
    let kind = delivery.headers.get("content-type").and_then(|kind| kind.split(';').next()).unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    if kind == "application/x-www-form-urlencoded" || kind.starts_with("multipart/") {
        return Err(Rejected::Unsupported(
            Error::data("the body is a form, where JSON is expected")
                .with_hint("let the sender use the content type application/json"),
        ));
    }
    let encoding = delivery.headers.get("content-encoding").unwrap_or_default().to_ascii_lowercase();
    let body = match &*encoding {
        "" | "identity" => delivery.body.clone(),
        "gzip" | "x-gzip" => gunzip(&delivery.body, delivery.limit)?,
        _ => {
            return Err(Rejected::Unsupported(
                Error::data("the body is compressed in a way that is not read here")
                    .with_hint("send it plain or with gzip"),
            ));
        }
    };
    if body.len() > delivery.limit {
        return Err(Rejected::TooLarge(Error::data(format!("the body is larger than {} bytes", delivery.limit))));
    }
    let text = std::str::from_utf8(&body).map_err(|_| malformed("the body is not UTF-8"))?;
    // Some senders put a byte order mark before JSON.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_matches([' ', '\t', '\r', '\n']);
    if text.is_empty() {
        return Err(malformed("the body is empty"));
    }
    if !values_are_at_most(text, MAX_VALUES) {
        return Err(Rejected::TooLarge(Error::data(format!("the body holds more than {MAX_VALUES} values"))));
    }
    Ok(body.slice_ref(text.as_bytes()))
}

fn malformed(what: &str) -> Rejected {
    Rejected::Malformed(Error::data(what))
}

/// One byte more than the limit at most, whatever the compressed bytes say: then it is known to be too large.
fn gunzip(body: &[u8], limit: usize) -> Result<Bytes, Rejected> {
    let read = bounded(MultiGzDecoder::new(body), limit);
    read.map(Bytes::from).map_err(|_| malformed("the body is said to be gzip and isn't, or ends too early"))
}

fn bounded(reader: impl Read, limit: usize) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    reader.take(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut out)?;
    Ok(out)
}

/// Whether the text has at most so many values: each one but the first of a list or an object follows a comma, each
/// first one a bracket.
fn values_are_at_most(text: &str, most: usize) -> bool {
    let mut values = 1usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in text.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b',' | b'[' | b'{' => values += 1,
            _ => {}
        }
    }
    values <= most
}

/// The body as the one record.
pub(super) fn one(body: &Bytes) -> Result<Records, Rejected> {
    raw(body)?;
    Ok(Records { parts: vec![body.clone()], listed: false })
}

/// The elements of the body if it is a list, else the body itself.
pub(super) fn list_or_one(body: &Bytes) -> Result<Records, Rejected> {
    if body.starts_with(b"[") { cut(body, raw(body)?) } else { one(body) }
}

/// The elements of the list in this field.
pub(super) fn list_at(body: &Bytes, name: &str) -> Result<Records, Rejected> {
    raw(body)?;
    let [list] = pick(text(body), [name]).map_err(Rejected::Malformed)?;
    let list = list.filter(|list| list.get().starts_with('['));
    cut(body, list.ok_or_else(|| malformed(&format!("{name}: is not a list")))?)
}

/// The elements of the list at the end of this path.
pub(super) fn list_at_path(body: &Bytes, path: &Path) -> Result<Records, Rejected> {
    let list = find(raw(body)?, path.steps()).map_err(Rejected::Malformed)?;
    let list = list.filter(|list| list.get().starts_with('['));
    cut(body, list.ok_or_else(|| malformed(&format!("{path}: is not a list")))?)
}

/// `plain` has looked.
fn text(body: &Bytes) -> &str {
    std::str::from_utf8(body).unwrap_or_default()
}

fn raw(body: &Bytes) -> Result<&RawValue, Rejected> {
    scanning(text(body));
    serde_json::from_str(text(body)).map_err(|e| {
        // The parser's own words may quote the body.
        let problem = if e.is_eof() { "ends too early" } else { "is not JSON" };
        malformed(&format!("the body {problem}, line {}, column {}", e.line(), e.column()))
    })
}

fn cut(body: &Bytes, list: &RawValue) -> Result<Records, Rejected> {
    scanning(list.get());
    let mut parts = Vec::new();
    let mut json = serde_json::Deserializer::from_str(list.get());
    let whole = Elements { body, parts: &mut parts }.deserialize(&mut json);
    if parts.len() > MAX_RECORDS {
        return Err(Rejected::TooLarge(
            Error::data(format!("the body holds more than {MAX_RECORDS} records"))
                .with_hint("let the sender deliver smaller batches"),
        ));
    }
    whole.map_err(|_| malformed("the list of records is not JSON"))?;
    Ok(Records { parts, listed: true })
}

/// The elements of a list as parts of the body; gives up after one too many.
struct Elements<'p> {
    body: &'p Bytes,
    parts: &'p mut Vec<Bytes>,
}

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element::<&RawValue>()? {
            self.parts.push(self.body.slice_ref(element.get().as_bytes()));
            if self.parts.len() > MAX_RECORDS {
                return Err(serde::de::Error::custom("too many"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blanks without end, as a bomb is; whoever asks for more than there is room for has lost.
    struct Bomb(usize);

    impl Read for Bomb {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(out.len()).expect("nobody reads that much");
            out.fill(b' ');
            Ok(out.len())
        }
    }

    #[test]
    fn no_more_is_uncompressed_than_the_limit_and_a_byte() {
        assert_eq!(bounded(Bomb(1 << 16), 1000).unwrap().len(), 1001);
    }

    #[test]
    fn counts_values_and_not_what_looks_like_them_in_text() {
        let check = |text: &str, values: usize| {
            assert!(values_are_at_most(text, values) && !values_are_at_most(text, values - 1), "{text}");
        };
        check("7", 1);
        check("[]", 2);
        check("[1,2,3]", 4);
        check(r#"{"a,b":"[{,\",\\"}"#, 2);
        check(r#"{"a\\":[1],"b":{}}"#, 5);
    }
}
