use serde_json::Value;

use super::super::{attachments, children, column, datastore, delete, pipeline, source, table};
use super::*;

/// Keys of an object of the schema.
fn keys(object: &Value) -> Vec<String> {
    let mut keys: Vec<String> = object["properties"].as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

#[test]
fn the_schema_has_the_keys_that_load_reads_and_refuses_others() {
    let schema = schema();
    let defs = &schema["$defs"];
    for (name, object, known) in [
        ("mapping", &schema, KEYS),
        ("postgres", &defs["Datastore"]["oneOf"][0], datastore::POSTGRES_KEYS),
        ("dynamodb", &defs["Datastore"]["oneOf"][1], datastore::DYNAMODB_KEYS),
        ("pipeline", &defs["Pipeline"], pipeline::KEYS),
        ("sequin", &defs["Datastore"]["oneOf"][2], datastore::sequin::KEYS),
        ("airtable", &defs["Datastore"]["oneOf"][3], datastore::airtable::KEYS),
        ("dynamodb source", &defs["Source"]["anyOf"][0], source::dynamodb::KEYS),
        ("sequin source", &defs["Source"]["anyOf"][1], source::sequin::KEYS),
        ("legacy source", &defs["Source"]["anyOf"][2], source::sequin::LEGACY_KEYS),
        ("airtable source", &defs["Source"]["anyOf"][3], source::airtable::KEYS),
        ("odk", &defs["Datastore"]["oneOf"][4], datastore::odk::KEYS),
        ("odk source", &defs["Source"]["anyOf"][4], source::odk::KEYS),
        ("attachments", &defs["Attachments"], attachments::KEYS),
        ("child", &defs["Child"]["anyOf"][1], children::KEYS),
        ("webhook source", &defs["Source"]["anyOf"][5], source::webhook::KEYS),
        ("verify", &defs["Verification"]["anyOf"][1], source::webhook::VERIFY_KEYS),
        ("signed time", &defs["Timestamp"], source::webhook::TIMESTAMP_KEYS),
        ("envelope", &defs["Envelope"]["anyOf"][1], source::webhook::ENVELOPE_KEYS),
        ("operation", &defs["Operation"], source::webhook::OPERATION_KEYS),
        ("sink", &defs["Sink"], pipeline::SINK_KEYS),
        ("meta", &defs["Meta"], pipeline::META_KEYS),
        ("table", &defs["Table"], table::KEYS),
        ("column", &defs["Column"]["anyOf"][1], column::KEYS),
        ("policy", &defs["Policy"], delete::KEYS),
    ] {
        let mut known: Vec<&str> = known.to_vec();
        known.sort_unstable();
        assert_eq!(keys(object), known, "{name}");
        assert_eq!(object["additionalProperties"], Value::Bool(false), "{name}");
    }
    for (name, variants, known) in [
        ("reference", &defs["Reference"]["anyOf"], datastore::REFERENCE_KEYS),
        ("feed", &defs["Feed"]["anyOf"], source::airtable::FEED_KEYS),
        ("destination", &defs["Destination"]["anyOf"], attachments::TO_KEYS),
    ] {
        let objects = variants.as_array().unwrap().iter().filter(|variant| variant["type"] == "object");
        let mut all: Vec<String> = objects.flat_map(keys).collect();
        all.sort();
        let mut known = known.to_vec();
        known.sort_unstable();
        assert_eq!(all, known, "{name}");
    }
}

#[test]
fn the_schema_stays_as_it_is_published() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&schema()).unwrap());
}

/// As much of JSON Schema as ours uses.
fn accepts(root: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(accepted) = schema.as_bool() {
        return accepted;
    }
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix("#/$defs/").unwrap();
        if !accepts(root, &root["$defs"][name], value) {
            return false;
        }
    }
    let any = |key: &str| schema[key].as_array().is_none_or(|all| all.iter().any(|s| accepts(root, s, value)));
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = schema["type"].as_str().is_none_or(|ty| ty == kind || (ty == "number" && kind == "integer"));
    let listed = schema["enum"].as_array().is_none_or(|all| all.contains(value))
        && (schema["const"].is_null() || schema["const"] == *value);
    let items = value.as_array().is_none_or(|items| {
        schema.get("items").is_none_or(|schema| items.iter().all(|item| accepts(root, schema, item)))
    });
    let fields = value.as_object().is_none_or(|fields| {
        let required = schema["required"]
            .as_array()
            .is_none_or(|all| all.iter().all(|k| fields.contains_key(k.as_str().unwrap())));
        let count = schema["maxProperties"].as_u64().is_none_or(|most| fields.len() as u64 <= most);
        required
            && count
            && fields.iter().all(|(name, value)| {
                match (schema["properties"].get(name), schema.get("additionalProperties")) {
                    (Some(schema), _) | (None, Some(schema)) => accepts(root, schema, value),
                    (None, None) => true,
                }
            })
    });
    fits && listed && items && fields && any("anyOf") && any("oneOf")
}

/// A file as JSON, by the rules of YAML 1.2, where `off` is a word.
fn json(text: &str) -> Value {
    fn of(value: crate::value::Value) -> Value {
        use crate::value::Value as V;
        match value {
            V::Null | V::Failed(_) | V::Bytes(_) => Value::Null,
            V::Bool(value) => value.into(),
            V::Number(number) => serde_json::from_str(&number.to_string()).unwrap(),
            V::Text(text) => String::from(text).into(),
            V::List(items) | V::Set(items) => items.into_iter().map(of).collect(),
            V::Map(fields) => fields.into_iter().map(|(name, value)| (String::from(name), of(value))).collect(),
        }
    }
    of(node::parse(text, &mut Report::new("", text)).unwrap().literal().unwrap())
}

#[test]
fn the_schema_accepts_what_load_accepts() {
    let schema = schema();
    for text in samples::good() {
        good(&text);
        let value = json(&text);
        assert!(accepts(&schema, &schema, &value), "{text}");
    }
    for bad in [
        "datastores: {}",
        "datastores: {}\npipelines: {}\nmore: 1",
        "datastores: { a: { type: odk, auth: x } }\npipelines: {}",
    ] {
        let value = json(bad);
        assert!(!accepts(&schema, &schema, &value), "{bad}");
    }
}
