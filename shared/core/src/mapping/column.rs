//! A column of a table: its type, where its value comes from, and what happens when the value doesn't fit.

use std::ops::Range;

use super::fields::{Fields, Named, choice_of, text_of};
use super::node::{Node, Shape, Text};
use super::report::Report;
use super::spelling::{distance, nearest};
use super::table::identifier;
use crate::cast::cast;
use crate::cell::Cell;
use crate::column_type::{Base, ColumnType};
use crate::expr::Program;
use crate::path::Path;
use crate::pipeline::{Binding, From, OnError, SourceKind};
use crate::table::{Column, Role};

pub(super) const KEYS: &[&str] = &["from", "value", "type", "default", "on_error"];

/// A column with the place of its name.
pub(super) struct Lowered {
    pub(super) column: Column,
    pub(super) binding: Binding,
    pub(super) span: Range<usize>,
}

/// Where a column stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'s> {
    /// Among the key columns.
    pub(super) key: bool,
    /// In a table of list elements.
    pub(super) children: bool,
    /// In a table of whole items.
    pub(super) root: bool,
    /// The source; `None` when it is bad.
    pub(super) source: Option<&'s SourceKind>,
}

/// Lowers a column.
pub(super) fn lower(part: &Named<'_>, place: Place<'_>, report: &mut Report<'_>) -> Option<Lowered> {
    let name = identifier(&part.name, "a column", report);
    if let Shape::Scalar { .. } = part.body.shape {
        let ty = type_of(&text_of(part.body, &part.name.text, report)?, place, report);
        let from = own_path(&part.name, report);
        let column = Column { name: name?, ty: ty?, role: Role::Data, default: None };
        let binding = Binding { from: from?, on_error: unless_said(&column.ty, place) };
        return Some(Lowered { column, binding, span: part.name.span.clone() });
    }
    let fields = part.open("a column", KEYS, report)?;
    let ty = fields.required_text("type", "text", report).and_then(|ty| type_of(&ty, place, report));
    if let (Some(_), Some(span)) = (fields.get("from"), fields.key_span("value")) {
        report.add("conflict", span, "`from` and `value` exclude each other", "remove one of the two");
    }
    let from = match (fields.get("from"), fields.get("value")) {
        (Some(node), _) => text_of(node, "from", report).and_then(|text| from(&text, place, report)),
        (None, Some(node)) => program(node, "value", place, report).map(From::Program),
        (None, None) => own_path(&part.name, report),
    };
    let default = fields.get("default").map(|node| default(node, &fields, ty.as_ref(), place, report));
    let on_error = fields.get("on_error").map(|node| on_error(node, ty.as_ref(), place, report));
    let ty = ty?;
    let on_error = on_error.unwrap_or(Some(unless_said(&ty, place)))?;
    Some(Lowered {
        column: Column {
            name: name?,
            ty,
            role: Role::Data,
            default: default.map_or(Some(None), |default| default.map(Some))?,
        },
        binding: Binding { from: from?, on_error },
        span: part.name.span.clone(),
    })
}

/// What happens to a value that doesn't fit where the mapping says nothing. What people and devices have typed into a form is
/// not refused for one answer; what only the server can read, only the server can refuse.
fn unless_said(ty: &ColumnType, place: Place<'_>) -> OnError {
    let lenient = matches!(place.source, Some(SourceKind::Odk(_)));
    if lenient && !place.key && ty.read_by_us() { OnError::Null } else { OnError::DeadLetter }
}

/// The field that is named like the column.
fn own_path(name: &Text, report: &mut Report<'_>) -> Option<From> {
    // Quoted, a dot in the name is no step.
    let path = format!("\"{}\"", name.text).parse::<Path>();
    path.map(From::Row)
        .inspect_err(|e| report.add_error("bad-path", name.span.clone(), e, "write `from:` and a path"))
        .ok()
}

