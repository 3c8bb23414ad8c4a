//! `verify:` — how a sender proves who it is. Secrets are references; one that stands in the file is a finding, and no
//! snippet shows it.

use std::time::Duration;

use super::super::super::datastore::reference;
use super::super::super::duration::{duration, written};
use super::super::super::fields::{Fields, choice_of};
use super::super::super::node::{Node, Shape, Text};
use super::super::super::report::Report;
use super::super::super::spelling::nearest;
use crate::pipeline::SecretRef;
use crate::webhook::Verification;
use crate::webhook::scheme::{
    Algorithm, Encoding, Hmac, MAX_SECRETS, Piece, Scheme, SecretForm, TOLERANCE, Template, Timestamp, Unit,
};

/// Every key that some scheme has.
#[cfg(test)]
pub(in crate::mapping) const VERIFY_KEYS: &[&str] = &[
    "scheme",
    "secret",
    "secrets",
    "tolerance",
    "header",
    "prefix",
    "algorithm",
    "encoding",
    "signature",
    "secret_encoding",
    "signed",
    "timestamp",
    "id",
];
pub(in crate::mapping) const TIMESTAMP_KEYS: &[&str] = &["header", "unit", "tolerance"];

const SCHEMES: &[&str] =
    &["standard", "stripe", "github", "shopify", "airtable", "convoy", "hmac", "bearer", "header", "basic"];

/// Receipts are kept as long, and a request that was captured must not outlive its receipt.
const LONGEST_TOLERANCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The keys of a scheme beside those that all have.
fn keys(scheme: &str) -> &'static [&'static str] {
    match scheme {
        "standard" | "stripe" => &["tolerance"],
        "convoy" => &["header", "algorithm", "encoding", "signature", "tolerance"],
        "hmac" => &["header", "prefix", "algorithm", "encoding", "secret_encoding", "signed", "timestamp", "id"],
        "header" => &["header"],
        _ => &[],
    }
}

/// Lowers `verify:`: `none`, or a scheme with its secrets.
pub(super) fn lower(node: &Node, report: &mut Report<'_>) -> Option<Verification> {
    if node.as_text().is_some_and(|text| text.text == "none") {
        let message = "anybody who knows the address may write to these tables";
        let hint = "let the sender sign, or send a token: `verify: { scheme: bearer, secret: { env: … } }`";
        report.warn("open-hook", node.span.clone(), message, hint);
        return Some(Verification { scheme: Scheme::None, secrets: Vec::new() });
    }
    let hint = format!("write `verify: {{ scheme: …, secret: {{ env: … }} }}`; the schemes are {}", all_schemes());
    let Shape::Map(entries) = &node.shape else {
        // It may be the secret.
        report.hide(node.span.clone());
        let message = "`verify` is a scheme with its secrets, or the word `none`";
        report.add("wrong-type", node.span.clone(), message, hint);
        return None;
    };
    for entry in entries {
        let like_a_secret = nearest(&entry.key.text, ["secret", "secrets", "token", "key", "password"]).is_some();
        if like_a_secret && !matches!(entry.value.shape, Shape::Map(_)) {
            hide_words(&entry.value, report);
        }
    }
    let Some(scheme) = node.entry("scheme") else {
        report.add("missing-key", node.span.clone(), "`verify` has no `scheme`", hint);
        return None;
    };
    if scheme.as_text().is_some_and(|text| text.text == "none") {
        report.add("unknown-word", scheme.span.clone(), "`none` is no scheme", "write `verify: none`");
        return None;
    }
    let scheme = choice_of(scheme, "scheme", SCHEMES, report)?;
    let known = [&["scheme", "secret", "secrets"], keys(scheme)].concat();
    let fields = Fields::open(node, what(scheme), node.span.clone(), &known, report)?;
    let secrets = secrets(&fields, report);
    let scheme = match scheme {
        "standard" => tolerance(&fields, report).map(|tolerance| Scheme::Standard { tolerance }),
        "stripe" => tolerance(&fields, report).map(|tolerance| Scheme::Stripe { tolerance }),
        "github" => Some(Scheme::Github),
        "shopify" => Some(Scheme::Shopify),
        "airtable" => Some(Scheme::Airtable),
        "convoy" => convoy(&fields, report),
        "hmac" => hmac(&fields, report).map(Scheme::Hmac),
        "bearer" => Some(Scheme::Bearer),
        "header" => required_header(&fields, "X-API-Key", report).map(|header| Scheme::Header { header }),
        _ => Some(Scheme::Basic),
    };
    Some(Verification { scheme: scheme?, secrets: secrets? })
}

