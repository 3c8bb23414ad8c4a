//! A submission with its repeats side by side instead of in each other, so that each is a list of the item.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use tributary_core::pipeline::{ELEMENT_ID, PARENT, POSITION, SUBMISSION};
use tributary_core::value::Value;

use super::schema::{Kind, Schema};

/// What follows the name of a repeat in the name of the field that links to it.
const LINK: &str = "@odata.navigationLink";

type Fields = IndexMap<Box<str>, Value>;

/// What is known of a field, by its whole path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    List,
    Choices,
    File,
}

/// Which fields are more than their value.
#[derive(Clone, Debug, Default)]
pub(super) struct Roles(HashMap<String, Role>);

impl Roles {
    pub(super) fn of(schema: &Schema) -> Self {
        let of_field = |kind: Kind| match kind {
            Kind::Choices => Some(Role::Choices),
            Kind::File => Some(Role::File),
            _ => None,
        };
        let fields = schema.fields().iter().filter_map(|field| Some((field.whole_path(), of_field(field.kind)?)));
        Roles(schema.lists().into_iter().map(|list| (list, Role::List)).chain(fields).collect())
    }
}

/// A file that a submission names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: Box<str>,
    /// The whole path of the question.
    pub(super) field: String,
}

/// A submission laid flat.
#[derive(Debug, Default)]
pub(super) struct Flat {
    /// What stands once in a submission.
    pub(super) fields: Fields,
    /// The elements of each repeat, by its path.
    pub(super) lists: IndexMap<String, Vec<Value>>,
    /// The files, each name once, in the order of the row.
    pub(super) files: Vec<Named>,
}

/// Lays a row flat.
pub(super) fn flat(roles: &Roles, row: Fields) -> Flat {
    let submission = row.get(ELEMENT_ID).cloned();
    let mut walk = Walk { roles, submission, lists: IndexMap::new(), files: Vec::new(), seen: HashSet::new() };
    let fields = walk.fields(row, "", None);
    Flat { fields, lists: walk.lists, files: walk.files }
}

/// A value without the links between tables of the feed, which name what is in it anyway.
pub(super) fn without_links(value: &Value) -> Value {
    match value {
        Value::Map(fields) => {
            let kept = fields.iter().filter(|(name, _)| !name.ends_with(LINK));
            Value::Map(kept.map(|(name, value)| (name.clone(), without_links(value))).collect())
        }
        Value::List(items) => Value::List(items.iter().map(without_links).collect()),
        other => other.clone(),
    }
}

struct Walk<'r> {
    roles: &'r Roles,
    submission: Option<Value>,
    lists: IndexMap<String, Vec<Value>>,
    files: Vec<Named>,
    seen: HashSet<Box<str>>,
}

impl Walk<'_> {
    /// The fields of a submission, a group or an element. `inside` is the `__id` of the element that they are in.
    fn fields(&mut self, fields: Fields, path: &str, inside: Option<&Value>) -> Fields {
        let linked: HashSet<Box<str>> =
            fields.keys().filter_map(|name| name.strip_suffix(LINK).map(Box::from)).collect();
        let mut kept = Fields::with_capacity(fields.len());
        for (name, value) in fields {
            if name.ends_with(LINK) {
                continue;
            }
            let below = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            let role = self.roles.0.get(&below).copied();
            let value = match (role, value) {
                // A repeat that the form's fields didn't tell of yet is told by its link.
                (_, Value::List(items)) if role == Some(Role::List) || linked.contains(&name) => {
                    self.elements(items, &below, inside);
                    continue;
                }
                (_, Value::Map(inner)) => Value::Map(self.fields(inner, &below, inside)),
                (Some(Role::Choices), Value::Text(text)) => {
                    Value::List(text.split_whitespace().map(Value::from).collect())
                }
                (Some(Role::File), Value::Text(name)) => {
                    if !name.is_empty() && self.seen.insert(name.clone()) {
                        self.files.push(Named { name: name.clone(), field: below });
                    }
                    Value::Text(name)
                }
                (_, other) => other,
            };
            kept.insert(name, value);
        }
        kept
    }

    fn elements(&mut self, items: Vec<Value>, path: &str, inside: Option<&Value>) {
        // It stands before the lists that are in it.
        self.lists.entry(path.to_owned()).or_default();
        for (position, item) in items.into_iter().enumerate() {
            let element = match item {
                Value::Map(fields) => {
                    let id = fields.get(ELEMENT_ID).cloned().unwrap_or(Value::Null);
                    let mut fields = self.fields(fields, path, Some(&id));
                    fields.insert(POSITION.into(), Value::from(i64::try_from(position).unwrap_or(i64::MAX)));
                    if let Some(parent) = inside {
                        fields.insert(PARENT.into(), parent.clone());
                    }
                    if let Some(submission) = &self.submission {
                        fields.insert(SUBMISSION.into(), submission.clone());
                    }
                    Value::Map(fields)
                }
                other => other,
            };
            self.lists.entry(path.to_owned()).or_default().push(element);
        }
    }
}
