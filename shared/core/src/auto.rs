//! `columns: auto`: fields of the source that no column names become columns, and stay the same columns for ever.
//!
//! Pure: the source's fields and the names that were given before come in, a pipeline with all its columns comes out. Who
//! asks the source, stores the names and adds the columns is the runtime.
//!
//! A column's name is made once, of what its field is called then, and belongs to the field's id from then on: a field
//! that is renamed keeps its column, and two that swap their names don't swap their values. A field that is gone takes
//! no part any more, so nothing writes its column, which keeps its values; one that comes back finds it again.

mod assign;
pub mod list;
mod name;
mod news;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::column_type::ColumnType;
use crate::error::{Error, Result};
use crate::pipeline::{Binding, From, OnError, Pipeline, Route, SourceKind};
use crate::table::{Column, Role, Table};
use crate::value::Value;

use assign::{Assignment, Mapped, field_of, own_names};
pub use name::{column_name, free};
pub use news::News;

/// The checkpoint of a pipeline that holds its [`Names`].
pub const PARTITION: &str = "columns";

/// A field of a source's items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// By which name it stands at the top of an item (or of a list's element): an id that survives a rename, where the source
    /// has such a thing, else its name. [`SourceKind::path_of`](crate::pipeline::SourceKind::path_of) makes its place of it.
    pub id: String,
    /// The list of the item whose elements have it, such as `person_details.income`; `None`: the item itself.
    pub list: Option<String>,
    /// What people call it.
    pub name: String,
    /// The type of a column that holds any value of it; `None` where nothing tells, as of a null. Then it gets no column yet.
    pub ty: Option<ColumnType>,
}

/// Which fields a source has said to have.
#[derive(Clone, Copy, Debug)]
pub enum Known<'f> {
    /// All that there are: others are gone.
    All(&'f [Field]),
    /// Some, such as those that were in a message: what was known before is still there.
    Some(&'f [Field]),
}

/// The columns that a table has in the database, with their types, as far as they can be read.
pub type Existing = BTreeMap<String, Option<ColumnType>>;

/// The columns that fields were given, by table, and the tables that lists were given. Kept for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Names {
    tables: BTreeMap<String, OfTable>,
    /// The lists of items, and the tables that they were given.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    lists: list::Given,
}

/// What the fields of one table were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct OfTable {
    fields: IndexMap<String, Given>,
    /// Ids of fields that the mapping names itself. A field may be called as another's id is.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    others: BTreeSet<String>,
    /// Those of them that the source has no more, where their columns keep their values then.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    absent: BTreeSet<String>,
}

impl OfTable {
    fn is_id(&self, name: &str) -> bool {
        self.fields.contains_key(name) || self.others.contains(name)
    }
}

/// The column of a field.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Given {
    column: String,
    r#type: String,
    /// What the field was called when it was last seen.
    name: String,
    /// The type that the field asks for, where that has changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wants: Option<String>,
    /// Whether the source has it no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
}

impl Names {
    /// Reads them back.
    ///
    /// # Errors
    /// `Config` when they cannot be read: to begin anew would give fields other columns.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| {
            Error::config("the stored names of columns cannot be read")
                .with_hint("a newer version may have written them; run that one")
                .with_source(e)
        })
    }

    /// The text that [`Names::parse`] reads.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Puts the fields of an item by their ids too, where it has them by the names that they were last seen with: what was
    /// kept of an item may know no ids.
    pub fn add_ids(&self, item: &mut Value) {
        let Value::Map(item) = item else { return };
        for (id, given) in self.tables.values().flat_map(|of_table| &of_table.fields) {
            if let (false, Some(value)) = (item.contains_key(id.as_str()), item.get(given.name.as_str())) {
                let value = value.clone();
                item.insert(id.as_str().into(), value);
            }
        }
    }

    /// Whether any list of the source has been seen.
    pub fn knows_lists(&self) -> bool {
        !self.lists.is_empty()
    }

    /// Whether a table has been given columns before.
    pub fn knows(&self, table: &Table) -> bool {
        self.tables.get(&table.qualified_name()).is_some_and(|of_table| !of_table.fields.is_empty())
    }
}

