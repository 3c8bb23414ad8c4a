//! `columns: auto`: fields of the source that no column names become columns, and stay the same columns for ever.
//!
//! Pure: the source's fields and the names that were given before come in, a pipeline with all its columns comes out. Who
//! asks the source, stores the names and adds the columns is the runtime.
//!
//! A column's name is made once, of what its field is called then, and belongs to the field's id from then on: a field
//! that is renamed keeps its column, and two that swap their names don't swap their values. A field that is gone takes
//! no part any more, so nothing writes its column, which keeps its values; one that comes back finds it again.

mod name;
mod news;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::column_type::ColumnType;
use crate::error::{Error, Result};
use crate::path::{Path, Step};
use crate::pipeline::{Binding, From, OnError, Pipeline, Route, Scope};
use crate::table::{Column, Role, Table};
use crate::value::Value;

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

/// The columns that fields were given, by table. Kept for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Names {
    tables: BTreeMap<String, OfTable>,
}

/// What the fields of one table were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct OfTable {
    fields: IndexMap<String, Given>,
    /// Ids of fields that the mapping names itself. A field may be called as another's id is.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    others: BTreeSet<String>,
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

    /// Whether a table has been given columns before.
    pub fn knows(&self, table: &Table) -> bool {
        self.tables.contains_key(&table.qualified_name())
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
    pipeline.routes.iter().any(|route| route.auto)
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
    for (table, route) in pipeline.tables.iter().zip(&pipeline.routes).filter(|(_, route)| route.auto) {
        let nothing = Existing::new();
        let existing = existing.get(&table.qualified_name()).unwrap_or(&nothing);
        let reserved = pipeline.source.kind.reserved_fields();
        Assignment { table, route, reserved, existing }.assign(known, &mut names, &mut news);
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
    let parts = whole.tables.iter_mut().zip(&mut whole.routes).zip(&pipeline.routes);
    for ((table, route), written) in parts.filter(|(_, written)| written.auto) {
        let Some(of_table) = names.tables.get(&table.qualified_name()) else { continue };
        let mapped = Mapped::of(written);
        let own = own_names(table);
        for (id, given) in &of_table.fields {
            if given.gone || mapped.has(id, &given.name, of_table) || own.contains(&given.column) {
                continue;
            }
            let ty = ColumnType::parse(&given.r#type)?;
            // What only the server can read, only the server can refuse.
            let on_error = if ty.read_by_server() { OnError::DeadLetter } else { OnError::Null };
            route.columns.push(Binding { from: From::Row(Path::field(id)), on_error });
            table.columns.push(Column { name: given.column.clone(), ty, role: Role::Data, default: None });
        }
    }
    Ok(whole)
}

/// The columns that a table has by the mapping, and those that are never a field's.
fn own_names(table: &Table) -> BTreeSet<String> {
    let meta = &table.meta;
    let kept = [&meta.version, &meta.deleted, &meta.synced_at, &meta.source_at].map(Some);
    let kept = kept.into_iter().chain([meta.errors.as_ref(), meta.versions.as_ref()]).flatten().cloned();
    table.key.iter().chain(&table.columns).map(|column| column.name.clone()).chain(kept).collect()
}

/// The fields that columns of the mapping take whole, as it spells them.
struct Mapped<'r>(BTreeSet<&'r str>);

impl<'r> Mapped<'r> {
    fn of(route: &'r Route) -> Self {
        let whole = |path: &'r Path| match path.steps() {
            [Step::Field(name)] => Some(&**name),
            _ => None,
        };
        let field = |binding: &'r Binding| match (&binding.from, &route.scope) {
            (From::Row(path), Scope::Root) | (From::Root(path), _) => whole(path),
            _ => None,
        };
        Mapped(route.key.iter().chain(&route.columns).filter_map(field).collect())
    }

    /// An id wins over a field of that name.
    fn has(&self, id: &str, name: &str, all: &OfTable) -> bool {
        self.0.contains(id) || (self.0.contains(name) && !all.is_id(name))
    }
}

/// One table that follows its source.
struct Assignment<'p> {
    table: &'p Table,
    route: &'p Route,
    reserved: &'static [&'static str],
    existing: &'p Existing,
}

