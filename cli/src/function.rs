//! A function's handler in this process, as its `main.rs` would run it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tributary_core::batch::Outcome;
use tributary_core::pipeline::{Mapping, PostgresStore};
use tributary_core::sink::{Budget, Unlimited};
use tributary_core::{Error, Kind};
use tributary_runtime::airtable_poll::AirtablePoll;
use tributary_runtime::backfill::{Progress, Request};
use tributary_runtime::database::Database;
use tributary_runtime::dynamodb_stream;
use tributary_runtime::odk_poll::OdkPoll;
use tributary_runtime::secrets::Secret;
use tributary_runtime::sequin_poll::SequinPoll;
use tributary_runtime::sinks::Sinks;
use tributary_runtime::tick::{self, Poller, Ticker};
use tributary_runtime::vault::Vault;
use tributary_runtime::webhook::{self, Done};

use crate::args::Function;

/// The handler of a function.
pub(crate) enum Handler {
    /// Of `functions/dynamodb-stream`.
    DynamodbStream(Box<dynamodb_stream::Handler<Database<Vault>>>),
    /// Of `functions/sequin-poll`.
    SequinPoll(Ticker<SequinPoll<Vault>, Database<Vault>>),
    /// Of `functions/airtable-poll`.
    AirtablePoll(Ticker<AirtablePoll<Vault>, Database<Vault>>),
    /// Of `functions/odk-poll`.
    OdkPoll(Ticker<OdkPoll<Vault>, Database<Vault>>),
    /// Of `functions/webhook`.
    Webhook(Box<webhook::Handler<Database<Vault>, Vault>>),
}

/// What a handler answered.
pub(crate) struct Answer {
    /// What Lambda would get.
    pub(crate) response: Value,
    /// Whether some of the event must come again.
    pub(crate) failed: bool,
    /// How many records came.
    pub(crate) records: u64,
    /// Rows written.
    pub(crate) applied: u64,
    /// Changes that were not newer than their rows.
    pub(crate) stale: u64,
    /// Records in the dead letters.
    pub(crate) dead: u64,
}

impl Handler {
    /// The handler of this function; a URL stands in for the mapping's sinks.
    ///
    /// # Errors
    /// `Config` when the mapping has nothing for this function to do.
    pub(crate) fn new(function: Function, mapping: Mapping, url: Option<&str>) -> Result<Handler, Error> {
        let vault = Arc::new(Vault::new());
        let credentials = |name: &str, store: &PostgresStore| {
            Database::new(store.clone(), Arc::clone(&vault), name).with_url(url.map(Secret::new))
        };
        match function {
            Function::DynamodbStream => {
                let sinks = Sinks::new(&mapping, dynamodb_stream::pipelines(&mapping), credentials);
                let handler = dynamodb_stream::Handler::new(Arc::new(mapping), sinks)?;
                Ok(Handler::DynamodbStream(Box::new(handler)))
            }
            Function::Webhook => {
                let sinks = Sinks::new(&mapping, webhook::pipelines(&mapping), credentials);
                let handler = webhook::Handler::new(Arc::new(mapping), sinks, vault)?;
                Ok(Handler::Webhook(Box::new(handler)))
            }
            Function::SequinPoll => {
                let poller = SequinPoll::new(Arc::clone(&vault));
                ticker(mapping, poller, credentials).map(Handler::SequinPoll)
            }
            Function::AirtablePoll => {
                let poller = AirtablePoll::new(Arc::clone(&vault));
                ticker(mapping, poller, credentials).map(Handler::AirtablePoll)
            }
            Function::OdkPoll => {
                let poller = OdkPoll::new(Arc::clone(&vault));
                ticker(mapping, poller, credentials).map(Handler::OdkPoll)
            }
        }
    }

    /// Handles an event.
    ///
    /// # Errors
    /// What the function would answer an error for.
    pub(crate) async fn handle(&mut self, event: Bytes) -> Result<Answer, Error> {
        let handler = match self {
            Handler::DynamodbStream(handler) => handler,
            Handler::SequinPoll(ticker) => return tick(ticker, &event).await,
            Handler::AirtablePoll(ticker) => return tick(ticker, &event).await,
            Handler::OdkPoll(ticker) => return tick(ticker, &event).await,
            Handler::Webhook(handler) => return deliver(handler, &event).await,
        };
        if let Some(request) = Request::in_payload(&event)? {
            let done = Box::pin(handler.backfill(&request, &Unlimited, |_| {})).await?;
            let Progress { items: records, applied, stale, dead, done: whole, .. } = done;
            return Ok(Answer { response: json_of(&done)?, failed: !whole, records, applied, stale, dead });
        }
        let answer = Box::pin(handler.handle(event, &Unlimited)).await?;
        let sum = |figure: fn(&Outcome) -> u64| answer.shares.iter().map(|share| figure(&share.outcome)).sum();
        Ok(Answer {
            response: json_of(&answer.to_response())?,
            failed: answer.retry_from.is_some(),
            records: answer.records as u64,
            applied: sum(|outcome| outcome.applied),
            stale: sum(|outcome| outcome.stale),
            dead: sum(|outcome| outcome.dead),
        })
    }

