//! Attribute values in DynamoDB's JSON, `{"S":"…"}`, read straight into [`Value`]s.
//!
//! The hot path of a stream: no tree in between, no number ever a float. A fault knows its place in the JSON and never
//! quotes what stands there.

use std::cell::{Cell, RefCell};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use tributary_core::decimal::Decimal;
use tributary_core::value::Value;

/// How deep lists and maps may nest. DynamoDB allows 32 levels; serde_json's own limit is reached at 63.
pub(super) const MAX_DEPTH: u8 = 60;

/// What is wrong with an item, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The place within the item, `.appearance.M.mode`; empty for the item itself.
    pub(super) path: String,
    /// What is wrong there.
    pub(super) reason: &'static str,
}

/// Reads an item, a JSON object of attribute values by name.
pub(super) fn read_item(json: &str) -> Result<Value, Fault> {
    let trace = Trace::default();
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Fields { trace: &trace, depth: 0 }.deserialize(&mut deserializer).map(Value::Map).map_err(|_| trace.into_fault())
}

/// Notes on the way up where a fault was: each level adds its step, the deepest one the reason.
#[derive(Default)]
struct Trace {
    steps: RefCell<Vec<Box<str>>>,
    reason: Cell<Option<&'static str>>,
}

impl Trace {
    fn fail<E: de::Error>(&self, reason: &'static str) -> E {
        self.reason.set(Some(reason));
        E::custom(reason)
    }

    /// Adds a step; the reason holds only if nobody below gave one.
    fn step(&self, step: impl Into<Box<str>>, reason: &'static str) {
        self.reason.set(self.reason.get().or(Some(reason)));
        self.steps.borrow_mut().push(step.into());
    }

    fn into_fault(self) -> Fault {
        let path = self.steps.into_inner().iter().rev().flat_map(|step| [".", step]).collect();
        Fault { path, reason: self.reason.get().unwrap_or("is not a JSON object of attributes") }
    }
}

/// An attribute's name as a path shows it: short, and without characters that neither a log nor Postgres takes.
fn shown(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Attribute values by name: an item, or what `M` holds.
struct Fields<'t> {
    trace: &'t Trace,
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = IndexMap<Box<str>, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = IndexMap<Box<str>, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attribute values by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = IndexMap::with_capacity(8);
        while let Some(name) = map.next_key::<Box<str>>()? {
            match map.next_value_seed(Attribute { trace: self.trace, depth: self.depth }) {
                Ok(value) => {
                    if let (at, Some(_)) = fields.insert_full(name, value) {
                        let name = fields.get_index(at).map(|(name, _)| shown(name)).unwrap_or_default();
                        self.trace.step(name, "stands here twice");
                        return Err(self.trace.fail("stands here twice"));
                    }
                }
                Err(error) => {
                    self.trace.step(shown(&name), "is not an attribute value");
                    return Err(error);
                }
            }
        }
        Ok(fields)
    }
}

/// One attribute value: an object with its type as the only name.
struct Attribute<'t> {
    trace: &'t Trace,
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Attribute<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Attribute<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Some(tag) = map.next_key::<Tag>()? else { return Err(self.trace.fail("has no attribute type")) };
        if tag == Tag::Unknown {
            return Err(self.trace.fail("has an unknown attribute type"));
        }
        let value = self.value(tag, &mut map).inspect_err(|_| {
            let (name, reason) = tag.describe();
            self.trace.step(name, reason);
        })?;
        match map.next_key::<IgnoredAny>()? {
            None => Ok(value),
            Some(_) => Err(self.trace.fail("has more than one attribute type")),
        }
    }
}

