//! Where JSON Schema needs more than a derive: parts by name, and keys that may be absent but not null.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// Parts by name: a map, or a list of parts with a `name` or of single names.
pub(in crate::mapping) struct Named<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let part = generator.subschema_for::<T>();
        let mut with_name = T::json_schema(generator);
        add_name(&mut with_name);
        json_schema!({
            "anyOf": [
                { "type": "object", "additionalProperties": part },
                { "type": "array", "items": { "anyOf": [
                    with_name,
                    { "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": part }
                ] } }
            ]
        })
    }
}

/// Adds `name` to the keys of an object, or of each of its variants.
fn add_name(schema: &mut Schema) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("name".into(), json!({ "type": "string", "minLength": 1, "description": "The name." }));
        let required = schema.ensure_object().entry("required").or_insert_with(|| json!([]));
        if let Some(required) = required.as_array_mut() {
            required.push(json!("name"));
        }
    }
    for variants in ["anyOf", "oneOf"] {
        let Some(variants) = schema.get_mut(variants).and_then(Value::as_array_mut) else { continue };
        // A part that is one word has no place for a name.
        variants.retain(|variant| variant.get("type") != Some(&json!("string")));
        for variant in variants {
            if let Ok(variant) = <&mut Schema>::try_from(variant) {
                add_name(variant);
            }
        }
    }
}

/// A key that may be absent is not one that may be null, which is what an `Option` means to schemars.
pub(super) fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(types) = object.get_mut("type")
        && let Some(names) = types.as_array_mut()
    {
        names.retain(|name| name != "null");
        if let [only] = names.as_slice() {
            *types = only.clone();
        }
    }
    if let Some(Value::Array(variants)) = object.get_mut("anyOf") {
        variants.retain(|variant| variant != &json!({ "type": "null" }));
        if let [only] = variants.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            object.extend(only.as_object().cloned().unwrap_or_default());
        }
    }
}
