//! Drains the consumers of Sequin: receive, commit, acknowledge, until nothing is left or the time ends.
//!
//! Sequin leases what it hands out and delivers it again unless it is acknowledged. So the order is what matters: nothing is
//! acknowledged before its commit, and what was received and not begun is given back. While one portion commits, the next
//! one is received; whatever comes in that time is committed together, so that many small answers become few
//! transactions, and a row that changes all the time, of which Sequin hands out one change at a time, waits for nobody.
//!
//! A redelivery is a no-op by the version guard: a lost acknowledgement, two runners, a restart of Sequin cost work, not
//! correctness.

mod catalog;
mod fields;
mod message;
mod moved;
mod pace;
mod portion;
mod queue;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_core::pipeline::{Datastore, Mapping, Pipeline, SourceKind};
use tributary_core::sink::Budget;
use tributary_core::{Error, Kind, Result};
use tributary_postgres::Credentials;
use tributary_sources::http::Client;
use tributary_sources::sequin::consumer::Settle;

use crate::auto::Following;
use crate::secrets::Secrets;
use crate::tick::{Ended, Job, Poller, Share, Turn};
use catalog::Catalogs;
use pace::Pace;
use portion::Portion;
use queue::Queue;

pub(crate) use message::owners;
pub(crate) use moved::route_moved;

/// After two minutes Sequin frees what it has delivered, whatever the consumer's own time is (its sweep of the message
/// store). Nothing is held longer.
const LONGEST_HOLD: Duration = Duration::from_secs(120);
/// The first round of a turn needs this much time; later ones know how long a round takes.
const FIRST_ROUND: Duration = Duration::from_millis(800);
/// A commit that is begun gets this much, also where leases are shorter: it needs no lease to be right.
const LEAST_COMMIT: Duration = Duration::from_secs(3);
/// So many acknowledgements in a row may fail before the turn ends.
const LOST_ACKS: u32 = 3;

/// What polls Sequin: its connections, its secrets, and what it has learned of each consumer.
#[derive(Debug)]
pub struct SequinPoll<S> {
    http: Client,
    secrets: Arc<S>,
    catalogs: Catalogs,
    paces: HashMap<String, Pace>,
}

impl<S: Secrets> SequinPoll<S> {
    /// A poller that takes its tokens from there.
    pub fn new(secrets: Arc<S>) -> Self {
        SequinPoll { http: Client::new(), secrets, catalogs: Catalogs::default(), paces: HashMap::new() }
    }
}

impl<S: Secrets, C: Credentials> Poller<C> for SequinPoll<S> {
    fn jobs<'m>(&self, mapping: &'m Mapping) -> Vec<Job<'m>> {
        let mut jobs: Vec<Job<'m>> = Vec::new();
        for pipeline in &mapping.pipelines {
            let Some((consumer, _)) = consumer_of(pipeline) else { continue };
            // A consumer is drained once, for all pipelines that read it.
            let name = format!("{}/{consumer}", pipeline.source.datastore);
            match jobs.iter_mut().find(|job| job.name == name) {
                Some(job) => job.pipelines.push(pipeline),
                None => jobs.push(Job { name, pipelines: vec![pipeline], every: pipeline.source.every }),
            }
        }
        jobs
    }

    async fn run(&mut self, turn: &mut Turn<'_, C>, budget: &Share) -> Result<Ended> {
        let bug = |what| Error::new(Kind::Bug, what);
        let first = *turn.pipelines().first().ok_or_else(|| bug("a job without a pipeline"))?;
        let (consumer, ack_wait) = consumer_of(first).ok_or_else(|| bug("a pipeline without its consumer"))?;
        let Some(Datastore::Sequin(store)) = turn.mapping().datastores.get(&first.source.datastore) else {
            return Err(bug("a Sequin pipeline without its datastore"));
        };
        let queue = Queue::new(&self.http, &*self.secrets, store, consumer);
        let name = format!("{}/{consumer}", first.source.datastore);
        let pace = self.paces.entry(name).or_default();
        self.catalogs.open(&first.source.datastore, &queue, turn, budget).await?;
        let hold = ack_wait.min(LONGEST_HOLD);
        let catalogs = &mut self.catalogs;
        let mut following = Vec::with_capacity(turn.pipelines().len());
        for pipeline in turn.pipelines() {
            following.push(Following::begin(turn, pipeline).await?);
        }
        let mut drain = Drain {
            turn,
            queue,
            pace,
            catalogs,
            following,
            store: &first.source.datastore,
            hold,
            lost: Lost::default(),
        };
        let ended = Box::pin(drain.all(budget)).await;
        drain.tell_lost(first);
        ended
    }
}

