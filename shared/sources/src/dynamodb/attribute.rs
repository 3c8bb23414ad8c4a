//! [`Value`]s as the AWS SDK's attribute values, and as DynamoDB's JSON: for scans, which read the one and keep the
//! other, and for sample data, which is written to both.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use tributary_core::decimal::Decimal;
use tributary_core::value::Value;
use tributary_core::{Error, Result};

use super::wire;

/// An item as the SDK names it.
pub type Item = HashMap<String, AttributeValue>;

/// An item of the SDK as a map. The SDK keeps no order, so fields are sorted by name.
///
/// # Errors
/// `Data` when an attribute is of a type that the SDK doesn't know, or a number isn't one; the message names the
/// attribute, never its value.
pub fn from_item(item: Item) -> Result<Value> {
    let mut fields: Vec<(String, AttributeValue)> = item.into_iter().collect();
    fields.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let field = |(name, value)| {
        let value = from_attribute(value).map_err(|e| Error::data(format!("{name}: {e}")))?;
        Ok((Box::from(name), value))
    };
    Ok(Value::Map(fields.into_iter().map(field).collect::<Result<_>>()?))
}

/// One attribute value of the SDK.
///
/// # Errors
/// As [`from_item`].
pub fn from_attribute(attribute: AttributeValue) -> Result<Value> {
    let number = |text: String| Decimal::parse(&text).map(Value::Number);
    let bytes = |blob: Blob| Value::Bytes(blob.into_inner().into());
    Ok(match attribute {
        AttributeValue::S(text) => Value::Text(text.into()),
        AttributeValue::N(text) => number(text)?,
        AttributeValue::B(blob) => bytes(blob),
        AttributeValue::Bool(value) => Value::Bool(value),
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Ss(texts) => wire::set(texts.into_iter().map(|text| Value::Text(text.into()))),
        AttributeValue::Ns(texts) => {
            wire::set(texts.into_iter().map(number).collect::<Result<Vec<Value>>>()?.into_iter())
        }
        AttributeValue::Bs(blobs) => wire::set(blobs.into_iter().map(bytes)),
        AttributeValue::L(elements) => Value::List(elements.into_iter().map(from_attribute).collect::<Result<_>>()?),
        AttributeValue::M(fields) => from_item(fields)?,
        _ => return Err(Error::data("an attribute of a type that this version doesn't know")),
    })
}

/// A map as an item of the SDK.
///
/// # Errors
/// `Data` when this is no map, or a set in it has elements of several types.
pub fn to_item(value: &Value) -> Result<Item> {
    match value {
        Value::Map(fields) => fields.iter().map(|(name, value)| Ok((name.to_string(), to_attribute(value)?))).collect(),
        other => Err(Error::data(format!("an item is a map, not {}", other.kind()))),
    }
}

/// A value as the SDK's attribute value. An empty set is one of texts; DynamoDB itself refuses it.
///
/// # Errors
/// As [`to_item`].
pub fn to_attribute(value: &Value) -> Result<AttributeValue> {
    let blob = |bytes: &[u8]| Blob::new(bytes);
    Ok(match value {
        Value::Null | Value::Failed(_) => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::Text(text) => AttributeValue::S(text.to_string()),
        Value::Bytes(bytes) => AttributeValue::B(blob(bytes)),
        Value::List(elements) => AttributeValue::L(elements.iter().map(to_attribute).collect::<Result<_>>()?),
        Value::Map(_) => AttributeValue::M(to_item(value)?),
        Value::Set(elements) => match elements.first() {
            Some(Value::Number(_)) => AttributeValue::Ns(of_set(elements, |value| match value {
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            })?),
            Some(Value::Bytes(_)) => AttributeValue::Bs(of_set(elements, |value| match value {
                Value::Bytes(bytes) => Some(blob(bytes)),
                _ => None,
            })?),
            _ => AttributeValue::Ss(of_set(elements, |value| match value {
                Value::Text(text) => Some(text.to_string()),
                _ => None,
            })?),
        },
    })
}

fn of_set<T>(elements: &[Value], read: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>> {
    let all: Option<Vec<T>> = elements.iter().map(read).collect();
    all.ok_or_else(|| Error::data("a set holds texts, numbers or binary, and only one of them"))
}

/// A map as DynamoDB's JSON of an item, compact, fields in their order: `{"id":{"S":"…"}}`.
///
/// # Errors
/// As [`to_item`].
pub fn to_json(item: &Value) -> Result<String> {
    serde_json::to_string(&Fields(item)).map_err(|e| Error::data("not an item of DynamoDB").with_source(e))
}

/// Reads DynamoDB's JSON of an item, the reverse of [`to_json`].
///
/// # Errors
/// `Data` naming the place of the fault.
pub fn from_json(json: &str) -> Result<Value> {
    wire::read_item(json).map_err(|fault| Error::data(format!("item{}: {}", fault.path, fault.reason)))
}

/// The fields of a map, each as a tagged attribute value. Serializes to what [`to_json`] returns.
pub(super) struct Fields<'v>(pub(super) &'v Value);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Map(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, Tagged(value)))),
            other => Err(S::Error::custom(format!("an item is a map, not {}", other.kind()))),
        }
    }
}

