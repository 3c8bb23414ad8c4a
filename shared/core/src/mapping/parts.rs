//! What a table cannot be right about when its source may send parts of items.

use super::column::Lowered;
use super::report::Report;
use crate::expr::{Names, Program};
use crate::path::Path;
use crate::pipeline::{From, Scope, SourceKind};
use crate::table::Role;

/// Reports columns that would go stale in silence: those that need the whole item, and those that bring something of the
/// item into a table of something inside of it. A part that tells the one may lack the other, and then nobody knows which
/// rows to write.
pub(super) fn check(
    scope: &Scope,
    key: &[Lowered],
    others: &[Lowered],
    source: Option<&SourceKind>,
    report: &mut Report<'_>,
) {
    let Some(source) = source.filter(|source| source.sends_parts()) else { return };
    let always = key.iter().map(|lowered| of_item(&lowered.binding.from, scope)).fold(Names::none(), Names::and);
    for lowered in others.iter().filter(|lowered| lowered.column.role == Role::Data) {
        let name = &lowered.column.name;
        let strange = |field: &&String| !always.has(field) && !source.reserved_fields().contains(&field.as_str());
        let (message, hint) = match of_item(&lowered.binding.from, scope) {
            Names::All => (
                format!("`{name}` needs the whole item, and this source may send a part of it only"),
                "read fields by their names: `{{ first }} {{ last }}`, `row['first']`",
            ),
            Names::These(fields) if !matches!(scope, Scope::Root) => {
                let Some(field) = fields.iter().find(strange) else { continue };
                let message = format!(
                    "`{name}` comes from `{field}` of the item, and a part of the item may tell that without what this \
                     table is made `from`"
                );
                (message, "keep it in a table of the item itself, or take it from inside")
            }
            Names::These(_) => continue,
        };
        report.add("part-of-item", lowered.span.clone(), message, hint);
    }
}

/// The fields at the top of the item that a column reads.
fn of_item(from: &From, scope: &Scope) -> Names {
    let field = |path: &Path| Names::These(path.first_field().map(str::to_owned).into_iter().collect());
    let of_program = |program: &Program| match scope {
        Scope::Root => program.row_fields().and(program.root_fields()),
        Scope::Document(_) | Scope::Elements(_) => program.root_fields(),
    };
    match (from, scope) {
        (From::Root(path), _) | (From::Row(path), Scope::Root) => field(path),
        (From::Whole, Scope::Root) => Names::All,
        (From::Program(program), _) => of_program(program),
        (From::Row(_) | From::Whole | From::Index | From::Nothing, _) => Names::none(),
    }
}
