//! What a form asks: its questions with their types, groups and repeats, or a dataset's properties.
//!
//! `GET /v1/projects/{project}/forms/{form}/fields?odata=true` gives names as the feed has them: `q1.8` is `q1_8` there. Two
//! questions may come to the same name; in rows the later one's value is found, so its type counts.

use indexmap::IndexMap;
use serde::Deserialize;
use tributary_core::Result;

use super::card::{Dataset, unreadable};
use super::set::Set;

/// What a form or a dataset asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    entities: bool,
    fields: Vec<Field>,
    lists: Vec<String>,
}

/// A question, or a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The repeat that it belongs to, as [`Schema::lists`] has it; `None`: once a submission.
    pub list: Option<String>,
    /// Its path below that, through groups.
    pub path: Vec<String>,
    /// What it holds.
    pub kind: Kind,
    /// Central's word for its type: `geopoint`.
    pub word: String,
}

/// What a question holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text. A time of day is text too, because it has an offset.
    Text,
    /// Some of several choices.
    Choices,
    /// A whole number.
    Int,
    /// A number.
    Decimal,
    /// Yes or no.
    Bool,
    /// A day.
    Date,
    /// A time.
    DateTime,
    /// A place, a line or an area, as GeoJSON.
    Geo,
    /// The name of a file.
    File,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    binary: Option<bool>,
    #[serde(default)]
    select_multiple: Option<bool>,
}

impl Field {
    /// What somebody should know of it beside its type.
    pub fn remark(&self) -> &str {
        match self.kind {
            Kind::Choices => "some of several choices",
            Kind::File => "the name of a file",
            _ => &self.word,
        }
    }

    /// Its path from the submission on, lists and groups joined by dots: `person_details.occupancy.since`.
    pub fn whole_path(&self) -> String {
        let list = self.list.iter().map(String::as_str);
        list.chain(self.path.iter().map(String::as_str)).collect::<Vec<_>>().join(".")
    }
}

impl Schema {
    /// Reads what a server says of the fields of a form.
    pub(super) fn of_form(body: &[u8]) -> Result<Self> {
        let told: Vec<Told> = serde_json::from_slice(body).map_err(|_| unreadable("the fields of a form"))?;
        let latest: IndexMap<&str, &Told> = told.iter().map(|field| (field.path.as_str(), field)).collect();
        let is =
            |path: &str, kinds: &[&str]| latest.get(path).is_some_and(|field| kinds.contains(&field.kind.as_str()));
        let (mut fields, mut lists) = (Vec::new(), Vec::new());
        for field in latest.values() {
            let steps: Vec<&str> = field.path.split('/').filter(|step| !step.is_empty()).collect();
            // What a question of the same name has replaced has nothing below it any more.
            let mut above = (1..steps.len()).map(|end| format!("/{}", steps[..end].join("/")));
            if steps.is_empty() || !above.clone().all(|path| is(&path, &["structure", "repeat"])) {
                continue;
            }
            match field.kind.as_str() {
                "structure" => {}
                "repeat" => lists.push(steps.join(".")),
                _ => {
                    let inner = above.rfind(|path| is(path, &["repeat"]));
                    let depth = inner.as_ref().map_or(0, |path| path.matches('/').count());
                    fields.push(Field {
                        list: inner.map(|_| steps[..depth].join(".")),
                        path: steps[depth..].iter().map(ToString::to_string).collect(),
                        kind: field.kind(),
                        word: field.kind.clone(),
                    });
                }
            }
        }
        Ok(Schema { entities: false, fields, lists })
    }

    /// Reads what a server says of a dataset. Properties are text, whatever they hold.
    pub(super) fn of_dataset(body: &[u8]) -> Result<Self> {
        let dataset = Dataset::read(body)?;
        let field = |name: &str| Field {
            list: None,
            path: vec![name.to_owned()],
            kind: Kind::Text,
            word: "property".to_owned(),
        };
        let mut fields = vec![Field { word: "label".to_owned(), ..field("label") }];
        for property in &dataset.properties {
            if fields.iter().all(|other| other.path != [property.column()]) {
                fields.push(field(property.column()));
            }
        }
        Ok(Schema { entities: true, fields, lists: Vec::new() })
    }

    pub(super) fn read(set: &Set, body: &[u8]) -> Result<Self> {
        match set {
            Set::Submissions { .. } => Schema::of_form(body),
            Set::Entities { .. } => Schema::of_dataset(body),
        }
    }

    /// Whether it is of entities.
    pub fn is_of_entities(&self) -> bool {
        self.entities
    }

    /// The questions, in the order of the form. Groups and repeats are none; they are in the paths.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The repeats, each by the names that lead to it, joined by dots, groups among them: `person_details`,
    /// `person_details.income`. One comes after the one that it is in.
    pub fn lists(&self) -> Vec<String> {
        self.lists.clone()
    }
}