/// The consumer that a pipeline reads, and after how long without an acknowledgement it delivers again.
fn consumer_of(pipeline: &Pipeline) -> Option<(&str, Duration)> {
    match &pipeline.source.kind {
        SourceKind::Sequin(source) => Some((&source.consumer, source.ack_wait)),
        SourceKind::SequinLegacy(source) => Some((&source.consumer, source.ack_wait)),
        SourceKind::Dynamodb { .. } | SourceKind::Airtable(_) | SourceKind::Odk(_) | SourceKind::Webhook(_) => None,
    }
}

/// Acknowledgements that failed.
#[derive(Debug, Default)]
struct Lost {
    in_a_row: u32,
    messages: usize,
    last: Option<Error>,
}

/// One turn of one consumer.
struct Drain<'d, 't, S, C> {
    turn: &'d mut Turn<'t, C>,
    queue: Queue<'d, S>,
    pace: &'d Pace,
    catalogs: &'d mut Catalogs,
    following: Vec<Following<'t>>,
    store: &'d str,
    hold: Duration,
    lost: Lost,
}

impl<S: Secrets, C: Credentials> Drain<'_, '_, S, C> {
    async fn all(&mut self, budget: &Share) -> Result<Ended> {
        let mut ready = Portion::default();
        let mut trouble: Option<Error> = None;
        let mut needed = FIRST_ROUND;
        loop {
            if ready.is_empty() {
                if let Some(error) = trouble {
                    return Err(error);
                }
                if !budget.allows(needed) {
                    // Before the first round there is no telling whether anything is left.
                    return Ok(if needed == FIRST_ROUND { Ended::Later } else { Ended::More });
                }
                let pending = self.queue.receive(&mut ready, self.pace, budget).await?;
                if ready.is_empty() {
                    return self.drained(pending);
                }
            }
            let (age, commit) = (ready.age(), self.pace.last_commit());
            if !budget.allows(needed) {
                self.give_back(&ready).await;
                return Ok(Ended::More);
            }
            if age > self.hold / 4 && age + commit > self.hold {
                // Its lease would end before the commit: somebody else may have it then, so it's better given back now.
                self.pace.slow_down();
                self.give_back(&ready).await;
                ready = Portion::default();
                continue;
            }
            let next = self.round(&ready, trouble.is_none(), budget).await;
            let (next, pulled) = match next {
                Ok(round) => round,
                Err((next, error)) => {
                    // What wasn't committed comes again at once; so does what may have been, and that is a no-op.
                    self.give_back(&ready).await;
                    self.give_back(&next).await;
                    return Err(error);
                }
            };
            trouble = trouble.or(pulled.err());
            ready = next;
            needed = self.pace.round();
        }
    }

