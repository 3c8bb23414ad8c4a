//! `datastores:` — the systems that pipelines read and write. Secrets are references; one that stands in the file is a
//! finding, and no snippet shows it.

pub(super) mod airtable;
pub(super) mod odk;
pub(super) mod sequin;

use std::ops::Range;

use indexmap::IndexMap;

use super::fields::{Fields, Named, choice_of, named, text_of};
use super::node::{Node, Shape, Text};
use super::report::Report;
use super::spelling::nearest;
use super::table::identifier;
use crate::pipeline::{Datastore, DynamodbStore, PostgresAuth, PostgresStore, Roots, SecretRef, Tls};
use crate::value::Value;

pub(super) const POSTGRES_KEYS: &[&str] = &[
    "type",
    "url",
    "secret",
    "host",
    "port",
    "user",
    "dbname",
    "auth",
    "password",
    "region",
    "tls",
    "schema",
    "proxy",
    "auto_migrate",
];
pub(super) const DYNAMODB_KEYS: &[&str] = &["type", "region", "endpoint"];
pub(super) const REFERENCE_KEYS: &[&str] = &["env", "secret", "field", "file"];

/// Keys whose values no snippet shows.
const SECRETS: &[&str] = &["password", "passwd", "url", "auth", "token", "api_key", "access_key", "secret_key"];

/// The types of this release.
const TYPES: [&str; 5] = ["postgres", "dynamodb", "sequin", "airtable", "odk"];

/// Types of later releases.
const LATER: &[&str] = &["webhook", "mysql", "mariadb", "clickhouse", "nats", "redis", "http", "kafka", "sqlite"];

/// The datastores of a file, bad ones among them, so that a reference to one is not a finding too.
pub(super) struct Datastores {
    all: IndexMap<String, Option<Datastore>>,
}

impl Datastores {
    /// All of them, when all are good.
    pub(super) fn into_good(self) -> Option<IndexMap<String, Datastore>> {
        self.all.into_iter().map(|(name, store)| Some((name, store?))).collect()
    }

    /// The datastore that a node names, without a finding.
    pub(super) fn peek(&self, node: &Node) -> Option<&Datastore> {
        self.all.get(&node.as_text()?.text)?.as_ref()
    }

    /// The datastore that a pipeline names. `None` after a finding, here or where the datastore stands.
    pub(super) fn find(&self, name: &Text, report: &mut Report<'_>) -> Option<&Datastore> {
        let Some(store) = self.all.get(&name.text) else {
            let hint = match nearest(&name.text, self.all.keys().map(String::as_str)) {
                Some(meant) => format!("write `{meant}`"),
                None => format!("add `{}:` below `datastores:`", name.text),
            };
            report.add("unknown-datastore", name.span.clone(), format!("there is no datastore `{}`", name.text), hint);
            return None;
        };
        store.as_ref()
    }
}

/// Lowers all datastores of the file.
pub(super) fn lower_all(root: &Fields<'_>, report: &mut Report<'_>) -> Datastores {
    let example = "{ warehouse: { type: postgres, url: { env: DATABASE_URL } } }";
    let node = root.required("datastores", example, report);
    if let Some(node) = node {
        hide_secrets(node, report);
    }
    let all = node.map(|node| named(node, "datastore", false, report)).unwrap_or_default();
    let lowered = all.iter().map(|part| (part.name.text.clone(), lower(part, report)));
    Datastores { all: lowered.collect() }
}

/// Hides what looks like a secret, also under a mistyped key or in a datastore of another release.
fn hide_secrets(node: &Node, report: &mut Report<'_>) {
    match &node.shape {
        Shape::Scalar { .. } => {}
        Shape::List(items) => items.iter().for_each(|item| hide_secrets(item, report)),
        Shape::Map(entries) => {
            for entry in entries {
                let is_word = matches!(&entry.value.shape, Shape::Scalar { text, .. } if text != "iam");
                if is_word && nearest(&entry.key.text, SECRETS.iter().copied()).is_some() {
                    report.hide(entry.value.span.clone());
                }
                hide_secrets(&entry.value, report);
            }
        }
    }
}

