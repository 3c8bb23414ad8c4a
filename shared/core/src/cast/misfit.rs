//! Why a value does not fit its column.

use std::borrow::Cow;
use std::fmt;

use crate::column_type::{Base, ColumnType};
use crate::error::Error;
use crate::value::Value;

/// A value that its column cannot hold. The reason says what is wrong and what the column takes, never the value: it
/// goes into logs, `_errors` and the dead-letter table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    reason: Cow<'static, str>,
}

impl Misfit {
    /// A misfit for this reason: lowercase, no full stop, no value of a row.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Misfit { reason: reason.into() }
    }

    /// What is wrong, and what the column takes.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// A value of the wrong kind: "a list where bigint is expected".
    pub(super) fn kind(value: &Value, base: &Base) -> Self {
        Misfit::new(format!("{} where {} is expected", value.kind(), name(base)))
    }

    /// Text of the wrong form: "text that is not a number where bigint is expected".
    pub(super) fn form(what: &str, base: &Base) -> Self {
        Misfit::new(format!("text that is not {what} where {} is expected", name(base)))
    }

    /// U+0000, which Postgres has no place for in text and JSON.
    pub(super) fn nul() -> Self {
        Misfit::new("U+0000, which Postgres text cannot hold")
    }

    /// The same misfit, of an array's element; elements count from 1, as in Postgres.
    pub(super) fn at(self, index: usize) -> Self {
        Misfit::new(format!("element {}: {}", index + 1, self.reason))
    }
}

/// The type's name with its modifiers, as messages show it.
pub(super) fn name(base: &Base) -> String {
    ColumnType::scalar(base.clone()).to_string()
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Misfit {}

impl From<Misfit> for Error {
    fn from(misfit: Misfit) -> Self {
        Error::data(misfit.reason.into_owned())
    }
}
