//! Lists of an item that no table is made from: each gets a table of its own (`children: auto`), and keeps it for ever.
//!
//! Also for the tables that the mapping makes of lists: a list that the source has no more says nothing of its rows.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::name::{cut, free};
use super::{Known, News};
use crate::column_type::{Base, ColumnType};
use crate::path::{Path, Step};
use crate::pipeline::{Binding, ELEMENT_ID, From, Lists, OnError, PARENT, POSITION, Pipeline, RECORD_ID, Route, Scope};
use crate::table::{Children, Column, Role, Table};

/// Postgres cuts longer names in silence (`NAMEDATALEN`).
const LONGEST: usize = 63;

/// What a list was given, by the list.
pub(super) type Given = IndexMap<String, GivenList>;

/// What a list was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct GivenList {
    /// The name of its table; `None` where the mapping made one when the list was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    /// Whether the source has it no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) gone: bool,
}

/// The list that a table is made from: `person_details.income`.
pub fn of(route: &Route) -> Option<String> {
    match &route.scope {
        Scope::Elements(path) => match path.steps() {
            [Step::Field(list)] => Some(list.to_string()),
            _ => None,
        },
        Scope::Root | Scope::Document(_) => None,
    }
}

/// The name of the table of a list.
pub fn table_name(root: &str, list: &str) -> String {
    cut(&format!("{root}_{}", list.replace('.', "_")), LONGEST).to_owned()
}

/// The key of a table of a list: the item's id, and that of the element.
pub fn key() -> [(Column, Binding); 2] {
    [text("submission_id", From::Root(Path::field(RECORD_ID))), text("repeat_id", From::Row(Path::field(ELEMENT_ID)))]
}

/// The columns of a table of a list that follows its source beside those of its fields.
pub fn columns(nested: bool) -> Vec<(Column, Binding)> {
    let parent = nested.then(|| text("parent_id", From::Row(Path::field(PARENT))));
    let (mut column, binding) = text("position", From::Row(Path::field(POSITION)));
    column.ty = ColumnType::scalar(Base::Int4);
    parent.into_iter().chain([(column, binding)]).collect()
}

fn text(name: &str, from: From) -> (Column, Binding) {
    let column = Column { name: name.into(), ty: ColumnType::scalar(Base::Text), role: Role::Data, default: None };
    (column, Binding { from, on_error: OnError::DeadLetter })
}

/// Remembers which lists the source has, and names the tables of those that no table of the mapping is made from.
pub(super) fn assign(pipeline: &Pipeline, known: Known<'_>, given: &mut Given, news: &mut Vec<News>) {
    let (fields, all) = match known {
        Known::All(fields) => (fields, true),
        Known::Some(fields) => (fields, false),
    };
    let mut there: Vec<&String> = Vec::new();
    for list in fields.iter().filter_map(|field| field.list.as_ref()) {
        if !there.contains(&list) {
            there.push(list);
        }
    }
    let written: BTreeSet<String> = pipeline.routes.iter().filter_map(of).collect();
    let root = root(pipeline);
    for list in &there {
        let is_free = root.is_some() && !written.contains(*list);
        let mut taken: BTreeSet<String> = pipeline.tables.iter().map(|table| table.name.clone()).collect();
        taken.extend(pipeline.views.iter().map(|view| view.name.clone()));
        taken.extend(given.values().filter_map(|given| given.table.clone()));
        let entry = given.entry((*list).clone()).or_default();
        if let (None, Some((root, _)), true) = (&entry.table, root, is_free) {
            entry.table = Some(free(&table_name(&root.name, list), |name| taken.contains(name)));
        }
        if entry.gone {
            entry.gone = false;
            news.push(News::ListRestored { list: (*list).clone() });
        }
    }
    if all {
        for (list, entry) in given.iter_mut().filter(|(list, entry)| !entry.gone && !there.contains(list)) {
            entry.gone = true;
            news.push(News::ListRemoved { list: list.clone() });
        }
    }
}

/// The table whose lists become tables, and how.
fn root(pipeline: &Pipeline) -> Option<(&Table, &Lists)> {
    let all = pipeline.tables.iter().zip(&pipeline.routes);
    all.filter_map(|(table, route)| Some((table, route.lists.as_ref()?))).next()
}

/// Adds the tables of lists that no table of the mapping is made from, and retires those of lists that are gone.
pub(super) fn add(pipeline: &mut Pipeline, given: &Given) {
    let written: BTreeSet<String> = pipeline.routes.iter().filter_map(of).collect();
    let added: Vec<(Table, Route)> = match root(pipeline) {
        None => Vec::new(),
        Some((root, lists)) => {
            let ours = given.iter().filter(|(list, _)| !written.contains(*list));
            let is_nested = |list: &str| {
                given
                    .keys()
                    .chain(&written)
                    .any(|outer| list.strip_prefix(outer.as_str()).is_some_and(|s| s.starts_with('.')))
            };
            ours.filter_map(|(list, entry)| Some(table_of(root, lists, list, entry.table.clone()?, is_nested(list))))
                .collect()
        }
    };
    for (table, route) in added {
        pipeline.tables.push(table);
        pipeline.routes.push(route);
    }
    for route in &mut pipeline.routes {
        route.retired = of(route).and_then(|list| given.get(&list)).is_some_and(|given| given.gone);
    }
}

fn table_of(root: &Table, lists: &Lists, list: &str, name: String, nested: bool) -> (Table, Route) {
    let (key, key_bindings) = key().into_iter().unzip();
    let (columns, bindings) = columns(nested).into_iter().chain(lists.columns.iter().cloned()).unzip();
    let table = Table {
        schema: root.schema.clone(),
        name,
        key,
        columns,
        delete: lists.delete.clone(),
        meta: lists.meta.clone(),
        children: Some(Children { parent: vec![0] }),
    };
    let route = Route {
        scope: Scope::Elements(Path::field(list)),
        when: None,
        key: key_bindings,
        columns: bindings,
        auto: true,
        lists: None,
        retired: false,
    };
    (table, route)
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
