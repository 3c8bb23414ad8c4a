//! What a source says: a value of its own world, before any column's type is known.

use std::fmt;

use indexmap::IndexMap;

use crate::decimal::Decimal;

/// A value as a source sends it. Numbers are exact, binary is bytes, and a set knows that it is one.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An explicit null. An absent field is no `Value` at all.
    Null,
    /// There is no value, and the source says why: a formula that divides by zero. NULL, with a note in `_errors`.
    Failed(Box<str>),
    /// True or false.
    Bool(bool),
    /// A number in exact decimal digits.
    Number(Decimal),
    /// Text; may hold U+0000, which Postgres refuses.
    Text(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
    /// An ordered list.
    List(Vec<Value>),
    /// A set: the source keeps no order, so ours is sorted, and equal sets are equal values.
    Set(Vec<Value>),
    /// Fields by name, in the order of the source.
    Map(IndexMap<Box<str>, Value>),
}

impl Value {
    /// Text from anything that turns into it.
    pub fn text(text: impl Into<Box<str>>) -> Self {
        Value::Text(text.into())
    }

    /// The field of a map; `None` when this is no map or has no such field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Map(fields) => fields.get(name),
            _ => None,
        }
    }

    /// Why there is no value: of this, or of the first element of a list of which that is so.
    pub fn failure(&self) -> Option<Failure<'_>> {
        match self {
            Value::Failed(reason) => Some(Failure { element: None, reason }),
            Value::List(items) => items.iter().enumerate().find_map(|(index, item)| match item {
                Value::Failed(reason) => Some(Failure { element: Some(index), reason }),
                _ => None,
            }),
            _ => None,
        }
    }

    /// What this is, as an error message names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Failed(_) => "a value that the source could not compute",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::Bytes(_) => "binary",
            Value::List(_) => "a list",
            Value::Set(_) => "a set",
            Value::Map(_) => "a map",
        }
    }
}

/// Why the source has no value, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure<'v> {
    /// The element of a list, from 0; `None` when it is the value itself.
    pub element: Option<usize>,
    /// The source's reason: a code of its own, never a value of the row.
    pub reason: &'v str,
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.element {
            // As misfits of arrays do, from 1.
            Some(index) => write!(f, "element {}: the source says {}", index + 1, self.reason),
            None => write!(f, "the source says {}", self.reason),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(Decimal::from(number))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Value {
    fn from(fields: [(&str, Value); N]) -> Self {
        Value::Map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}
