//! The fields that messages have, for pipelines whose columns follow their source.
//!
//! The former Sequin says which fields a collection has. Sequin Stream doesn't, so a column is made when the first value
//! of a field arrives, and its type is that of the value. What is text stays text, whatever it looks like: the next value
//! may look otherwise.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use tributary_core::Result;
use tributary_core::auto::{Field, Known};
use tributary_core::column_type::{Base, ColumnType};
use tributary_core::event::Body;
use tributary_core::pipeline::SourceKind;
use tributary_core::value::Value;
use tributary_postgres::Credentials;
use tributary_sources::sequin::collection::Collection;
use tributary_sources::sequin::infer::of_collection;

use super::message::Message;
use crate::auto::Following;
use crate::tick::Turn;

/// A source table is altered now and then. Rows that differ all the time have their empty fields left out by a transform,
/// and there an absent field is empty.
const MOST_KINDS: usize = 4;

/// The messages, parted where whole rows of a table have other columns than those before: a column that was dropped at
/// the source is not in them any more, and is not empty for that. Mostly they are all alike.
pub(super) fn alike<'a>(messages: &'a [Message], following: &[Following<'_>]) -> Vec<Vec<&'a Message>> {
    let whole = |one: &&Following<'_>| one.follows() && is_whole(&one.pipeline().source.kind);
    let whole: Vec<&Following<'_>> = following.iter().filter(whole).collect();
    let all = || vec![messages.iter().collect()];
    if whole.is_empty() {
        return all();
    }
    let mut kinds: Vec<Vec<BTreeSet<Box<str>>>> = vec![Vec::new(); whole.len()];
    let mut parts: Vec<Vec<&Message>> = Vec::new();
    for message in messages {
        let mut part = 0;
        for (one, kinds) in whole.iter().zip(&mut kinds) {
            let Some(fields) = row(message, one) else { continue };
            let names: BTreeSet<Box<str>> = fields.into_keys().collect();
            let known = kinds.iter().position(|kind| *kind == names);
            part = part.max(known.unwrap_or(kinds.len()));
            if known.is_none() {
                kinds.push(names);
            }
        }
        if part >= MOST_KINDS {
            return all();
        }
        parts.resize_with(parts.len().max(part + 1), Vec::new);
        parts[part].push(message);
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Whether every row of this source has all columns that there are. Rows of different tables don't.
fn is_whole(kind: &SourceKind) -> bool {
    matches!(kind, SourceKind::Sequin(source) if source.whole && source.table.is_some())
}

/// Gives the fields of these messages their columns.
///
/// # Errors
/// As those of [`Following::see`].
pub(super) async fn meet<C: Credentials>(
    messages: &[&Message],
    following: &mut [Following<'_>],
    collections: &[Collection],
    turn: &mut Turn<'_, C>,
) -> Result<()> {
    for one in following.iter_mut().filter(|one| one.follows()) {
        match &one.pipeline().source.kind {
            SourceKind::SequinLegacy(source) => {
                let Some(collection) = collections.iter().find(|collection| collection.is(&source.collection)) else {
                    continue;
                };
                let fields: Vec<Field> = of_schema(collection);
                // A collection without a schema doesn't say that everything is gone.
                if !fields.is_empty() {
                    one.see(turn, Known::All(&fields)).await?;
                }
            }
            kind @ SourceKind::Sequin(_) => {
                let whole = is_whole(kind);
                let fields = of_rows(messages.iter().filter_map(|message| row(message, one)));
                // Of a table without messages nothing is known.
                if !fields.is_empty() {
                    one.see(turn, if whole { Known::All(&fields) } else { Known::Some(&fields) }).await?;
                }
            }
            SourceKind::Dynamodb { .. } | SourceKind::Airtable(_) | SourceKind::Odk(_) | SourceKind::Webhook(_) => {}
        }
    }
    Ok(())
}

fn of_schema(collection: &Collection) -> Vec<Field> {
    let field = |field: tributary_sources::sequin::infer::Inferred| Field {
        list: None,
        id: field.path.first_field().unwrap_or(&field.name).to_owned(),
        name: field.name,
        ty: Some(field.ty),
    };
    of_collection(collection).into_iter().map(field).collect()
}

/// The row that a message tells to a pipeline. A delete tells none.
fn row(message: &Message, one: &Following<'_>) -> Option<IndexMap<Box<str>, Value>> {
    match message.decode(one.pipeline(), &[])?.ok()?.body {
        Body::Image { now: Value::Map(fields), .. } | Body::Part { now: Value::Map(fields), .. } => Some(fields),
        _ => None,
    }
}

fn of_rows(rows: impl Iterator<Item = IndexMap<Box<str>, Value>>) -> Vec<Field> {
    let mut fields: IndexMap<Box<str>, Option<Base>> = IndexMap::new();
    for row in rows {
        for (name, value) in row {
            let known = fields.entry(name).or_default();
            // The first value decides, as it does where the values come one by one.
            *known = known.take().or_else(|| of_value(&value));
        }
    }
    let field = |(name, base): (Box<str>, Option<Base>)| Field {
        list: None,
        id: name.to_string(),
        name: name.into(),
        ty: base.map(ColumnType::scalar),
    };
    fields.into_iter().map(field).collect()
}

fn of_value(value: &Value) -> Option<Base> {
    Some(match value {
        Value::Null | Value::Failed(_) => return None,
        Value::Bool(_) => Base::Bool,
        Value::Number(_) => Base::Numeric(None),
        Value::Text(_) => Base::Text,
        Value::Bytes(_) => Base::Bytea,
        Value::List(_) | Value::Set(_) | Value::Map(_) => Base::Jsonb,
    })
}