fn all_schemes() -> String {
    SCHEMES.iter().map(|scheme| format!("`{scheme}`")).collect::<Vec<_>>().join(", ")
}

fn what(scheme: &str) -> &'static str {
    match scheme {
        "standard" => "scheme `standard`",
        "stripe" => "scheme `stripe`",
        "github" => "scheme `github`",
        "shopify" => "scheme `shopify`",
        "airtable" => "scheme `airtable`",
        "convoy" => "scheme `convoy`",
        "hmac" => "scheme `hmac`",
        "bearer" => "scheme `bearer`",
        "header" => "scheme `header`",
        _ => "scheme `basic`",
    }
}

fn hide_words(node: &Node, report: &mut Report<'_>) {
    match &node.shape {
        Shape::Scalar { .. } => report.hide(node.span.clone()),
        Shape::List(items) => items.iter().for_each(|item| hide_words(item, report)),
        Shape::Map(_) => {}
    }
}

/// `secret:`, or `secrets:` while they rotate.
fn secrets(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Vec<SecretRef>> {
    let example = "WEBHOOK_SECRET";
    let nodes: Vec<&Node> = match (fields.get("secret"), fields.get("secrets")) {
        (Some(_), Some(other)) => {
            let message = "`secret` and `secrets` exclude each other";
            let span = fields.key_span("secrets").unwrap_or_else(|| other.span.clone());
            report.add("conflict", span, message, "write all of them in `secrets: [ … ]`");
            return None;
        }
        (Some(one), None) => vec![one],
        (None, Some(several)) => match &several.shape {
            Shape::List(items) if (1..=MAX_SECRETS).contains(&items.len()) => items.iter().collect(),
            _ => {
                let message = format!("`secrets` is a list of 1 to {MAX_SECRETS} references");
                let hint = "write `secrets: [ { env: NEW }, { env: OLD } ]`";
                report.add("wrong-type", several.span.clone(), message, hint);
                return None;
            }
        },
        (None, None) => {
            fields.required("secret", "{ secret: prod/webhook }", report);
            return None;
        }
    };
    let all: Vec<Option<SecretRef>> = nodes.iter().map(|node| reference(node, "secret", example, report)).collect();
    let all = all.into_iter().collect::<Option<Vec<_>>>()?;
    for (position, secret) in all.iter().enumerate() {
        if all[..position].contains(secret) {
            report.add("duplicate-key", nodes[position].span.clone(), "this secret stands here twice", "remove one");
        }
    }
    Some(all)
}

fn tolerance(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Duration> {
    let Some(node) = fields.get("tolerance") else { return Some(TOLERANCE) };
    let tolerance = duration(node, "5m", report)?;
    let message = if tolerance.is_zero() {
        "no clocks agree so well, and every request takes its time".to_owned()
    } else if tolerance > LONGEST_TOLERANCE {
        format!("after {} nothing remembers that a request was taken already", written(LONGEST_TOLERANCE))
    } else {
        return Some(tolerance);
    };
    report.add("bad-duration", node.span.clone(), message, "write `tolerance: 5m`, which most senders document");
    None
}

fn convoy(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Scheme> {
    let header = match fields.text("header", report) {
        Some(text) => header(&text, report),
        None => fields.get("header").is_none().then(|| "X-Convoy-Signature".into()),
    };
    let algorithm =
        one_of(fields, "algorithm", &[("sha256", Algorithm::Sha256), ("sha512", Algorithm::Sha512)], report);
    let encoding = encoding(fields, report);
    let advanced = one_of(fields, "signature", &[("simple", false), ("advanced", true)], report);
    if let (Some(false), Some(span)) = (advanced, fields.key_span("tolerance")) {
        let message = "a simple signature of Convoy signs no time";
        report.add("conflict", span, message, "remove it, or write `signature: advanced`");
    }
    let tolerance = tolerance(fields, report);
    let advanced = if advanced? { Some(tolerance?) } else { None };
    Some(Scheme::Convoy { header: header?, algorithm: algorithm?, encoding: encoding?, advanced })
}

fn hmac(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Hmac> {
    let name = required_header(fields, "X-Signature", report);
    let prefix = match fields.text("prefix", report) {
        Some(text) if text.text.contains(',') || text.text.trim() != text.text => {
            let message = "a prefix has no comma and no space around it: several signatures are separated by commas";
            report.add("bad-header", text.span, message, "write what stands right before the signature: `sha256=`");
            None
        }
        Some(text) => Some(text.text.into()),
        None => fields.get("prefix").is_none().then(Box::default),
    };
    let hashes = &[("sha256", Algorithm::Sha256), ("sha512", Algorithm::Sha512), ("sha1", Algorithm::Sha1)];
    let algorithm = one_of(fields, "algorithm", hashes, report);
    let encoding = encoding(fields, report);
    let forms = &[("text", SecretForm::Text), ("hex", SecretForm::Hex), ("base64", SecretForm::Base64)];
    let secret = one_of(fields, "secret_encoding", forms, report);
    let template = match fields.text("signed", report) {
        Some(text) => Template::parse(&text.text)
            .inspect_err(|error| report.add_error("bad-template", text.span.clone(), error, "write `{body}`"))
            .ok(),
        None => fields.get("signed").is_none().then(Template::body),
    };
    let timestamp = fields.get("timestamp").map(|node| timestamp(node, report));
    let id = fields.text("id", report).map(|text| header(&text, report));
    if let Some(template) = &template {
        signs(template, &Piece::Timestamp, "timestamp", "{ header: X-Timestamp, unit: seconds }", fields, report);
        signs(template, &Piece::Id, "id", "X-Webhook-Id", fields, report);
    }
    Some(Hmac {
        header: name?,
        prefix: prefix?,
        algorithm: algorithm?,
        encoding: encoding?,
        secret: secret?,
        template: template?,
        timestamp: timestamp.map_or(Some(None), |timestamp| timestamp.map(Some))?,
        id: id.map_or(Some(None), |id| id.map(Some))?,
    })
}

/// A time or an id that nobody signed proves nothing, and looks as if it did.
fn signs(template: &Template, piece: &Piece, key: &str, example: &str, fields: &Fields<'_>, report: &mut Report<'_>) {
    match (template.has(piece), fields.key_span(key)) {
        (true, None) => {
            let message = format!("what is signed has {{{key}}}, and nothing says where that stands");
            let span = fields.key_span("signed").unwrap_or_else(|| fields.at.clone());
            report.add("missing-key", span, message, format!("write `{key}: {example}`"));
        }
        (false, Some(span)) => {
            let message = format!("`{key}` is not signed, so anybody may change it");
            report.add("conflict", span, message, format!("say how it is signed: `signed: '{{{key}}}.{{body}}'`"));
        }
        _ => {}
    }
}

fn timestamp(node: &Node, report: &mut Report<'_>) -> Option<Timestamp> {
    let fields = Fields::open(node, "a signed time", node.span.clone(), TIMESTAMP_KEYS, report)?;
    let header = required_header(&fields, "X-Timestamp", report);
    let units = &[("seconds", Unit::Seconds), ("milliseconds", Unit::Milliseconds), ("iso", Unit::Iso)];
    let unit = one_of(&fields, "unit", units, report);
    let tolerance = tolerance(&fields, report);
    Some(Timestamp { header: header?, unit: unit?, tolerance: tolerance? })
}

fn encoding(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Encoding> {
    one_of(fields, "encoding", &[("hex", Encoding::Hex), ("base64", Encoding::Base64)], report)
}

/// What a word stands for; the first one where none is written.
fn one_of<T: Copy>(fields: &Fields<'_>, key: &str, all: &[(&'static str, T)], report: &mut Report<'_>) -> Option<T> {
    let Some(node) = fields.get(key) else { return all.first().map(|(_, meaning)| *meaning) };
    let words: Vec<&'static str> = all.iter().map(|(word, _)| *word).collect();
    let word = choice_of(node, key, &words, report)?;
    all.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
}

fn required_header(fields: &Fields<'_>, example: &str, report: &mut Report<'_>) -> Option<Box<str>> {
    fields.required_text("header", example, report).and_then(|text| header(&text, report))
}

/// The name of a header (RFC 9110, 5.6.2).
pub(super) fn header(text: &Text, report: &mut Report<'_>) -> Option<Box<str>> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if text.text.is_empty() || text.text.len() > 200 || !text.text.chars().all(fits) {
        let message = "this is not the name of a header";
        report.add("bad-header", text.span.clone(), message, "write the name alone, such as `X-Signature`");
        return None;
    }
    Some(text.text.as_str().into())
}
