//! Which fields of an item a column reads, and whether a part of the item has them.
//!
//! Called by the routing of parts, and for the values of tombstones on tables that take parts. What a part lacks is
//! unknown, never empty: a column that reads it is left alone.

use crate::expr::{Names, Program};
use crate::path::Path;
use crate::pipeline::{From, Scope};
use crate::value::Value;

/// The first thing that a column reads and this item lacks, in words; `None` when all of it is there.
pub(super) fn lack(from: &From, scope: &Scope, item: &Value) -> Option<String> {
    match from {
        From::Row(path) => lack_in_row(&top(path), scope, item),
        From::Root(path) => lack_in_item(&top(path), item),
        From::Whole => lack_in_row(&Names::All, scope, item),
        From::Program(program) => lack_of_program(program, scope, item),
        From::Index | From::Nothing => None,
    }
}

/// As [`lack`], for a program.
pub(super) fn lack_of_program(program: &Program, scope: &Scope, item: &Value) -> Option<String> {
    lack_in_row(&program.row_fields(), scope, item).or_else(|| lack_in_item(&program.root_fields(), item))
}

/// Whether the item has the field at its top that a path goes through.
pub(super) fn has(path: &Path, item: &Value) -> bool {
    lack_in_item(&top(path), item).is_none()
}

fn top(path: &Path) -> Names {
    Names::These(path.first_field().map(str::to_owned).into_iter().collect())
}

fn lack_in_row(names: &Names, scope: &Scope, item: &Value) -> Option<String> {
    match scope {
        Scope::Root => lack_in_item(names, item),
        // A sub-document is there as a whole, or not at all.
        Scope::Document(path) if *names != Names::none() && !matches!(path.find(item), Some(Value::Map(_))) => {
            Some(format!("`{path}`"))
        }
        Scope::Document(_) | Scope::Elements(_) => None,
    }
}

fn lack_in_item(names: &Names, item: &Value) -> Option<String> {
    let Value::Map(fields) = item else { return Some("the item".to_owned()) };
    match names {
        // What it reads is known only when it runs, so no part is enough.
        Names::All => Some("the whole item".to_owned()),
        Names::These(names) => names.iter().find(|name| !fields.contains_key(name.as_str())).map(|n| format!("`{n}`")),
    }
}

#[cfg(test)]
#[path = "part_tests.rs"]
mod tests;