fn lower(part: &Named<'_>, report: &mut Report<'_>) -> Option<Datastore> {
    // The type decides which keys there are, so it is read before the map is opened.
    let Some(kind) = part.body.entry("type") else {
        let fields = Fields::open(part.body, "a datastore", part.name.span.clone(), &all_keys(part), report)?;
        fields.required("type", "postgres", report);
        return None;
    };
    let kind = text_of(kind, "type", report)?;
    match kind.text.as_str() {
        "postgres" => {
            postgres(&part.open("a postgres datastore", POSTGRES_KEYS, report)?, report).map(Datastore::Postgres)
        }
        "dynamodb" => {
            dynamodb(&part.open("a dynamodb datastore", DYNAMODB_KEYS, report)?, report).map(Datastore::Dynamodb)
        }
        "sequin" => {
            sequin::lower(&part.open("a sequin datastore", sequin::KEYS, report)?, report).map(Datastore::Sequin)
        }
        "airtable" => {
            let fields = part.open("an airtable datastore", airtable::KEYS, report)?;
            airtable::lower(&fields, report).map(Datastore::Airtable)
        }
        "odk" => odk::lower(&part.open("an odk datastore", odk::KEYS, report)?, report).map(Datastore::Odk),
        other => {
            let all = "the types are `postgres`, `dynamodb`, `sequin`, `airtable` and `odk`";
            if LATER.contains(&other) {
                let message = format!("this release has no source or sink of type `{other}`");
                report.add("not-in-this-release", kind.span, message, all);
            } else {
                let hint = match nearest(other, TYPES) {
                    Some(meant) => format!("write `type: {meant}`"),
                    None => all.to_owned(),
                };
                report.add("unknown-word", kind.span, format!("`{other}` is no type of datastore"), hint);
            }
            None
        }
    }
}

/// Any key passes where the type is missing: which are right depends on it.
fn all_keys<'n>(part: &Named<'n>) -> Vec<&'n str> {
    match &part.body.shape {
        Shape::Map(entries) => entries.iter().map(|entry| entry.key.text.as_str()).collect(),
        _ => vec!["type"],
    }
}

