//! Which columns would hold values that were seen: for sources that say nothing about themselves.
//!
//! Types are wide: a number is `numeric`, what has a form of its own `jsonb`. Text that always looks like a date, a time or a
//! uuid is taken for one; whoever cannot be wrong later must not believe that. Called for `tributary infer`.

use indexmap::IndexMap;
use tributary_core::column_type::{Base, ColumnType};
use tributary_core::value::Value;

/// What was seen of the values of one field.
#[derive(Clone, Debug, Default)]
pub struct Guess {
    ty: Option<ColumnType>,
    /// How often it had a value, null among them.
    pub present: u64,
    /// How often it was null.
    pub nulls: u64,
    /// What is in the maps, or in the maps of the lists, that stood there; `None` as soon as something else did.
    pub inside: Inside,
}

/// What is in the values of a field that are maps, or lists of maps.
#[derive(Clone, Debug, Default)]
pub enum Inside {
    /// No value was seen.
    #[default]
    Unknown,
    /// The values are maps, with these fields.
    Maps(Box<Fields>),
    /// The values are lists of maps with these fields. Empty lists tell nothing.
    Lists(Box<Fields>),
    /// The values are something else.
    Other,
}

/// Fields by name, in the order in which they were met.
pub type Fields = IndexMap<Box<str>, Guess>;

/// The fields of these items, each a map.
pub fn fields<'v>(items: impl IntoIterator<Item = &'v Value>) -> Fields {
    let mut fields = Fields::new();
    items.into_iter().for_each(|item| add(&mut fields, item));
    fields
}

fn add(fields: &mut Fields, item: &Value) {
    let Value::Map(item) = item else { return };
    for (name, value) in item {
        fields.entry(name.clone()).or_default().see(value);
    }
}

impl Guess {
    /// The type of a column that holds what was seen; text where that was always null.
    pub fn ty(&self) -> ColumnType {
        self.ty.clone().unwrap_or(ColumnType::scalar(Base::Text))
    }

    /// Notes a value.
    pub fn see(&mut self, value: &Value) {
        self.present += 1;
        let Some(ty) = of_value(value) else {
            self.nulls += 1;
            return;
        };
        self.ty = Some(match self.ty.take() {
            None => ty,
            Some(known) => wider(known, &ty),
        });
        self.inside.see(value);
    }
}

impl Inside {
    fn see(&mut self, value: &Value) {
        let is_map = |value: &Value| matches!(value, Value::Map(_));
        match (&mut *self, value) {
            (Inside::Unknown, Value::Map(_)) => *self = Inside::Maps(Box::new(fields([value]))),
            (Inside::Maps(fields), Value::Map(_)) => add(fields, value),
            (Inside::Unknown | Inside::Lists(_), Value::List(items)) if items.is_empty() => {}
            (Inside::Unknown, Value::List(items)) if items.iter().all(is_map) => {
                *self = Inside::Lists(Box::new(fields(items)));
            }
            (Inside::Lists(fields), Value::List(items)) if items.iter().all(is_map) => {
                items.iter().for_each(|item| add(fields, item));
            }
            _ => *self = Inside::Other,
        }
    }
}

/// `None` for null, which says nothing.
fn of_value(value: &Value) -> Option<ColumnType> {
    let is_text = |value: &Value| matches!(value, Value::Text(_));
    let is_number = |value: &Value| matches!(value, Value::Number(_));
    let base = match value {
        Value::Null | Value::Failed(_) => return None,
        Value::Bool(_) => Base::Bool,
        Value::Number(_) => Base::Numeric(None),
        Value::Text(text) => of_text(text),
        Value::Bytes(_) => Base::Bytea,
        Value::Set(items) if items.iter().all(is_text) => return Some(ColumnType { base: Base::Text, array: true }),
        Value::Set(items) if items.iter().all(is_number) => {
            return Some(ColumnType { base: Base::Numeric(None), array: true });
        }
        Value::List(_) | Value::Set(_) | Value::Map(_) => Base::Jsonb,
    };
    Some(ColumnType::scalar(base))
}