impl Attribute<'_> {
    fn value<'de, A: MapAccess<'de>>(&self, tag: Tag, map: &mut A) -> Result<Value, A::Error> {
        let nested = || match self.depth {
            MAX_DEPTH => Err(self.trace.fail("nests deeper than DynamoDB allows")),
            depth => Ok(depth + 1),
        };
        Ok(match tag {
            Tag::S => Value::Text(map.next_value()?),
            Tag::N => map.next_value::<Number>()?.0,
            Tag::B => map.next_value::<Binary>()?.0,
            Tag::Bool => Value::Bool(map.next_value()?),
            Tag::Null => match map.next_value()? {
                true => Value::Null,
                false => return Err(self.trace.fail("is not true")),
            },
            Tag::Ss => set(map.next_value::<Vec<Box<str>>>()?.into_iter().map(Value::Text)),
            Tag::Ns => set(map.next_value::<Vec<Number>>()?.into_iter().map(|number| number.0)),
            Tag::Bs => set(map.next_value::<Vec<Binary>>()?.into_iter().map(|binary| binary.0)),
            Tag::L => Value::List(map.next_value_seed(Elements { trace: self.trace, depth: nested()? })?),
            Tag::M => Value::Map(map.next_value_seed(Fields { trace: self.trace, depth: nested()? })?),
            Tag::Unknown => return Err(self.trace.fail("has an unknown attribute type")),
        })
    }
}

/// What `L` holds.
struct Elements<'t> {
    trace: &'t Trace,
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = Vec<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of attribute values")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        loop {
            match list.next_element_seed(Attribute { trace: self.trace, depth: self.depth }) {
                Ok(Some(element)) => elements.push(element),
                Ok(None) => return Ok(elements),
                Err(error) => {
                    self.trace.step(elements.len().to_string(), "is not an attribute value");
                    return Err(error);
                }
            }
        }
    }
}

/// A set of these values, in our order.
pub(super) fn set(values: impl Iterator<Item = Value>) -> Value {
    let mut values: Vec<Value> = values.collect();
    values.sort_unstable_by(|a, b| match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        _ => std::cmp::Ordering::Equal,
    });
    values.dedup();
    Value::Set(values)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    S,
    N,
    B,
    Bool,
    Null,
    Ss,
    Ns,
    Bs,
    L,
    M,
    Unknown,
}

impl Tag {
    fn describe(self) -> (&'static str, &'static str) {
        match self {
            Tag::S => ("S", "is not text"),
            Tag::N => ("N", "is not a number in text"),
            Tag::B => ("B", "is not base64 text"),
            Tag::Bool => ("BOOL", "is not true or false"),
            Tag::Null => ("NULL", "is not true"),
            Tag::Ss => ("SS", "is not a list of texts"),
            Tag::Ns => ("NS", "is not a list of numbers in text"),
            Tag::Bs => ("BS", "is not a list of base64 texts"),
            Tag::L => ("L", "is not a list"),
            Tag::M => ("M", "is not an object"),
            Tag::Unknown => ("?", "has an unknown attribute type"),
        }
    }
}