fn from(text: &Text, place: Place<'_>, report: &mut Report<'_>) -> Option<From> {
    if text.text == "$index" {
        if !place.children {
            let message = "`$index` is a position in a list, and the rows of this table are no list's elements";
            report.add(
                "index-outside-list",
                text.span.clone(),
                message,
                "write `from: path[]` at the table, or another `from`",
            );
            return None;
        }
        return Some(From::Index);
    }
    if text.text == "$value" {
        return whole(text, place, report);
    }
    let root = text.text.strip_prefix("$root.");
    let is_word = |word: &str| text.text.starts_with(word);
    if root.is_none() && (is_word("$root") || is_word("$index") || is_word("$value.") || is_word("$value[")) {
        let message = format!("`{}` names no field", text.text);
        let hint = if is_word("$value") {
            "write the path alone: it begins at the row's part of the item"
        } else {
            "write `$root.` and a path, or `$index`"
        };
        report.add("bad-path", text.span.clone(), message, hint);
        return None;
    }
    let written = root.unwrap_or(&text.text);
    let path = path(written, &text.span, report)?;
    if written.starts_with('$') {
        reserved(&path, root.is_some(), text, place, report)?;
    }
    Some(if root.is_some() { From::Root(path) } else { From::Row(path) })
}

/// `$value`: the row's part of the item as it is.
fn whole(text: &Text, place: Place<'_>, report: &mut Report<'_>) -> Option<From> {
    let (message, hint) = if place.key && !place.children {
        let message = "`$value` is all of the row's part of the item here, which is no key";
        (message, "name a field of the item, or write `from: path[]` at the table")
    } else if place.root && place.source.is_some_and(SourceKind::sends_parts) {
        let message = "`$value` is the whole item here, and this source may send a part of it only";
        (message, "name the fields, each a column")
    } else {
        return Some(From::Whole);
    };
    report.add("bad-value", text.span.clone(), message, hint);
    None
}

/// Checks a path whose first field begins with `$` and stands without quotes. Only DynamoDB's attributes may be named so:
/// where items have reserved fields, a mistyped one would be NULL for ever.
fn reserved(path: &Path, is_root: bool, text: &Text, place: Place<'_>, report: &mut Report<'_>) -> Option<()> {
    let Some(source) = place.source else { return Some(()) };
    if matches!(source, SourceKind::Dynamodb { .. }) {
        return Some(());
    }
    let of_element = place.children && !is_root;
    let all = if of_element {
        [source.reserved_in_elements(), source.reserved_fields()].concat()
    } else {
        source.reserved_fields().to_vec()
    };
    let field = path.first_field().unwrap_or_default();
    let at_top = is_root || place.root || (of_element && source.reserved_in_elements().contains(&field));
    if at_top && all.contains(&field) && path.steps().len() == 1 {
        return Some(());
    }
    let hint = match nearest(field, all.iter().copied()) {
        Some(meant) if place.root => format!("write `{meant}`"),
        Some(meant) => format!("write `$root.{meant}`"),
        None => format!("a field of that name stands in quotes: `\'\"{field}\"\'`"),
    };
    let message = match all[..] {
        [] => format!("{} has no `{field}`", source.noun()),
        _ if all.contains(&field) && !at_top => format!("`{field}` stands at the top of the item"),
        _ if all.contains(&field) => format!("`{field}` is text, with nothing inside"),
        _ => format!("`{field}` is not one of {}", all.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", ")),
    };
    report.add("bad-path", text.span.clone(), message, hint);
    None
}

/// A path of the item.
pub(super) fn path(text: &str, span: &Range<usize>, report: &mut Report<'_>) -> Option<Path> {
    let hint = "separate fields by dots, and put a name with a dot or bracket in double quotes";
    text.parse().inspect_err(|e| report.add_error("bad-path", span.clone(), e, hint)).ok()
}

/// A template or expression.
pub(super) fn program(node: &Node, key: &str, place: Place<'_>, report: &mut Report<'_>) -> Option<Program> {
    let text = text_of(node, key, report)?;
    match Program::parse(&text.text) {
        Ok(program) if program.uses_index() && !place.children => {
            let message = "`index` is a position in a list, and the rows of this table are no list's elements";
            report.add("index-outside-list", text.span, message, "name a field `index` as `row.index`");
            None
        }
        Ok(program) => Some(program),
        Err(flaw) => {
            // Where YAML left the text as it stands, the flaw's place within it is a place in the file.
            let written = report.text().get(text.span.clone()).unwrap_or_default();
            let span = match (written.find(&text.text), flaw.range) {
                (Some(at), Some(range)) if !text.text.is_empty() => {
                    let start = text.span.start + at;
                    start + range.start..start + range.end
                }
                _ => text.span.clone(),
            };
            let hint = flaw.hint.unwrap_or_else(|| "write a Jinja template or expression".to_owned());
            report.add("bad-program", span, flaw.message, hint);
            None
        }
    }
}

