//! Any sender, by the paths of the mapping. Paths begin in the record. Those of the version, the operation, the time and
//! the id may begin at the top of the body instead, with `$root.`, where one short value is of all records.

use tributary_core::event::Body;
use tributary_core::path::{Path, Step};
use tributary_core::value::Value;
use tributary_core::{Error, Result};

use super::pick::{find, value, whole};
use super::plain::key_text;
use super::version::loose_micros;
use super::{Context, Mapped, Operation, Understood};

enum Happened {
    Upsert,
    Delete,
    Nothing,
}

pub(super) fn read(context: &Context<'_>, record: &str, mapped: &Mapped) -> Result<Option<Understood>> {
    let find = |path: &Path| context.find(path, record, None);
    let part = |path: &Path| find_in(record, path);
    let what = match &mapped.operation {
        Some(operation) => happened(operation, find(&operation.path)?)?,
        None => Happened::Upsert,
    };
    let object = |name: &str, path: &Path| match part(path)? {
        None | Some(Value::Null) => Ok(None),
        Some(map @ Value::Map(_)) => Ok(Some(map)),
        Some(other) => {
            Err(Error::data(format!("{name}: `{path}` is {}, where a JSON object is expected", other.kind())))
        }
    };
    let at = mapped.time.as_ref().map(find).transpose()?.flatten().as_ref().and_then(loose_micros);
    let before = mapped.before.as_ref().map(|path| object("before", path)).transpose()?.flatten();
    let row = || match &mapped.row {
        Some(path) => object("row", path),
        None => super::plain::row_of(record).map(Some),
    };
    let (version, body) = match what {
        Happened::Nothing => return Ok(None),
        Happened::Upsert => {
            let now = row()?.ok_or_else(|| Error::data("row: is missing"))?;
            (context.version(record, &now)?, Body::Image { now, before })
        }
        Happened::Delete => {
            let row = row()?;
            let key = match &mapped.key {
                Some(path) => key_of(path, part(path)?)?,
                None => row.clone().or_else(|| before.clone()).ok_or_else(|| Error::data("key: no row says it"))?,
            };
            let version = context.version(record, row.as_ref().or(before.as_ref()).unwrap_or(&key))?;
            (version, Body::Gone { key, before, expired: false })
        }
    };
    let shown = match &body {
        Body::Image { now, .. } | Body::Part { now, .. } => now,
        Body::Gone { key, .. } => key,
    };
    let name = mapped.key.as_ref().and_then(last_name).unwrap_or("id");
    let key = key_text(shown, name);
    Ok(Some(Understood { version, at, body, key }))
}

fn happened(operation: &Operation, word: Option<Value>) -> Result<Happened> {
    let word = match word {
        None | Some(Value::Null) => None,
        Some(Value::Text(word)) => Some(word),
        Some(Value::Bool(word)) => Some(word.to_string().into()),
        Some(Value::Number(word)) if word.exponent().unsigned_abs() < 40 => Some(word.to_string().into()),
        Some(other) => {
            return Err(Error::data(format!("operation: `{}` is {}, not a word", operation.path, other.kind())));
        }
    };
    let among = |words: &[Box<str>]| word.as_ref().is_some_and(|word| words.contains(word));
    match &operation.upsert {
        _ if among(&operation.delete) => Ok(Happened::Delete),
        _ if among(&operation.skip) => Ok(Happened::Nothing),
        None => Ok(Happened::Upsert),
        Some(words) if among(words) => Ok(Happened::Upsert),
        Some(_) => Err(Error::data(format!("operation: `{}` is none of the words of the mapping", operation.path))),
    }
}

/// A part of the record, of any size.
fn find_in(record: &str, path: &Path) -> Result<Option<Value>> {
    find(whole(record)?, path.steps())?.map(|found| value(&path.to_string(), found)).transpose()
}

fn key_of(path: &Path, found: Option<Value>) -> Result<Value> {
    match (found, last_name(path)) {
        (None | Some(Value::Null), _) => Err(Error::data(format!("key: `{path}` is not in the record"))),
        (Some(map @ Value::Map(_)), _) => Ok(map),
        (Some(one), Some(name)) => Ok(Value::from([(name, one)])),
        (Some(_), None) => Err(Error::data(format!("key: `{path}` has no name for the one value there"))),
    }
}

fn last_name(path: &Path) -> Option<&str> {
    match path.steps().last() {
        Some(Step::Field(name)) => Some(name),
        _ => None,
    }
}