/// A value with its type as the only name.
struct Tagged<'v>(&'v Value);

impl Serialize for Tagged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tagged = serializer.serialize_map(Some(1))?;
        match self.0 {
            Value::Null | Value::Failed(_) => tagged.serialize_entry("NULL", &true),
            Value::Bool(value) => tagged.serialize_entry("BOOL", value),
            Value::Number(number) => tagged.serialize_entry("N", &number.to_string()),
            Value::Text(text) => tagged.serialize_entry("S", text),
            Value::Bytes(bytes) => tagged.serialize_entry("B", &STANDARD.encode(bytes)),
            Value::List(elements) => {
                tagged.serialize_entry("L", &elements.iter().map(Tagged).collect::<Vec<Tagged<'_>>>())
            }
            Value::Map(_) => tagged.serialize_entry("M", &Fields(self.0)),
            Value::Set(elements) => {
                let texts = of_set(elements, |value| match value {
                    Value::Text(text) => Some(("SS", text.to_string())),
                    Value::Number(number) => Some(("NS", number.to_string())),
                    Value::Bytes(bytes) => Some(("BS", STANDARD.encode(bytes))),
                    _ => None,
                })
                .map_err(S::Error::custom)?;
                let tag = texts.first().map_or("SS", |(tag, _)| tag);
                if texts.iter().any(|(other, _)| *other != tag) {
                    return Err(S::Error::custom("a set holds texts, numbers or binary, and only one of them"));
                }
                tagged.serialize_entry(tag, &texts.into_iter().map(|(_, text)| text).collect::<Vec<String>>())
            }
        }?;
        tagged.end()
    }
}

/// Values in plain JSON, as people read them: `{"id":"…"}`. Numbers keep their digits, binary is base64.
pub(super) fn plain_json(value: &Value, out: &mut String) {
    let text = |text: &str, out: &mut String| match serde_json::to_string(text) {
        Ok(quoted) => out.push_str(&quoted),
        Err(_) => out.push_str("\"\""),
    };
    match value {
        Value::Null | Value::Failed(_) => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::Text(value) => text(value, out),
        Value::Bytes(bytes) => text(&STANDARD.encode(bytes), out),
        Value::List(elements) | Value::Set(elements) => {
            out.push('[');
            for (position, element) in elements.iter().enumerate() {
                out.push_str(if position == 0 { "" } else { "," });
                plain_json(element, out);
            }
            out.push(']');
        }
        Value::Map(fields) => {
            out.push('{');
            for (position, (name, value)) in fields.iter().enumerate() {
                out.push_str(if position == 0 { "" } else { "," });
                text(name, out);
                out.push(':');
                plain_json(value, out);
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any value that DynamoDB can hold, sets in our order.
    pub(crate) fn any_value() -> impl Strategy<Value = Value> {
        let number = "-?[0-9]{1,20}(\\.[0-9]{1,18})?(E-?[0-9]{1,2})?"
            .prop_map(|text| Value::Number(Decimal::parse(&text).unwrap()));
        let text = ".{0,12}".prop_map(Value::text);
        let bytes = prop::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| Value::Bytes(bytes.into()));
        let set = prop_oneof![
            prop::collection::vec(number.clone(), 0..4),
            prop::collection::vec(text.clone(), 0..4),
            prop::collection::vec(bytes.clone(), 0..4),
        ]
        .prop_map(|values| wire::set(values.into_iter()));
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Bool), number, text, bytes, set];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::btree_map(".{0,6}", inner, 0..4)
                    .prop_map(|fields| Value::Map(fields.into_iter().map(|(k, v)| (k.into(), v)).collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_sdk_keeps_every_value(value in any_value()) {
            prop_assert_eq!(from_attribute(to_attribute(&value).unwrap()).unwrap(), value);
        }

        #[test]
        fn the_wire_keeps_every_value(value in any_value()) {
            let item = Value::from([("a", value)]);
            prop_assert_eq!(from_json(&to_json(&item).unwrap()).unwrap(), item);
        }

        #[test]
        fn plain_json_is_json(value in any_value()) {
            let mut text = String::new();
            plain_json(&value, &mut text);
            prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn refuses_a_set_of_several_types_and_an_item_that_is_no_map() {
        let mixed = Value::from([("a", Value::Set(vec![Value::from(1), Value::from("x")]))]);
        for bad in [&mixed, &Value::from("x")] {
            assert!(to_json(bad).is_err());
            assert!(to_item(bad).is_err());
        }
    }

    #[test]
    fn sorts_what_the_sdk_keeps_in_no_order() {
        let item = to_item(&Value::from([("b", Value::from(1)), ("c", Value::Null), ("a", Value::from("x"))])).unwrap();
        assert_eq!(to_json(&from_item(item).unwrap()).unwrap(), r#"{"a":{"S":"x"},"b":{"N":"1"},"c":{"NULL":true}}"#);
    }
}
