//! A table of a sink: which part of an item is a row, its key, its columns, and what may not go together.

use std::ops::Range;

use super::column::{self, Lowered, Place};
use super::delete::{self, Policy};
use super::fields::{Fields, Named, named};
use super::key;
use super::node::{Node, Text};
use super::pipeline::Common;
use super::report::Report;
use super::{children, odk, parts};
use crate::path::Path;
use crate::pipeline::{OnError, Route, Scope, SourceKind};
use crate::table::{DeleteMode, MetaColumns, Table};

pub(super) const KEYS: &[&str] = &["from", "key", "columns", "when", "delete", "children", "view"];

/// Postgres cuts longer names in silence (`NAMEDATALEN`).
const LONGEST_NAME: usize = 63;

/// What is said of a table beside its parts.
#[derive(Clone, Copy, Default)]
pub(super) struct How {
    /// Whether all its fields become columns, whatever `columns:` says.
    pub(super) auto: bool,
    /// Whether a poller compares it with its source.
    pub(super) watched: bool,
    /// Whether it says where in its list an element stood, and in which element the list.
    pub(super) placed: bool,
}

/// The view of a table.
pub(super) struct WrittenView {
    /// The name with its place.
    pub(super) text: Text,
    /// Its schema and name; `None` after a finding.
    pub(super) name: Option<(Option<String>, String)>,
}

/// A table of the file, and what belongs to it.
#[derive(Default)]
pub(super) struct Written {
    pub(super) table: Option<(Table, Route)>,
    /// The tables of its lists, each with the place of its name.
    pub(super) children: Vec<(Text, Option<(Table, Route)>)>,
    pub(super) view: Option<WrittenView>,
}

/// Lowers a table and what belongs to it. `watched`: a poller compares it with its source.
pub(super) fn lower(part: &Named<'_>, watched: bool, common: &Common<'_>, report: &mut Report<'_>) -> Written {
    let Some(fields) = part.open("a table", KEYS, report) else { return Written::default() };
    let scope = fields.get("from").map_or(Some(Scope::Root), |node| scope(node, common.source, report));
    let is_items = matches!(scope, Some(Scope::Root));
    for key in ["children", "view"] {
        if let (Some(span), Some(false)) = (fields.key_span(key), scope.as_ref().map(|_| is_items)) {
            let message = format!("`{key}` is for a table of whole items, and this one is made from a part of them");
            report.add("bad-children", span, message, "write it at the table of the items");
        }
    }
    let mut written = Written {
        table: of(&part.name, &fields, scope, How { watched, ..How::default() }, common, report),
        ..Written::default()
    };
    if !is_items {
        return written;
    }
    if let Some(node) = fields.get("children") {
        let children = children::lower(node, unqualified(&part.name.text), common, report);
        written.children = children.tables;
        if let Some((_, route)) = &mut written.table {
            route.lists = children.lists;
        }
    }
    if fields.get("view").is_some() {
        written.view = view(&fields, common, report);
    }
    written
}

fn unqualified(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, name)| name)
}

/// `view:` — the name of a view of the items with their lists.
fn view(fields: &Fields<'_>, common: &Common<'_>, report: &mut Report<'_>) -> Option<WrittenView> {
    let text = fields.text("view", report)?;
    if common.source.is_some() && !odk::is_form(common.source) {
        let message = "`view` is for forms of ODK Central, whose submissions have lists";
        report.add("bad-view", fields.key_span("view").unwrap_or_default(), message, "make a view of your own");
        return None;
    }
    let name = table_name(&text, report);
    Some(WrittenView { text, name })
}

