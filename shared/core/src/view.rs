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
    /// The columns that its elements are ordered by, before those of the key; none where nothing says where an element stood.
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
    let lists = of_lists(pipeline);
    pipeline.views.iter().enumerate().map(|(view, _)| Plan::of(pipeline, view, &lists).unified()).collect()
}

/// A table of a list.
struct OfList<'p> {
    list: String,
    at: usize,
    table: &'p Table,
    route: &'p Route,
}

/// The tables of lists, the first of each list.
fn of_lists(pipeline: &Pipeline) -> Vec<OfList<'_>> {
    let mut all: Vec<OfList<'_>> = Vec::new();
    for (at, (table, route)) in pipeline.tables.iter().zip(&pipeline.routes).enumerate() {
        let Some(list) = list::of(route).filter(|list| list != ATTACHMENTS) else { continue };
        if !all.iter().any(|one| one.list == list) {
            all.push(OfList { list, at, table, route });
        }
    }
    all
}

struct Plan<'p> {
    /// The view's position.
    at: usize,
    view: &'p View,
    root: &'p Table,
    route: &'p Route,
    /// Where in the item each column of the key comes from.
    items: Vec<Option<&'p Path>>,
    lists: &'p [OfList<'p>],
}

impl<'p> Plan<'p> {
    fn of(pipeline: &'p Pipeline, at: usize, lists: &'p [OfList<'p>]) -> Self {
        let view = &pipeline.views[at];
        let (root, route) = (&pipeline.tables[view.table], &pipeline.routes[view.table]);
        let items = route.key.iter().map(|binding| match &binding.from {
            From::Row(path) | From::Root(path) => Some(path),
            _ => None,
        });
        Plan { at, view, root, route, items: items.collect(), lists }
    }

    fn unified(&self) -> Result<Unified, Apart> {
        if self.route.lists.is_some() && self.items != [Some(&Path::field(RECORD_ID))] {
            return Err(Apart { view: self.at, table: None });
        }
        let is_shown = |name: &str| name != RAW_COLUMN && name != SYSTEM_COLUMN;
        let columns = self.root.columns.iter().filter(|column| column.role == Role::Data && is_shown(&column.name));
        let columns: Vec<String> = self.root.key.iter().chain(columns).map(|column| column.name.clone()).collect();
        let mut taken: BTreeSet<String> = columns.iter().cloned().collect();
        let tops = self.lists.iter().filter(|one| self.outer(one).is_none());
        let lists = tops.map(|one| self.column(one, None, &mut taken)).collect::<Result<_, _>>()?;
        Ok(Unified { view: self.view.clone(), root: self.root.clone(), columns, lists })
    }

    /// Which columns of a list's table equal which of the key of the items.
    fn on_items(&self, one: &OfList<'_>) -> Result<Vec<(String, String)>, Apart> {
        let apart = Apart { view: self.at, table: Some(one.at) };
        let mut on = Vec::new();
        for position in parents(one) {
            let From::Root(path) = &one.route.key[*position].from else { return Err(apart) };
            let at = self.items.iter().position(|item| *item == Some(path)).ok_or(apart)?;
            on.push((one.table.key[*position].name.clone(), self.root.key[at].name.clone()));
        }
        if on.is_empty() || on.len() != self.items.len() { Err(apart) } else { Ok(on) }
    }

    /// Which columns of a list's table equal which of the table of the list that holds it: by the item as well as by the
    /// element, so that the index of the key helps.
    fn on_elements(&self, one: &OfList<'_>, outer: &OfList<'_>) -> Result<Vec<(String, String)>, Apart> {
        let of_outer = self.on_items(outer)?;
        let same = |(ours, item): (String, String)| {
            let theirs = of_outer.iter().find(|(_, of_item)| *of_item == item)?;
            Some((ours, theirs.0.clone()))
        };
        let mut on: Vec<(String, String)> = self.on_items(one)?.into_iter().filter_map(same).collect();
        if let (Some(ours), Some(theirs)) = (reading(one, PARENT), reading(outer, ELEMENT_ID)) {
            on.push((ours.to_owned(), theirs.to_owned()));
        }
        Ok(on)
    }

    /// A list within the items, or within the elements of another.
    fn column(
        &self,
        one: &OfList<'_>,
        outer: Option<&OfList<'_>>,
        taken: &mut BTreeSet<String>,
    ) -> Result<ListColumn, Apart> {
        let (own, on) = match outer {
            None => (&one.list[..], self.on_items(one)?),
            Some(outer) => (&one.list[outer.list.len() + 1..], self.on_elements(one, outer)?),
        };
        let name = free(&own.replace('.', "_"), |name| taken.contains(name));
        taken.insert(name.clone());
        let link = reading(one, PARENT);
        let keys = one.table.key.iter().enumerate().filter(|(at, _)| !parents(one).contains(at)).map(|(_, key)| key);
        let data = one.table.columns.iter().filter(|column| column.role == Role::Data);
        let columns = keys.chain(data).map(|column| &column.name).filter(|name| link != Some(name.as_str()));
        let columns: Vec<String> = columns.cloned().collect();
        let mut inner_taken: BTreeSet<String> = columns.iter().cloned().collect();
        let inner = self.lists.iter().filter(|inner| self.outer(inner).is_some_and(|outer| outer.at == one.at));
        let lists = inner.map(|inner| self.column(inner, Some(one), &mut inner_taken)).collect::<Result<_, _>>()?;
        let order = position_of(one).map(str::to_owned).into_iter().collect();
        Ok(ListColumn { name, table: one.table.clone(), on, columns, order, lists })
    }

    /// The list whose elements hold this one, where the rows say to which they belong.
    fn outer(&self, one: &OfList<'_>) -> Option<&OfList<'p>> {
        let holds =
            |outer: &&OfList<'_>| one.list.strip_prefix(outer.list.as_str()).is_some_and(|rest| rest.starts_with('.'));
        let nearest = self.lists.iter().filter(holds).max_by_key(|outer| outer.list.len())?;
        (reading(one, PARENT).is_some() && reading(nearest, ELEMENT_ID).is_some()).then_some(nearest)
    }
}

/// Which columns of the key of a list's table name the item.
fn parents<'t>(one: &OfList<'t>) -> &'t [usize] {
    one.table.children.as_ref().map(|children| &children.parent[..]).unwrap_or_default()
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
