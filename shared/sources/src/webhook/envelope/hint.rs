//! Bodies that hold no row: they say that something is to be read, or run.

use bytes::Bytes;
use tributary_core::{Error, Result};

use super::Shape;
use super::pick::{needed, pick, some, text};

/// What is to be done, by whoever holds the lease of the pipeline that it concerns. It is a hint: whoever is late, or is
/// told twice, finds the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Airtable has new payloads for a webhook.
    Airtable {
        /// The base, `app…`.
        base: Box<str>,
        /// The webhook, `ach…`.
        webhook: Box<str>,
    },
    /// A record of ODK Central changed. It may not be there yet: the sender is within the transaction that writes it. Project
    /// and form are not in the body; the hook's path has to lead to the pipeline.
    Central {
        /// What changed.
        what: Central,
        /// Its id, without `uuid:`; of an edited submission it may be the version's.
        id: Box<str>,
    },
    /// Pipelines shall run now.
    Run {
        /// Their names.
        pipelines: Vec<Box<str>>,
    },
}

/// What of ODK Central changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Central {
    /// A submission.
    Submission,
    /// An entity.
    Entity,
}

/// The hint of a body whose shape is one.
pub(super) fn read(shape: &Shape, body: &Bytes) -> Result<Option<Hint>> {
    let json = std::str::from_utf8(body).map_err(|_| Error::data("the body is not UTF-8"))?;
    match shape {
        Shape::Airtable => airtable(json).map(Some),
        Shape::Central => central(json).map(Some),
        Shape::HasuraSchedule => schedule(json).map(Some),
        _ => Ok(None),
    }
}

/// `{"base": {"id"}, "webhook": {"id"}, "timestamp"}` (Airtable, "Webhooks: Notification ping").
fn airtable(json: &str) -> Result<Hint> {
    let [base, webhook] = pick(json, ["base", "webhook"])?;
    let id = |name: &str, raw| {
        let [id] = pick(needed(name, raw)?.get(), ["id"])?;
        text(id).map(Box::from).ok_or_else(|| Error::data(format!("{name}.id: is missing")))
    };
    Ok(Hint::Airtable { base: id("base", base)?, webhook: id("webhook", webhook)? })
}

/// `{"type": "submission.create", "id": "uuid:…", "data"}` (hotosm/central-webhook).
fn central(json: &str) -> Result<Hint> {
    let [kind, id] = pick(json, ["type", "id"])?;
    let kind = text(kind).ok_or_else(|| Error::data("type: is missing"))?;
    let what = match kind.split('.').next() {
        Some("submission") => Central::Submission,
        Some("entity") => Central::Entity,
        _ => return Err(Error::data("type: is about neither a submission nor an entity")),
    };
    let id = text(id).ok_or_else(|| Error::data("id: is missing"))?;
    Ok(Hint::Central { what, id: id.strip_prefix("uuid:").unwrap_or(&id).into() })
}

/// `{"id", "name", "scheduled_time", "payload"}` (Hasura, "Scheduled Triggers"); our payload is `{"pipeline": "…"}`.
fn schedule(json: &str) -> Result<Hint> {
    let wrong = || {
        Error::data("payload.pipeline: is not the name of a pipeline")
            .with_hint("give the trigger the payload {\"pipeline\": \"name\"}, or a list of names")
    };
    let [payload] = pick(json, ["payload"])?;
    let [pipeline] = pick(needed("payload", payload)?.get(), ["pipeline"]).map_err(|_| wrong())?;
    let raw = some(pipeline).ok_or_else(wrong)?;
    let names = match text(Some(raw)) {
        Some(name) => vec![name.into()],
        None => serde_json::from_str::<Vec<Box<str>>>(raw.get()).map_err(|_| wrong())?,
    };
    if names.is_empty() || names.iter().any(|name| name.is_empty()) {
        Err(wrong())
    } else {
        Ok(Hint::Run { pipelines: names })
    }
}