/// Lowers a table whose name and place in the item are known.
pub(super) fn of(
    called: &Text,
    fields: &Fields<'_>,
    scope: Option<Scope>,
    how: How,
    common: &Common<'_>,
    report: &mut Report<'_>,
) -> Option<(Table, Route)> {
    let name = table_name(called, report);
    let is_children = matches!(scope, Some(Scope::Elements(_)));
    let is_root = matches!(scope, None | Some(Scope::Root));
    let place = Place { key: false, children: is_children, root: is_root, source: common.source };
    let when = fields.get("when").map(|node| when(node, place, report));
    let key = match fields.get("key") {
        Some(node) => Some(columns(&named(node, "column", true, report), Place { key: true, ..place }, report)),
        None => key::preset(scope.as_ref(), common, called).map(|preset| (preset.len(), preset)),
    };
    // Whether it may be left out, nobody knows while the datastore is bad.
    if key.is_none() && common.reads.is_some() {
        let example = if is_children {
            "{ parent: { from: $root.…, type: text }, position: { from: $index, type: integer } }"
        } else {
            "{ id: { from: id, type: uuid } }"
        };
        fields.required("key", example, report);
    }
    if let (Some((0, _)), Some(span)) = (&key, fields.key_span("key")) {
        report.add("no-key", span, "the key has no columns", "name the columns that tell rows apart");
    }
    let others = fields.get("columns").map(|node| mapped(node, place, report));
    let policy = policy(fields, common, is_children, report);
    let (keys, key) = key.unwrap_or_default();
    let Mapped { count, good: mut others, auto } = others.unwrap_or_default();
    let auto = auto || how.auto;
    let complete = keys == key.len() && count == others.len();
    if let (Some(source), Some(scope)) = (odk::source(common.source), &scope) {
        let mut columns = odk::Columns { key: &key, others: &mut others, span: called.span.clone() };
        match scope {
            Scope::Root => columns.add_to_items(source, auto, how.watched, report),
            Scope::Elements(_) if auto || how.placed => columns.add_to_elements(scope),
            Scope::Elements(_) | Scope::Document(_) => {}
        }
    }
    // A cell of a record may hold an error instead of a value, whatever its column says.
    let may_fail = common.source.is_some_and(SourceKind::has_record_ids) && !others.is_empty();
    if let Some(policy) = &policy {
        delete::add_columns(policy, &key, &mut others, report);
    }
    let has_notes = auto || may_fail || others.iter().any(|column| column.binding.on_error != OnError::DeadLetter);
    let meta = MetaColumns {
        errors: common.meta.errors.clone().filter(|_| has_notes),
        // Elements come as whole sets, whose version the ledger settles.
        versions: common.meta.versions.clone().filter(|_| !is_children),
        ..common.meta.clone()
    };
    unique_names(&key, &others, &meta, called, report);
    let scope = scope?;
    let children = key::key_parts(&scope, &key, common, called, report);
    parts::check(&scope, &key, &others, common.source, report);
    let policy = policy?;
    let when = when.map_or(Some(None), |when| when.map(Some))?;
    let (table_schema, name) = name?;
    if !complete || keys == 0 {
        return None;
    }
    let (key, key_bindings) = key.into_iter().map(|lowered| (lowered.column, lowered.binding)).unzip();
    let (columns, bindings) = others.into_iter().map(|lowered| (lowered.column, lowered.binding)).unzip();
    let schema = table_schema.or_else(|| common.schema.clone());
    let table = Table { schema, name, key, columns, delete: policy.policy, meta, children };
    Some((table, Route { scope, when, key: key_bindings, columns: bindings, auto, lists: None, retired: false }))
}

/// An identifier of Postgres.
pub(super) fn identifier(text: &Text, what: &str, report: &mut Report<'_>) -> Option<String> {
    if text.text.is_empty() || text.text.contains('\0') {
        report.add("bad-name", text.span.clone(), format!("this is not a name of {what}"), "write a name");
        return None;
    }
    if text.text.len() > LONGEST_NAME {
        let message = format!("the name of {what} has at most {LONGEST_NAME} bytes; Postgres cuts the rest in silence");
        report.add("long-name", text.span.clone(), message, "write a shorter name");
        return None;
    }
    Some(text.text.clone())
}

