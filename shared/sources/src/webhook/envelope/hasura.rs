//! An event trigger of Hasura: `{id, created_at, trigger: {name}, table: {schema, name}, event: {op, data: {old, new}}}`
//! (Hasura, "Event Triggers: Webhook payload"). Delivered at least once and in no order.

use tributary_core::event::Body;
use tributary_core::{Error, Result};

use super::pick::{needed, pick, row, some, text};
use super::plain::key_text;
use super::version::micros;
use super::{Context, Understood};

pub(super) fn read(context: &Context<'_>, record: &str, wanted: Option<&str>) -> Result<Option<Understood>> {
    let [created_at, table, event] = pick(record, ["created_at", "table", "event"])?;
    let [schema, name] = pick(needed("table", table)?.get(), ["schema", "name"])?;
    let name = text(name).ok_or_else(|| Error::data("table.name: is missing"))?;
    if !is_of(wanted, text(schema).as_deref().unwrap_or_default(), &name) {
        return Ok(None);
    }
    let at = text(created_at).and_then(|at| micros(&at)).ok_or_else(|| Error::data("created_at: is no time"))?;
    let [op, data] = pick(needed("event", event)?.get(), ["op", "data"])?;
    let [old, new] = pick(needed("event.data", data)?.get(), ["old", "new"])?;
    let op = text(op).ok_or_else(|| Error::data("event.op: is missing"))?;
    let before = some(old).map(|old| row("event.data.old", old)).transpose()?;
    let (version, key, body) = match &*op {
        // The console's "invoke" sends a row as it is now.
        "INSERT" | "UPDATE" | "MANUAL" => {
            let now = row("event.data.new", needed("event.data.new", new)?)?;
            (context.version_at(record, &now, at, 0)?, key_text(&now, "id"), Body::Image { now, before })
        }
        "DELETE" => {
            let key = before.ok_or_else(|| Error::data("event.data.old: is missing"))?;
            let version = match context.envelope.version {
                Some(_) => context.version_after(record, &key)?,
                None => context.version_at(record, &key, at, 0)?,
            };
            (version, key_text(&key, "id"), Body::Gone { before: Some(key.clone()), key, expired: false })
        }
        _ => return Err(Error::data("event.op: is none of INSERT, UPDATE, DELETE, MANUAL")),
    };
    Ok(Some(Understood { version, at: Some(at), body, key }))
}

/// Whether a table is the wanted one, which is written `schema.table` or `table`.
pub(super) fn is_of(wanted: Option<&str>, schema: &str, table: &str) -> bool {
    match wanted.map(|wanted| (wanted, wanted.split_once('.'))) {
        None => true,
        Some((_, Some((in_schema, name)))) => in_schema == schema && name == table,
        Some((name, None)) => name == table,
    }
}