    /// Commits a portion and acknowledges it, while the next one is received. What was received is returned even when the
    /// commit failed, so that it can be given back.
    async fn round(
        &mut self,
        ready: &Portion,
        pull: bool,
        budget: &Share,
    ) -> Result<(Portion, Result<()>), (Portion, Error)> {
        let mut next = Portion::default();
        let prepared = match self.catalogs.keep_up(self.store, ready, &self.queue, self.turn, budget).await {
            Ok(()) => self.turn.prolong().await,
            Err(error) => Err(error),
        };
        if let Err(error) = prepared {
            return Err((next, error));
        }
        let Drain { turn, queue, pace, catalogs, following, store, hold, lost } = self;
        let committed = Cell::new(false);
        let pulling = async {
            while pull && !committed.get() && pace.has_room(&next) && budget.allows(pace.round()) {
                let before = next.len();
                queue.receive(&mut next, pace, budget).await?;
                if next.len() == before {
                    break;
                }
            }
            Ok(())
        };
        let committing = async {
            let began = Instant::now();
            let collections = catalogs.get(store);
            for messages in fields::alike(ready.messages(), following) {
                fields::meet(&messages, following, collections, turn).await?;
                let pipelines: Vec<Arc<Pipeline>> = following.iter().map(|one| Arc::clone(one.pipeline())).collect();
                let pipelines: Vec<&Pipeline> = pipelines.iter().map(|pipeline| &**pipeline).collect();
                let limit = turn.whole().at_most(ready.left(*hold).max(LEAST_COMMIT));
                for (pipeline, batch) in Portion::batches(&messages, &pipelines, collections) {
                    turn.apply_within(pipeline, &batch, &limit).await?;
                }
            }
            pace.committed(ready.len(), began.elapsed());
            let began = Instant::now();
            let acknowledged = queue.settle(Settle::Ack, ready.ids(), &turn.whole()).await;
            pace.acknowledged(began.elapsed());
            committed.set(true);
            match acknowledged {
                Ok(()) => lost.in_a_row = 0,
                Err(error) => {
                    tracing::warn!(messages = ready.len(), error = %error.chain(), "committed, and not acknowledged");
                    lost.in_a_row += 1;
                    lost.messages += ready.len();
                    if !error.retry() || lost.in_a_row >= LOST_ACKS {
                        return Err(error);
                    }
                    lost.last = Some(error);
                }
            }
            Ok(())
        };
        // However the commit ends, a request that is under way is waited for: what it leases must be given back.
        let (done, pulled): (Result<()>, Result<()>) = tokio::join!(
            async {
                let done = Box::pin(committing).await;
                committed.set(true);
                done
            },
            pulling
        );
        match done {
            Ok(()) => Ok((next, pulled)),
            Err(error) => Err((next, error)),
        }
    }

    /// Nothing came. The former Sequin says what it holds back; and an answer that was too long has leased what it held.
    fn drained(&mut self, pending: Option<u64>) -> Result<Ended> {
        if self.pace.missed() {
            if let Some(first) = self.turn.pipelines().first() {
                let text =
                    "an answer of Sequin was too long; its messages come again when their lease ends, a few at a time";
                self.turn.note(first, text);
            }
            return Ok(Ended::Later);
        }
        if let (Some(pending @ 1..), Some(first)) = (pending, self.turn.pipelines().first()) {
            let text = format!(
                "Sequin holds {pending} more messages back: somebody else reads this consumer, or its max_ack_pending is reached"
            );
            self.turn.note(first, text);
        }
        Ok(Ended::Drained)
    }

    /// Gives messages back, which makes them visible at once. If that fails they come again when their lease ends.
    async fn give_back(&self, portion: &Portion) {
        if portion.is_empty() {
            return;
        }
        match self.queue.settle(Settle::Nack, portion.ids(), &self.turn.whole()).await {
            Ok(()) => tracing::info!(messages = portion.len(), "gave messages back"),
            Err(error) => {
                tracing::warn!(messages = portion.len(), error = %error.chain(), "cannot give messages back");
            }
        }
    }

    fn tell_lost(&mut self, first: &Pipeline) {
        if let Some(error) = self.lost.last.take() {
            let text = format!(
                "{} messages are committed and could not be acknowledged ({}); they come again and change nothing",
                self.lost.messages,
                error.chain()
            );
            self.turn.note(first, text);
        }
    }
}
