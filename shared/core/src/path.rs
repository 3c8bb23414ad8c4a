//! A path into an item: `appearance.mode`, `lines[0].sku`, `"a.b".c`.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::value::Value;

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The field of a map.
    Field(Box<str>),
    /// The element of a list, from 0.
    Index(usize),
}

/// A path into an item. Fields are separated by dots; a name with a dot or bracket in it stands in double quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<Step>);

impl Path {
    /// The path of one field at the top, whatever is in its name.
    pub fn field(name: &str) -> Self {
        Path(vec![Step::Field(name.into())])
    }

    /// The path through these fields, whatever is in their names.
    pub fn fields<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        Path(names.into_iter().map(|name| Step::Field(name.into())).collect())
    }

    /// The value at the end of the path; `None` when a step leads nowhere.
    pub fn find<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |value, step| match (step, value) {
            (Step::Field(name), Value::Map(fields)) => fields.get(name),
            (Step::Index(index), Value::List(items) | Value::Set(items)) => items.get(*index),
            _ => None,
        })
    }

    /// The field at the top of the item that this path goes through.
    pub fn first_field(&self) -> Option<&str> {
        match self.0.first() {
            Some(Step::Field(name)) => Some(name),
            _ => None,
        }
    }

    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl FromStr for Path {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |what: &str| Error::config(format!("`{text}` is not a path: {what}"));
        let mut steps = Vec::new();
        let mut rest = text;
        loop {
            if let Some(quoted) = rest.strip_prefix('"') {
                let (name, after) = quoted.split_once('"').ok_or_else(|| bad("a quote is not closed"))?;
                steps.push(Step::Field(name.into()));
                rest = after;
            } else {
                let end = rest.find(['.', '[', '"', ']']).unwrap_or(rest.len());
                if end == 0 || rest[..end].trim() != &rest[..end] {
                    return Err(bad("a field name is missing, or has spaces around it"));
                }
                steps.push(Step::Field(rest[..end].into()));
                rest = &rest[end..];
            }
            while let Some(inside) = rest.strip_prefix('[') {
                let (index, after) = inside.split_once(']').ok_or_else(|| bad("a bracket is not closed"))?;
                steps.push(Step::Index(index.parse().map_err(|_| bad("between brackets stands a number from 0"))?));
                rest = after;
            }
            match rest.strip_prefix('.') {
                Some(after) => rest = after,
                None if rest.is_empty() => return Ok(Path(steps)),
                None => return Err(bad("after a field comes a dot or a bracket")),
            }
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Field(name) => {
                    f.write_str(if position == 0 { "" } else { "." })?;
                    let quote = if name.contains(['.', '[', ']']) { "\"" } else { "" };
                    write!(f, "{quote}{name}{quote}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_nested_fields_elements_and_quoted_names() {
        let item = Value::from([
            ("a.b", Value::from([("c", Value::from(1))])),
            ("lines", Value::List(vec![Value::from([("sku", Value::from("x"))])])),
        ]);
        let find = |path: &str| path.parse::<Path>().unwrap().find(&item).cloned();
        assert_eq!(find("\"a.b\".c"), Some(Value::from(1)));
        assert_eq!(find("lines[0].sku"), Some(Value::from("x")));
        assert_eq!(find("lines[1].sku"), None);
        assert_eq!(find("lines.sku"), None);
    }

    #[test]
    fn refuses_what_is_no_path() {
        for bad in ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[-1]", "\"a", "a]b", "a b\"c\"", " a"] {
            assert!(bad.parse::<Path>().is_err(), "{bad}");
        }
        for good in ["a", "a b", "$x", "a.b[0][1].c", "\"a.b\""] {
            assert_eq!(good.parse::<Path>().unwrap().to_string(), good);
        }
    }
}
