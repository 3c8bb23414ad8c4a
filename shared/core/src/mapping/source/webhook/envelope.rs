//! `envelope:` — what stands around the rows; and `version:` and `id:` beside it, which are places in it.

use super::super::super::column::path;
use super::super::super::fields::{Fields, choice_of, text_of};
use super::super::super::node::{Node, Shape as Written, Text};
use super::super::super::report::Report;
use super::super::super::table::table_name;
use super::super::{epoch, names};
use super::verify::header;
use crate::path::Path;
use crate::webhook::envelope::{Envelope, Mapped, Operation, Place, Sequin, Shape};

/// Every key that some envelope has.
pub(in crate::mapping) const ENVELOPE_KEYS: &[&str] = &[
    "type",
    "table",
    "key",
    "epoch",
    "replica_identity",
    "objects",
    "events",
    "rows",
    "row",
    "before",
    "operation",
    "time",
    "runs",
];
pub(in crate::mapping) const OPERATION_KEYS: &[&str] = &["path", "delete", "upsert", "skip"];

const TYPES: &[&str] = &[
    "plain",
    "data",
    "sequin",
    "hasura",
    "hasura_schedule",
    "supabase",
    "stripe",
    "github",
    "airtable",
    "central",
    "mapped",
];

/// Those whose bodies hold no rows.
const HINTS: &[&str] = &["airtable", "central", "hasura_schedule"];

/// How many columns a primary key of Postgres may have (`INDEX_MAX_KEYS`).
const MOST_KEYS: usize = 32;

/// How a path begins that starts at the top of the body.
const ROOT: &str = "$root";

fn word(node: &Node) -> &Node {
    node.entry("type").unwrap_or(node)
}

/// Whether bodies of this envelope hold no rows.
pub(in crate::mapping) fn is_hint(node: &Node) -> bool {
    word(node).as_text().is_some_and(|text| HINTS.contains(&text.text.as_str()))
}

fn keys(kind: &str) -> &'static [&'static str] {
    match kind {
        "sequin" => &["type", "table", "key", "epoch", "replica_identity"],
        "hasura" | "supabase" => &["type", "table"],
        "stripe" => &["type", "objects"],
        "github" => &["type", "events"],
        "mapped" => &["type", "rows", "row", "before", "key", "operation", "time"],
        "airtable" | "central" | "hasura_schedule" => &["type", "runs"],
        _ => &["type"],
    }
}

/// Lowers an envelope: a word, or a map with its `type`. Beside it the pipelines that it names.
pub(super) fn lower(node: &Node, source: &Fields<'_>, report: &mut Report<'_>) -> Option<(Envelope, Vec<Text>)> {
    if matches!(node.shape, Written::Map(_)) && node.entry("type").is_none() {
        // Which keys are right depends on it.
        let known = ENVELOPE_KEYS;
        Fields::open(node, "an envelope", node.span.clone(), known, report)?.required("type", "mapped", report);
        return None;
    }
    let kind = choice_of(word(node), if node.entry("type").is_some() { "type" } else { "envelope" }, TYPES, report)?;
    let fields = match &node.shape {
        Written::Map(_) => Some(Fields::open(node, "this envelope", node.span.clone(), keys(kind), report)?),
        _ => None,
    };
    let fields = fields.as_ref();
    let mut runs = Vec::new();
    if HINTS.contains(&kind) {
        runs = self::runs(kind, node, fields, report)?;
    }
    let shape = match kind {
        "plain" => Some(Shape::Plain),
        "data" => Some(Shape::Data),
        "sequin" => sequin(fields, report).map(Shape::Sequin),
        "hasura" => table(fields, report).map(|table| Shape::Hasura { table: table.map(Into::into) }),
        "supabase" => table(fields, report).map(|table| Shape::Supabase { table: table.map(Into::into) }),
        "stripe" => words(fields, "objects", "customer", report).map(|objects| Shape::Stripe { objects }),
        "github" => words(fields, "events", "issues", report).map(|events| Shape::Github { events }),
        "airtable" => Some(Shape::Airtable),
        "central" => Some(Shape::Central),
        "hasura_schedule" => Some(Shape::HasuraSchedule),
        _ => mapped(fields, report).map(Shape::Mapped),
    };
    let version = source.text("version", report).map(|text| place(&text, report));
    let id = source.get("id").map(|node| id(node, report));
    let envelope = Envelope {
        shape: shape?,
        version: version.map_or(Some(None), |version| version.map(Some))?,
        id: id.map_or(Some(None), |id| id.map(Some))?,
    };
    Some((envelope, runs))
}

