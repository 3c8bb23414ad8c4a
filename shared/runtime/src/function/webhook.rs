//! The function that takes webhooks, and works off the queue that they may go by.

use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use tributary_core::Result;

use super::{diagnostic, json, started};
use crate::budget::Deadline;
use crate::database::Database;
use crate::settings::Settings;
use crate::sinks::Sinks;
use crate::telemetry;
use crate::vault::Vault;
use crate::webhook::{Handler, pipelines};

type Hooks = Handler<Database<Vault>, Vault>;

/// Serves requests and messages until Lambda ends the process.
///
/// # Errors
/// When settings or mapping are wrong; Lambda then reports a failed initialisation.
pub async fn webhook() -> Result<(), lambda_runtime::Error> {
    telemetry::start()?;
    let handler = Arc::new(Mutex::new(started(start())?));
    // Init is not throttled, and the first request finds a warm connection and the secrets.
    handler.lock().await.warm_up().await;
    let serve = |event: LambdaEvent<Box<RawValue>>| {
        let handler = Arc::clone(&handler);
        async move { invoke(&mut *handler.lock().await, event).await.map_err(|error| diagnostic(&error)) }
    };
    lambda_runtime::run(service_fn(serve)).await
}

fn start() -> Result<Hooks> {
    let settings = Settings::of_environment()?;
    let (mapping, secrets) = (Arc::new(settings.mapping), Arc::new(Vault::new()));
    let sinks = Sinks::new(&mapping, pipelines(&mapping), |_, store| {
        Database::new(store.clone(), Arc::clone(&secrets), "webhook")
            .with_url(settings.database_url.clone())
            .with_host(settings.database_host.clone())
            .with_proxy(settings.database_proxy)
            .with_rds_roots(settings.rds_roots.clone())
    });
    Ok(Handler::new(mapping, sinks, secrets)?.with_metrics(settings.metrics))
}

async fn invoke(handler: &mut Hooks, event: LambdaEvent<Box<RawValue>>) -> Result<Box<RawValue>> {
    let budget = Deadline::of_lambda(event.context.deadline);
    json(&Box::pin(handler.handle(event.payload.get(), &budget)).await?.to_response())
}