fn postgres(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<PostgresStore> {
    let url = fields.get("url").map(|node| reference(node, "url", "DATABASE_URL", report));
    let password = fields.get("password").map(|node| reference(node, "password", "PGPASSWORD", report));
    let auth = fields.get("auth").map(|node| auth(node, report));
    let named_secret = fields.text("secret", report);
    let host = fields.text("host", report);
    for (one, others) in [
        ("url", &["secret", "host", "port", "user", "dbname", "auth", "password"][..]),
        ("secret", &["auth", "password"][..]),
        ("auth", &["password"][..]),
    ] {
        for other in others {
            if let (Some(_), Some(span)) = (fields.get(one), fields.key_span(other)) {
                let message = format!("`{one}` and `{other}` exclude each other");
                report.add("conflict", span, message, format!("remove `{other}`, or `{one}`"));
            }
        }
    }
    let reached = ["url", "secret", "host"].into_iter().any(|key| fields.get(key).is_some());
    if !reached {
        let message = "a postgres datastore says nowhere how to reach it";
        report.add(
            "missing-key",
            fields.at.clone(),
            message,
            "write `url: { env: DATABASE_URL }`, `secret: …` or `host: …`",
        );
    }
    if fields.get("host").is_some() && fields.get("secret").is_none() && fields.get("url").is_none() {
        fields.required("user", "sync", report);
    }
    let is_iam = matches!(auth, Some(Some(PostgresAuth::Iam)));
    if let (Some(span), false) = (fields.key_span("region"), is_iam) {
        let message = "`region` has a meaning only with `auth: iam`";
        report.add("conflict", span, message, "remove it, or write `auth: iam`");
    }
    let password = password.map(|reference| reference.map(PostgresAuth::Password));
    let schema = fields.text("schema", report).and_then(|schema| identifier(&schema, "a schema", report));
    let port = fields.get("port").map(|node| port(node, report));
    let user = fields.text("user", report);
    let dbname = fields.text("dbname", report);
    let region = fields.text("region", report);
    let tls = fields.get("tls").map_or_else(|| Some(Tls::default()), |node| tls(node, report));
    let proxy = fields.boolean("proxy", report).unwrap_or_default();
    let auto_migrate = fields.choice("auto_migrate", &["additive", "off"], report) == Some("additive");
    Some(PostgresStore {
        url: url.map_or(Some(None), |url| url.map(Some))?,
        secret: named_secret.map(|secret| secret.text),
        host: host.map(|host| host.text),
        port: port.map_or(Some(None), |port| port.map(Some))?,
        user: user.map(|user| user.text),
        dbname: dbname.map(|dbname| dbname.text),
        auth: auth.or(password).map_or(Some(None), |auth| auth.map(Some))?,
        region: region.map(|region| region.text),
        tls: tls?,
        schema,
        proxy,
        auto_migrate,
    })
}

fn dynamodb(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<DynamodbStore> {
    let region = fields.text("region", report).map(|region| region.text);
    let endpoint = fields.text("endpoint", report);
    if let Some(endpoint) = endpoint.as_ref().filter(|e| !["http://", "https://"].iter().any(|s| e.text.starts_with(s)))
    {
        let message = format!("`{}` is not the address of an endpoint", endpoint.text);
        report.add("bad-endpoint", endpoint.span.clone(), message, "write `endpoint: http://localhost:8000`");
    }
    Some(DynamodbStore { region, endpoint: endpoint.map(|endpoint| endpoint.text) })
}

/// `iam`, or a reference to a password.
fn auth(node: &Node, report: &mut Report<'_>) -> Option<PostgresAuth> {
    if node.as_text().is_some_and(|text| text.text == "iam") {
        return Some(PostgresAuth::Iam);
    }
    reference(node, "auth", "PGPASSWORD", report).map(PostgresAuth::Password)
}

/// `{ env: … }`, `{ secret: …, field: … }` or `{ file: … }`.
pub(super) fn reference(node: &Node, key: &'static str, example: &str, report: &mut Report<'_>) -> Option<SecretRef> {
    if !matches!(node.shape, Shape::Map(_)) {
        report.hide(node.span.clone());
        let message = format!("`{key}` stands in the file itself, where everybody reads it");
        report.add("literal-secret", node.span.clone(), message, format!("write `{key}: {{ env: {example} }}`"));
        return None;
    }
    let fields = Fields::open(node, "a reference to a secret", node.span.clone(), REFERENCE_KEYS, report)?;
    let texts: Vec<(&str, Text)> =
        ["env", "secret", "file"].into_iter().filter_map(|key| Some((key, fields.text(key, report)?))).collect();
    let field = fields.text("field", report);
    let [(kind, text)] = texts.as_slice() else {
        let message = "a reference to a secret is one of `env`, `secret` and `file`";
        report.add("bad-reference", node.span.clone(), message, format!("write `{key}: {{ env: {example} }}`"));
        return None;
    };
    if let (Some(field), true) = (&field, *kind != "secret") {
        let message = format!("`field` has no meaning beside `{kind}`");
        report.add("conflict", field.span.clone(), message, "remove it, or write `secret: …`");
    }
    let text = non_empty(text, report)?;
    Some(match *kind {
        "env" => SecretRef::Env(text),
        "file" => SecretRef::File(text),
        _ => SecretRef::Secret { name: text, field: field.map(|field| field.text) },
    })
}

fn non_empty(text: &Text, report: &mut Report<'_>) -> Option<String> {
    if text.text.trim().is_empty() {
        report.add("bad-reference", text.span.clone(), "this name is empty", "write the name of what holds the secret");
        return None;
    }
    Some(text.text.clone())
}

fn tls(node: &Node, report: &mut Report<'_>) -> Option<Tls> {
    if !matches!(node.shape, Shape::Map(_)) {
        return choice_of(node, "tls", &["auto", "off"], report)
            .map(|word| if word == "off" { Tls::Off } else { Tls::Auto });
    }
    let fields = Fields::open(node, "tls", node.span.clone(), &["root"], report)?;
    let root = fields.required_text("root", "rds", report)?;
    match root.text.as_str() {
        "rds" => Some(Tls::Verify(Roots::Rds)),
        "system" => Some(Tls::Verify(Roots::System)),
        file if file.contains('/') => Some(Tls::Verify(Roots::File(file.to_owned()))),
        _ => {
            let message = "`root` is `rds`, `system` or the path of a PEM file";
            report.add("unknown-word", root.span, message, "write `root: rds`, `root: system` or `root: /path/ca.pem`");
            None
        }
    }
}

fn port(node: &Node, report: &mut Report<'_>) -> Option<u16> {
    let port = match node.literal() {
        Some(Value::Number(number)) => number.to_i128().and_then(|n| u16::try_from(n).ok()).filter(|port| *port > 0),
        _ => None,
    };
    if port.is_none() {
        let span: Range<usize> = node.span.clone();
        report.add("wrong-type", span, "`port` is a number from 1 to 65535", "write `port: 5432`");
    }
    port
}
