//! The unified view of a table of items: its columns, and the lists of each item as arrays of objects.
//!
//! Pure: which columns and tables belong together. The statement that makes the view is the sink's.

use std::collections::BTreeSet;

use crate::auto::{free, list};
use crate::path::Path;
use crate::pipeline::{
    ATTACHMENTS, Binding, ELEMENT_ID, From, PARENT, POSITION, Pipeline, RAW_COLUMN, RECORD_ID, Route, SYSTEM_COLUMN,
    View,
};
use crate::table::{Role, Table};

/// A view of one table of items.
#[derive(Clone, Debug, PartialEq)]
pub struct Unified {
    /// What it is called.
    pub view: View,
    /// The table of items.
    pub root: Table,
    /// The columns of that table, those of the key first.
    pub columns: Vec<String>,
    /// The lists of the items, each a column.
    pub lists: Vec<ListColumn>,
}

/// A list of an item (or of a list's element) as an array of objects.
#[derive(Clone, Debug, PartialEq)]
pub struct ListColumn {
    /// The column, or the key in the objects of the enclosing list.
    pub name: String,
    /// The list's table.
    pub table: Table,
    /// Which columns of it equal which of the enclosing table.
    pub on: Vec<(String, String)>,
    /// The columns that its objects hold.
    pub columns: Vec<String>,
    /// The columns that its elements are ordered by.
    pub order: Vec<String>,
    /// The lists of its elements.
    pub lists: Vec<ListColumn>,
}

/// A list whose rows cannot be found by the key of the view's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apart {
    /// The view: its position in the pipeline's views.
    pub view: usize,
    /// The list's table; `None` stands for lists that become tables later.
    pub table: Option<usize>,
}

/// The views of a pipeline, with the lists that it has now.
///
/// # Errors
/// The first table that cannot be joined.
pub fn unified(pipeline: &Pipeline) -> Result<Vec<Unified>, Apart> {
    pipeline.views.iter().enumerate().map(|(view, _)| Plan { pipeline, view }.unified()).collect()
}

struct Plan<'p> {
    pipeline: &'p Pipeline,
    view: usize,
}

/// A table of a list.
struct OfList<'p> {
    list: String,
    at: usize,
    table: &'p Table,
    route: &'p Route,
}

impl<'p> Plan<'p> {
    fn unified(&self) -> Result<Unified, Apart> {
        let view = &self.pipeline.views[self.view];
        let (root, route) = (&self.pipeline.tables[view.table], &self.pipeline.routes[view.table]);
        let lists = self.lists();
        let items: Vec<Option<&Path>> = route.key.iter().map(|binding| item_path(&binding.from)).collect();
        if route.lists.is_some() && items != [Some(&Path::field(RECORD_ID))] {
            return Err(Apart { view: self.view, table: None });
        }
        let is_shown = |name: &str| name != RAW_COLUMN && name != SYSTEM_COLUMN;
        let columns = root.columns.iter().filter(|column| column.role == Role::Data && is_shown(&column.name));
        let columns: Vec<String> = root.key.iter().chain(columns).map(|column| column.name.clone()).collect();
        let mut taken: BTreeSet<String> = columns.iter().cloned().collect();
        let mut tops = Vec::new();
        for one in lists.iter().filter(|one| outer(one, &lists).is_none()) {
            let on = self.on_root(one, root, &items)?;
            tops.push(self.column(one, one.list.replace('.', "_"), on, &lists, root, &items, &mut taken)?);
        }
        Ok(Unified { view: view.clone(), root: root.clone(), columns, lists: tops })
    }

