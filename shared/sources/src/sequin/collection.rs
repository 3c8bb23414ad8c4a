//! A collection of the former Sequin: a table of Airtable, or of another provider, and the fields that it has.
//!
//! Sequin leaves empty cells out of a record, and Airtable lets people rename and remove fields. So an absent field is
//! empty only if the collection still has it: that is what this is for.

use indexmap::IndexMap;
use serde::Deserialize;
use tributary_core::{Error, Result};

/// A collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Sequin's id, `airtable:97GJ…`.
    pub id: String,
    /// The name at the provider.
    pub name: String,
    /// The provider's id, `tbl…`.
    pub upstream_id: String,
    /// The fields, in the order of the schema.
    pub fields: Vec<Field>,
}

/// A field of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name, as records have it.
    pub name: String,
    /// The provider's id, `fld…`, which survives a rename.
    pub id: Option<String>,
    /// `string`, `number`, `integer`, `boolean`, `array`, `object`; empty when the schema doesn't say.
    pub kind: String,
    /// `date`, `date-time`; empty for others.
    pub format: String,
    /// What a cell means to its provider, where the schema says so: Airtable's link fields name a `linkedTableId`.
    pub links: bool,
}

impl Collection {
    /// Whether the mapping means this one: by its id, its name or its upstream id.
    pub fn is(&self, wanted: &str) -> bool {
        [&self.id, &self.name, &self.upstream_id].into_iter().any(|name| name == wanted)
    }

    /// The field of this name or id.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name || field.id.as_deref() == Some(name))
    }
}

/// Reads the answer of `GET /v1/collections/{credential}`.
///
/// # Errors
/// `Data` when it is no list of collections.
pub fn collections(answer: &[u8]) -> Result<Vec<Collection>> {
    #[derive(Deserialize)]
    struct Answer {
        data: Vec<Wire>,
    }
    #[derive(Deserialize)]
    struct Wire {
        id: String,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        upstream_id: Option<String>,
        #[serde(default)]
        schema: Option<Schema>,
    }
    let answer: Answer = serde_json::from_slice(answer).map_err(|e| {
        Error::data(format!("cannot read Sequin's collections: line {}, column {}", e.line(), e.column()))
    })?;
    let collection = |wire: Wire| Collection {
        id: wire.id,
        name: wire.name.unwrap_or_default(),
        upstream_id: wire.upstream_id.unwrap_or_default(),
        fields: wire.schema.map(Schema::fields).unwrap_or_default(),
    };
    Ok(answer.data.into_iter().map(collection).collect())
}

/// A JSON Schema, as much of it as these use.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Schema {
    properties: IndexMap<String, Schema>,
    // JSON Schema allows a list of types too.
    r#type: serde_json::Value,
    format: Option<String>,
    #[serde(rename = "x-upstream-id")]
    upstream_id: Option<String>,
    #[serde(rename = "x-upstream-metadata")]
    metadata: serde_json::Value,
}

impl Schema {
    /// Airtable's fields lie in `fields`, those of others at the top: as in the records.
    fn fields(mut self) -> Vec<Field> {
        let inner = self.properties.get_mut("fields").filter(|fields| !fields.properties.is_empty());
        let properties = match inner {
            Some(fields) => std::mem::take(&mut fields.properties),
            None => self.properties,
        };
        properties.into_iter().map(|(name, schema)| schema.field(name)).collect()
    }

    fn field(self, name: String) -> Field {
        let of = |json: &serde_json::Value| json.as_str().map(str::to_owned);
        let kind = of(&self.r#type).or_else(|| {
            // `["string", "null"]`
            self.r#type.as_array()?.iter().filter_map(of).find(|kind| kind != "null")
        });
        Field {
            name,
            id: self.upstream_id,
            kind: kind.unwrap_or_default(),
            format: self.format.unwrap_or_default(),
            links: self.metadata.pointer("/options/linkedTableId").is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_says_which_fields_there_are() {
        let answer = r#"{"data":[{"id":"airtable:97GJ","name":"Members","upstream_id":"tblA","schema":{"type":"object","properties":{
            "id":{"type":"string"},"createdTime":{"type":"string","format":"date-time"},
            "fields":{"type":"object","properties":{
                "Email":{"title":"Email","type":"string","x-upstream-id":"fldA","x-upstream-metadata":{"name":"Email"}},
                "Groups":{"type":"array","x-upstream-id":"fldB","x-upstream-metadata":{"options":{"linkedTableId":"tblB"}}},
                "Since":{"type":["null","string"],"format":"date","x-upstream-id":"fldC"}}}}}},
          {"id":"stripe:charge","schema":{"properties":{"amount":{"type":"integer"}}}},
          {"id":"other:thing","name":null,"schema":null}]}"#;
        let found = collections(answer.as_bytes()).unwrap();
        let shown: Vec<String> = found
            .iter()
            .flat_map(|collection| collection.fields.iter().map(|field| format!("{} {field:?}", collection.id)))
            .collect();
        assert_eq!(
            shown,
            [
                r#"airtable:97GJ Field { name: "Email", id: Some("fldA"), kind: "string", format: "", links: false }"#,
                r#"airtable:97GJ Field { name: "Groups", id: Some("fldB"), kind: "array", format: "", links: true }"#,
                r#"airtable:97GJ Field { name: "Since", id: Some("fldC"), kind: "string", format: "date", links: false }"#,
                r#"stripe:charge Field { name: "amount", id: None, kind: "integer", format: "", links: false }"#,
            ]
        );
        assert!(["airtable:97GJ", "Members", "tblA"].iter().all(|name| found[0].is(name)) && !found[0].is("tblB"));
        assert_eq!(found[0].field("fldA"), found[0].field("Email"));
        assert!(collections(b"[]").is_err());
    }
}