impl Assignment<'_> {
    fn assign(&self, known: Known<'_>, names: &mut Names, news: &mut Vec<News>) {
        let is_first = !names.knows(self.table);
        let of_table = names.tables.entry(self.table.qualified_name()).or_default();
        let (fields, all) = match known {
            Known::All(fields) => (fields, true),
            Known::Some(fields) => (fields, false),
        };
        let mapped = Mapped::of(self.route);
        let by_id = fields.iter().map(|field| &field.id).filter(|id| mapped.0.contains(id.as_str()));
        of_table.others.extend(by_id.cloned());
        let is_ours = |field: &&Field| {
            !self.reserved.contains(&field.id.as_str()) && !mapped.has(&field.id, &field.name, of_table)
        };
        let ours: Vec<&Field> = fields.iter().filter(is_ours).collect();
        for field in &ours {
            if let Some(given) = of_table.fields.get_mut(&field.id) {
                self.meet(field, given, news);
            }
        }
        if all {
            let is_there = |id: &str| fields.iter().any(|field| field.id == id);
            let missing = of_table.fields.iter_mut().filter(|(id, given)| !given.gone && !is_there(id));
            for (_, given) in missing {
                given.gone = true;
                news.push(News::Removed { column: self.shown(&given.column), field: given.name.clone() });
            }
        }
        self.give_way(&mapped, of_table, news);
        // A source that shows its fields one by one may show late what the table has had from the start.
        let added = self.add(&ours, is_first || !all, &mut of_table.fields);
        let given = |id: &String| &of_table.fields[id];
        if is_first && !added.is_empty() {
            let columns = added.iter().map(|id| given(id).column.clone()).collect();
            news.push(News::First { table: self.table.qualified_name(), columns });
        } else {
            news.extend(added.iter().map(|id| News::Added {
                column: self.shown(&given(id).column),
                ty: given(id).r#type.clone(),
                field: given(id).name.clone(),
            }));
        }
        if of_table.fields.is_empty() {
            names.tables.remove(&self.table.qualified_name());
        }
    }

    /// A field that has a column is there.
    fn meet(&self, field: &Field, given: &mut Given, news: &mut Vec<News>) {
        let column = self.shown(&given.column);
        if given.gone {
            given.gone = false;
            news.push(News::Restored { column: column.clone(), field: field.name.clone() });
        }
        if given.name != field.name {
            let from = std::mem::replace(&mut given.name, field.name.clone());
            news.push(News::Renamed { column: column.clone(), from, to: field.name.clone() });
        }
        let Some(ty) = &field.ty else { return };
        let wants = Some(ty.to_string()).filter(|wants| *wants != given.r#type);
        if given.wants != wants {
            given.wants.clone_from(&wants);
            if let Some(wants) = wants {
                let (ty, field) = (given.r#type.clone(), field.name.clone());
                news.push(News::Retyped { column, ty, field, wants });
            }
        }
    }

    /// A column that the mapping has come to use itself isn't a field's any more.
    fn give_way(&self, mapped: &Mapped<'_>, of_table: &mut OfTable, news: &mut Vec<News>) {
        let own = own_names(self.table);
        let mut taken: BTreeSet<String> = of_table.fields.values().map(|given| given.column.clone()).collect();
        let is_due =
            |(id, given): &(&String, &Given)| own.contains(&given.column) && !mapped.has(id, &given.name, of_table);
        let due: Vec<String> = of_table.fields.iter().filter(is_due).map(|(id, _)| id.clone()).collect();
        for id in due {
            let Some(given) = of_table.fields.get_mut(&id) else { continue };
            let is_taken = |name: &str| own.contains(name) || taken.contains(name) || self.existing.contains_key(name);
            let to = free(&column_name(&given.name), is_taken);
            taken.insert(to.clone());
            let from = std::mem::replace(&mut given.column, to.clone());
            let field = given.name.clone();
            news.push(News::Moved { from: self.shown(&from), to: self.shown(&to), field });
        }
    }

    /// Gives new fields their columns; gives the ids of these fields, in the order of the source.
    fn add(&self, fields: &[&Field], adopts: bool, given: &mut IndexMap<String, Given>) -> Vec<String> {
        let is_new = |field: &&Field| field.ty.is_some() && !given.contains_key(&field.id);
        let new: Vec<&Field> = fields.iter().copied().filter(is_new).collect();
        let mut taken = own_names(self.table);
        taken.extend(given.values().map(|given| given.column.clone()));
        if !adopts {
            // Somebody else has added these.
            taken.extend(self.existing.keys().cloned());
        }
        // Of fields that are called alike, the id decides, so that the order of a listing doesn't matter.
        let mut by_id = new.clone();
        by_id.sort_by(|a, b| a.id.cmp(&b.id));
        let mut columns: BTreeMap<&str, String> = BTreeMap::new();
        for field in by_id {
            let column = free(&column_name(&field.name), |name| taken.contains(name));
            taken.insert(column.clone());
            columns.insert(&field.id, column);
        }
        let mut added = Vec::new();
        for field in new {
            let (Some(column), Some(ty)) = (columns.remove(field.id.as_str()), &field.ty) else { continue };
            let wanted = ty.to_string();
            let there = self.existing.get(&column).cloned().flatten().map(|ty| ty.to_string());
            let ty = there.unwrap_or_else(|| wanted.clone());
            let wants = Some(wanted).filter(|wanted| *wanted != ty);
            let entry = Given { column, r#type: ty, name: field.name.clone(), wants, gone: false };
            given.insert(field.id.clone(), entry);
            added.push(field.id.clone());
        }
        added
    }

    fn shown(&self, column: &str) -> String {
        format!("{}.{column}", self.table.qualified_name())
    }
}