/// A pipeline with the columns that follow its source.
#[derive(Debug)]
pub struct Expanded {
    /// The pipeline with all its columns.
    pub pipeline: Pipeline,
    /// The names to keep.
    pub names: Names,
    /// What somebody should know.
    pub news: Vec<News>,
}

/// Whether any table of a pipeline follows its source.
pub fn follows(pipeline: &Pipeline) -> bool {
    pipeline.source.kind.keeps_removed() || pipeline.routes.iter().any(|route| route.auto || route.lists.is_some())
}

/// Gives each field that no column names a column of its own. `existing` has the tables that are there, by their
/// qualified names: a table that is given columns for the first time takes those of its own that are called so, whose types
/// then stay; a table that follows its source already takes none that somebody else has added.
///
/// # Errors
/// `Config` when the names hold a type that isn't one.
pub fn expand(
    pipeline: &Pipeline,
    known: Known<'_>,
    names: &Names,
    existing: &BTreeMap<String, Existing>,
) -> Result<Expanded> {
    let (mut names, mut news) = (names.clone(), Vec::new());
    list::assign(pipeline, known, &mut names.lists, &mut news);
    let mut with_lists = pipeline.clone();
    list::add(&mut with_lists, &names.lists);
    let kind = &pipeline.source.kind;
    let all = with_lists.tables.iter().zip(&with_lists.routes).filter(|(_, route)| !route.retired);
    for (table, route) in all.filter(|(_, route)| route.auto || kind.keeps_removed()) {
        let nothing = Existing::new();
        let existing = existing.get(&table.qualified_name()).unwrap_or(&nothing);
        Assignment { table, route, kind, existing }.assign(known, &mut names, &mut news);
    }
    let pipeline = remembered(pipeline, &names)?;
    Ok(Expanded { pipeline, names, news })
}

/// The pipeline with the columns that its fields had when somebody last asked the source.
///
/// # Errors
/// `Config` when the names hold a type that isn't one.
pub fn remembered(pipeline: &Pipeline, names: &Names) -> Result<Pipeline> {
    let mut whole = pipeline.clone();
    list::add(&mut whole, &names.lists);
    let kind = &pipeline.source.kind;
    for (table, route) in whole.tables.iter_mut().zip(&mut whole.routes) {
        let Some(of_table) = names.tables.get(&table.qualified_name()) else { continue };
        let (mapped, own) = (Mapped::of(route, kind), own_names(table));
        leave_out(&of_table.absent, table, route, kind);
        if !route.auto {
            continue;
        }
        for (id, given) in &of_table.fields {
            if given.gone || mapped.has(id, &given.name, of_table) || own.contains(&given.column) {
                continue;
            }
            let ty = ColumnType::parse(&given.r#type)?;
            // What only the server can read, only the server can refuse.
            let on_error = if ty.read_by_us() { OnError::Null } else { OnError::DeadLetter };
            route.columns.push(Binding { from: From::Row(kind.path_of(id)), on_error });
            table.columns.push(Column { name: given.column.clone(), ty, role: Role::Data, default: None });
        }
    }
    Ok(whole)
}

/// Leaves out the columns of fields that the source has no more: nothing writes them, so they keep their values.
fn leave_out(absent: &BTreeSet<String>, table: &mut Table, route: &mut Route, kind: &SourceKind) {
    let stays: Vec<bool> = table
        .columns
        .iter()
        .zip(&route.columns)
        .map(|(column, binding)| {
            column.role != Role::Data || field_of(binding, route, kind).is_none_or(|field| !absent.contains(&field))
        })
        .collect();
    let mut of_columns = stays.iter();
    table.columns.retain(|_| of_columns.next().is_some_and(|stays| *stays));
    let mut of_bindings = stays.iter();
    route.columns.retain(|_| of_bindings.next().is_some_and(|stays| *stays));
}
