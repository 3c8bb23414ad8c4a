//! Rows of a feed as events: the whole submission or entity, or that it is gone.

use bytes::Bytes;
use indexmap::IndexMap;
use tributary_core::event::{Body, Decoded, Event, Origin, Undecodable};
use tributary_core::path::Path;
use tributary_core::pipeline::{ATTACHMENTS, ELEMENT_ID, MARK, OdkSource, RAW, RECORD_ID};
use tributary_core::value::Value;
use tributary_core::version::Version;
use tributary_core::{Error, Result};

use super::flat::{Flat, Roles, flat, without_links};
use super::page::Row;
use super::schema::Schema;

/// Reads rows of one form or dataset, as its schema says.
#[derive(Clone, Debug)]
pub struct Decoder {
    roles: Roles,
    entities: bool,
    key: Vec<Path>,
}

impl Decoder {
    /// A reader for what this schema describes and this source reads.
    pub fn new(schema: &Schema, source: &OdkSource) -> Self {
        Decoder { roles: Roles::of(schema), entities: schema.is_of_entities(), key: source.key.clone() }
    }

    /// Reads a row at this version.
    ///
    /// # Errors
    /// An [`Undecodable`] for a row that cannot be read, or that has no key: it goes to the dead letters.
    pub fn decode(&self, row: Row, version: Version) -> Decoded {
        let (deleted_at, changed_at) = (row.deleted_at(), row.changed_at());
        let Row { id, value, payload } = row;
        let position = if id.is_empty() { "a row without an id".into() } else { id.clone() };
        let (key, item) = match value.and_then(|value| self.item(value)) {
            Ok(read) => read,
            Err(error) => {
                let origin = Origin { position, key: id, payload };
                return Err(Undecodable { origin, error });
            }
        };
        let origin = Origin { position, key: key.clone(), payload };
        let (at, body) = match deleted_at {
            None => (changed_at, Body::Image { now: item, before: None }),
            Some(at) => {
                let body = Body::Gone { key: key_of(&key, &id), before: Some(item), expired: false };
                (Some(at).filter(|at| *at > 0), body)
            }
        };
        Ok(Event { origin, version, at, body })
    }

    /// What a row is now that the server has none of this `__id`: it was purged. `key` is its `$id`, as it was when the
    /// row was there.
    pub fn gone(&self, key: &str, id: &str, version: Version) -> Event {
        let payload = serde_json::json!({ "__id": id, "purged": true }).to_string();
        let origin = Origin { position: id.into(), key: key.into(), payload: Bytes::from(payload) };
        Event { origin, version, at: None, body: Body::Gone { key: key_of(key, id), before: None, expired: false } }
    }

    fn item(&self, row: Value) -> Result<(Box<str>, Value)> {
        let key = self.key.iter().find_map(|path| text(path.find(&row)?)).ok_or_else(|| {
            let paths: Vec<String> = self.key.iter().map(ToString::to_string).collect();
            Error::data(format!("the row has no key: nothing stands in {}", paths.join(", "))).with_hint(
                "name a field that every row has in `key:` of the source, or leave it out: `__id` is always there",
            )
        })?;
        let raw = without_links(&row);
        let mark = mark(&row);
        let Value::Map(row) = row else { return Err(Error::data("a row is no JSON object")) };
        let Flat { mut fields, lists, files } = flat(&self.roles, row);
        fields.extend(lists.into_iter().map(|(path, elements)| (path.into(), Value::List(elements))));
        fields.insert(RECORD_ID.into(), Value::Text(key.clone()));
        fields.insert(RAW.into(), raw);
        if !self.entities {
            let files = files.into_iter().enumerate().map(|(position, file)| {
                let position = Value::from(i64::try_from(position).unwrap_or(i64::MAX));
                Value::from([
                    ("name", Value::Text(file.name)),
                    ("field", Value::text(file.field)),
                    ("position", position),
                ])
            });
            fields.insert(ATTACHMENTS.into(), Value::List(files.collect()));
            fields.insert(MARK.into(), Value::text(mark));
        }
        Ok((key, Value::Map(fields)))
    }
}

fn key_of(key: &str, id: &str) -> Value {
    let mut fields = IndexMap::new();
    fields.insert(RECORD_ID.into(), Value::from(key));
    if !id.is_empty() {
        fields.insert(ELEMENT_ID.into(), Value::from(id));
    }
    Value::Map(fields)
}

/// A key's text; `None` for what is empty or has parts.
fn text(value: &Value) -> Option<Box<str>> {
    match value {
        Value::Text(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
}

/// `{edits}/{updatedAt}/{attachmentsPresent}`: a file that was replaced by one of its name shows in none of them.
fn mark(row: &Value) -> String {
    let of = |name: &str| match row.get("__system").and_then(|system| system.get(name)) {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Text(text)) => text.to_string(),
        _ => String::new(),
    };
    format!("{}/{}/{}", of("edits"), of("updatedAt"), of("attachmentsPresent"))
}

#[cfg(test)]
mod tests;
