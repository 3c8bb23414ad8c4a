//! As much of Airtable's formulas as a filter of ours needs: `AND`, `OR`, `RECORD_ID()='…'`, `IS_AFTER({…},'…')`,
//! `IS_BEFORE({…},'…')`.

use super::cells::rfc3339;
use super::world::{Record, Table};

/// Whether the formula is true of a record; an error when it is none.
pub(super) fn holds(formula: &str, table: &Table, id: &str, record: &Record) -> Result<bool, ()> {
    let mut reader = Reader { rest: formula.trim(), table, id, record };
    let value = reader.value()?;
    if reader.rest.is_empty() { Ok(value) } else { Err(()) }
}

struct Reader<'f> {
    rest: &'f str,
    table: &'f Table,
    id: &'f str,
    record: &'f Record,
}

impl<'f> Reader<'f> {
    fn take(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(word);
        self.rest = rest.map_or(self.rest, str::trim_start);
        rest.is_some()
    }

    fn need(&mut self, word: &str) -> Result<(), ()> {
        if self.take(word) { Ok(()) } else { Err(()) }
    }

    fn until(&mut self, end: char) -> Result<&'f str, ()> {
        let (text, rest) = self.rest.split_once(end).ok_or(())?;
        self.rest = rest.trim_start();
        Ok(text)
    }

    fn value(&mut self) -> Result<bool, ()> {
        if self.take("AND(") {
            return Ok(self.list()?.into_iter().all(|value| value));
        }
        if self.take("OR(") {
            return Ok(self.list()?.into_iter().any(|value| value));
        }
        if self.take("RECORD_ID()") {
            self.need("=")?;
            self.need("'")?;
            return Ok(self.until('\'')? == self.id);
        }
        let after = self.take("IS_AFTER(");
        if !after {
            self.need("IS_BEFORE(")?;
        }
        self.need("{")?;
        let field = self.until('}')?;
        self.need(",")?;
        self.need("'")?;
        let bound = self.until('\'')?;
        self.need(")")?;
        let kind = self.table.field(field).ok_or(())?.kind.as_str();
        let time = match kind {
            "lastModifiedTime" => rfc3339(self.record.modified),
            "createdTime" => rfc3339(self.record.created),
            _ => return Ok(false),
        };
        // All of one form, so text compares as time does.
        Ok(if after { time.as_str() > bound } else { time.as_str() < bound })
    }

    fn list(&mut self) -> Result<Vec<bool>, ()> {
        let mut values = vec![self.value()?];
        while self.take(",") {
            values.push(self.value()?);
        }
        self.need(")")?;
        Ok(values)
    }
}
