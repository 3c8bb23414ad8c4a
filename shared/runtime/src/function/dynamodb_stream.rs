//! The function behind a DynamoDB stream.

use std::sync::Arc;

use bytes::Bytes;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use tributary_core::Result;

use super::{diagnostic, json, started};
use crate::backfill;
use crate::budget::Deadline;
use crate::database::Database;
use crate::dynamodb_stream::{Handler, pipelines};
use crate::settings::Settings;
use crate::sinks::Sinks;
use crate::telemetry;
use crate::vault::Vault;

/// Serves the events of DynamoDB streams until Lambda ends the process.
///
/// # Errors
/// When settings or mapping are wrong; Lambda then reports a failed initialisation.
pub async fn dynamodb_stream() -> Result<(), lambda_runtime::Error> {
    telemetry::start()?;
    let handler = Arc::new(Mutex::new(started(start())?));
    // Init is not throttled, and the first event finds a warm connection.
    handler.lock().await.warm_up().await;
    let serve = |event: LambdaEvent<Box<RawValue>>| {
        let handler = Arc::clone(&handler);
        async move { invoke(&mut *handler.lock().await, event).await.map_err(|error| diagnostic(&error)) }
    };
    lambda_runtime::run(service_fn(serve)).await
}

fn start() -> Result<Handler<Database<Vault>>> {
    let settings = Settings::of_environment()?;
    let (mapping, secrets) = (Arc::new(settings.mapping), Arc::new(Vault::new()));
    let sinks = Sinks::new(&mapping, pipelines(&mapping), |_, store| {
        Database::new(store.clone(), Arc::clone(&secrets), "dynamodb-stream")
            .with_url(settings.database_url.clone())
            .with_host(settings.database_host.clone())
            .with_proxy(settings.database_proxy)
            .with_rds_roots(settings.rds_roots.clone())
    });
    Ok(Handler::new(mapping, sinks)?.with_metrics(settings.metrics))
}

async fn invoke(handler: &mut Handler<Database<Vault>>, event: LambdaEvent<Box<RawValue>>) -> Result<Box<RawValue>> {
    let budget = Deadline::of_lambda(event.context.deadline);
    // The same bytes, not a copy of them.
    let payload = Bytes::from(String::from(Box::<str>::from(event.payload)));
    if let Some(request) = backfill::Request::in_payload(&payload)? {
        let report = Box::pin(handler.backfill(&request, &budget, |_| {})).await?;
        return json(&report);
    }
    let answer = Box::pin(handler.handle(payload, &budget)).await?;
    json(&answer.to_response())
}
