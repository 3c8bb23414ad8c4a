//! The handler behind a URL that takes webhooks: a request in, an answer out that is true.
//!
//! 200 means that the rows are committed, 202 that the queue has it. Verified comes first, over the bytes as they were sent;
//! then a body is opened, routed, and applied in one transaction a pipeline with the sender's id of the delivery. The same
//! handler works off the queue.
//!
//! It knows no scheme and no sender: that is `tributary_sources::webhook`. Called by the function and the command line.

mod answer;
mod delivery;
mod gate;
mod hook;
mod message;
mod queue;
mod request;
mod trigger;
mod work;
mod worker;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::Value;
use tributary_core::batch::Outcome;
use tributary_core::pipeline::{Mapping, Pipeline};
use tributary_core::sink::{Budget, Sink as _};
use tributary_core::webhook::Mode;
use tributary_core::{Error, Kind, Result};
use tributary_postgres::Credentials;
use tributary_sources::webhook::envelope::{Content, Hint, Opened, Rejected};
use tributary_sources::webhook::verify;

use crate::clock::unix_micros;
use crate::housekeeping::Housekeeping;
use crate::metrics::{Figures, Metrics};
use crate::secrets::Secrets;
use crate::sinks::Sinks;
use crate::tick::Share;
pub use answer::{Answer, Summary};
use delivery::{Batches, Delivery, Part};
use hook::{Hook, Takers};
use message::Message;
use queue::Queue;
use request::{Event, Request};
use trigger::Pollers;

/// How long a sender is kept waiting for the database: senders give up after 5 to 30 seconds, and try again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes webhooks.
pub struct Handler<C, S> {
    mapping: Arc<Mapping>,
    sinks: Sinks<C>,
    secrets: Arc<S>,
    hooks: Vec<Hook>,
    queue: Queue,
    pollers: Pollers,
    housekeeping: Housekeeping,
    metrics: Metrics,
}

/// What came of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// A request was answered.
    Answered(Answer, Summary),
    /// Messages of the queue were worked off.
    Worked {
        /// The messages that must come again.
        failed: Vec<String>,
        /// What became of the others.
        summary: Summary,
    },
}

impl Done {
    /// What Lambda gets.
    pub fn to_response(&self) -> Value {
        match self {
            Done::Answered(answer, _) => answer.to_response(),
            Done::Worked { failed, .. } => worker::response(failed),
        }
    }

    /// What became of the records.
    pub fn summary(&self) -> &Summary {
        match self {
            Done::Answered(_, summary) | Done::Worked { summary, .. } => summary,
        }
    }

    /// Whether rows were written, or were there: then there is a connection, and time for what is due.
    fn reached_rows(&self) -> bool {
        match self {
            Done::Answered(answer, _) => answer.status == 200,
            Done::Worked { failed, .. } => failed.is_empty(),
        }
    }

    /// Whether something was refused or must come again.
    pub fn failed(&self) -> bool {
        match self {
            Done::Answered(answer, _) => answer.status >= 300,
            Done::Worked { failed, .. } => !failed.is_empty(),
        }
    }
}

/// The pipelines of a mapping that take webhooks.
pub fn pipelines(mapping: &Mapping) -> impl Iterator<Item = &Pipeline> {
    mapping.pipelines.iter().filter(|pipeline| hook::source(pipeline).is_some())
}

impl<C: Credentials, S: Secrets> Handler<C, S> {
    /// A handler for the hooks of a mapping; the sinks must be those of its [`pipelines`]. Queue, bucket and the functions
    /// that poll are those that the environment names.
    ///
    /// # Errors
    /// `Config` when the mapping has no hook, or the environment doesn't name what one of them needs.
    pub fn new(mapping: Arc<Mapping>, sinks: Sinks<C>, secrets: Arc<S>) -> Result<Self> {
        let hooks = hook::all(&mapping);
        if hooks.is_empty() {
            return Err(Error::config("the mapping has no hook")
                .with_hint("add a pipeline with `source: { type: webhook, … }`, or don't deploy the function"));
        }
        let (queue, pollers) = (Queue::of_environment(), Pollers::of_environment()?);
        for hook in &hooks {
            if let Mode::Queue { too_large } = hook.mode {
                queue.serves(&hook.name, too_large)?;
            }
        }
        for trigger in &mapping.triggers {
            let runs: Vec<&Pipeline> = trigger.runs.iter().filter_map(|name| mapping.pipeline(name)).collect();
            pollers.serve(&runs)?;
        }
        let (housekeeping, metrics) = (Housekeeping::default(), Metrics::default());
        Ok(Handler { mapping, sinks, secrets, hooks, queue, pollers, housekeeping, metrics })
    }

