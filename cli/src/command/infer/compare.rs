//! How a source differs from what a mapping makes of it.

mod uses;

use std::fmt;

use serde_json::json;
use tributary_core::column_type::{Base, ColumnType};
use tributary_core::pipeline::Pipeline;

use super::draft::{APART, one_line, scalar};
use super::{Answer, Column, Seen};
use crate::failure::{End, Failure};
use crate::output::Output;
use uses::Uses;

/// A difference.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    /// `new`, `gone`, `renamed`, `type`.
    what: &'static str,
    field: String,
    text: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.what {
            "new" => '+',
            "gone" => '-',
            _ => '~',
        };
        write!(f, "  {sign} {}", self.text)
    }
}

/// Prints how each pipeline differs from its source. Exit code 1 if one does.
pub(super) fn print(
    answer: &Answer,
    pipelines: &[(&Seen, &Pipeline)],
    text: &str,
    output: &mut Output,
) -> Result<End, Failure> {
    let found: Vec<(&Seen, &Pipeline, Vec<Difference>)> =
        pipelines.iter().map(|(seen, pipeline)| (*seen, *pipeline, differences(seen, pipeline, text))).collect();
    let differs = found.iter().any(|(_, _, differences)| !differences.is_empty());
    let unread: Vec<&Seen> =
        answer.seen.iter().filter(|seen| !pipelines.iter().any(|(read, _)| std::ptr::eq(*read, *seen))).collect();
    output.document(|| {
        let one = |difference: &Difference| {
            json!({ "what": difference.what, "field": difference.field, "text": difference.text })
        };
        let all = found.iter().map(|(seen, pipeline, differences)| {
            let differences: Vec<_> = differences.iter().map(one).collect();
            json!({ "pipeline": pipeline.name, "source": seen.title, "differences": differences })
        });
        let unread: Vec<&str> = unread.iter().map(|seen| seen.title.as_str()).collect();
        json!({ "pipelines": all.collect::<Vec<_>>(), "read_by_no_pipeline": unread })
    })?;
    for (seen, pipeline, differences) in &found {
        let state = if differences.is_empty() { ": as in the mapping" } else { "" };
        output.line(&format!("{}, {}{state}", pipeline.name, seen.title))?;
        for difference in differences {
            output.line(&crate::output::printable(&difference.to_string()))?;
        }
    }
    for seen in unread {
        output.line(&format!("no pipeline reads {}; --draft prints a mapping of it", seen.title))?;
    }
    Ok(if differs { End::Failed } else { End::Fine })
}

fn differences(seen: &Seen, pipeline: &Pipeline, text: &str) -> Vec<Difference> {
    let uses = Uses::of(pipeline);
    let mut found = Vec::new();
    for one in &uses.all {
        let columns: Vec<&Column> = match &one.list {
            None => seen.key.iter().chain(&seen.columns).collect(),
            // Of a list that is gone its table says so.
            Some(list) => match seen.lists.iter().find(|other| other.name == *list) {
                Some(list) => list.columns.iter().collect(),
                None => continue,
            },
        };
        let Some(column) = find(&columns, &one.field) else {
            let is_list = one.list.is_none() && seen.lists.iter().any(|list| list.name == one.field);
            let is_near = columns.iter().any(|column| uses.is_near(&one.field, &column.field));
            if seen.is_whole && !is_list && !is_near {
                found.push(Difference {
                    what: "gone",
                    field: one.field.clone(),
                    text: format!("`{}`, of which {} is made, is gone or has another name", one.field, one.column),
                });
            }
            continue;
        };
        if column.field != column.label
            && one.field == column.field
            && let Some(comment) = written_comment(text, &column.field).filter(|_| !column.label.is_empty())
            && !is_of(comment, &one_line(&column.label))
        {
            let old = comment.split(APART).next().unwrap_or_default();
            let text =
                format!("`{old}` ({}) is called `{}` now; {} still takes it", column.field, column.label, one.column);
            found.push(Difference { what: "renamed", field: one.field.clone(), text });
        }
        if let Some(ty) = one.ty.filter(|ty| !holds(ty, &column.ty)) {
            let text = format!("`{}` holds {} now; {} is {ty}", column.label(), column.ty, one.column);
            found.push(Difference { what: "type", field: one.field.clone(), text });
        }
    }
    found.dedup();
    found.extend(unused(&uses, None, &seen.key.iter().chain(&seen.columns).collect::<Vec<_>>()));
    for list in &seen.lists {
        if uses.has_table(&list.name) {
            found.extend(unused(&uses, Some(&list.name), &list.columns.iter().collect::<Vec<_>>()));
        } else if !uses.follows_lists {
            let text = format!("children: {{ {}: auto }}", scalar(&list.name));
            found.push(Difference { what: "new", field: list.name.clone(), text });
        }
    }
    found
}