/// `runs:` — the pipelines that a body without rows runs.
fn runs(kind: &str, node: &Node, fields: Option<&Fields<'_>>, report: &mut Report<'_>) -> Option<Vec<Text>> {
    let Some(runs) = fields.and_then(|fields| fields.get("runs")) else {
        let message = "these bodies hold no rows, and nothing says which pipelines they run";
        let hint =
            format!("write `envelope: {{ type: {kind}, runs: orders }}`, the name of a pipeline or a list of names");
        report.add("missing-key", node.span.clone(), message, hint);
        return None;
    };
    let names: Option<Vec<Text>> = match &runs.shape {
        Written::List(items) => items.iter().map(|item| text_of(item, "runs", report)).collect(),
        _ => Some(vec![text_of(runs, "runs", report)?]),
    };
    let names = names?;
    if names.is_empty() {
        report.add("missing-key", runs.span.clone(), "no pipeline is named", "write the name of a pipeline");
        return None;
    }
    for (position, name) in names.iter().enumerate() {
        if names[..position].iter().any(|earlier| earlier.text == name.text) {
            let message = format!("`{}` stands here twice", name.text);
            report.add("duplicate-key", name.span.clone(), message, "remove one of the two");
        }
    }
    Some(names)
}

fn sequin(fields: Option<&Fields<'_>>, report: &mut Report<'_>) -> Option<Sequin> {
    let Some(fields) = fields else { return Some(Sequin::default()) };
    let table = table(Some(fields), report);
    let wanted = format!("a primary key has 1 to {MOST_KEYS} columns");
    let key = fields.get("key").map(|node| names(node, MOST_KEYS, &wanted, report));
    let whole = fields.choice("replica_identity", &["default", "full"], report) == Some("full");
    if let (true, Some(span)) = (whole, fields.key_span("key")) {
        let message = "with `replica_identity: full` a delete carries every column, so any of them can be a sink key";
        report.add("conflict", span, message, "remove `key`, or `replica_identity: full` if the table has it not");
    }
    let epoch = epoch(fields, report);
    Some(Sequin { table: table?, key: key.map_or(Some(None), |key| key.map(Some))?, epoch: epoch?, whole })
}

fn table(fields: Option<&Fields<'_>>, report: &mut Report<'_>) -> Option<Option<String>> {
    let Some(node) = fields.and_then(|fields| fields.get("table")) else { return Some(None) };
    let table = text_of(node, "table", report)?;
    table_name(&table, report).map(|_| Some(table.text))
}

/// A word, or a list of them; none where the key is absent. A number or a boolean is the word that it is written as.
fn words(fields: Option<&Fields<'_>>, key: &str, example: &str, report: &mut Report<'_>) -> Option<Vec<Box<str>>> {
    let Some(node) = fields.and_then(|fields| fields.get(key)) else { return Some(Vec::new()) };
    let word = |node: &Node| match &node.shape {
        Written::Scalar { text, .. } if !text.is_empty() && !node.is_null() => Some(Box::from(text.as_str())),
        _ => None,
    };
    let words: Option<Vec<Box<str>>> = match &node.shape {
        Written::List(items) => items.iter().map(word).collect(),
        _ => word(node).map(|word| vec![word]),
    };
    if words.as_ref().is_none_or(Vec::is_empty) {
        let hint = format!("write `{key}: {example}` or `{key}: [{example}, …]`");
        report.add("wrong-type", node.span.clone(), format!("`{key}` is a word, or a list of them"), hint);
        return None;
    }
    words
}

