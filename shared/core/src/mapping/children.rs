//! `children:` of a table of items — a table for each list of the item, by name or all that there are.

use super::fields::{Fields, Named, named};
use super::node::{Node, Text};
use super::pipeline::Common;
use super::report::Report;
use super::{column, delete, odk, table};
use crate::auto::list;
use crate::path::Path;
use crate::pipeline::{Lists, Route, Scope};
use crate::table::{DeleteMode, MetaColumns, Table};

pub(super) const KEYS: &[&str] = &["table", "key", "columns", "when", "delete"];

/// What `children:` says.
#[derive(Default)]
pub(super) struct Children {
    /// What all other lists become.
    pub(super) lists: Option<Lists>,
    /// The tables that it names, each with the place of its name.
    pub(super) tables: Vec<(Text, Option<(Table, Route)>)>,
}

/// Lowers `children:` of the table `root`.
pub(super) fn lower(node: &Node, root: &str, common: &Common<'_>, report: &mut Report<'_>) -> Children {
    if !odk::is_form(common.source) {
        if common.source.is_some() {
            let message = "`children` is for forms of ODK Central, which say which repeats there are";
            let hint = "write a table for each list: `lines: { from: lines[], key: { … } }`";
            report.add("bad-children", node.span.clone(), message, hint);
        }
        return Children::default();
    }
    if is_auto(node) {
        return Children { lists: Some(lists(common, report)), tables: Vec::new() };
    }
    let mut children = Children::default();
    for part in named(node, "list", true, report) {
        if part.name.text == "*" {
            if is_auto(part.body) {
                children.lists = Some(lists(common, report));
            } else {
                let message = "`*` is all lists that no table is made from";
                report.add("bad-auto", part.name.span.clone(), message, "write `\"*\": auto`");
            }
            continue;
        }
        children.tables.push(one(&part, root, common, report));
    }
    children
}

fn is_auto(node: &Node) -> bool {
    node.as_text().is_some_and(|text| text.text == "auto")
}

/// A list and its table.
fn one(part: &Named<'_>, root: &str, common: &Common<'_>, report: &mut Report<'_>) -> (Text, Option<(Table, Route)>) {
    let name = &part.name;
    let written = name.text.replace("[]", "");
    let Some(list) = column::path(&written, &name.span, report).and_then(|path| odk::list(&path)) else {
        return (name.clone(), None);
    };
    let default = Text { text: list::table_name(root, &list), span: name.span.clone() };
    let scope = Some(Scope::Elements(Path::field(&list)));
    // A view puts the elements in order, and within each other.
    let how = table::How { placed: true, ..table::How::default() };
    if is_auto(part.body) {
        let fields = Fields::none("a list", name.span.clone());
        let lowered = table::of(&default, &fields, scope, table::How { auto: true, ..how }, common, report);
        return (default, lowered);
    }
    let Some(fields) = part.open("a list", KEYS, report) else { return (default, None) };
    let table_name = match fields.get("table") {
        Some(_) => fields.text("table", report).unwrap_or_else(|| default.clone()),
        None => default,
    };
    let lowered = table::of(&table_name, &fields, scope, how, common, report);
    (table_name, lowered)
}

/// What lists become that no table is made from.
fn lists(common: &Common<'_>, report: &mut Report<'_>) -> Lists {
    let policy = match &common.delete {
        Some(policy) if policy.policy.mode != DeleteMode::Ignore => policy.clone(),
        _ => delete::Policy::of(DeleteMode::Hard),
    };
    let mut columns = Vec::new();
    delete::add_columns(&policy, &[], &mut columns, report);
    Lists {
        delete: policy.policy,
        meta: MetaColumns { versions: None, ..common.meta.clone() },
        columns: columns.into_iter().map(|lowered| (lowered.column, lowered.binding)).collect(),
    }
}