impl Kind {
    /// Whether it holds the name of a file that can be fetched.
    pub fn is_file(self) -> bool {
        self == Kind::File
    }
}

impl Told {
    fn kind(&self) -> Kind {
        match self.kind.as_str() {
            _ if self.select_multiple == Some(true) => Kind::Choices,
            _ if self.binary == Some(true) => Kind::File,
            "int" => Kind::Int,
            "decimal" => Kind::Decimal,
            "boolean" => Kind::Bool,
            "date" => Kind::Date,
            "dateTime" => Kind::DateTime,
            "geopoint" | "geotrace" | "geoshape" => Kind::Geo,
            "binary" => Kind::File,
            _ => Kind::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &str) -> Schema {
        Schema::of_form(fields.as_bytes()).unwrap()
    }

    fn shown(schema: &Schema) -> Vec<String> {
        let field = |field: &Field| {
            format!("{} | {} | {:?}", field.list.as_deref().unwrap_or("-"), field.path.join("/"), field.kind)
        };
        schema.fields().iter().map(field).collect()
    }

    #[test]
    fn a_form_is_its_questions_and_its_repeats() {
        let schema = schema(include_str!("samples/fields.json"));
        insta::assert_snapshot!(shown(&schema).join("\n"));
        assert_eq!(schema.lists(), ["person_details", "person_details.income"]);
    }

    #[test]
    fn every_type_has_its_kind() {
        let check = |kind: &str, others: &str, expect: Kind| {
            let schema = schema(&format!(r#"[{{"path":"/q","name":"q","type":"{kind}"{others}}}]"#));
            assert_eq!(schema.fields()[0].kind, expect, "{kind}");
        };
        let none = r#","binary":null,"selectMultiple":null"#;
        for kind in ["string", "select1", "barcode", "note", "time", "intent", "neverHeardOf"] {
            check(kind, none, Kind::Text);
        }
        check("string", r#","selectMultiple":true"#, Kind::Choices);
        check("int", none, Kind::Int);
        check("decimal", none, Kind::Decimal);
        check("boolean", none, Kind::Bool);
        check("date", "", Kind::Date);
        check("dateTime", "", Kind::DateTime);
        for kind in ["geopoint", "geotrace", "geoshape"] {
            check(kind, none, Kind::Geo);
        }
        check("binary", r#","binary":true"#, Kind::File);
        check("audit", r#","binary":true"#, Kind::File);
    }

    #[test]
    fn repeats_nest_in_groups_and_groups_in_repeats() {
        let field = |path: &str, kind: &str| format!(r#"{{"path":"{path}","name":"x","type":"{kind}"}}"#);
        let check = |fields: &[(&str, &str)], lists: &[&str], expect: &[&str]| {
            let json: Vec<String> = fields.iter().map(|(path, kind)| field(path, kind)).collect();
            let schema = schema(&format!("[{}]", json.join(",")));
            assert_eq!(
                (schema.lists(), shown(&schema)),
                (lists.iter().map(ToString::to_string).collect(), expect.iter().map(ToString::to_string).collect()),
                "{fields:?}"
            );
        };
        check(
            &[
                ("/children", "structure"),
                ("/children/child", "repeat"),
                ("/children/child/home", "structure"),
                ("/children/child/home/toy", "repeat"),
                ("/children/child/home/toy/name", "string"),
                ("/children/child/home/street", "string"),
                ("/children/count", "int"),
            ],
            &["children.child", "children.child.home.toy"],
            &[
                "children.child.home.toy | name | Text",
                "children.child | home/street | Text",
                "- | children/count | Int",
            ],
        );
        // `a.b` and `a_b` are one name in rows.
        check(&[("/a_b", "string"), ("/c", "date"), ("/a_b", "int")], &[], &["- | a_b | Int", "- | c | Date"]);
        check(&[("/a", "structure"), ("/a/x", "int"), ("/a", "string")], &[], &["- | a | Text"]);
        check(&[("/a", "repeat"), ("/a/x", "int"), ("/a", "structure")], &[], &["- | a/x | Int"]);
        check(&[("", "string"), ("/x/y", "string")], &[], &[]);
    }

    #[test]
    fn a_dataset_is_its_properties_beside_the_label() {
        let body = br#"{"name":"d","properties":[{"name":"owner","odataName":"owner"},{"name":"a.b","odataName":"a_b"},{"name":"label"}]}"#;
        let schema = Schema::of_dataset(body).unwrap();
        assert_eq!(shown(&schema), ["- | label | Text", "- | owner | Text", "- | a_b | Text"]);
        assert!(schema.lists().is_empty());
    }
}
