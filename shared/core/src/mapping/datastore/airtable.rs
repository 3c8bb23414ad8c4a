//! `type: airtable` — Airtable's Web API.

use super::super::address::base_url;
use super::super::fields::Fields;
use super::super::report::Report;
use super::reference;
use crate::pipeline::AirtableStore;

pub(in crate::mapping) const KEYS: &[&str] = &["type", "base_url", "token"];

/// Airtable's own address.
const AIRTABLE: &str = "https://api.airtable.com";

/// Lowers an Airtable datastore.
pub(super) fn lower(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<AirtableStore> {
    let url = match fields.get("base_url") {
        Some(_) => fields.text("base_url", report).and_then(|url| base_url(&url, AIRTABLE, report)),
        None => Some(AIRTABLE.to_owned()),
    };
    let token = fields.required("token", "{ env: AIRTABLE_TOKEN }", report);
    let token = token.and_then(|node| reference(node, "token", "AIRTABLE_TOKEN", report));
    Some(AirtableStore { base_url: url?, token: token? })
}