/// By id, else by what people call it.
fn find<'c>(columns: &[&'c Column], name: &str) -> Option<&'c Column> {
    let by_id = columns.iter().find(|column| column.field == name);
    by_id.or_else(|| columns.iter().find(|column| !column.label.is_empty() && column.label == name)).copied()
}

/// The fields of an item or of a list's elements of which no column is made.
fn unused(uses: &Uses<'_>, list: Option<&str>, columns: &[&Column]) -> Vec<Difference> {
    if uses.takes_all(list) {
        return Vec::new();
    }
    let is_used = |column: &Column| {
        uses.all.iter().filter(|one| one.list.as_deref() == list).any(|one| {
            let is_it = find(columns, &one.field).is_some_and(|used| std::ptr::eq(used, column));
            is_it || uses.is_near(&one.field, &column.field)
        })
    };
    let new = |column: &&Column| {
        let from = column.place.as_deref().map(scalar).unwrap_or_default();
        let (name, ty) = (scalar(&column.name), scalar(&column.ty.to_string()));
        let of = list.map(|list| format!("{list}: ")).unwrap_or_default();
        let label = if column.label.is_empty() { &column.remark } else { &column.label };
        let text = format!("{of}{name}: {{ from: {from}, type: {ty} }}");
        let text = if label.is_empty() { text } else { format!("{text}   # {label}") };
        Difference { what: "new", field: column.field.clone(), text }
    };
    columns.iter().filter(|column| !is_used(column)).map(new).collect()
}

/// The comment beside a field's id: in a draft it begins with what the field is called.
fn written_comment<'t>(text: &'t str, id: &str) -> Option<&'t str> {
    let line = text.lines().find(|line| !line.trim_start().starts_with('#') && line.contains(id))?;
    let (_, comment) = line.split_once("   # ")?;
    Some(comment.trim()).filter(|comment| !comment.is_empty())
}

fn is_of(comment: &str, label: &str) -> bool {
    comment.strip_prefix(label).is_some_and(|rest| rest.is_empty() || rest.starts_with(APART))
}

/// Whether values that a field of this type has fit the column, as far as types tell. Text and JSON hold everything.
fn holds(column: &ColumnType, field: &ColumnType) -> bool {
    let any = |base: &Base| {
        matches!(base, Base::Text | Base::Varchar(_) | Base::Char(_) | Base::Json | Base::Jsonb | Base::Other { .. })
    };
    if any(&column.base) && (!column.array || field.array) {
        return true;
    }
    column.array == field.array && family(&column.base) == family(&field.base)
}

fn family(base: &Base) -> u8 {
    match base {
        Base::Bool => 0,
        Base::Int2 | Base::Int4 | Base::Int8 | Base::Float4 | Base::Float8 | Base::Numeric(_) => 1,
        Base::Date | Base::Timestamp | Base::Timestamptz => 2,
        Base::Time => 3,
        Base::Bytea => 4,
        Base::Uuid => 5,
        Base::Json | Base::Jsonb => 6,
        Base::Text | Base::Varchar(_) | Base::Char(_) | Base::Other { .. } => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_may_be_wider_than_its_field_and_of_its_kind() {
        let check = |column: &str, field: &str, expect: bool| {
            let ty = |text: &str| ColumnType::parse(text).unwrap();
            assert_eq!(holds(&ty(column), &ty(field)), expect, "{column} {field}");
        };
        check("integer", "numeric", true);
        check("varchar(20)", "text", true);
        check("text", "numeric", true);
        check("jsonb", "text[]", true);
        check("date", "timestamptz", true);
        check("numeric", "text", false);
        check("boolean", "numeric", false);
        check("text[]", "text", false);
        check("text[]", "text[]", true);
        check("uuid", "text", false);
    }

    #[test]
    fn a_label_stands_beside_its_id() {
        let text = "x:\n  # fldA   # not this\n  rent: { from: fldA, type: numeric }   # Rent · (€) · currency\n";
        let comment = written_comment(text, "fldA").unwrap();
        assert!(
            is_of(comment, "Rent · (€)") && is_of(comment, "Rent") && !is_of(comment, "Rent ·") && !is_of(comment, "R")
        );
        assert_eq!(written_comment(text, "fldB"), None);
    }
}
