//! `delete:` — what becomes of a row when its item is deleted.

use std::ops::Range;
use std::time::Duration;

use super::column::Lowered;
use super::duration::duration;
use super::fields::{Fields, choice_of};
use super::node::{Node, Shape, Text};
use super::report::Report;
use super::table::identifier;
use crate::column_type::{Base, ColumnType};
use crate::pipeline::{Binding, From, OnError};
use crate::table::{Column, DeleteMode, DeletePolicy, Role};

pub(super) const KEYS: &[&str] = &["mode", "column", "at", "reason", "keep", "ttl", "purge_after"];
const MODES: &[&str] = &["soft", "hard", "ignore"];

/// A tombstone must outlive what a source may still send: seven days of a queue that holds back.
const SHORTEST_PURGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A policy as it stands in the file.
#[derive(Clone)]
pub(super) struct Policy {
    pub(super) policy: DeletePolicy,
    /// Where it stands.
    pub(super) span: Range<usize>,
    columns: Vec<(Role, Text)>,
}

impl Policy {
    /// A policy that names no columns and stands nowhere in the file.
    pub(super) fn of(mode: DeleteMode) -> Self {
        Policy::plain(mode, 0..0)
    }

    fn plain(mode: DeleteMode, span: Range<usize>) -> Self {
        Policy { policy: DeletePolicy { mode, ttl: true, purge_after: None }, span, columns: Vec::new() }
    }
}

/// Lowers a policy: a word or a map.
pub(super) fn lower(node: &Node, report: &mut Report<'_>) -> Option<Policy> {
    let span = node.span.clone();
    if !matches!(node.shape, Shape::Map(_)) {
        return Some(Policy::plain(mode(choice_of(node, "delete", MODES, report)?, true), span));
    }
    let fields = Fields::open(node, "a delete policy", span.clone(), KEYS, report)?;
    fields.required("mode", "soft", report);
    let word = fields.choice("mode", MODES, report);
    let keep = fields.boolean("keep", report);
    let ttl = fields.choice("ttl", &["apply", "ignore"], report);
    let purge_after = fields.get("purge_after").map(|node| duration(node, "30d", report));
    let mut columns = Vec::new();
    for (key, role) in [("column", Role::DeletedFlag), ("at", Role::DeletedAt), ("reason", Role::DeletedReason)] {
        if let Some(name) = fields.text(key, report)
            && identifier(&name, "a column", report).is_some()
        {
            columns.push((role, name));
        }
    }
    let word = word?;
    let useless: &[&str] = match word {
        "soft" => &[],
        "hard" => &["column", "at", "reason", "keep", "purge_after"],
        _ => &["column", "at", "reason", "keep", "purge_after", "ttl"],
    };
    for key in useless {
        if let Some(span) = fields.key_span(key) {
            let message = format!("`{key}` has no meaning with `mode: {word}`");
            report.add("conflict", span, message, "remove it, or write `mode: soft`");
        }
    }
    if let (Some(node), Some(Some(purge_after))) = (fields.get("purge_after"), purge_after)
        && purge_after < SHORTEST_PURGE
    {
        let message = "`purge_after` must outlive the source's retention, or a late change brings a deleted row back";
        report.add("short-purge", node.span.clone(), message, "write `purge_after: 7d` or longer");
    }
    let policy = DeletePolicy {
        mode: mode(word, keep.unwrap_or(true)),
        ttl: ttl != Some("ignore"),
        purge_after: purge_after.map_or(Some(None), |duration| duration.map(Some))?,
    };
    Some(Policy { policy, span, columns })
}

fn mode(word: &str, keep: bool) -> DeleteMode {
    match word {
        "hard" => DeleteMode::Hard,
        "ignore" => DeleteMode::Ignore,
        _ => DeleteMode::Soft { keep },
    }
}

/// Gives the policy's columns their roles, and adds those that the table doesn't map.
pub(super) fn add_columns(policy: &Policy, key: &[Lowered], columns: &mut Vec<Lowered>, report: &mut Report<'_>) {
    for (position, (role, name)) in policy.columns.iter().enumerate() {
        if policy.columns[..position].iter().any(|(_, earlier)| earlier.text == name.text) {
            let message = format!("`{}` cannot be two columns of the delete policy", name.text);
            report.add("duplicate-column", name.span.clone(), message, "write another name");
            continue;
        }
        if key.iter().any(|column| column.column.name == name.text) {
            let message = format!("`{}` is a column of the key, which a delete cannot change", name.text);
            report.add("duplicate-column", name.span.clone(), message, "write another name");
            continue;
        }
        let Some(mapped) = columns.iter_mut().find(|column| column.column.name == name.text) else {
            let ty = match role {
                Role::DeletedFlag => Base::Bool,
                Role::DeletedAt => Base::Timestamptz,
                _ => Base::Text,
            };
            let column = Column { name: name.text.clone(), ty: ColumnType::scalar(ty), role: *role, default: None };
            let binding = Binding { from: From::Nothing, on_error: OnError::DeadLetter };
            columns.push(Lowered { column, binding, span: name.span.clone() });
            continue;
        };
        let ty = &mapped.column.ty;
        let (fits, wanted) = match role {
            Role::DeletedFlag => (matches!(ty.base, Base::Bool), "`boolean`"),
            Role::DeletedAt => (matches!(ty.base, Base::Timestamptz | Base::Timestamp), "`timestamptz` or `timestamp`"),
            _ => (matches!(ty.base, Base::Text | Base::Varchar(_)), "`text` or `varchar`"),
        };
        if ty.array || !fits {
            let message = format!("the delete policy writes `{}`, so its type is {wanted}, not `{ty}`", name.text);
            report.add("bad-delete-column", mapped.span.clone(), message, "change its type, or name another column");
        }
        mapped.column.role = *role;
    }
}
