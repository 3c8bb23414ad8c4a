//! The function's own way, in this process: warm connection, empty table.

use std::time::{Duration, Instant};

use tributary_core::pipeline::SecretRef;
use tributary_core::sink::Unlimited;
use tributary_postgres::Postgres;
use tributary_postgres::connect::{Policy, Target};
use tributary_runtime::secrets::{Secret, Secrets};
use tributary_runtime::sequin_poll::SequinPoll;
use tributary_runtime::sinks::Sinks;
use tributary_runtime::tick::{Request, Ticker};
use tributary_tests::sequin::TOKEN;

use crate::Failure;
use crate::stage::{CONSUMER, Stage};

struct Token;

impl Secrets for Token {
    async fn get(&self, _reference: &SecretRef) -> tributary_core::Result<Secret> {
        Ok(Secret::new(TOKEN))
    }

    fn evict(&self, _reference: &SecretRef) {}
}

/// Drains everything; how long it took, and in how many transactions of messages.
pub(crate) async fn drain(stage: &Stage) -> Result<(Duration, u64), Failure> {
    let target = Target::from_url(stage.url(), &Policy::default())?;
    let pipelines = &stage.mapping.pipelines;
    let tables = pipelines.iter().flat_map(|pipeline| pipeline.tables.iter().cloned()).collect();
    Postgres::new(target.clone(), tables, false).migrate().await?;
    stage.observer.batch_execute("truncate orders").await?;
    let sinks = Sinks::new(&stage.mapping, pipelines.iter(), |_, _| target.clone());
    let mut ticker = Ticker::new(stage.mapping.clone(), sinks, SequinPoll::new(std::sync::Arc::new(Token)))?;
    ticker.warm_up().await;
    let acks = || stage.sequin.world().requests.get("ack").copied().unwrap_or_default();
    let before = acks();
    let began = Instant::now();
    let report = ticker.tick(&Request::default(), &Unlimited).await?.into_result()?;
    let took = began.elapsed();
    if !stage.sequin.world().store(CONSUMER).is_empty() || report.pipelines().iter().any(|line| line.dead > 0) {
        return Err(format!("not drained: {report:?}").into());
    }
    Ok((took, acks() - before))
}
