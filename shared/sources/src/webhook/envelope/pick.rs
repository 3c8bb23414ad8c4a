//! Parts of JSON text, found without reading the rest into memory.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tributary_core::path::Step;
use tributary_core::value::Value;
use tributary_core::{Error, Result};

use crate::json;

/// The fields of an object by these names. Of a name that comes twice the last one counts, as everywhere.
///
/// # Errors
/// `Data` when this is no object.
pub(super) fn pick<'j, const N: usize>(json: &'j str, names: [&str; N]) -> Result<[Option<&'j RawValue>; N]> {
    scanning(json);
    let mut found = [None; N];
    let mut reader = serde_json::Deserializer::from_str(json);
    let read = Fields { names: &names, found: &mut found }.deserialize(&mut reader);
    read.map_err(|_| Error::data("is not a JSON object"))?;
    Ok(found)
}

/// The value at the end of a path's steps.
///
/// # Errors
/// `Data` when what a step leads into is no JSON.
pub(super) fn find<'j>(json: &'j RawValue, steps: &[Step]) -> Result<Option<&'j RawValue>> {
    let mut at = json;
    for step in steps {
        let next = match step {
            Step::Field(name) if at.get().starts_with('{') => pick(at.get(), [name])?[0],
            Step::Index(index) if at.get().starts_with('[') => nth(at.get(), *index)?,
            Step::Field(_) | Step::Index(_) => None,
        };
        match next {
            Some(next) => at = next,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

fn nth(json: &str, index: usize) -> Result<Option<&RawValue>> {
    scanning(json);
    let mut reader = serde_json::Deserializer::from_str(json);
    Nth(index).deserialize(&mut reader).map_err(|_| Error::data("is not a JSON list"))
}

/// A field that must be there; an explicit null is not.
pub(super) fn needed<'j>(name: &str, raw: Option<&'j RawValue>) -> Result<&'j RawValue> {
    some(raw).ok_or_else(|| Error::data(format!("{name}: is missing")))
}

/// What is there and not null.
pub(super) fn some(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

/// The text of a JSON string; `None` for any other JSON.
pub(super) fn text(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let raw = raw?.get();
    if !raw.contains('\\') {
        return raw.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed);
    }
    // Half a surrogate pair is text to us, and not to serde.
    match json::read(raw) {
        Ok(Value::Text(text)) => Some(Cow::Owned(text.into())),
        _ => None,
    }
}

/// The text of a string or of a number: how an id or a word is written.
pub(super) fn word(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let raw = some(raw)?;
    match raw.get().as_bytes().first() {
        Some(b'{' | b'[') => None,
        Some(b'"') => text(Some(raw)),
        _ => Some(Cow::Borrowed(raw.get())),
    }
}

/// The value of a part, its numbers exact.
///
/// # Errors
/// `Data`, with the part's name and the place in it.
pub(super) fn value(name: &str, raw: &RawValue) -> Result<Value> {
    scanning(raw.get());
    json::read(raw.get()).map_err(|error| Error::data(format!("{name}: {error}")))
}

/// A part that must be an object, as a row is.
///
/// # Errors
/// As [`value`], and when it is no object.
pub(super) fn row(name: &str, raw: &RawValue) -> Result<Value> {
    match value(name, raw)? {
        row @ Value::Map(_) => Ok(row),
        other => Err(Error::data(format!("{name}: is {}, where a JSON object is expected", other.kind()))),
    }
}

/// A whole text as one value, not read yet.
///
/// # Errors
/// `Data` when it is not JSON, or not JSON alone.
pub(super) fn whole(json: &str) -> Result<&RawValue> {
    scanning(json);
    serde_json::from_str(json).map_err(|_| Error::data("the record is not JSON"))
}

/// Notes that a text is read from its beginning to its end. Tests count it, so that no part of a body is read for each of
/// its records.
pub(super) fn scanning(json: &str) {
    #[cfg(test)]
    SCANNED.with(|scanned| scanned.set(scanned.get() + json.len()));
    let _ = json;
}

#[cfg(test)]
thread_local! {
    /// How many bytes were read on this thread, each as often as it was.
    pub(super) static SCANNED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

struct Fields<'f, 'j> {
    names: &'f [&'f str],
    found: &'f mut [Option<&'j RawValue>],
}

impl<'j> DeserializeSeed<'j> for Fields<'_, 'j> {
    type Value = ();

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'j> Visitor<'j> for Fields<'_, 'j> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = fields.next_key::<Name<'j>>()? {
            match self.names.iter().position(|wanted| *wanted == name) {
                Some(place) => self.found[place] = Some(fields.next_value()?),
                None => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A field's name, borrowed where it has no escape.
#[derive(Deserialize)]
struct Name<'j>(#[serde(borrow)] Cow<'j, str>);

struct Nth(usize);

impl<'j> DeserializeSeed<'j> for Nth {
    type Value = Option<&'j RawValue>;

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'j> Visitor<'j> for Nth {
    type Value = Option<&'j RawValue>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let mut index = 0;
        while let Some(element) = list.next_element::<&RawValue>()? {
            if index == self.0 {
                found = Some(element);
            }
            index += 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_parts_and_reads_no_more() {
        let json = r#"{"a":{"b":[1,{"c":"x"}]},"a\u0062":2,"twice":1,"twice":[true]}"#;
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let check = |path: &str, expect: Option<&str>| {
            let found = find(raw, path.parse::<tributary_core::path::Path>().unwrap().steps()).unwrap();
            assert_eq!(found.map(RawValue::get), expect, "{path}");
        };
        check("a.b[1].c", Some(r#""x""#));
        check("a.b", Some(r#"[1,{"c":"x"}]"#));
        check("ab", Some("2"));
        check("twice[0]", Some("true"));
        check("a.b[2]", None);
        check("a.b.c", None);
        check("a[0]", None);
        check("ab.x", None);
        assert!(pick("[1]", ["a"]).is_err());
        assert!(pick("7", ["a"]).is_err());
    }

    #[test]
    fn half_a_pair_of_surrogates_is_text() {
        let raw: &RawValue = serde_json::from_str(r#""\ud800x""#).unwrap();
        assert_eq!(text(Some(raw)).as_deref(), Some("\u{fffd}x"));
    }
}
