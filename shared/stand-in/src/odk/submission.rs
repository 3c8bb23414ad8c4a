//! A submission, and the row that Central makes of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::clock::rfc3339;
use super::digest::{md5, sha1};
use super::filter::Operand;
use super::form::{Form, Kind, Node};
use super::store::{Key, Row};

/// A file of a submission.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) bytes: Bytes,
    pub(super) content_type: String,
    pub(super) md5: String,
}

impl File {
    pub(super) fn new(bytes: Bytes, content_type: &str) -> Self {
        let md5 = md5(&bytes);
        File { bytes, content_type: content_type.to_owned(), md5 }
    }
}

/// A submission. Times are milliseconds since 1970.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) id: String,
    /// The id of its current version: that of the first is `id`.
    pub(super) instance: String,
    pub(super) number: u64,
    pub(super) created: i64,
    pub(super) updated: Option<i64>,
    pub(super) deleted_at: Option<i64>,
    pub(super) review_state: Option<String>,
    pub(super) edits: u64,
    pub(super) form_version: String,
    pub(super) device: Option<String>,
    pub(super) submitter: (u64, String),
    /// What was answered, as rows have it; what no question asks for any more is kept.
    pub(super) answers: Json,
    /// `notDecrypted` or `missingEncryptedFormData` of an encrypted one.
    pub(super) status: Option<&'static str>,
    /// The files that are expected, and those that are there.
    pub(super) files: BTreeMap<String, Option<File>>,
    pub(super) event: u64,
}

impl Row for Submission {
    fn id(&self) -> &str {
        &self.id
    }

    fn key(&self) -> Key {
        (self.created, self.number)
    }

    fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    fn operand(&self, field: &str) -> Option<Operand<'_>> {
        Some(match field {
            "__id" => Operand::Text(&self.id),
            "__system/submissionDate" => Operand::Time(Some(self.created)),
            "__system/updatedAt" => Operand::Time(self.updated),
            "__system/deletedAt" => Operand::Time(self.deleted_at),
            "__system/reviewState" => self.review_state.as_deref().map_or(Operand::Null, Operand::Text),
            "__system/submitterId" => Operand::Number(self.submitter.0),
            _ => return None,
        })
    }

    fn event(&self) -> u64 {
        self.event
    }
}

/// The names of all files that these answers speak of.
pub(super) fn files_of(nodes: &[Node], answers: &Json, found: &mut Vec<String>) {
    for node in nodes {
        let value = &answers[&node.name];
        match &node.kind {
            Kind::Group(inner) => files_of(inner, value, found),
            Kind::Repeat(inner) => {
                for element in value.as_array().into_iter().flatten() {
                    files_of(inner, element, found);
                }
            }
            Kind::Value { binary: true } => found.extend(value.as_str().map(str::to_owned)),
            Kind::Value { .. } => {}
        }
    }
}

impl Submission {
    fn system(&self, knows_deletions: bool) -> Json {
        let time = |at: Option<i64>| at.map(rfc3339);
        let mut system = json!({
            "submissionDate": rfc3339(self.created),
            "updatedAt": time(self.updated),
            "submitterId": self.submitter.0.to_string(),
            "submitterName": self.submitter.1,
            "attachmentsPresent": self.files.values().flatten().count(),
            "attachmentsExpected": self.files.len(),
            "status": self.status,
            "reviewState": self.review_state,
            "deviceId": self.device,
            "edits": self.edits,
            "formVersion": self.form_version,
        });
        if knows_deletions {
            system["deletedAt"] = json!(time(self.deleted_at));
        }
        system
    }