/// `name`, or `schema.name`.
pub(super) fn table_name(text: &Text, report: &mut Report<'_>) -> Option<(Option<String>, String)> {
    let part = |name: &str| Text { text: name.to_owned(), span: text.span.clone() };
    match text.text.split_once('.') {
        None => Some((None, identifier(text, "a table", report)?)),
        Some((_, name)) if name.contains('.') => {
            let message = format!("`{}` has too many dots for a table", text.text);
            report.add("bad-name", text.span.clone(), message, "write `table` or `schema.table`");
            None
        }
        Some((schema, name)) => {
            let schema = identifier(&part(schema), "a schema", report);
            Some((Some(schema?), identifier(&part(name), "a table", report)?))
        }
    }
}

/// `from:` — a sub-document, or the elements of a list by `[]` at its end.
fn scope(node: &Node, source: Option<&SourceKind>, report: &mut Report<'_>) -> Option<Scope> {
    let text = super::fields::text_of(node, "from", report)?;
    if text.text.starts_with('$') {
        let message = "a table's `from` is a path from the top of the item already";
        report.add("bad-path", text.span, message, "write `from: path` or `from: path[]`");
        return None;
    }
    if let (Some(_), Some(_)) = (odk::source(source), text.text.strip_suffix("[]")) {
        // Every list stands at the top of the item, whatever holds it there.
        let path = column::path(&text.text.replace("[]", ""), &text.span, report)?;
        return odk::list(&path).map(|list| Scope::Elements(Path::field(&list)));
    }
    if text.text.strip_suffix("[]").unwrap_or(&text.text).contains("[]") {
        let message = "a table has the elements of one list; only the last part of a path can be `[]`";
        report.add("bad-path", text.span, message, "write `from: path[]`, and keep inner lists in a `jsonb` column");
        return None;
    }
    match text.text.strip_suffix("[]") {
        Some(list) => column::path(list, &text.span, report).map(Scope::Elements),
        None => column::path(&text.text, &text.span, report).map(Scope::Document),
    }
}

fn when(node: &Node, place: Place<'_>, report: &mut Report<'_>) -> Option<crate::expr::Program> {
    let program = column::program(node, "when", place, report)?;
    if !program.is_condition() {
        let message = "a condition is an expression; a template gives text";
        report.add("bad-program", node.span.clone(), message, "write it without braces: `when: status == 'active'`");
        return None;
    }
    Some(program)
}