    /// The tables of lists, the first of each list.
    fn lists(&self) -> Vec<OfList<'p>> {
        let mut all: Vec<OfList<'p>> = Vec::new();
        for (at, (table, route)) in self.pipeline.tables.iter().zip(&self.pipeline.routes).enumerate() {
            let Some(list) = list::of(route).filter(|list| list != ATTACHMENTS) else { continue };
            if !all.iter().any(|one| one.list == list) {
                all.push(OfList { list, at, table, route });
            }
        }
        all
    }

    /// By which columns the rows of a list belong to an item.
    fn on_root(&self, one: &OfList<'_>, root: &Table, items: &[Option<&Path>]) -> Result<Vec<(String, String)>, Apart> {
        let apart = Apart { view: self.view, table: Some(one.at) };
        let parent = one.table.children.as_ref().map(|children| &children.parent[..]).unwrap_or_default();
        let mut on = Vec::new();
        for position in parent {
            let path = item_path_of_element(&one.route.key[*position].from).ok_or(apart)?;
            let at = items.iter().position(|item| *item == Some(path)).ok_or(apart)?;
            on.push((one.table.key[*position].name.clone(), root.key[at].name.clone()));
        }
        if on.is_empty() || on.len() != items.len() { Err(apart) } else { Ok(on) }
    }

    #[allow(clippy::too_many_arguments, reason = "what a list and those inside of it have in common")]
    fn column(
        &self,
        one: &OfList<'_>,
        name: String,
        on: Vec<(String, String)>,
        lists: &[OfList<'_>],
        root: &Table,
        items: &[Option<&Path>],
        taken: &mut BTreeSet<String>,
    ) -> Result<ListColumn, Apart> {
        let name = free(&name, |name| taken.contains(name));
        taken.insert(name.clone());
        let parent = one.table.children.as_ref().map(|children| &children.parent[..]).unwrap_or_default();
        let links = reading(one, PARENT);
        let keys = one.table.key.iter().enumerate().filter(|(at, _)| !parent.contains(at)).map(|(_, column)| column);
        let data = one.table.columns.iter().filter(|column| column.role == Role::Data);
        let columns = keys.chain(data).map(|column| column.name.clone()).filter(|name| links != Some(name.as_str()));
        let columns: Vec<String> = columns.collect();
        let order = match position_of(one) {
            Some(position) => vec![position.to_owned()],
            None => one.table.key.iter().map(|column| column.name.clone()).collect(),
        };
        let mut inner_taken: BTreeSet<String> = columns.iter().cloned().collect();
        let mut inner = Vec::new();
        for other in lists.iter().filter(|other| outer(other, lists).is_some_and(|outer| outer.at == one.at)) {
            // By the item as well as by the element, so that an index of the key helps.
            let of_item = self.on_root(other, root, items)?;
            let mut on: Vec<(String, String)> = of_item
                .into_iter()
                .filter_map(|(theirs, roots)| {
                    let here = self.on_root(one, root, items).ok()?;
                    Some((theirs, here.into_iter().find(|(_, of_root)| *of_root == roots)?.0))
                })
                .collect();
            if let (Some(theirs), Some(ours)) = (reading(other, PARENT), reading(one, ELEMENT_ID)) {
                on.push((theirs.to_owned(), ours.to_owned()));
            }
            let name = other.list[one.list.len() + 1..].replace('.', "_");
            inner.push(self.column(other, name, on, lists, root, items, &mut inner_taken)?);
        }
        Ok(ListColumn { name, table: one.table.clone(), on, columns, order, lists: inner })
    }
}

/// The list whose elements hold this one, where the rows say to which they belong.
fn outer<'l, 'p>(one: &OfList<'_>, lists: &'l [OfList<'p>]) -> Option<&'l OfList<'p>> {
    let holds =
        |outer: &&OfList<'_>| one.list.strip_prefix(outer.list.as_str()).is_some_and(|rest| rest.starts_with('.'));
    let nearest = lists.iter().filter(holds).max_by_key(|outer| outer.list.len())?;
    (reading(one, PARENT).is_some() && reading(nearest, ELEMENT_ID).is_some()).then_some(nearest)
}

/// The column of an element's table that holds this field of the element.
fn reading<'t>(one: &OfList<'t>, field: &str) -> Option<&'t str> {
    let path = Path::field(field);
    let is_it = |binding: &Binding| matches!(&binding.from, From::Row(from) if *from == path);
    column_where(one, is_it)
}

fn position_of<'t>(one: &OfList<'t>) -> Option<&'t str> {
    reading(one, POSITION).or_else(|| column_where(one, |binding| matches!(binding.from, From::Index)))
}

fn column_where<'t>(one: &OfList<'t>, is_it: impl Fn(&Binding) -> bool) -> Option<&'t str> {
    let columns = one.table.key.iter().chain(&one.table.columns);
    let mut all = columns.zip(one.route.key.iter().chain(&one.route.columns));
    all.find(|(_, binding)| is_it(binding)).map(|(column, _)| column.name.as_str())
}

/// The place in the item that a column of a table of items takes.
fn item_path(from: &From) -> Option<&Path> {
    match from {
        From::Row(path) | From::Root(path) => Some(path),
        _ => None,
    }
}

/// The place in the item that a column of a table of elements takes.
fn item_path_of_element(from: &From) -> Option<&Path> {
    match from {
        From::Root(path) => Some(path),
        _ => None,
    }
}
