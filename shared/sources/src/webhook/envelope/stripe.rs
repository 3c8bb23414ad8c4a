//! An event of Stripe: `{id, type, created, data: {object, previous_attributes}}` (Stripe API, "The Event object").
//!
//! Delivered at least once, in no order; `created` is in whole seconds. Of events of one second a `….created` is taken to
//! be the oldest and a `….deleted` the newest: an object's id is never used again.

use serde_json::value::RawValue;
use tributary_core::event::Body;
use tributary_core::value::Value;
use tributary_core::{Error, Result};

use super::pick::{needed, pick, row, some, text};
use super::plain::key_text;
use super::{Context, Understood};

pub(super) fn read(context: &Context<'_>, record: &str, objects: &[Box<str>]) -> Result<Option<Understood>> {
    let [kind, created, data] = pick(record, ["type", "created", "data"])?;
    let [object, previous] = pick(needed("data", data)?.get(), ["object", "previous_attributes"])?;
    let object = some(object).ok_or_else(|| {
        Error::data("data.object: is missing").with_hint("thin events have none; let the endpoint send snapshots")
    })?;
    let [type_of_object] = pick(object.get(), ["object"])?;
    let type_of_object = text(type_of_object).unwrap_or_default();
    if !objects.is_empty() && !objects.iter().any(|wanted| **wanted == *type_of_object) {
        return Ok(None);
    }
    let kind = text(kind).ok_or_else(|| Error::data("type: is missing"))?;
    let at = created.and_then(seconds).ok_or_else(|| Error::data("created: is no time in seconds"))?;
    let now = row("data.object", object)?;
    let gone = kind.ends_with(".deleted") || now.get("deleted") == Some(&Value::Bool(true));
    let rank = match &*kind {
        _ if gone => 2,
        kind if kind.ends_with(".created") => 0,
        _ => 1,
    };
    let version = context.version_at(record, &now, at, rank)?;
    let key = key_text(&now, "id");
    let body = if gone {
        Body::Gone { before: Some(now.clone()), key: now, expired: false }
    } else {
        let previous = some(previous).map(|previous| row("data.previous_attributes", previous)).transpose()?;
        let before = previous.map(|previous| {
            let mut before = now.clone();
            change_back(&mut before, previous);
            before
        });
        Body::Image { now, before }
    };
    Ok(Some(Understood { version, at: Some(at), body, key }))
}

fn seconds(raw: &RawValue) -> Option<i64> {
    raw.get().parse::<i64>().ok().filter(|at| *at >= 0)?.checked_mul(1_000_000)
}

/// Makes of the object what it was: attributes that changed get their former value, inside of objects too; a list is whole.
fn change_back(now: &mut Value, previous: Value) {
    match (now, previous) {
        (Value::Map(now), Value::Map(previous)) => {
            for (name, former) in previous {
                match now.get_mut(&name) {
                    Some(value) => change_back(value, former),
                    None => drop(now.insert(name, former)),
                }
            }
        }
        (now, previous) => *now = previous,
    }
}
