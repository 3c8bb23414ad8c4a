//! A database webhook of Supabase: `{type, table, schema, record, old_record}` (Supabase, "Database Webhooks"). Sent once
//! and never again, so a poll has to heal what was lost; and it says no time and no id.

use tributary_core::event::Body;
use tributary_core::{Error, Result};

use super::hasura::is_of;
use super::pick::{needed, pick, row, some, text};
use super::plain::key_text;
use super::{Context, Understood};

pub(super) fn read(context: &Context<'_>, record: &str, wanted: Option<&str>) -> Result<Option<Understood>> {
    let [kind, table, schema, new, old] = pick(record, ["type", "table", "schema", "record", "old_record"])?;
    let table = text(table).ok_or_else(|| Error::data("table: is missing"))?;
    if !is_of(wanted, text(schema).as_deref().unwrap_or_default(), &table) {
        return Ok(None);
    }
    let before = some(old).map(|old| row("old_record", old)).transpose()?;
    let kind = text(kind).ok_or_else(|| Error::data("type: is missing"))?;
    let (version, key, body) = match &*kind {
        "INSERT" | "UPDATE" => {
            let now = row("record", needed("record", new)?)?;
            (context.version(record, &now)?, key_text(&now, "id"), Body::Image { now, before })
        }
        "DELETE" => {
            let key = before.ok_or_else(|| Error::data("old_record: is missing"))?;
            let version = context.version_after(record, &key)?;
            (version, key_text(&key, "id"), Body::Gone { before: Some(key.clone()), key, expired: false })
        }
        _ => return Err(Error::data("type: is none of INSERT, UPDATE, DELETE")),
    };
    Ok(Some(Understood { version, at: None, body, key }))
}
