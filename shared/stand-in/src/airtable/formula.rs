//! As much of Airtable's formulas as a filter of ours needs: `AND`, `OR`, `RECORD_ID()='…'`, `IS_AFTER({…},'…')`,
//! `IS_BEFORE({…},'…')`.

use super::cells::rfc3339;
use super::world::{Record, Table};

/// A filter, read.
pub(super) enum Formula {
    And(Vec<Formula>),
    Or(Vec<Formula>),
    Id(String),
    /// The field's type, whether it must be after, and the time.
    Time(String, bool, String),
}

impl Formula {
    /// Reads a filter on this table; an error when it is none, or names a field that isn't there.
    pub(super) fn read(text: &str, table: &Table) -> Result<Self, ()> {
        let mut reader = Reader { rest: text.trim(), table };
        let formula = reader.value()?;
        if reader.rest.is_empty() { Ok(formula) } else { Err(()) }
    }

    /// Whether it is true of a record.
    pub(super) fn holds(&self, id: &str, record: &Record) -> bool {
        match self {
            Formula::And(all) => all.iter().all(|formula| formula.holds(id, record)),
            Formula::Or(all) => all.iter().any(|formula| formula.holds(id, record)),
            Formula::Id(wanted) => wanted == id,
            Formula::Time(kind, after, bound) => {
                let time = match kind.as_str() {
                    "lastModifiedTime" => rfc3339(record.modified),
                    "createdTime" => rfc3339(record.created),
                    _ => return false,
                };
                // All of one form, so text compares as time does.
                if *after { time > *bound } else { time < *bound }
            }
        }
    }
}

struct Reader<'f> {
    rest: &'f str,
    table: &'f Table,
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

    fn value(&mut self) -> Result<Formula, ()> {
        if self.take("AND(") {
            return self.list().map(Formula::And);
        }
        if self.take("OR(") {
            return self.list().map(Formula::Or);
        }
        if self.take("RECORD_ID()") {
            self.need("=")?;
            self.need("'")?;
            return Ok(Formula::Id(self.until('\'')?.to_owned()));
        }
        let after = self.take("IS_AFTER(");
        if !after {
            self.need("IS_BEFORE(")?;
        }
        self.need("{")?;
        let field = self.until('}')?;
        self.need(",")?;
        self.need("'")?;
        let bound = self.until('\'')?.to_owned();
        self.need(")")?;
        Ok(Formula::Time(self.table.field(field).ok_or(())?.kind.clone(), after, bound))
    }

    fn list(&mut self) -> Result<Vec<Formula>, ()> {
        let mut values = vec![self.value()?];
        while self.take(",") {
            values.push(self.value()?);
        }
        self.need(")")?;
        Ok(values)
    }
}
