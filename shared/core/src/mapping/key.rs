//! The key of a sink table: what it is made of, whether a delete brings that along, and what it is where the mapping says
//! nothing.

use super::column::Lowered;
use super::node::Text;
use super::odk;
use super::pipeline::Common;
use super::report::Report;
use crate::auto::list;
use crate::column_type::{Base, ColumnType};
use crate::expr::Names;
use crate::path::{Path, Step};
use crate::pipeline::{Binding, Datastore, ELEMENT_ID, From, OnError, RECORD_ID, Scope, SequinProtocol, SourceKind};
use crate::table::{Children, Column, Role};
use crate::webhook::envelope::{Mapped, Shape};

/// The key of a table that names none: the record's id, where the source has such a thing.
pub(super) fn preset(scope: Option<&Scope>, common: &Common<'_>, table: &Text) -> Option<Vec<Lowered>> {
    let name = match common.reads? {
        Datastore::Sequin(store) if store.protocol != SequinProtocol::Stream => "upstream_id",
        Datastore::Airtable(_) => "record_id",
        Datastore::Odk(_) if common.source.is_none() || odk::is_form(common.source) => "submission_id",
        Datastore::Odk(_) => "entity_id",
        Datastore::Sequin(_) | Datastore::Dynamodb(_) | Datastore::Postgres(_) => return None,
    };
    let id: Path = RECORD_ID.parse().ok()?;
    let from = match scope? {
        Scope::Root => From::Row(id),
        Scope::Document(_) => From::Root(id),
        Scope::Elements(_) if odk::is_form(common.source) => {
            let lowered = |(column, binding)| Lowered { column, binding, span: table.span.clone() };
            return Some(list::key().into_iter().map(lowered).collect());
        }
        // What tells the elements of a list apart, only the mapping can say.
        Scope::Elements(_) => return None,
    };
    Some(vec![Lowered {
        column: Column { name: name.into(), ty: ColumnType::scalar(Base::Text), role: Role::Data, default: None },
        binding: Binding { from, on_error: OnError::DeadLetter },
        span: table.span.clone(),
    }])
}

/// What a key column is made of.
enum Part {
    /// Fields at the top of the item.
    Item(Names),
    /// Something of the part that is a row.
    Row,
}

fn part_of(from: &From, scope: &Scope) -> Part {
    let field = |path: &Path| Names::These(path.first_field().map(str::to_owned).into_iter().collect());
    match (from, scope) {
        (From::Root(path), _) | (From::Row(path), Scope::Root) => Part::Item(field(path)),
        (From::Whole, Scope::Root) => Part::Item(Names::All),
        (From::Program(program), Scope::Root) => Part::Item(program.row_fields().and(program.root_fields())),
        (From::Program(program), _) if program.row_fields() == Names::none() && !program.uses_index() => {
            Part::Item(program.root_fields())
        }
        _ => Part::Row,
    }
}

/// Checks what the key is made of; gives the parent's part of it when the rows are the elements of a list.
pub(super) fn key_parts(
    scope: &Scope,
    key: &[Lowered],
    common: &Common<'_>,
    table: &Text,
    report: &mut Report<'_>,
) -> Option<Children> {
    let mut parent = Vec::new();
    for (position, lowered) in key.iter().enumerate() {
        match part_of(&lowered.binding.from, scope) {
            Part::Item(names) => {
                parent.push(position);
                carried(&names, scope, lowered, common, report);
            }
            Part::Row if matches!(scope, Scope::Document(_)) => {
                let message = format!(
                    "`{}` is gone when the sub-document is, so nothing says which row to delete",
                    lowered.column.name
                );
                report.add(
                    "key-inside-document",
                    lowered.span.clone(),
                    message,
                    "write `from: $root.…`, a field of the item",
                );
            }
            Part::Row => {}
        }
    }
    if !matches!(scope, Scope::Elements(_)) {
        return None;
    }
    if !key.is_empty() && parent.is_empty() {
        let message = "no column of the key comes from `$root`, so nothing says whose elements these are";
        report.add(
            "no-parent-key",
            table.span.clone(),
            message,
            "add `parent_id: { from: $root.id, type: … }` to the key",
        );
    }
    if !key.is_empty() && parent.len() == key.len() {
        let message = "all of the key comes from `$root`, so the elements of one list are one row";
        report.add(
            "no-element-key",
            table.span.clone(),
            message,
            "add `position: { from: $index, type: integer }` to the key, or where each stands there once `from: $value`",
        );
    }
    Some(Children { parent })
}

