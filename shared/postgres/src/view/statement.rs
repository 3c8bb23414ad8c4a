//! The statement that makes a view: which columns it has in which order, and where each comes from.

use std::collections::BTreeSet;

use tributary_core::auto::free;
use tributary_core::view::{ListColumn, Unified};

use crate::sql::{quote, relation};

/// The columns of a view, in order.
pub(super) type Shape = Vec<(String, Source)>;

/// Where a column of a view comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The column of this name of the table of items.
    Item(String),
    /// A list: its position in the view's.
    List(usize),
    /// A list that is no more, of which the view had a column.
    Empty,
    /// Nothing: a column that the view had and its table has no more.
    Null(String),
}

/// The type of a column that holds a list.
const OF_LIST: &str = "jsonb";

/// The columns of a view that has these with their types now: those first and in order, then what is new. `of_table` is the
/// type of a column of the table of items.
pub(super) fn shape(view: &Unified, has: &[(String, String)], of_table: impl Fn(&str) -> Option<String>) -> Shape {
    let mut wanted: Shape = Vec::new();
    let mut taken: BTreeSet<String> = view.columns.iter().cloned().collect();
    // A column cannot change its type while the view lives: what would is called otherwise.
    let differs =
        |name: &str, ty: Option<&str>| has.iter().any(|(column, has)| column == name && ty.is_some_and(|ty| ty != has));
    for column in &view.columns {
        let ty = of_table(column);
        let name = if differs(column, ty.as_deref()) {
            free(column, |name| taken.contains(name) || differs(name, ty.as_deref()))
        } else {
            column.clone()
        };
        taken.insert(name.clone());
        wanted.push((name, Source::Item(column.clone())));
    }
    for (position, list) in view.lists.iter().enumerate() {
        let name = free(&list.name, |name| taken.contains(name) || differs(name, Some(OF_LIST)));
        taken.insert(name.clone());
        wanted.push((name, Source::List(position)));
    }
    let mut shape: Shape = Vec::new();
    for (name, ty) in has {
        let source = match wanted.iter().position(|(wanted, _)| wanted == name) {
            Some(position) => wanted.remove(position).1,
            None if of_table(name).as_ref() == Some(ty) => Source::Item(name.clone()),
            None if ty == OF_LIST => Source::Empty,
            None => Source::Null(ty.clone()),
        };
        shape.push((name.clone(), source));
    }
    shape.extend(wanted);
    shape
}

/// `create or replace view … as select …`
pub(super) fn create(name: &str, view: &Unified, shape: &Shape) -> String {
    let columns: Vec<String> = shape
        .iter()
        .map(|(name, source)| {
            let from = match source {
                Source::Item(column) => format!("r.{}", quote(column)),
                Source::List(position) => list(&view.lists[*position], "r", 1),
                Source::Empty => format!("'[]'::{OF_LIST}"),
                Source::Null(ty) => format!("null::{ty}"),
            };
            format!("{from} as {}", quote(name))
        })
        .collect();
    format!(
        "create or replace view {name} as\nselect {}\nfrom {} r\nwhere not r.{}",
        columns.join(",\n  "),
        relation(&view.root),
        quote(&view.root.meta.deleted)
    )
}

/// The elements of a list, those inside of them included, in an array of objects. `outer` is the enclosing row.
fn list(list: &ListColumn, outer: &str, depth: usize) -> String {
    let (row, object) = (format!("l{depth}"), format!("o{depth}"));
    let mut parts: Vec<String> = list.columns.iter().map(|name| format!("{row}.{}", quote(name))).collect();
    parts.extend(
        list.lists.iter().map(|inner| format!("{} as {}", self::list(inner, &row, depth + 1), quote(&inner.name))),
    );
    let of: Vec<String> =
        list.on.iter().map(|(ours, theirs)| format!("{row}.{} = {outer}.{}", quote(ours), quote(theirs))).collect();
    let mut order: Vec<String> = list.order.iter().map(|name| format!("{row}.{}", quote(name))).collect();
    // Elements at one place would have no order.
    order.extend(list.table.key.iter().map(|column| format!("{row}.{}", quote(&column.name))));
    // An object of a row, since a function takes a hundred arguments at most.
    format!(
        "coalesce((select jsonb_agg(to_jsonb({object}) order by {}) from {} {row} cross join lateral (select {}) {object} \
         where {} and not {row}.{}), '[]'::{OF_LIST})",
        order.join(", "),
        relation(&list.table),
        parts.join(", "),
        of.join(" and "),
        quote(&list.table.meta.deleted)
    )
}

/// What tells whether a view was made by the same definition. FNV-1a, since nobody has a reason to forge it.
pub(super) fn digest(view: &Unified) -> String {
    let statement = create("", view, &shape(view, &[], |_| None));
    let hash = statement
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