    /// Reads a pipeline's source whole; see [`dynamodb_stream::Handler::backfill`].
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn backfill(
        &mut self,
        request: &Request,
        budget: &impl Budget,
        report: impl FnMut(&Progress),
    ) -> Result<Progress, Error> {
        match self {
            Handler::DynamodbStream(handler) => Box::pin(handler.backfill(request, budget, report)).await,
            Handler::SequinPoll(_) | Handler::AirtablePoll(_) | Handler::OdkPoll(_) => {
                Err(Error::new(Kind::Bug, "a function that polls reads its sources whole by itself"))
            }
            Handler::Webhook(_) => {
                Err(Error::new(Kind::Bug, "a webhook has nothing that could be read from beginning to end"))
            }
        }
    }

    /// The mapping.
    pub(crate) fn mapping(&self) -> &Arc<Mapping> {
        match self {
            Handler::DynamodbStream(handler) => handler.mapping(),
            Handler::SequinPoll(ticker) => ticker.mapping(),
            Handler::AirtablePoll(ticker) => ticker.mapping(),
            Handler::OdkPoll(ticker) => ticker.mapping(),
            Handler::Webhook(handler) => handler.mapping(),
        }
    }

    /// Waits for what is still being written.
    pub(crate) async fn settle(&mut self) {
        match self {
            Handler::DynamodbStream(handler) => handler.sinks().settle().await,
            Handler::SequinPoll(ticker) => ticker.sinks().settle().await,
            Handler::AirtablePoll(ticker) => ticker.sinks().settle().await,
            Handler::OdkPoll(ticker) => ticker.sinks().settle().await,
            Handler::Webhook(handler) => handler.sinks().settle().await,
        }
    }
}

/// A request, or messages of the queue.
async fn deliver(handler: &mut webhook::Handler<Database<Vault>, Vault>, event: &[u8]) -> Result<Answer, Error> {
    let text = std::str::from_utf8(event).map_err(|_| Error::data("the event is not UTF-8"))?;
    let done: Done = Box::pin(handler.handle(text, &Unlimited)).await?;
    let &webhook::Summary { records, applied, stale, dead, .. } = done.summary();
    Ok(Answer { response: done.to_response(), failed: done.failed(), records, applied, stale, dead })
}

/// The handler of a function that polls.
fn ticker<P: Poller<Database<Vault>>>(
    mapping: Mapping,
    poller: P,
    credentials: impl FnMut(&str, &PostgresStore) -> Database<Vault>,
) -> Result<Ticker<P, Database<Vault>>, Error> {
    let jobs = poller.jobs(&mapping);
    let sinks = Sinks::new(&mapping, jobs.iter().flat_map(|job| job.pipelines.iter().copied()), credentials);
    drop(jobs);
    Ticker::new(Arc::new(mapping), sinks, poller)
}

/// A tick. A pipeline that fails is in the answer, with what to do about it; Lambda would get an error.
async fn tick<P: Poller<Database<Vault>>>(
    ticker: &mut Ticker<P, Database<Vault>>,
    event: &Bytes,
) -> Result<Answer, Error> {
    let request = tick::Request::of_payload(event)?;
    let report = Box::pin(ticker.tick(&request, &Unlimited)).await?;
    let sum = |figure: fn(&tick::Progress) -> u64| report.pipelines().iter().map(figure).sum();
    Ok(Answer {
        response: json_of(&report)?,
        failed: report.has_more() || report.pipelines().iter().any(|progress| progress.state == "failed"),
        records: sum(|progress| progress.records),
        applied: sum(|progress| progress.applied),
        stale: sum(|progress| progress.stale),
        dead: sum(|progress| progress.dead),
    })
}

fn json_of(answer: &impl serde::Serialize) -> Result<Value, Error> {
    serde_json::to_value(answer)
        .map_err(|e| Error::new(Kind::Bug, "the answer cannot be written as json").with_source(e))
}

impl Answer {
    /// What came of the event, in JSON.
    pub(crate) fn figures(&self) -> Value {
        json!({ "records": self.records, "applied": self.applied, "stale": self.stale, "dead": self.dead })
    }
}
