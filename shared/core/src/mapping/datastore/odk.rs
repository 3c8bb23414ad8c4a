//! `type: odk` — a server of ODK Central, and who we are there.

use super::super::address::base_url;
use super::super::fields::Fields;
use super::super::node::{Node, Shape};
use super::super::report::Report;
use super::{non_empty, reference};
use crate::pipeline::{OdkEmail, OdkStore, SecretRef};

pub(in crate::mapping) const KEYS: &[&str] = &["type", "base_url", "auth"];
pub(in crate::mapping) const AUTH_KEYS: &[&str] = &["email", "password", "secret", "basic"];

const EXAMPLE: &str = "https://odk.example.org";
const AUTH: &str = "{ secret: prod/odk }";

/// Lowers an ODK datastore.
pub(super) fn lower(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<OdkStore> {
    let url = fields.required_text("base_url", EXAMPLE, report);
    let url = url.and_then(|url| base_url(&url, EXAMPLE, report));
    let auth = fields.required("auth", AUTH, report).and_then(|node| auth(node, report));
    let (email, password, basic) = auth?;
    Some(OdkStore { base_url: url?, email, password, basic })
}

/// `{ secret: … }`, or `{ email: …, password: … }`; `basic: true` beside either.
fn auth(node: &Node, report: &mut Report<'_>) -> Option<(OdkEmail, SecretRef, bool)> {
    if !matches!(node.shape, Shape::Map(_)) {
        report.hide(node.span.clone());
        let message = "`auth` stands in the file itself, where everybody reads it";
        report.add("literal-secret", node.span.clone(), message, format!("write `auth: {AUTH}`"));
        return None;
    }
    let fields = Fields::open(node, "auth", node.span.clone(), AUTH_KEYS, report)?;
    let basic = match fields.get("basic") {
        Some(_) => fields.boolean("basic", report),
        None => Some(false),
    };
    if let Some(node) = fields.get("secret") {
        for other in ["email", "password"] {
            if let Some(span) = fields.key_span(other) {
                let message = format!("the secret holds `email` and `password`, and `{other}` stands here too");
                report.add("conflict", span, message, format!("remove `{other}`, or `secret`"));
            }
        }
        let name = super::super::fields::text_of(node, "secret", report)?;
        let name = non_empty(&name, report)?;
        let field = |field: &str| SecretRef::Secret { name: name.clone(), field: Some(field.to_owned()) };
        return Some((OdkEmail::Secret(field("email")), field("password"), basic?));
    }
    let email = fields.required("email", "sync@example.org", report).and_then(|node| match node.shape {
        Shape::Map(_) => reference(node, "email", "ODK_EMAIL", report).map(OdkEmail::Secret),
        _ => super::super::fields::text_of(node, "email", report).and_then(|email| {
            if email.text.contains('@') {
                return Some(OdkEmail::Plain(email.text));
            }
            let message = format!("`{}` is not the email address of a user of Central", email.text);
            report.add("bad-email", email.span, message, "write `email: sync@example.org`");
            None
        }),
    });
    let password = fields.required("password", "{ env: ODK_PASSWORD }", report);
    let password = password.and_then(|node| reference(node, "password", "ODK_PASSWORD", report));
    Some((email?, password?, basic?))
}
