//! Forms: their questions, the versions that were published, and the shape of a row that follows from both.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::clock::rfc3339;
use super::digest::{md5, sha1};
use super::store::Store;
use super::submission::Submission;

/// A question, or what holds some: as `fields?odata=true` lists it.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its place, as `/property_description/floors`.
    pub path: String,
    /// Its type: `string`, `int`, `decimal`, `boolean`, `date`, `dateTime`, `time`, `geopoint`, `geotrace`, `geoshape`,
    /// `binary`, `structure` (a group) or `repeat`.
    pub kind: String,
    /// Whether several choices may be taken.
    pub select_multiple: bool,
}

impl Field {
    /// A field.
    pub fn new(path: &str, kind: &str) -> Self {
        Field { path: path.to_owned(), kind: kind.to_owned(), select_multiple: false }
    }

    /// A question with several choices.
    pub fn select_multiple(path: &str) -> Self {
        Field { select_multiple: true, ..Field::new(path, "string") }
    }

    fn shown(&self) -> Json {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let yes = |is: bool| if is { Json::Bool(true) } else { Json::Null };
        json!({
            "path": self.path,
            "name": name,
            "type": self.kind,
            "binary": yes(self.kind == "binary"),
            "selectMultiple": yes(self.select_multiple),
        })
    }
}

/// What was published once.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    pub(super) hash: String,
    published: i64,
}

/// A form with its submissions.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) id: String,
    pub(super) deleted: bool,
    /// The number of the key that its submissions are encrypted with.
    pub(super) key: Option<u64>,
    pub(super) state: &'static str,
    pub(super) versions: Vec<Version>,
    pub(super) tree: Vec<Node>,
    pub(super) submissions: Store<Submission>,
    created: i64,
}

/// A member of a row.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What a member is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Group(Vec<Node>),
    Repeat(Vec<Node>),
    /// A value; whether it is the name of a file.
    Value {
        binary: bool,
    },
}

fn tree(fields: &[Field], above: &str) -> Vec<Node> {
    let below = |field: &&Field| field.path.strip_prefix(above).is_some_and(|rest| !rest[1..].contains('/'));
    let node = |field: &Field| {
        let inner = || tree(fields, &field.path);
        let kind = match field.kind.as_str() {
            "structure" => Kind::Group(inner()),
            "repeat" => Kind::Repeat(inner()),
            kind => Kind::Value { binary: kind == "binary" },
        };
        Node { name: field.path[above.len() + 1..].to_owned(), kind }
    };
    let inside = |field: &&Field| field.path.len() > above.len() && field.path[above.len()..].starts_with('/');
    fields.iter().filter(inside).filter(below).map(node).collect()
}

impl Form {
    pub(super) fn new(id: &str, now: i64) -> Self {
        Form {
            id: id.to_owned(),
            deleted: false,
            key: None,
            state: "open",
            versions: Vec::new(),
            tree: Vec::new(),
            submissions: Store::default(),
            created: now,
        }
    }

    pub(super) fn publish(&mut self, version: &str, fields: Vec<Field>, now: i64) {
        let mut text = version.to_owned();
        for field in &fields {
            write!(text, "\n{} {} {}", field.path, field.kind, field.select_multiple).expect("to a string");
        }
        self.tree = tree(&fields, "");
        self.versions.push(Version { name: version.to_owned(), fields, hash: md5(text.as_bytes()), published: now });
    }

    pub(super) fn current(&self) -> &Version {
        self.versions.last().expect("one was published")
    }

    /// The version of this name as it stands in an address, where `___` is the empty one.
    pub(super) fn version(&self, name: &str) -> Option<&Version> {
        let name = if name == "___" { "" } else { name };
        self.versions.iter().find(|version| version.name == name)
    }

    pub(super) fn fields(version: &Version) -> Json {
        Json::Array(version.fields.iter().map(Field::shown).collect())
    }

    /// What a client learns of a version of it.
    fn card_of(&self, version: &Version) -> Json {
        json!({
            "projectId": super::PROJECT,
            "xmlFormId": self.id,
            "state": self.state,
            "enketoId": null,
            "enketoOnceId": null,
            "createdAt": rfc3339(self.created),
            "updatedAt": if self.versions.len() > 1 { Json::from(rfc3339(version.published)) } else { Json::Null },
            "webformsEnabled": true,
            "keyId": self.key,
            "version": version.name,
            "hash": version.hash,
            "sha": sha1(version.hash.as_bytes()),
            "sha256": format!("{}{}", md5(version.hash.as_bytes()), version.hash),
            "draftToken": null,
            "publishedAt": rfc3339(version.published),
            "name": self.id,
        })
    }

    pub(super) fn card(&self, extended: bool) -> Json {
        let mut card = self.card_of(self.current());
        if extended {
            let live = || self.submissions.newest_first().filter(|submission| submission.deleted_at.is_none());
            let state = |name: Option<&str>| live().filter(|one| one.review_state.as_deref() == name).count();
            card["submissions"] = json!(live().count());
            card["entityRelated"] = json!(false);
            card["reviewStates"] = json!({
                "received": state(None), "hasIssues": state(Some("hasIssues")), "edited": state(Some("edited")),
            });
            card["lastSubmission"] = json!(live().next().map(|one| rfc3339(one.created)));
        }
        card
    }

    pub(super) fn shown_versions(&self) -> Json {
        Json::Array(self.versions.iter().rev().map(|version| self.card_of(version)).collect())
    }

    /// The sets that can be asked for: that of the submissions, and one for each repeat.
    pub(super) fn service(&self) -> Json {
        let repeats = self.current().fields.iter().filter(|field| field.kind == "repeat");
        let names = repeats.map(|field| format!("Submissions{}", field.path.replace('/', ".")));
        let set = |name: String| json!({ "name": name, "kind": "EntitySet", "url": name });
        Json::Array(std::iter::once("Submissions".to_owned()).chain(names).map(set).collect())
    }
}