/// Forms that no other text takes by accident.
fn of_text(text: &str) -> Base {
    let digits = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                b'x' => byte.is_ascii_hexdigit(),
                other => byte == other,
            })
    };
    let time = text.get(..19).is_some_and(|start| digits(&start.replacen(' ', "T", 1), "0000-00-00T00:00:00"));
    if digits(text, "0000-00-00") && text.parse::<jiff::civil::Date>().is_ok() {
        Base::Date
    } else if digits(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") {
        Base::Uuid
    } else if time && text.parse::<jiff::Timestamp>().is_ok() {
        Base::Timestamptz
    } else if time && text.parse::<jiff::civil::DateTime>().is_ok() {
        Base::Timestamp
    } else {
        Base::Text
    }
}

/// A type that holds the values of both.
fn wider(a: ColumnType, b: &ColumnType) -> ColumnType {
    let is_text = |ty: &ColumnType| {
        let base = &ty.base;
        !ty.array
            && matches!(base, Base::Text | Base::Date | Base::Uuid | Base::Timestamptz | Base::Timestamp | Base::Bytea)
    };
    if a == *b {
        a
    } else if is_text(&a) && is_text(b) {
        ColumnType::scalar(Base::Text)
    } else {
        ColumnType::scalar(Base::Jsonb)
    }
}

#[cfg(test)]
mod tests {
    use tributary_core::decimal::Decimal;

    use super::*;

    fn list(items: &[Value]) -> Value {
        Value::List(items.to_vec())
    }

    #[test]
    fn the_widest_type_that_was_seen_counts() {
        let check = |values: &[Value], expect: &str| {
            let items: Vec<Value> = values.iter().map(|value| Value::from([("a", value.clone())])).collect();
            assert_eq!(fields(&items)["a"].ty().to_string(), expect, "{values:?}");
        };
        let text = |text: &str| Value::from(text);
        check(&[Value::Null], "text");
        check(&[Value::from(1), Value::Null, Value::from(2)], "numeric");
        check(&[Value::Bool(true)], "boolean");
        check(&[Value::Bool(true), Value::from(1)], "jsonb");
        check(&[text("2026-02-01"), text("2026-02-28")], "date");
        check(&[text("2026-02-31")], "text");
        check(&[text("2026-02-01"), text("soon")], "text");
        check(&[text("2026-02-01T10:00:00Z"), text("2026-02-01 10:00:00.5+02:00")], "timestamptz");
        check(&[text("2026-02-01T10:00:00.123")], "timestamp");
        check(&[text("7c0d1b9e-2f4c-4b60-9a53-0f6c2f6a1d11")], "uuid");
        check(&[text("1.50")], "text");
        check(&[Value::from([("b", Value::from(1))])], "jsonb");
        check(&[list(&[Value::from(1)]), text("x")], "jsonb");
        check(&[Value::Set(vec![text("x")])], "text[]");
        check(&[Value::Set(vec![Value::Number(Decimal::parse("1.5").unwrap())])], "numeric[]");
        check(&[Value::Set(vec![text("x")]), text("x")], "jsonb");
    }

    #[test]
    fn what_could_be_a_table_is_told_with_its_fields() {
        let map = |name: &str| Value::from([(name, Value::from(1))]);
        let check = |values: &[Value], expect: &str| {
            let items: Vec<Value> = values.iter().map(|value| Value::from([("a", value.clone())])).collect();
            let names = |inner: &Fields| inner.keys().map(ToString::to_string).collect::<Vec<_>>().join(",");
            let shown = match &fields(&items)["a"].inside {
                Inside::Unknown => "unknown".to_owned(),
                Inside::Maps(inner) => format!("maps {}", names(inner)),
                Inside::Lists(inner) => format!("lists {}", names(inner)),
                Inside::Other => "other".to_owned(),
            };
            assert_eq!(shown, expect, "{values:?}");
        };
        check(&[Value::Null, list(&[])], "unknown");
        check(&[map("x"), Value::Null, map("y")], "maps x,y");
        check(&[list(&[]), list(&[map("x"), map("y")]), list(&[])], "lists x,y");
        check(&[map("x"), list(&[map("x")])], "other");
        check(&[list(&[map("x")]), list(&[Value::from(1)])], "other");
        check(&[Value::from(1)], "other");
    }
}