fn mapped(fields: Option<&Fields<'_>>, report: &mut Report<'_>) -> Option<Mapped> {
    let Some(fields) = fields else { return Some(Mapped::default()) };
    let mut inside = |key: &str| match fields.text(key, report) {
        Some(text) => of_record(key, &text, report).map(Some),
        None => fields.get(key).is_none().then_some(None),
    };
    let (rows, row, before, key) = (inside("rows"), inside("row"), inside("before"), inside("key"));
    let time = match fields.text("time", report) {
        Some(text) => place(&text, report).map(Some),
        None => fields.get("time").is_none().then_some(None),
    };
    let operation = fields.get("operation").map(|node| operation(node, report));
    if let (Some(span), None) = (fields.key_span("key"), &operation) {
        let message = "`key` is that of a row that is gone, and without `operation` no row ever is";
        let hint = "remove it, or write `operation: { path: type, delete: deleted }`";
        report.add("conflict", span, message, hint);
    }
    Some(Mapped {
        rows: rows?,
        row: row?,
        before: before?,
        key: key?,
        operation: operation.map_or(Some(None), |operation| operation.map(Some))?,
        time: time?,
    })
}

fn operation(node: &Node, report: &mut Report<'_>) -> Option<Operation> {
    let fields = Fields::open(node, "an operation", node.span.clone(), OPERATION_KEYS, report)?;
    let path = fields.required_text("path", "type", report).and_then(|text| place(&text, report));
    let all = ["delete", "upsert", "skip"].map(|key| words(Some(&fields), key, "deleted", report));
    let [delete, upsert, skip] = all;
    let upsert = fields.get("upsert").map(|_| upsert);
    let (delete, skip) = (delete?, skip?);
    let upsert = upsert.map_or(Some(None), |upsert| upsert.map(Some))?;
    let named = [("delete", Some(&delete)), ("upsert", upsert.as_ref()), ("skip", Some(&skip))];
    for (position, (key, words)) in named.iter().enumerate() {
        let earlier = || named[..position].iter().filter_map(|(key, words)| Some((key, (*words)?)));
        for word in words.iter().copied().flatten() {
            if let Some((other, _)) = earlier().find(|(_, words)| words.contains(word)) {
                let span = fields.key_span(key).unwrap_or_default();
                let message = format!("`{word}` stands in `{other}` and in `{key}`");
                report.add("conflict", span, message, "let it mean one of the two");
            }
        }
    }
    Some(Operation { path: path?, delete, upsert, skip })
}

/// A path that begins in each record, and nowhere else.
fn of_record(key: &str, text: &Text, report: &mut Report<'_>) -> Option<Path> {
    let path = path(&text.text, &text.span, report)?;
    if path.first_field() == Some(ROOT) {
        let message = match key {
            "rows" => "`rows` begins at the top of the body already".to_owned(),
            _ => format!("`{key}` is in each record; what is at the top of the body is of all of them"),
        };
        report.add("bad-path", text.span.clone(), message, "write the path without `$root.`");
        return None;
    }
    Some(path)
}

/// A path in the record, or with `$root.` from the top of the body.
fn place(text: &Text, report: &mut Report<'_>) -> Option<Path> {
    let path = path(&text.text, &text.span, report)?;
    if path.first_field() == Some(ROOT) && path.steps().len() == 1 {
        let message = "`$root` is the whole body";
        report.add("bad-path", text.span.clone(), message, "write `$root.` and a path");
        return None;
    }
    Some(path)
}

/// `id:` — a path, or `{ header: … }`.
fn id(node: &Node, report: &mut Report<'_>) -> Option<Place> {
    if !matches!(node.shape, Written::Map(_)) {
        return place(&text_of(node, "id", report)?, report).map(Place::Path);
    }
    let fields = Fields::open(node, "an id", node.span.clone(), &["header"], report)?;
    let name = fields.required_text("header", "X-Event-Id", report)?;
    header(&name, report).map(Place::Header)
}
