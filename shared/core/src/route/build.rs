//! The cells of a row, live or deleted.

use crate::cast::{cast, truncate};
use crate::cell::{Cell, Row};
use crate::change::{Notes, Patch, Reason};
use crate::error::{Error, Result};
use crate::expr::Context;
use crate::pipeline::{Binding, OnError, Route};
use crate::route::{look_up, part};
use crate::table::{Column, DeleteMode, Role, Table};
use crate::value::Value;

pub(super) struct Builder<'p> {
    table: &'p Table,
    route: &'p Route,
    notes: Vec<(&'p str, String)>,
}

impl<'p> Builder<'p> {
    pub(super) fn new(table: &'p Table, route: &'p Route) -> Self {
        Builder { table, route, notes: Vec::new() }
    }

    /// The cells of a row that is there.
    pub(super) fn live(mut self, context: &Context<'_>) -> Result<(Row, Notes)> {
        let mut row = Vec::with_capacity(self.table.columns.len());
        for (column, binding) in self.table.columns.iter().zip(&self.route.columns) {
            row.push(self.live_cell(column, binding, context)?);
        }
        Ok((row.into(), self.notes()))
    }

    /// The cells of a row that is there, as far as the part of the item in `context` tells.
    pub(super) fn patch(mut self, context: &Context<'_>) -> Result<Patch> {
        let mut row = Vec::with_capacity(self.table.columns.len());
        let mut known = Vec::with_capacity(self.table.columns.len());
        for (column, binding) in self.table.columns.iter().zip(&self.route.columns) {
            let is_known = part::lack(&binding.from, &self.route.scope, context.root).is_none();
            row.push(if is_known { self.live_cell(column, binding, context)? } else { column.unknown() });
            known.push(is_known);
        }
        Ok(Patch { row: row.into(), known: known.into(), notes: self.notes() })
    }

    fn live_cell(&mut self, column: &'p Column, binding: &Binding, context: &Context<'_>) -> Result<Cell> {
        let cell = self.cell(column, binding, context)?;
        Ok(match column.role {
            Role::DeletedFlag if cell.is_null() => Cell::Bool(false),
            _ => cell,
        })
    }

    /// The cells of a row that is gone: what was last known of it, and when and why it went. A tombstone never fails; a
    /// value that doesn't fit is left out.
    pub(super) fn tombstone(mut self, context: &Context<'_>, at: i64, reason: Reason) -> Row {
        let route = self.route;
        let cells = self.table.columns.iter().zip(&route.columns).map(|(column, binding)| match column.role {
            Role::DeletedFlag => Cell::Bool(true),
            Role::DeletedAt => Cell::from_unix_micros(at),
            Role::DeletedReason => Cell::Text(reason.as_str().into()),
            Role::Data if self.table.delete.mode == (DeleteMode::Soft { keep: false }) => column.unknown(),
            // On a table of parts a value that follows from what isn't known would stand there as if it were.
            Role::Data
                if self.table.takes_parts() && part::lack(&binding.from, &route.scope, context.root).is_some() =>
            {
                column.unknown()
            }
            Role::Data => {
                let known = self.cell(column, binding, context).unwrap_or(Cell::Null);
                if known.is_null() { column.default.clone().unwrap_or(Cell::Null) } else { known }
            }
        });
        cells.collect()
    }

    fn cell(&mut self, column: &'p Column, binding: &Binding, context: &Context<'_>) -> Result<Cell> {
        let of_column = |text: &str| format!("column {}: {text}", column.name);
        let value = match look_up(&binding.from, context) {
            Ok(Some(value)) => value,
            // An absent field is NULL, or the default: the image is whole.
            Ok(None) => return Ok(column.default.clone().unwrap_or(Cell::Null)),
            Err(error) if binding.on_error == OnError::Null => return Ok(self.note(column, &error.to_string())),
            Err(error) => return Err(Error::data(of_column("its program failed")).with_source(error)),
        };
        if let Some(failure) = value.failure() {
            self.notes.push((&column.name, failure.to_string()));
        }
        let misfit = match cast(&value, &column.ty) {
            Ok(cell) => return Ok(cell),
            Err(misfit) => misfit,
        };
        match (binding.on_error, &*value) {
            (OnError::Truncate, Value::Text(text)) if let Some(cut) = truncate(text, &column.ty) => {
                self.note(column, &format!("cut: {misfit}"));
                Ok(Cell::Text(cut))
            }
            (OnError::Null, _) => Ok(self.note(column, &misfit.to_string())),
            _ => Err(Error::data(of_column(&misfit.to_string()))),
        }
    }

    fn note(&mut self, column: &'p Column, reason: &str) -> Cell {
        self.notes.push((&column.name, reason.to_owned()));
        Cell::Null
    }

    fn notes(self) -> Notes {
        if self.notes.is_empty() {
            return None;
        }
        let notes: serde_json::Map<String, serde_json::Value> =
            self.notes.into_iter().map(|(column, reason)| (column.to_owned(), reason.into())).collect();
        Some(serde_json::Value::Object(notes).to_string().into())
    }
}