/// Types that a mistyped name may have meant.
const TYPES: [&str; 20] = [
    "boolean",
    "bool",
    "smallint",
    "integer",
    "bigint",
    "real",
    "numeric",
    "decimal",
    "text",
    "varchar",
    "char",
    "bytea",
    "uuid",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "json",
    "jsonb",
    "interval",
];

fn type_of(text: &Text, place: Place<'_>, report: &mut Report<'_>) -> Option<ColumnType> {
    let ty = ColumnType::parse(&text.text)
        .inspect_err(|e| {
            report.add_error("unknown-type", text.span.clone(), e, "write a Postgres type, such as `text`");
        })
        .ok()?;
    if text.text == "auto" {
        let message = "a column's type is said here; `auto` is for all fields that no column names";
        report.add("bad-auto", text.span.clone(), message, "write a type, or `\"*\": auto` for all others");
        return None;
    }
    if let Base::Other { name, modifier } = &ty.base {
        let near = TYPES.iter().find(|known| name.len() >= 4 && known.len() >= 4 && distance(name, known) == 1);
        if let Some(known) = near {
            let brackets = if ty.array { "[]" } else { "" };
            let hint = format!("write `{known}{modifier}{brackets}`, or name your own type with its schema");
            report.add("unknown-type", text.span.clone(), format!("`{name}` is not a type of Postgres"), hint);
            return None;
        }
    }
    if place.key && !ty.can_be_key() {
        let message = format!("a key cannot be of type `{ty}`, whose equality is not that of its text");
        report.add(
            "bad-key-type",
            text.span.clone(),
            message,
            "write `text`, `uuid`, `bigint`, `numeric` or `timestamptz`",
        );
        return None;
    }
    Some(ty)
}

fn default(
    node: &Node,
    fields: &Fields<'_>,
    ty: Option<&ColumnType>,
    place: Place<'_>,
    report: &mut Report<'_>,
) -> Option<Cell> {
    if place.key {
        let span = fields.key_span("default").unwrap_or_default();
        report.add("default-in-key", span, "a default in a key would make one row of many", "remove it");
        return None;
    }
    let Some(value) = node.literal() else {
        report.add("duplicate-key", node.span.clone(), "a key stands here twice", "remove one of the two");
        return None;
    };
    if node.is_null() {
        report.add("bad-default", node.span.clone(), "a column without a value is NULL anyway", "remove the default");
        return None;
    }
    let ty = ty?;
    cast(&value, ty)
        .inspect_err(|misfit| {
            let message = format!("this default is no `{ty}`: {misfit}");
            report.add(
                "bad-default",
                node.span.clone(),
                message,
                "write a value of the column's type, or another type",
            );
        })
        .ok()
}

fn on_error(node: &Node, ty: Option<&ColumnType>, place: Place<'_>, report: &mut Report<'_>) -> Option<OnError> {
    let word = choice_of(node, "on_error", &["dead_letter", "null", "truncate"], report)?;
    let span = node.span.clone();
    if word == "dead_letter" {
        return Some(OnError::DeadLetter);
    }
    if place.key {
        let message = format!("a key column cannot have `on_error: {word}`: the row would be another one");
        report.add("bad-on-error", span, message, "remove it");
        return None;
    }
    let ty = ty?;
    if ty.read_by_server() {
        let message = format!("only the server knows whether a value is a `{ty}`, when the row is written");
        report.add("bad-on-error", span, message, "write `on_error: dead_letter`, or another type");
        return None;
    }
    if word == "null" {
        return Some(OnError::Null);
    }
    if ty.array || !matches!(ty.base, Base::Varchar(Some(_)) | Base::Char(_)) {
        let message = format!("`truncate` is for `varchar(n)` and `char(n)`, not for `{ty}`");
        report.add("bad-on-error", span, message, "write `on_error: null` or `on_error: dead_letter`");
        return None;
    }
    Some(OnError::Truncate)
}
