//! What an event means for the tables of a pipeline: the mapping at work.
//!
//! Pure. The runtime calls it for every event; what it returns is compacted and applied.

mod build;
mod part;

use crate::batch::Rejected;
use crate::cast::cast;
use crate::cell::{Cell, Key};
use crate::change::{Change, Element, Op, Reason};
use crate::error::{Error, Result};
use crate::event::{Body, Event};
use crate::expr::Context;
use crate::pipeline::{Binding, From, Pipeline, Route, Scope};
use crate::table::{Children, DeleteMode, Table};
use crate::value::Value;

use build::Builder;

/// Turns an event into a change of each table of the pipeline. A table whose change cannot be made is rejected; the
/// others go on, since every row converges by itself.
///
/// `event` is the event's position in its batch, `received` the time it reached us in microseconds since 1970: it stands
/// in for the source's own time where that is missing.
pub fn route(
    pipeline: &Pipeline,
    event: &Event,
    position: u32,
    received: i64,
    changes: &mut Vec<Change>,
    rejected: &mut Vec<Rejected>,
) {
    for (number, (table, route)) in pipeline.tables.iter().zip(&pipeline.routes).enumerate() {
        let router = Router { table, route, at: event.at.unwrap_or(received) };
        match router.change(&event.body) {
            Ok(Some((key, op))) => {
                let table = number as u16;
                changes.push(Change { table, event: position, key, version: event.version, at: event.at, op });
            }
            Ok(None) => {}
            Err(error) => {
                let table = Some(table.qualified_name());
                rejected.push(Rejected { event: position, table, error: error.chain() });
            }
        }
    }
}

struct Router<'p> {
    table: &'p Table,
    route: &'p Route,
    at: i64,
}

