//! The last part of the demonstration: what senders post. This process signs as Stripe does; everything else is what the
//! function runs.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;
use tributary_core::pipeline::{SecretRef, SourceKind};
use tributary_core::sink::Unlimited;
use tributary_core::webhook::Scheme;
use tributary_core::{Error, Kind, Result};
use tributary_postgres::Postgres;
use tributary_postgres::connect::Target;
use tributary_runtime::secrets::{Secret, Secrets};
use tributary_runtime::sinks::Sinks;
use tributary_runtime::webhook::{Done, Handler};
use tributary_sources::webhook::verify::{Outgoing, sign};

use super::story::{Posted, Rows};
use crate::failure::Failure;
use crate::mapping;

const MAPPING: &str = include_str!("posted.yaml");
const SECRET: &str = "whsec_demonstration";

/// The secret of the hook.
struct Shared;

impl Secrets for Shared {
    async fn get(&self, _reference: &SecretRef) -> Result<Secret> {
        Ok(Secret::new(SECRET))
    }

    fn evict(&self, _reference: &SecretRef) {}
}

/// Posts some events to a hook: what each was answered, and what stands in the table at the end.
///
/// # Errors
/// Those of the database.
pub(super) async fn play(target: &Target) -> Result<Posted, Failure> {
    let mapping = Arc::new(mapping::parse("posted.yaml".to_owned(), MAPPING.to_owned())?);
    let pipeline = mapping.pipeline("payments").ok_or_else(|| lacks("pipeline"))?;
    let SourceKind::Webhook(source) = &pipeline.source.kind else { return Err(lacks("hook").into()) };
    let table = pipeline.tables.first().ok_or_else(|| lacks("table"))?;
    let mut postgres = Postgres::new(target.clone(), pipeline.tables.clone(), false);
    postgres.migrate().await?;
    let sinks = Sinks::new(&mapping, [pipeline].into_iter(), |_, _| target.clone());
    let mut handler = Handler::new(Arc::clone(&mapping), sinks, Arc::new(Shared))?;

    let now = Timestamp::now().as_second();
    let paid = event("evt_2", "payment_intent.succeeded", now - 60, "succeeded");
    let posts = [
        ("a customer begins to pay", event("evt_1", "payment_intent.created", now - 90, "requires_action"), SECRET),
        ("the payment succeeds", paid.clone(), SECRET),
        ("Stripe heard no answer, and sends that again", paid, SECRET),
        (
            "an event from before it comes late",
            event("evt_3", "payment_intent.processing", now - 75, "processing"),
            SECRET,
        ),
        ("somebody else signs a refund", event("evt_4", "payment_intent.canceled", now, "canceled"), "whsec_guessed"),
    ];
    let mut steps = Vec::new();
    for (happened, body, secret) in posts {
        let request = request(&source.verification.scheme, secret, &body, now)?;
        // That somebody is refused stands in the table, and need not stand in the log as well.
        let done = Box::pin(handler.handle(&request, &Unlimited)).with_subscriber(NoSubscriber::default()).await?;
        let Done::Answered(answer, summary) = done else {
            return Err(Error::new(Kind::Bug, "a request was taken for a message").into());
        };
        steps.push((happened, answer.status, summary));
    }
    handler.sinks().settle().await;
    let columns = &["id", "amount", "currency", "status", "_deleted"];
    let rows = postgres.preview(table, columns, super::LIMIT).await?;
    Ok(Posted { steps, table: Rows { rows, ..Rows::empty("payments", columns) } })
}

fn lacks(what: &str) -> Error {
    Error::config(format!("the sample has no {what} of webhooks"))
}

fn event(id: &str, kind: &str, created: i64, status: &str) -> String {
    let payment =
        json!({ "id": "pi_3", "object": "payment_intent", "amount": 1999, "currency": "eur", "status": status });
    json!({ "id": id, "object": "event", "created": created, "type": kind, "data": { "object": payment } }).to_string()
}

/// As a function URL hands it on.
fn request(scheme: &Scheme, secret: &str, body: &str, now: i64) -> Result<String> {
    let headers = sign(scheme, &[secret], &Outgoing { body: body.as_bytes(), id: "", now })?;
    let headers: Map<String, Value> = headers.into_iter().map(|(name, value)| (name, value.into())).collect();
    let context = json!({ "http": { "method": "POST" }, "stage": "$default" });
    let request = json!({ "version": "2.0", "rawPath": "/hooks/stripe", "headers": headers, "requestContext": context, "body": body });
    Ok(request.to_string())
}
