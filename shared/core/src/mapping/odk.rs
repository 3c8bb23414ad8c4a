//! What tables of ODK Central have beside what the mapping says: the columns that the poller goes by, and those that say
//! where an element stood.

use std::ops::Range;

use super::column::Lowered;
use super::report::Report;
use crate::auto::list;
use crate::column_type::{Base, ColumnType};
use crate::path::{Path, Step};
use crate::pipeline::{
    Binding, ELEMENT_ID, From, OdkSet, OdkSource, OnError, RAW, RAW_COLUMN, RECORD_ID, SYSTEM, SYSTEM_COLUMN, Scope,
    SourceKind,
};
use crate::table::{Column, Role};

/// The source, where it is ODK Central.
pub(super) fn source(kind: Option<&SourceKind>) -> Option<&OdkSource> {
    match kind {
        Some(SourceKind::Odk(source)) => Some(source),
        _ => None,
    }
}

/// Whether the source is a form, whose items have lists and files.
pub(super) fn is_form(kind: Option<&SourceKind>) -> bool {
    source(kind).is_some_and(|source| matches!(source.set, OdkSet::Form(_)))
}

/// The list at a path: `person_details.income`. It stands at the top of an item by that name, whatever holds it there.
pub(super) fn list(path: &Path) -> Option<String> {
    let name = |step: &Step| match step {
        Step::Field(name) => Some(name.to_string()),
        Step::Index(_) => None,
    };
    Some(path.steps().iter().map(name).collect::<Option<Vec<_>>>()?.join("."))
}

/// A table with the names of its columns.
pub(super) struct Columns<'a> {
    pub(super) key: &'a [Lowered],
    pub(super) others: &'a mut Vec<Lowered>,
    /// Where findings point.
    pub(super) span: Range<usize>,
}

impl Columns<'_> {
    /// Adds to a table of items what it lacks. `watched`: it is the one that the poller compares with the server.
    pub(super) fn add_to_items(&mut self, source: &OdkSource, auto: bool, watched: bool, report: &mut Report<'_>) {
        if watched {
            self.need(SYSTEM_COLUMN, Base::Jsonb, SYSTEM, "the poller compares", report);
            let by_id = |lowered: &Lowered| {
                let reads = |field: &str| reads(lowered, field);
                matches!(lowered.column.ty, ColumnType { base: Base::Text, array: false })
                    && (reads(ELEMENT_ID) || (source.is_keyed_by_id() && reads(RECORD_ID)))
            };
            if !self.key.iter().chain(&*self.others).any(by_id) {
                self.need(ELEMENT_ID, Base::Text, ELEMENT_ID, "the poller knows rows by", report);
            }
        }
        if auto && !self.has(RAW_COLUMN, RAW) {
            self.others.push(self.column(RAW_COLUMN, Base::Jsonb, RAW));
        }
    }

    /// Adds to a table of elements where an element stood.
    pub(super) fn add_to_elements(&mut self, scope: &Scope) {
        let Scope::Elements(path) = scope else { return };
        let nested = path.first_field().is_some_and(|list| list.contains('.'));
        for (column, binding) in list::columns(nested) {
            let field = match &binding.from {
                From::Row(path) => path.first_field().unwrap_or_default().to_owned(),
                _ => continue,
            };
            if !self.has(&column.name, &field) {
                self.others.push(Lowered { column, binding, span: self.span.clone() });
            }
        }
    }

    /// Whether a column is called so, or reads this field.
    fn has(&self, name: &str, field: &str) -> bool {
        let all = self.key.iter().chain(&*self.others);
        all.into_iter().any(|lowered| lowered.column.name == name || reads(lowered, field))
    }

    /// A column of this name that holds this field and nothing else.
    fn need(&mut self, name: &str, base: Base, field: &str, why: &str, report: &mut Report<'_>) {
        let wanted = self.column(name, base, field);
        match self.key.iter().chain(&*self.others).find(|lowered| lowered.column.name == name) {
            None => self.others.push(wanted),
            Some(there) if there.column.ty == wanted.column.ty && reads(there, field) => {}
            Some(there) => {
                let message = format!("`{name}` is the column of `{field}` as {}, which {why}", wanted.column.ty);
                report.add("duplicate-column", there.span.clone(), message, "give the column another name");
            }
        }
    }

    fn column(&self, name: &str, base: Base, field: &str) -> Lowered {
        Lowered {
            column: Column { name: name.into(), ty: ColumnType::scalar(base), role: Role::Data, default: None },
            binding: Binding { from: From::Row(Path::field(field)), on_error: OnError::DeadLetter },
            span: self.span.clone(),
        }
    }
}

fn reads(lowered: &Lowered, field: &str) -> bool {
    matches!(&lowered.binding.from, From::Row(path) if *path == Path::field(field))
}