/// How many columns stand there, and those that are good.
fn columns(parts: &[Named<'_>], place: Place<'_>, report: &mut Report<'_>) -> (usize, Vec<Lowered>) {
    let good = parts.iter().filter_map(|part| column::lower(part, place, report)).collect();
    (parts.len(), good)
}

/// What `columns:` says.
#[derive(Default)]
struct Mapped {
    /// How many columns stand there.
    count: usize,
    /// Those that are good.
    good: Vec<Lowered>,
    /// Whether all other fields become columns too.
    auto: bool,
}

/// `columns:` — columns by name, `auto`, or both: `"*": auto` among them.
fn mapped(node: &Node, place: Place<'_>, report: &mut Report<'_>) -> Mapped {
    if node.as_text().is_some_and(|text| text.text == "auto") {
        let auto = may_be_auto(&node.span, place, report);
        return Mapped { auto, ..Mapped::default() };
    }
    let (others, named): (Vec<_>, Vec<_>) =
        named(node, "column", true, report).into_iter().partition(|part| part.name.text == "*");
    let (count, good) = columns(&named, place, report);
    let Some(others) = others.first() else { return Mapped { count, good, auto: false } };
    if others.body.as_text().is_none_or(|text| text.text != "auto") {
        let message = "`*` is all fields that no column names, which take their types from the source";
        report.add("bad-auto", others.name.span.clone(), message, "write `\"*\": auto`");
        return Mapped { count, good, auto: false };
    }
    let auto = may_be_auto(&others.name.span, place, report);
    Mapped { count, good, auto }
}

/// Whether the source says which fields the rows of this table have.
fn may_be_auto(span: &Range<usize>, place: Place<'_>, report: &mut Report<'_>) -> bool {
    let hint = "name the columns: `columns: { name: text }`";
    if let Some(SourceKind::Dynamodb { .. }) = place.source {
        let message = "`columns: auto` is not in this release: a DynamoDB table says nothing about its attributes";
        report.add("not-in-this-release", span.clone(), message, hint);
        return false;
    }
    if let Some(SourceKind::Webhook(_)) = place.source {
        let message = "`columns: auto` is for sources that say which fields there are, and a webhook doesn't";
        report.add("bad-auto", span.clone(), message, hint);
        return false;
    }
    let may = place.root || (place.children && odk::is_form(place.source));
    if !may {
        let message = "`columns: auto` is for whole items: a source says nothing about what its values hold inside";
        report.add("bad-auto", span.clone(), message, hint);
        return false;
    }
    true
}

/// The table's policy, the sink's, or the default.
fn policy(fields: &Fields<'_>, common: &Common<'_>, children: bool, report: &mut Report<'_>) -> Option<Policy> {
    let policy = match fields.get("delete") {
        Some(node) => delete::lower(node, report)?,
        None => match &common.delete {
            Some(policy) => policy.clone(),
            None => Policy::of(if children { DeleteMode::Hard } else { DeleteMode::Soft { keep: true } }),
        },
    };
    if children && policy.policy.mode == DeleteMode::Ignore {
        let message = "elements come and go with their list, so their table cannot ignore deletes";
        let span = if fields.get("delete").is_some() { policy.span } else { fields.at.clone() };
        report.add("bad-child-delete", span, message, "write `delete: hard` or `delete: soft` at this table");
        return None;
    }
    if !children && policy.policy.mode == DeleteMode::Hard && common.source.is_some_and(SourceKind::sends_parts) {
        let message =
            "a row that is gone keeps no version per column, which a source that may send parts of items needs";
        let hint = match common.source {
            Some(SourceKind::Sequin(_) | SourceKind::Webhook(_)) => {
                "write `delete: soft`, or give the source table `replica identity full` and say so at the source"
            }
            _ => "write `delete: soft`",
        };
        report.add("hard-delete-of-parts", policy.span, message, hint);
        return None;
    }
    Some(policy)
}

fn unique_names(key: &[Lowered], others: &[Lowered], meta: &MetaColumns, table: &Text, report: &mut Report<'_>) {
    let ours = [Some(&meta.version), Some(&meta.deleted), Some(&meta.synced_at), Some(&meta.source_at)];
    let ours = ours.into_iter().chain([meta.errors.as_ref(), meta.versions.as_ref()]);
    let ours: Vec<&String> = ours.flatten().collect();
    for (position, name) in ours.iter().enumerate() {
        if ours[..position].contains(name) {
            let message = format!("`{name}` is the name of two of the columns that Tributary keeps");
            report.add(
                "duplicate-column",
                table.span.clone(),
                message,
                "give them different names in `meta:` of the sink",
            );
        }
    }
    let all: Vec<&Lowered> = key.iter().chain(others).collect();
    for (position, lowered) in all.iter().enumerate() {
        let name = &lowered.column.name;
        if all[..position].iter().any(|earlier| earlier.column.name == *name) {
            let message = format!("the table has two columns `{name}`");
            report.add(
                "duplicate-column",
                lowered.span.clone(),
                message,
                "a column of the key is not repeated in `columns:`",
            );
        } else if ours.contains(&name) {
            let message = format!("`{name}` is a column that Tributary keeps for itself");
            report.add("duplicate-column", lowered.span.clone(), message, "rename it, or ours in `meta:` of the sink");
        }
    }
}
