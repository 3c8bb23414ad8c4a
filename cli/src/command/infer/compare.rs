//! How a source differs from what a mapping makes of it.

use std::fmt;

use serde_json::json;
use tributary_core::column_type::{Base, ColumnType};
use tributary_core::expr::Names;
use tributary_core::path::Step;
use tributary_core::pipeline::{From, Pipeline, Scope};

use super::draft::{APART, one_line, place, scalar};
use super::{Answer, Column, Seen};
use crate::failure::{End, Failure};
use crate::output::Output;

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

/// A column of the mapping that takes a field, or something inside of it.
struct Use<'p> {
    column: String,
    field: String,
    /// The column's type, where it takes the field whole.
    ty: Option<&'p ColumnType>,
}

fn uses(pipeline: &Pipeline) -> (Vec<Use<'_>>, bool) {
    let mut all: Vec<Use<'_>> = Vec::new();
    let mut has_all = false;
    for (table, route) in pipeline.tables.iter().zip(&pipeline.routes) {
        let of_root = matches!(route.scope, Scope::Root);
        let shown = |name: &str| format!("{}.{name}", table.qualified_name());
        if let Scope::Document(path) | Scope::Elements(path) = &route.scope {
            let field = path.first_field().unwrap_or_default().to_owned();
            all.push(Use { column: format!("table {}", table.qualified_name()), field, ty: None });
        }
        has_all |= route.auto;
        let columns = table.key.iter().zip(&route.key).chain(table.columns.iter().zip(&route.columns));
        for (column, binding) in columns {
            let names = match &binding.from {
                From::Root(path) => vec![(path.first_field(), path.steps())],
                From::Row(path) if of_root => vec![(path.first_field(), path.steps())],
                From::Whole if of_root => {
                    has_all = true;
                    continue;
                }
                From::Program(program) => {
                    let names =
                        if of_root { program.row_fields().and(program.root_fields()) } else { program.root_fields() };
                    match names {
                        Names::All => has_all = true,
                        Names::These(names) => all.extend(names.into_iter().map(|field| Use {
                            column: shown(&column.name),
                            field,
                            ty: None,
                        })),
                    }
                    continue;
                }
                From::Row(_) | From::Whole | From::Index | From::Nothing => continue,
            };
            for (field, steps) in names {
                let ty = matches!(steps, [Step::Field(_)]).then_some(&column.ty);
                all.push(Use { column: shown(&column.name), field: field.unwrap_or_default().to_owned(), ty });
            }
        }
    }
    let reserved = pipeline.source.kind.reserved_fields();
    all.retain(|one| !reserved.contains(&one.field.as_str()));
    (all, has_all)
}

fn differences(seen: &Seen, pipeline: &Pipeline, text: &str) -> Vec<Difference> {
    let (uses, has_all) = uses(pipeline);
    let fields: Vec<&Column> = seen.key.iter().chain(&seen.columns).collect();
    let find = |name: &str| {
        let by_id = fields.iter().find(|column| column.field == name);
        by_id.or_else(|| fields.iter().find(|column| column.label == name)).copied()
    };
    let mut found = Vec::new();
    for one in &uses {
        let Some(column) = find(&one.field) else {
            if seen.is_whole {
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
            && let Some(comment) = written_comment(text, &column.field)
            && !is_of(comment, &one_line(&column.label))
        {
            let old = comment.split(APART).next().unwrap_or_default();
            let text =
                format!("`{old}` ({}) is called `{}` now; {} still takes it", column.field, column.label, one.column);
            found.push(Difference { what: "renamed", field: one.field.clone(), text });
        }
        if let Some(ty) = one.ty.filter(|ty| !holds(ty, &column.ty)) {
            let text = format!("`{}` holds {} now; {} is {ty}", column.label, column.ty, one.column);
            found.push(Difference { what: "type", field: one.field.clone(), text });
        }
    }
    found.dedup();
    if !has_all {
        let is_used =
            |column: &Column| uses.iter().any(|one| find(&one.field).is_some_and(|used| std::ptr::eq(used, column)));
        for column in fields.iter().filter(|column| !is_used(column)) {
            let from = place(&column.field).map(|path| scalar(&path)).unwrap_or_default();
            let (name, ty) = (scalar(&column.name), scalar(&column.ty.to_string()));
            let text = format!("{name}: {{ from: {from}, type: {ty} }}   # {}", column.label);
            found.push(Difference { what: "new", field: column.field.clone(), text });
        }
    }
    found
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
