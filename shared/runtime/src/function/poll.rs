//! The functions that poll: a schedule ticks, and each pipeline of their kind gets a turn.

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
use crate::tick::{Poller, Request, Ticker};
use crate::vault::Vault;

/// The sink of a function: a database of the mapping, its secrets from the vault.
pub(super) type Sink = Database<Vault>;

/// Serves ticks until Lambda ends the process. `poller` is made of the vault that the sinks share.
///
/// # Errors
/// When settings or mapping are wrong; Lambda then reports a failed initialisation.
pub(super) async fn poll<P: Poller<Sink>>(
    name: &'static str,
    poller: impl FnOnce(Arc<Vault>) -> P,
) -> Result<(), lambda_runtime::Error> {
    telemetry::start()?;
    let ticker = Arc::new(Mutex::new(started(start(name, poller))?));
    // Init is not throttled, and the first tick finds a warm connection.
    ticker.lock().await.warm_up().await;
    let serve = |event: LambdaEvent<Box<RawValue>>| {
        let ticker = Arc::clone(&ticker);
        async move { tick(&mut *ticker.lock().await, event).await.map_err(|error| diagnostic(&error)) }
    };
    lambda_runtime::run(service_fn(serve)).await
}

fn start<P: Poller<Sink>>(name: &str, poller: impl FnOnce(Arc<Vault>) -> P) -> Result<Ticker<P, Sink>> {
    let settings = Settings::of_environment()?;
    let (mapping, secrets) = (Arc::new(settings.mapping), Arc::new(Vault::new()));
    let poller = poller(Arc::clone(&secrets));
    let jobs = poller.jobs(&mapping);
    let sinks = Sinks::new(&mapping, jobs.iter().flat_map(|job| job.pipelines.iter().copied()), |_, store| {
        Database::new(store.clone(), Arc::clone(&secrets), name)
            .with_url(settings.database_url.clone())
            .with_host(settings.database_host.clone())
            .with_proxy(settings.database_proxy)
            .with_rds_roots(settings.rds_roots.clone())
    });
    drop(jobs);
    Ok(Ticker::new(mapping, sinks, poller)?.with_metrics(settings.metrics))
}

async fn tick<P: Poller<Sink>>(
    ticker: &mut Ticker<P, Sink>,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>> {
    let budget = Deadline::of_lambda(event.context.deadline);
    let request = Request::of_payload(event.payload.get().as_bytes())?;
    let report = Box::pin(ticker.tick(&request, &budget)).await?;
    json(&report.into_result()?)
}