    /// Its row. `select` names the members that are asked for, none for all.
    pub(super) fn write(&self, out: &mut String, form: &Form, shape: &Shape<'_>) {
        if let Some(names) = shape.select {
            let whole = names.iter().any(|name| *name != "__id" && *name != "__system");
            if whole {
                return self.write_selected(out, form, shape, names);
            }
        }
        let chosen = |name: &str| shape.select.is_none_or(|names| names.iter().any(|known| known == name));
        let encrypted = self.status.is_some();
        let at = format!("Submissions#{}", self.id);
        let link = format!("Submissions('{}')", super::query::encode(&self.id));
        out.push('{');
        if shape.select.is_none() && !encrypted {
            members(out, &form.tree, &self.answers, &at, &link, shape);
        }
        if chosen("__id") {
            put(out, "__id", &json!(self.id));
        }
        if chosen("__system") {
            put(out, "__system", &self.system(shape.knows_deletions));
        }
        if shape.select.is_none() && !encrypted {
            lists(out, &form.tree, &self.answers, &at, &link, shape);
        }
        close(out);
    }

    fn write_selected(&self, out: &mut String, form: &Form, shape: &Shape<'_>, names: &[String]) {
        let mut whole = String::new();
        self.write(&mut whole, form, &Shape { select: None, ..*shape });
        let whole: Json = serde_json::from_str(&whole).expect("our own JSON");
        let mut chosen = json!({});
        for name in names {
            let path = format!("/{name}");
            if let Some(value) = whole.pointer(&path) {
                let mut place = &mut chosen;
                for step in name.split('/') {
                    place = &mut place[step];
                }
                *place = value.clone();
            }
        }
        out.push_str(&chosen.to_string());
    }
}

/// What is asked of a row.
#[derive(Clone, Copy)]
pub(super) struct Shape<'q> {
    pub(super) select: Option<&'q [String]>,
    pub(super) expand: bool,
    pub(super) knows_deletions: bool,
}

fn put(out: &mut String, name: &str, value: &Json) {
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
    out.push_str(&serde_json::to_string(value).expect("no map with other keys"));
    out.push(',');
}

fn close(out: &mut String) {
    if out.ends_with(',') {
        out.pop();
    }
    out.push('}');
}

/// Values and groups.
fn members(out: &mut String, nodes: &[Node], answers: &Json, at: &str, link: &str, shape: &Shape<'_>) {
    for node in nodes {
        let value = &answers[&node.name];
        match &node.kind {
            Kind::Value { .. } => put(out, &node.name, &as_javascript(value)),
            Kind::Group(inner) => {
                let (at, link) = (format!("{at}%%{}#", node.name), format!("{link}/{}", node.name));
                out.push('"');
                out.push_str(&node.name);
                out.push_str("\":{");
                members(out, inner, value, &at, &link, shape);
                lists(out, inner, value, &at, &link, shape);
                close(out);
                out.push(',');
            }
            Kind::Repeat(_) => {}
        }
    }
}

/// Repeats: absent where nobody went through one.
fn lists(out: &mut String, nodes: &[Node], answers: &Json, at: &str, link: &str, shape: &Shape<'_>) {
    for node in nodes {
        let Kind::Repeat(inner) = &node.kind else { continue };
        let elements = answers[&node.name].as_array().map(Vec::as_slice).unwrap_or_default();
        if elements.is_empty() {
            continue;
        }
        let link = format!("{link}/{}", node.name);
        put(out, &format!("{}@odata.navigationLink", node.name), &json!(link));
        if !shape.expand {
            continue;
        }
        out.push('"');
        out.push_str(&node.name);
        out.push_str("\":[");
        for (position, element) in elements.iter().enumerate() {
            let at = format!("{at}%%{}#{position}", node.name);
            let id = sha1(at.as_bytes());
            let link = format!("{link}('{id}')");
            out.push('{');
            members(out, inner, element, &at, &link, shape);
            put(out, "__id", &json!(id));
            lists(out, inner, element, &at, &link, shape);
            close(out);
            out.push(',');
        }
        out.pop();
        out.push_str("],");
    }
}

/// Numbers pass through the doubles of JavaScript; a blank text is none.
fn as_javascript(value: &Json) -> Json {
    match value {
        Json::String(text) if text.is_empty() => Json::Null,
        Json::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < 9.2e18 => json!(float as i64),
            Some(float) => json!(float),
            None => Json::Null,
        },
        other => other.clone(),
    }
}