    /// Prints metrics of what it does.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Looks the secrets up and connects to the sinks, ahead of the first event. What isn't there yet is no reason to end.
    ///
    /// Where no request writes a row by itself, the worker connects with its first messages: a burst that starts many
    /// environments must not open as many connections.
    pub async fn warm_up(&mut self) {
        for hook in &mut self.hooks {
            if let Err(error) = Box::pin(hook.gate.warm_up(&*self.secrets)).await {
                tracing::warn!(hook = hook.name, error = %error.chain(), hint = error.hint(), "cannot look secrets up yet");
            }
        }
        let writes = |hook: &Hook| hook.mode == Mode::Direct && matches!(hook.takers, Takers::Pipelines(_));
        if self.hooks.iter().any(writes) {
            self.sinks.warm_up().await;
        }
    }

    /// Has housekeeping run with the next event, as it does when a minute has gone by.
    pub fn make_housekeeping_due(&mut self) {
        self.housekeeping.make_due();
    }

    /// The sinks, for commands that look at what was done.
    pub fn sinks(&mut self) -> &mut Sinks<C> {
        &mut self.sinks
    }

    /// The mapping.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// Handles a request, or messages of the queue.
    ///
    /// # Errors
    /// `Data` when it is neither. Whatever else goes wrong is in the answer.
    pub async fn handle(&mut self, payload: &str, budget: &impl Budget) -> Result<Done> {
        let mapping = Arc::clone(&self.mapping);
        let done = match Event::of_payload(payload)? {
            Event::Request(request) => {
                let mut summary = Summary::default();
                // A panic would be a 502, which says nothing. Messages of the queue come again by themselves. A connection in
                // the middle of a transaction is gone with the panic.
                let answer = AssertUnwindSafe(Box::pin(self.answer(&mapping, request, &mut summary, budget)));
                let answer = answer.catch_unwind().await.unwrap_or_else(|_| {
                    tracing::error!("the handler panicked");
                    Answer::broken()
                });
                Done::Answered(answer, summary)
            }
            Event::Messages(records) => Box::pin(self.work(&mapping, records, budget)).await,
        };
        if done.reached_rows() {
            Box::pin(self.housekeeping.keep(&mapping, pipelines(&mapping), &mut self.sinks, budget)).await;
        }
        self.sinks.post();
        Ok(done)
    }

    /// Answers a request.
    async fn answer(
        &mut self,
        mapping: &Mapping,
        request: Request,
        summary: &mut Summary,
        budget: &impl Budget,
    ) -> Answer {
        let received = unix_micros();
        let found = request.hook().and_then(|name| self.hooks.iter_mut().find(|hook| hook.name == name));
        let Some(hook) = found else {
            tracing::info!("a request for no hook");
            return Answer::unknown();
        };
        let name = hook.name.clone();
        if request.method != "POST" {
            return Answer::wrong_method();
        }
        let Some(body) = request.body else { return Answer::malformed("the body is not base64") };
        let now = received.div_euclid(1_000_000);
        let verified = match Box::pin(hook.gate.verify(&request.headers, &body, now, &*self.secrets)).await {
            Ok(Ok(verified)) => verified,
            Ok(Err(refusal)) => {
                tracing::warn!(hook = name, bytes = body.len(), reason = %refusal, "refused a request");
                return refused(refusal);
            }
            Err(error) => return failed(&name, &error),
        };
        let delivery = Delivery { headers: request.headers, body, id: verified.id, received };
        let (mode, takers) = (hook.mode, hook.takers.clone());
        let result = match takers {
            Takers::Trigger(position) => Box::pin(self.trigger(mapping, position, &delivery)).await,
            Takers::Pipelines(_) => {
                let opened = match open(mapping, &takers, &delivery) {
                    Ok(opened) => opened,
                    Err(rejected) => return unopened(&name, &rejected),
                };
                match mode {
                    Mode::Direct => Box::pin(self.apply(&name, opened, received, summary, budget)).await,
                    Mode::Queue { too_large } => {
                        drop(opened);
                        let envelopes = takers.pipelines(mapping).into_iter().map(|(_, source)| &source.envelope);
                        let message = Message::of(&name, &delivery, envelopes);
                        match Box::pin(self.queue.send(message, &delivery.body, too_large)).await {
                            Ok(true) => Ok(Answer::queued()),
                            Ok(false) => Ok(Answer::too_large("the body is larger than the queue takes")),
                            Err(error) => Err(error),
                        }
                    }
                }
            }
        };
        result.unwrap_or_else(|error| failed(&name, &error))
    }

