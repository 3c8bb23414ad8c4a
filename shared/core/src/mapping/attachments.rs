//! `attachments:` of a sink — where the files go that submissions name, and the table that knows of them.

use super::column::Lowered;
use super::delete::{self, Policy};
use super::fields::{Fields, text_of};
use super::node::{Node, Text};
use super::odk;
use super::pipeline::Common;
use super::report::Report;
use super::table::table_name;
use crate::auto::list;
use crate::column_type::{Base, ColumnType};
use crate::path::Path;
use crate::pipeline::{
    ATTACHMENTS, Attachments, Binding, Destination, ELEMENT_ID, From, KeyTemplate, MARK, OnError, RECORD_ID, Route,
    SYSTEM, Scope,
};
use crate::table::{Children, Column, DeleteMode, MetaColumns, Role, Table};
use crate::value::Value;

pub(super) const KEYS: &[&str] = &["to", "path", "table", "max_workers"];
pub(super) const TO_KEYS: &[&str] = &["s3", "prefix", "region", "endpoint", "directory"];

/// More requests at once exhaust the pool of a server's database connections.
const MOST_WORKERS: usize = 4;

/// Lowers `attachments:`; `root` is the table of items. The table comes with the place of its name; its position in the
/// result is the caller's to set.
pub(super) fn lower(
    sink: &Fields<'_>,
    root: Option<&Table>,
    common: &Common<'_>,
    report: &mut Report<'_>,
) -> Option<(Attachments, Text, (Table, Route))> {
    let node = sink.get("attachments")?;
    let at = sink.key_span("attachments").unwrap_or_default();
    if !odk::is_form(common.source) {
        if common.source.is_some() {
            let message = "`attachments` is for forms of ODK Central: nothing else has files of its own";
            report.add("bad-attachments", at, message, "remove it");
        }
        return None;
    }
    let fields = Fields::open(node, "attachments", at.clone(), KEYS, report)?;
    let to = fields.required("to", "{ s3: my-bucket }", report).and_then(|node| destination(node, report));
    let path = match fields.text("path", report) {
        Some(text) => KeyTemplate::parse(&text.text)
            .inspect_err(|e| report.add_error("bad-path", text.span.clone(), e, "write `{form}/{submission}/{name}`"))
            .ok(),
        None if fields.get("path").is_some() => None,
        None => KeyTemplate::parse("{form}/{submission}/{name}").ok(),
    };
    let max_workers = fields.get("max_workers").map_or(Some(MOST_WORKERS), |node| workers(node, report));
    let name = match fields.text("table", report) {
        Some(name) => name,
        None => Text { text: list::table_name(&root?.name, "attachment"), span: at },
    };
    let (schema, table) = table_name(&name, report)?;
    let schema = match fields.get("table") {
        Some(_) => schema.or_else(|| common.schema.clone()),
        None => root.and_then(|root| root.schema.clone()),
    };
    let lowered = table_of(schema, table, common, report);
    let (to, path, max_workers) = (to?, path?, max_workers?);
    Some((Attachments { table: 0, to, path, max_workers }, name, lowered))
}

fn workers(node: &Node, report: &mut Report<'_>) -> Option<usize> {
    let count = match node.literal() {
        Some(Value::Number(number)) => number.to_i128().and_then(|number| usize::try_from(number).ok()),
        _ => None,
    };
    let count = count.filter(|count| (1..=MOST_WORKERS).contains(count));
    if count.is_none() {
        let message =
            format!("`max_workers` is a whole number from 1 to {MOST_WORKERS}: more exhaust a server of Central");
        report.add("wrong-type", node.span.clone(), message, format!("write `max_workers: {MOST_WORKERS}`"));
    }
    count
}

fn destination(node: &Node, report: &mut Report<'_>) -> Option<Destination> {
    let fields = Fields::open(node, "a destination", node.span.clone(), TO_KEYS, report)?;
    match (fields.get("s3"), fields.get("directory")) {
        (Some(node), None) => bucket(node, &fields, report),
        (None, Some(node)) => {
            for key in ["prefix", "region", "endpoint"] {
                if let Some(span) = fields.key_span(key) {
                    let message = format!("`{key}` has no meaning beside `directory`");
                    report.add("conflict", span, message, "remove it, or write `s3: …`");
                }
            }
            text_of(node, "directory", report).and_then(|text| {
                let is_path = !text.text.trim().is_empty() && !text.text.contains('\0');
                if !is_path {
                    report.add("bad-path", text.span, "this is not a directory", "write `directory: ./pictures`");
                }
                is_path.then_some(Destination::Directory(text.text))
            })
        }
        _ => {
            let message = "a destination is one of `s3` and `directory`";
            let hint = "write `to: { s3: my-bucket }` or `to: { directory: ./pictures }`";
            report.add("bad-destination", node.span.clone(), message, hint);
            None
        }
    }
}

