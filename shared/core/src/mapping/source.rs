//! `source:` of a pipeline — what is read.

use std::time::Duration;

use super::datastore::Datastores;
use super::fields::{Fields, text_of};
use super::node::{Node, Shape};
use super::report::Report;
use crate::pipeline::{Datastore, Source, SourceKind};

pub(super) const KEYS: &[&str] = &["datastore", "table", "key"];

/// Lowers the source of a pipeline.
pub(super) fn lower(pipeline: &Fields<'_>, stores: &Datastores, report: &mut Report<'_>) -> Option<Source> {
    let node = pipeline.required("source", "{ datastore: app, table: users }", report)?;
    let at = pipeline.key_span("source").unwrap_or_default();
    let fields = Fields::open(node, "a source", at, KEYS, report)?;
    let datastore = fields.required_text("datastore", "app", report);
    let table = fields.required_text("table", "users", report);
    let key = fields.get("key").map(|node| key(node, report));
    if let Some(table) = &table {
        // Naming rules of DynamoDB's developer guide.
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !(3..=255).contains(&table.text.len()) || !table.text.chars().all(fits) {
            let message = format!("`{}` is not the name of a DynamoDB table", table.text);
            let hint = "a name has 3 to 255 letters, digits, `_`, `-` and `.`";
            report.add("bad-table-name", table.span.clone(), message, hint);
        }
    }
    let datastore = datastore?;
    match stores.find(&datastore, report)? {
        Datastore::Dynamodb(_) => {}
        Datastore::Sequin(_) | Datastore::Airtable(_) => return None,
        Datastore::Postgres(_) => {
            let message = format!("`{}` is a postgres datastore, which this release cannot read from", datastore.text);
            report.add("wrong-datastore", datastore.span, message, "name a datastore of type `dynamodb`");
            return None;
        }
    }
    let key = key.map_or(Some(None), |key| key.map(Some))?;
    Some(Source {
        datastore: datastore.text,
        kind: SourceKind::Dynamodb { table: table?.text, key },
        every: Duration::ZERO,
    })
}

/// The key attributes of the source's table, where the file names them.
fn key(node: &Node, report: &mut Report<'_>) -> Option<Vec<String>> {
    let names = match &node.shape {
        Shape::List(items) => {
            if !(1..=2).contains(&items.len()) {
                let message = "a DynamoDB table has one key attribute, or two";
                report.add("bad-source-key", node.span.clone(), message, "write `key: id` or `key: [pk, sk]`");
                return None;
            }
            items.iter().map(|item| text_of(item, "key", report)).collect::<Option<Vec<_>>>()?
        }
        _ => vec![text_of(node, "key", report)?],
    };
    if let [first, second] = names.as_slice()
        && first.text == second.text
    {
        let message = "the two key attributes are the same";
        report.add("bad-source-key", second.span.clone(), message, "name the partition key and the sort key");
        return None;
    }
    Some(names.into_iter().map(|name| name.text).collect())
}