/// Deserializes from text that need not be kept: no allocation where the JSON has no escapes.
macro_rules! from_text {
    ($type:ty, $expecting:literal, $read:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        let read: Option<$type> = $read(text);
                        read.ok_or_else(|| E::custom($expecting))
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

from_text!(Tag, "an attribute type", |text: &str| Some(match text {
    "S" => Tag::S,
    "N" => Tag::N,
    "B" => Tag::B,
    "BOOL" => Tag::Bool,
    "NULL" => Tag::Null,
    "SS" => Tag::Ss,
    "NS" => Tag::Ns,
    "BS" => Tag::Bs,
    "L" => Tag::L,
    "M" => Tag::M,
    _ => Tag::Unknown,
}));

struct Number(Value);
from_text!(Number, "a number in text", |text: &str| Some(Number(Value::Number(Decimal::parse(text).ok()?))));

struct Binary(Value);
from_text!(Binary, "base64", |text: &str| Some(Binary(Value::Bytes(STANDARD.decode(text).ok()?.into()))));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::attribute::to_json;
    use tributary_core::value::Value as V;

    fn nested(levels: usize) -> String {
        format!("{{\"a\":{}{{\"N\":\"1\"}}{}}}", "{\"L\":[".repeat(levels), "]}".repeat(levels))
    }

    #[test]
    fn reads_every_type_exactly() {
        let check =
            |json: &str, expect: V| assert_eq!(read_item(&format!("{{\"a\":{json}}}")), Ok(V::from([("a", expect)])));
        let number = |text: &str| V::Number(Decimal::parse(text).unwrap());
        check(r#"{"S":""}"#, V::from(""));
        check(r#"{"S":"zwölf \ud83d\ude80 \u0000"}"#, V::from("zwölf 🚀 \0"));
        check(r#"{"N":"12345678901234567890123456789012345678"}"#, number("12345678901234567890123456789012345678"));
        check(r#"{"N":"1.23E+37"}"#, number("12300000000000000000000000000000000000"));
        check(r#"{"N":"-1E-130"}"#, number("-1e-130"));
        check(r#"{"B":"AAH/"}"#, V::Bytes(Box::new([0, 1, 255])));
        check(r#"{"B":""}"#, V::Bytes(Box::new([])));
        check(r#"{"BOOL":false}"#, V::Bool(false));
        check(r#"{"NULL":true}"#, V::Null);
        check(r#"{"SS":["b","a","b"]}"#, V::Set(vec![V::from("a"), V::from("b")]));
        check(r#"{"NS":["10","9","-1"]}"#, V::Set(vec![number("-1"), number("9"), number("10")]));
        check(r#"{"BS":["Ag==","AQ=="]}"#, V::Set(vec![V::Bytes(Box::new([1])), V::Bytes(Box::new([2]))]));
        check(r#"{"SS":[]}"#, V::Set(vec![]));
        check(r#"{"L":[{"S":"x"},{"L":[]}]}"#, V::List(vec![V::from("x"), V::List(vec![])]));
        check(r#"{"M":{"z":{"S":"1"},"a":{"M":{}}}}"#, V::from([("z", V::from("1")), ("a", V::from([]))]));
    }

    #[test]
    fn keeps_the_order_of_fields() {
        let json = r#"{"z":{"S":"1"},"a":{"N":"2"},"m":{"M":{"y":{"BOOL":true},"b":{"NULL":true}}}}"#;
        assert_eq!(to_json(&read_item(json).unwrap()).unwrap(), json);
    }

    #[test]
    fn names_the_place_of_a_fault_and_never_the_value() {
        let check = |json: &str, path: &str, reason: &'static str| {
            assert_eq!(read_item(json), Err(Fault { path: path.into(), reason }), "{json}");
        };
        check(r#"{"a":{"S":5}}"#, ".a.S", "is not text");
        check(r#"{"a":{"S":"\ud800"}}"#, ".a.S", "is not text");
        check(r#"{"a":{"N":5}}"#, ".a.N", "is not a number in text");
        check(r#"{"a":{"N":"secret"}}"#, ".a.N", "is not a number in text");
        check(r#"{"a":{"B":"%"}}"#, ".a.B", "is not base64 text");
        check(r#"{"a":{"BOOL":"true"}}"#, ".a.BOOL", "is not true or false");
        check(r#"{"a":{"NULL":false}}"#, ".a.NULL", "is not true");
        check(r#"{"a":{"NS":["1","x"]}}"#, ".a.NS", "is not a list of numbers in text");
        check(r#"{"a":{"X":"1"}}"#, ".a", "has an unknown attribute type");
        check(r#"{"a":{}}"#, ".a", "has no attribute type");
        check(r#"{"a":{"S":"1","N":"1"}}"#, ".a", "has more than one attribute type");
        check(r#"{"a":{"S":"1","S":"2"}}"#, ".a", "has more than one attribute type");
        check(r#"{"a":"plain"}"#, ".a", "is not an attribute value");
        check(r#"{"a":null}"#, ".a", "is not an attribute value");
        check(r#"{"a":{"S":"1"},"a":{"S":"2"}}"#, ".a", "stands here twice");
        check(r#"{"a":{"M":{"b":{"L":[{"S":"1"},{"N":"x"}]}}}}"#, ".a.M.b.L.1.N", "is not a number in text");
        check(r#"{"\u0000b":{"S":1}}"#, ".\u{fffd}b.S", "is not text");
        check("[]", "", "is not a JSON object of attributes");
    }

    #[test]
    fn nests_as_deep_as_dynamodb_and_refuses_what_would_exhaust_the_stack() {
        assert!(read_item(&nested(32)).is_ok());
        assert!(read_item(&nested(usize::from(MAX_DEPTH))).is_ok());
        for levels in [usize::from(MAX_DEPTH) + 1, 10_000] {
            assert_eq!(read_item(&nested(levels)).unwrap_err().reason, "nests deeper than DynamoDB allows", "{levels}");
        }
    }
}