/// A delete carries the key of the source and nothing else.
fn carried(names: &Names, scope: &Scope, lowered: &Lowered, common: &Common<'_>, report: &mut Report<'_>) {
    let (carried, message) = match common.source {
        Some(SourceKind::Dynamodb { key: Some(key), .. }) => {
            (key.iter().map(String::as_str).collect(), "a REMOVE carries only the key attributes")
        }
        Some(SourceKind::Sequin(source)) if let Some(key) = &source.key => {
            (key.iter().map(String::as_str).collect(), "a delete carries only the primary key")
        }
        Some(SourceKind::SequinLegacy(_) | SourceKind::Airtable(_)) => {
            (vec![RECORD_ID], "a delete carries only the record's id")
        }
        Some(SourceKind::Odk(_)) => {
            (vec![RECORD_ID, ELEMENT_ID], "of an item that was purged nothing is known but its id")
        }
        Some(SourceKind::Webhook(source)) => match &source.envelope.shape {
            Shape::Sequin(sequin) if let Some(key) = &sequin.key => {
                (key.iter().map(String::as_str).collect(), "a delete carries only the primary key")
            }
            // Some deleted objects are whole, and some are their id and `deleted: true`.
            Shape::Stripe { .. } => {
                (vec!["id", "object"], "a deleted object of Stripe may have nothing but these left")
            }
            // Hasura and Supabase send the row as it was, GitHub the whole payload; plain rows are never deleted.
            Shape::Mapped(mapped) => return of_mapped(mapped, names, lowered, report),
            _ => return,
        },
        _ => return,
    };
    let carried: Vec<&str> = carried;
    let missing = match names {
        Names::All => "the whole item".to_owned(),
        Names::These(names) => match names.iter().find(|name| !carried.contains(&name.as_str())) {
            Some(name) => format!("`{name}`"),
            None => return,
        },
    };
    let root = if carried.first() == Some(&RECORD_ID) && !matches!(scope, Scope::Root) { "$root." } else { "" };
    let parts = carried.iter().map(|name| format!("`{root}{name}`")).collect::<Vec<_>>();
    let parts = parts.join(if odk::source(common.source).is_some() { " or " } else { " and " });
    let hint = match common.source {
        Some(source @ (SourceKind::Sequin(_) | SourceKind::Webhook(_))) if source.sends_parts() => {
            format!("make the key of {parts}, or give the table `replica identity full` and say so at the source")
        }
        _ => format!("make the key of {parts}"),
    };
    let message = format!("`{}` comes from {missing}, and {message}", lowered.column.name);
    report.add("key-not-carried", lowered.span.clone(), message, hint);
}

/// What a delete of a sender carries that has no envelope of its own: the row, or what stands at `key`. If that is an object,
/// nobody knows its fields, so this refuses nothing.
fn of_mapped(mapped: &Mapped, names: &Names, lowered: &Lowered, report: &mut Report<'_>) {
    let Some(path) = mapped.key.as_ref().filter(|_| mapped.before.is_none()) else { return };
    let Some(Step::Field(name)) = path.steps().last() else { return };
    let missing = match names {
        Names::All => "the whole item".to_owned(),
        Names::These(names) => match names.iter().find(|field| ***field != **name) {
            Some(field) => format!("`{field}`"),
            None => return,
        },
    };
    let message = format!(
        "`{}` comes from {missing}, and a delete carries only `{name}`, unless `{path}` is an object that has it too",
        lowered.column.name
    );
    let hint = format!("make the key of `{name}`, or write `before:` where the sender says the row as it was");
    report.warn("key-not-carried", lowered.span.clone(), message, hint);
}
