//! Values into the template language and back, without losing a digit.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::Value as Jinja;
use minijinja::value::{Enumerator, Object, ObjectExt, ObjectRepr, ValueKind};

use super::lexis::Names;
use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::value::Value;

/// How deep a result may nest.
const DEEPEST: usize = 100;

/// Converts values of an item.
pub(super) struct Converter {
    /// Whether the program compares or sorts, which it could not do rightly with [`Digits`].
    compares: bool,
}

impl Converter {
    pub(super) fn new(compares: bool) -> Self {
        Converter { compares }
    }

    pub(super) fn value(&self, value: &Value) -> Result<Jinja> {
        Ok(match value {
            Value::Null | Value::Failed(_) => Jinja::UNDEFINED,
            Value::Bool(value) => Jinja::from(*value),
            Value::Number(number) => self.number(number)?,
            Value::Text(text) => Jinja::from(&**text),
            Value::Bytes(bytes) => Jinja::from_bytes(bytes.to_vec()),
            Value::List(items) | Value::Set(items) => {
                items.iter().map(|item| self.value(item)).collect::<Result<Vec<_>>>()?.into()
            }
            Value::Map(_) => self.fields(value, &Names::All)?,
        })
    }

    /// A map with these of its fields.
    pub(super) fn fields(&self, value: &Value, names: &Names) -> Result<Jinja> {
        let Value::Map(fields) = value else { return self.value(value) };
        let fields = fields.iter().filter(|(name, _)| names.has(name));
        let fields = fields.map(|(name, value)| Ok((name.clone(), self.value(value)?)));
        Ok(Jinja::from_object(Fields(fields.collect::<Result<_>>()?)))
    }

    fn number(&self, number: &Decimal) -> Result<Jinja> {
        if let Some(integer) = number.to_i128() {
            return Ok(match i64::try_from(integer) {
                Ok(integer) => Jinja::from(integer),
                Err(_) => Jinja::from(integer),
            });
        }
        let float = number.to_f64();
        if float.is_finite() && Decimal::parse(&float.to_string()).is_ok_and(|exact| exact == *number) {
            return Ok(Jinja::from(float));
        }
        if self.compares {
            let message = "a number has more digits than an expression can compare";
            return Err(Error::data(message).with_hint("map the column with `from:`, which keeps every digit"));
        }
        Ok(Jinja::from_object(Digits(number.clone())))
    }
}

/// The names of a program with their values.
pub(super) fn scope(names: Vec<(Arc<str>, Jinja)>) -> Jinja {
    Jinja::from_object(Scope(names))
}

#[derive(Debug)]
struct Scope(Vec<(Arc<str>, Jinja)>);

impl Object for Scope {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        self.0.iter().find(|(name, _)| &**name == key).map(|(_, value)| value.clone())
    }
}

/// A map that keeps the order of the source.
#[derive(Debug)]
struct Fields(IndexMap<Box<str>, Jinja>);

impl Object for Fields {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        self.0.get(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_enumerator(|this| Box::new(this.0.keys().map(|name| Jinja::from(&**name))))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.0.len())
    }
}

/// A number that no machine number holds: it passes through and prints, and does nothing else.
#[derive(Debug)]
pub(super) struct Digits(pub(super) Decimal);

impl Object for Digits {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A result of the language as a value.
pub(super) fn back(value: &Jinja) -> Result<Value> {
    back_at(value, 0)
}

fn back_at(value: &Jinja, depth: usize) -> Result<Value> {
    if depth > DEEPEST {
        return Err(Error::data("an expression's result nests too deep"));
    }
    let no_value = || Error::data(format!("an expression gave a {}, which is no value of a column", value.kind()));
    let items = || value.try_iter().map_err(|_| no_value());
    Ok(match value.kind() {
        ValueKind::Undefined | ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number => Value::Number(number_back(value)?),
        ValueKind::String => Value::text(value.as_str().unwrap_or_default()),
        ValueKind::Bytes => Value::Bytes(value.as_bytes().unwrap_or_default().into()),
        ValueKind::Seq | ValueKind::Iterable => {
            Value::List(items()?.map(|item| back_at(&item, depth + 1)).collect::<Result<_>>()?)
        }
        ValueKind::Map => {
            let field = |key: Jinja| {
                let name = match key.kind() {
                    ValueKind::String | ValueKind::Number => key.to_string(),
                    _ => return Err(Error::data("an expression gave a map whose keys are not text")),
                };
                let field = value.get_item(&key).map_err(|_| no_value())?;
                Ok((name.into_boxed_str(), back_at(&field, depth + 1)?))
            };
            Value::Map(items()?.map(field).collect::<Result<_>>()?)
        }
        _ => match value.downcast_object_ref::<Digits>() {
            Some(Digits(number)) => Value::Number(number.clone()),
            None => return Err(no_value()),
        },
    })
}

fn number_back(value: &Jinja) -> Result<Decimal> {
    if value.is_integer() {
        return Decimal::parse(&value.to_string());
    }
    let float = f64::try_from(value.clone()).unwrap_or(f64::NAN);
    if !float.is_finite() {
        return Err(Error::data("an expression gave a number that is not finite"));
    }
    Decimal::parse(&float.to_string())
}
