//! A source of type `dynamodb`: a table by its stream.

use super::super::fields::Fields;
use super::super::report::Report;
use super::names;
use crate::pipeline::SourceKind;

pub(in crate::mapping) const KEYS: &[&str] = &["datastore", "table", "key"];

pub(super) fn lower(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<SourceKind> {
    let table = fields.required_text("table", "users", report);
    let key = fields.get("key").map(|node| names(node, 2, "a DynamoDB table has one key attribute, or two", report));
    if let Some(table) = &table {
        // Naming rules of DynamoDB's developer guide.
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !(3..=255).contains(&table.text.len()) || !table.text.chars().all(fits) {
            let message = format!("`{}` is not the name of a DynamoDB table", table.text);
            let hint = "a name has 3 to 255 letters, digits, `_`, `-` and `.`";
            report.add("bad-table-name", table.span.clone(), message, hint);
        }
    }
    Some(SourceKind::Dynamodb { table: table?.text, key: key.map_or(Some(None), |key| key.map(Some))? })
}