fn bucket(node: &Node, fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Destination> {
    let bucket = text_of(node, "s3", report)?;
    // Bucket naming rules (Amazon S3 user guide), or the ARN of an access point.
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    let is_name = (3..=63).contains(&bucket.text.len()) && bucket.text.bytes().all(fits);
    if !is_name && !bucket.text.starts_with("arn:") {
        let message = format!("`{}` is not the name of a bucket", bucket.text);
        report.add("bad-bucket", bucket.span, message, "it has lowercase letters, digits, `-` and `.`, 3 to 63");
        return None;
    }
    let prefix = fields.text("prefix", report);
    if let Some(prefix) = &prefix {
        let inner = prefix.text.trim_end_matches('/');
        if inner.is_empty() || inner.split('/').any(|part| matches!(part, "" | "." | "..")) {
            let message = format!("`{}` is not what a key can begin with", prefix.text);
            report.add("bad-path", prefix.span.clone(), message, "write `prefix: odk/pictures`");
        }
    }
    let endpoint = fields.text("endpoint", report);
    if let Some(endpoint) = &endpoint
        && !["http://", "https://"].iter().any(|scheme| endpoint.text.starts_with(scheme))
    {
        let message = format!("`{}` is not the address of an endpoint", endpoint.text);
        report.add("bad-endpoint", endpoint.span.clone(), message, "write `endpoint: http://localhost:9000`");
    }
    Some(Destination::S3 {
        bucket: bucket.text,
        prefix: prefix.map(|prefix| prefix.text.trim_end_matches('/').to_owned()),
        region: fields.text("region", report).map(|region| region.text),
        endpoint: endpoint.map(|endpoint| endpoint.text),
    })
}

/// The table with a row a file, which come and go with their submission. Deleted ones stay by default: their files do.
fn table_of(schema: Option<String>, name: String, common: &Common<'_>, report: &mut Report<'_>) -> (Table, Route) {
    let policy = match &common.delete {
        Some(policy) if policy.policy.mode != DeleteMode::Ignore => policy.clone(),
        _ => Policy::of(DeleteMode::Soft { keep: true }),
    };
    let lowered = |name: &str, base: Base, from: From| {
        let on_error = if base == Base::Text { OnError::DeadLetter } else { OnError::Null };
        Lowered {
            column: Column { name: name.into(), ty: ColumnType::scalar(base), role: Role::Data, default: None },
            binding: Binding { from, on_error },
            span: 0..0,
        }
    };
    let here = |field: &str| From::Row(Path::field(field));
    let key = [
        lowered("submission_id", Base::Text, From::Root(Path::field(RECORD_ID))),
        lowered("name", Base::Text, here("name")),
    ];
    let submitted = From::Root(Path::fields([SYSTEM, "submissionDate"]));
    let mut columns = vec![
        lowered("field", Base::Text, here("field")),
        lowered("position", Base::Int4, here("position")),
        lowered("submitted_at", Base::Timestamptz, submitted),
        lowered("mark", Base::Text, From::Root(Path::field(MARK))),
    ];
    if odk::source(common.source).is_some_and(|source| !source.is_keyed_by_id()) {
        // What the server knows the submission by.
        columns.push(lowered("instance_id", Base::Text, From::Root(Path::field(ELEMENT_ID))));
    }
    delete::add_columns(&policy, &key, &mut columns, report);
    let (key, key_bindings) = key.into_iter().map(|lowered| (lowered.column, lowered.binding)).unzip();
    let (columns, bindings) = columns.into_iter().map(|lowered| (lowered.column, lowered.binding)).unzip();
    let table = Table {
        schema,
        name,
        key,
        columns,
        delete: policy.policy,
        meta: MetaColumns { versions: None, files: true, ..common.meta.clone() },
        children: Some(Children { parent: vec![0] }),
    };
    let route = Route {
        scope: Scope::Elements(Path::field(ATTACHMENTS)),
        when: None,
        key: key_bindings,
        columns: bindings,
        auto: false,
        lists: None,
        retired: false,
    };
    (table, route)
}