impl Router<'_> {
    /// The key and what becomes of it; `None` when this table ignores the event.
    fn change(&self, body: &Body) -> Result<Option<(Key, Op)>> {
        match body {
            Body::Image { now, before } => self.known(now, before.as_ref(), true),
            Body::Part { now, before } => self.part(now, before.as_ref()),
            Body::Gone { expired: true, .. } if !self.table.delete.ttl => Ok(None),
            Body::Gone { key, before, expired } => {
                let reason = if *expired { Reason::Expired } else { Reason::Deleted };
                // The key fields alone may not name the row, the item before does.
                let root = before.as_ref().unwrap_or(key);
                self.gone(root, before.as_ref(), reason)
            }
        }
    }

    /// A part of the item. The table is left alone where the part says nothing of it, and rejected where nobody can tell
    /// what the part means for it.
    fn part(&self, now: &Value, before: Option<&Value>) -> Result<Option<(Key, Op)>> {
        let Route { scope, when, key, columns, .. } = self.route;
        if let Scope::Document(path) | Scope::Elements(path) = scope
            && !part::has(path, now)
        {
            return Ok(None);
        }
        let reads = |what: &str, lack: &str, remedy: &str| {
            Err(Error::data(format!("{what} reads {lack}, which this part of the item lacks: {remedy}")))
        };
        for (column, binding) in self.table.key.iter().zip(key) {
            if let Some(lack) = part::lack(&binding.from, scope, now) {
                let what = format!("key column {}", column.name);
                return reads(&what, &lack, "let the source send the fields of the key in every part");
            }
        }
        if let Some(lack) = when.as_ref().and_then(|when| part::lack_of_program(when, scope, now)) {
            return reads(
                "`when`",
                &lack,
                "let the source send it in every part, or filter by fields that it does send",
            );
        }
        if let Scope::Elements(_) = scope {
            for (column, binding) in self.table.columns.iter().zip(columns) {
                if let Some(lack) = part::lack(&binding.from, scope, now) {
                    let what = format!("column {}", column.name);
                    return reads(&what, &lack, "take it from the elements, or keep it in a table of the item itself");
                }
            }
        } else if !self.table.takes_parts() {
            return Err(Error::data("the table keeps no version per column, so it cannot take a part of an item"));
        }
        self.known(now, before, false)
    }

    /// The item, or (not `whole`) a part of it that has all it takes.
    fn known(&self, now: &Value, before: Option<&Value>, whole: bool) -> Result<Option<(Key, Op)>> {
        if self.route.retired {
            return Ok(None);
        }
        if let (Scope::Elements(path), Some(children)) = (&self.route.scope, &self.table.children) {
            let items = match path.find(now) {
                None | Some(Value::Null) => &[][..],
                Some(Value::List(items) | Value::Set(items)) => items,
                Some(other) => {
                    return Err(Error::data(format!("`{path}` is {}, where a list is expected", other.kind())));
                }
            };
            return self.elements(children, now, items).map(Some);
        }
        let row = match &self.route.scope {
            Scope::Document(path) => match path.find(now) {
                None | Some(Value::Null) => return self.gone(now, before, Reason::Absent),
                Some(row @ Value::Map(_)) => row,
                Some(other) => {
                    return Err(Error::data(format!("`{path}` is {}, where a map is expected", other.kind())));
                }
            },
            Scope::Root | Scope::Elements(_) => now,
        };
        let context = Context { row, root: now, index: None };
        if !self.holds(&context)? {
            return self.gone(now, Some(now), Reason::Filtered);
        }
        let key = self.key(&self.route.key, &context)?;
        let builder = Builder::new(self.table, self.route);
        let op = if whole {
            let (row, notes) = builder.live(&context)?;
            Op::Upsert(row, notes)
        } else {
            Op::Patch(builder.patch(&context)?)
        };
        Ok(Some((key, op)))
    }

    /// The set of rows that a list stands for.
    fn elements(&self, children: &Children, root: &Value, items: &[Value]) -> Result<(Key, Op)> {
        let mut elements: Vec<Element> = Vec::with_capacity(items.len());
        for (index, row) in items.iter().enumerate() {
            let context = Context { row, root, index: Some(index) };
            let element = self.element(&context).map_err(|e| Error::data(format!("element {index}")).with_source(e))?;
            elements.extend(element);
        }
        // A key that comes twice would make the statement fail: the later element is the one that stays.
        elements.reverse();
        elements.sort_by(|a, b| a.key.cmp(&b.key));
        elements.dedup_by(|next, kept| next.key == kept.key);
        let parent = self.parent_key(children, root)?;
        Ok((parent, Op::Replace(elements)))
    }

    fn element(&self, context: &Context<'_>) -> Result<Option<Element>> {
        if !self.holds(context)? {
            return Ok(None);
        }
        let key = self.key(&self.route.key, context)?;
        let (row, notes) = Builder::new(self.table, self.route).live(context)?;
        Ok(Some(Element { key, row, notes }))
    }

    fn parent_key(&self, children: &Children, root: &Value) -> Result<Key> {
        let context = Context { row: root, root, index: None };
        let part = |position: &usize| self.key_cell(*position, &self.route.key[*position], &context);
        children.parent.iter().map(part).collect()
    }

    /// The row is gone. `root` names its key, `before` is its last image where one is known.
    fn gone(&self, root: &Value, before: Option<&Value>, reason: Reason) -> Result<Option<(Key, Op)>> {
        if self.table.delete.mode == DeleteMode::Ignore {
            return Ok(None);
        }
        if let Some(children) = &self.table.children {
            return Ok(Some((self.parent_key(children, root)?, Op::Replace(Vec::new()))));
        }
        let part = |item| match &self.route.scope {
            Scope::Document(path) => path.find(item).filter(|row| matches!(row, Value::Map(_))),
            Scope::Root | Scope::Elements(_) => Some(item),
        };
        let last = before.and_then(part);
        let nothing = Value::Map(indexmap::IndexMap::new());
        // Where no image is known, columns that come from the key still have their value.
        let row = last.or_else(|| part(root)).unwrap_or(&nothing);
        let key = self.key(&self.route.key, &Context { row, root, index: None })?;
        let context = Context { row, root: before.unwrap_or(root), index: None };
        let tombstone = Builder::new(self.table, self.route).tombstone(&context, self.at, reason);
        Ok(Some((key, Op::Delete(tombstone))))
    }

    fn holds(&self, context: &Context<'_>) -> Result<bool> {
        match &self.route.when {
            None => Ok(true),
            Some(when) => when.holds(context).map_err(|e| Error::data("`when` cannot be evaluated").with_source(e)),
        }
    }

    fn key(&self, bindings: &[Binding], context: &Context<'_>) -> Result<Key> {
        bindings.iter().enumerate().map(|(position, binding)| self.key_cell(position, binding, context)).collect()
    }

    fn key_cell(&self, position: usize, binding: &Binding, context: &Context<'_>) -> Result<Cell> {
        let column = &self.table.key[position];
        let wrong = |reason: String| Error::data(format!("key column {}: {reason}", column.name));
        let value = look_up(&binding.from, context).map_err(|e| wrong("its program failed".into()).with_source(e))?;
        match value.as_deref() {
            None | Some(Value::Null | Value::Failed(_)) => Err(wrong("the source has no value for it".into())),
            Some(value) => cast(value, &column.ty).map_err(|misfit| wrong(misfit.to_string())),
        }
    }
}

/// A value of the item, or one that a program made.
type Found<'v> = Option<std::borrow::Cow<'v, Value>>;

/// The value at a binding's place; `None` when it is absent.
fn look_up<'v>(from: &From, context: &Context<'v>) -> Result<Found<'v>> {
    use std::borrow::Cow;
    Ok(match from {
        From::Row(path) => path.find(context.row).map(Cow::Borrowed),
        From::Root(path) => path.find(context.root).map(Cow::Borrowed),
        From::Whole => Some(Cow::Borrowed(context.row)),
        From::Index => context.index.map(|index| Cow::Owned(Value::from(index as i64))),
        From::Program(program) => Some(Cow::Owned(program.eval(context)?)),
        From::Nothing => None,
    })
}

#[cfg(test)]
mod tests;