    /// Applies a delivery in one transaction a pipeline.
    async fn apply(
        &mut self,
        hook: &str,
        opened: Vec<(&Pipeline, Opened)>,
        received: i64,
        summary: &mut Summary,
        budget: &impl Budget,
    ) -> Result<Answer> {
        let mut batches = Batches::default();
        self.skipped(hook, batches.add(opened, received)?);
        (summary.records, summary.skipped) = (batches.records, batches.skipped);
        let patience = Share::of(budget, 1).at_most(PATIENCE);
        let mut worst = None;
        for part in batches.into_parts() {
            if let Err(error) = Box::pin(self.commit(&part, summary, &patience)).await {
                let away = error.retry();
                worst = Some(error);
                // The others would wait for the same database; the sender comes again for all of them.
                if away {
                    break;
                }
            }
        }
        match worst {
            Some(error) => Err(error),
            None => Ok(Answer::applied(summary)),
        }
    }

    /// Applies a pipeline's share.
    async fn commit(&mut self, part: &Part<'_>, summary: &mut Summary, budget: &impl Budget) -> Result<()> {
        let Part { pipeline, batch, at } = part;
        if batch.origins.is_empty() {
            return Ok(());
        }
        let sink = self.sinks.get(&pipeline.sink)?;
        let Outcome { applied, stale, dead, duplicates, .. } = Box::pin(sink.apply(batch, budget)).await?;
        let lag = at.map(|at| (unix_micros() - at) as f64 / 1e6);
        let (records, pipeline) = (batch.origins.len() as u64, pipeline.name.as_str());
        tracing::info!(pipeline, records, applied, stale, duplicates, rejected = dead, "applied a delivery");
        self.metrics.print(&Figures { pipeline, records, applied, stale, dead, lag, ..Figures::default() });
        summary.add(applied, stale, duplicates, dead);
        Ok(())
    }

    /// Tells of records that no pipeline of a hook takes: they are kept nowhere.
    fn skipped(&self, hook: &str, records: u64) {
        if records > 0 {
            tracing::info!(hook, records, "no pipeline of the hook takes these");
            self.metrics.print_skipped(hook, records);
        }
    }

    /// Tells pipelines to run.
    async fn trigger(&mut self, mapping: &Mapping, position: usize, delivery: &Delivery) -> Result<Answer> {
        let bug = || Error::new(Kind::Bug, "a trigger is not where it was");
        let trigger = mapping.triggers.get(position).ok_or_else(bug)?;
        let opened = match delivery.open(&trigger.source) {
            Ok(opened) => opened,
            Err(rejected) => return Ok(unopened(&trigger.name, &rejected)),
        };
        let Content::Hint(hint) = opened.content else { return Err(bug()) };
        let runs = match trigger::runs(mapping, trigger, &hint) {
            Ok(runs) => runs,
            Err(_) => return Ok(Answer::malformed("payload.pipeline: is not among those that this hook runs")),
        };
        if runs.is_empty() {
            tracing::warn!(hook = trigger.name, "a hint is about none of the pipelines of the hook");
        } else {
            self.pollers.run(&runs).await?;
        }
        let names: Vec<&str> = runs.iter().map(|pipeline| pipeline.name.as_str()).collect();
        tracing::info!(hook = trigger.name, pipelines = names.join(","), "told pipelines to run");
        Ok(if matches!(hint, Hint::Airtable { .. }) { Answer::nothing() } else { Answer::told(&names) })
    }
}

/// A delivery as each pipeline of the hook reads it. When it is unreadable for one, nothing is done for any.
fn open<'m>(
    mapping: &'m Mapping,
    takers: &Takers,
    delivery: &Delivery,
) -> Result<Vec<(&'m Pipeline, Opened)>, Rejected> {
    let pipelines = takers.pipelines(mapping).into_iter();
    pipelines.map(|(pipeline, source)| Ok((pipeline, delivery.open(source)?))).collect()
}

/// The answer to who is not let in. Only who has signed rightly hears more than that.
fn refused(refusal: verify::Refusal) -> Answer {
    match refusal.kind {
        verify::Kind::Stale | verify::Kind::Future => Answer::unauthorized(&refusal.to_string()),
        _ => Answer::unauthorized("the request is not authenticated"),
    }
}

fn unopened(hook: &str, rejected: &Rejected) -> Answer {
    let error = rejected.error();
    tracing::warn!(hook, error = %error.chain(), hint = error.hint(), "refused a body");
    let reason = error.to_string();
    match rejected {
        Rejected::Malformed(_) => Answer::malformed(&reason),
        Rejected::TooLarge(_) => Answer::too_large(&reason),
        Rejected::Unsupported(_) => Answer::unsupported(&reason),
    }
}

/// The answer to what failed on our side; the log says what it was.
fn failed(hook: &str, error: &Error) -> Answer {
    tracing::error!(hook, error = %error.chain(), hint = error.hint(), "a delivery failed");
    match error.kind() {
        Kind::Unavailable | Kind::Auth | Kind::Conflict => Answer::away(),
        _ => Answer::broken(),
    }
}
