//! A row as it is.

use tributary_core::Result;
use tributary_core::event::Body;
use tributary_core::value::Value;

use super::pick::{row, whole};
use super::{Context, Understood};

pub(super) fn read(context: &Context<'_>, record: &str) -> Result<Understood> {
    let now = row_of(record)?;
    Ok(Understood {
        version: context.version(record, &now)?,
        at: None,
        key: key_text(&now, "id"),
        body: Body::Image { now, before: None },
    })
}

/// A record that is the row itself.
pub(super) fn row_of(record: &str) -> Result<Value> {
    row("the record", whole(record)?)
}

/// A field of a row as text for people, or nothing.
pub(super) fn key_text(row: &Value, field: &str) -> Box<str> {
    match row.get(field) {
        Some(Value::Text(text)) => text.clone(),
        // A number of a hundred thousand digits helps nobody.
        Some(Value::Number(number)) if number.exponent().unsigned_abs() < 40 => number.to_string().into(),
        _ => "".into(),
    }
}
