//! One turn of a pipeline, from the look at its form to the files of its rows.

use std::sync::Arc;
use std::time::Duration;

use tributary_core::Result;
use tributary_core::auto::Known;
use tributary_core::batch::{Batch, Checkpoint};
use tributary_core::pipeline::{OdkSet, OdkSource};
use tributary_core::sink::Budget;
use tributary_postgres::Credentials;
use tributary_sources::odk::{Central, Decoder, Set, Trouble};

use super::attachment::{self, Store};
use super::read::Read;
use super::state::State;
use super::waiting::Waiting;
use crate::auto::Following;
use crate::batch::batch_of;
use crate::shape::shape;
use crate::tick::{Share, Turn};

/// A page begins only while there is time to read and commit it.
const TIME_FOR_A_PAGE: Duration = Duration::from_secs(3);

/// How far a part of a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// To its end.
    Done,
    /// To the end of the budget.
    More,
}

/// What a warm function remembers of a pipeline. All of it can be had again.
#[derive(Default)]
pub(super) struct Warm {
    /// How rows are read, by the hash of what the server says of its fields.
    lens: Option<(String, Arc<Decoder>)>,
    /// The rows that lack something, as of the lease of this number.
    waiting: Option<(i64, Waiting)>,
    /// Where files go.
    store: Option<Store>,
}

pub(super) struct Run<'r, 't, C> {
    pub(super) turn: &'r mut Turn<'t, C>,
    pub(super) client: &'r Central,
    /// How long we may wait for the server. A commit may take all that is left of the tick.
    pub(super) budget: &'r Share,
    pub(super) pipeline: Following<'t>,
    pub(super) source: &'t OdkSource,
    pub(super) set: Set,
    warm: &'r mut Warm,
    pub(super) state: State,
    /// The rows that lack something, as far as that is known.
    pub(super) waiting: Option<Waiting>,
    /// The hash of what the server says of its fields.
    hash: String,
    /// The server's time when it was last asked, in microseconds since 1970.
    pub(super) now: i64,
}

impl<'r, 't, C: Credentials> Run<'r, 't, C> {
    pub(super) fn new(
        turn: &'r mut Turn<'t, C>,
        client: &'r Central,
        budget: &'r Share,
        pipeline: Following<'t>,
        source: &'t OdkSource,
        warm: &'r mut Warm,
    ) -> Self {
        let project = source.project;
        let set = match &source.set {
            OdkSet::Form(form) => Set::Submissions { project, form: form.clone() },
            OdkSet::Dataset(dataset) => Set::Entities { project, dataset: dataset.clone() },
        };
        // Each turn has the next number, so that nobody wrote since the last one of ours.
        let last = turn.fence().number - 1;
        let waiting = warm.waiting.take().filter(|(fence, _)| *fence == last).map(|(_, waiting)| waiting);
        let (state, hash) = (State::default(), String::new());
        Run { turn, client, budget, pipeline, source, set, warm, state, waiting, hash, now: 0 }
    }

    /// All that there is to do. `of` names what is read.
    pub(super) async fn all(&mut self, of: &str) -> Result<Reach, Trouble> {
        let reach = Box::pin(self.rows(of)).await?;
        // Only now: what failed in between may or may not have been written.
        self.warm.waiting = self.waiting.take().map(|waiting| (self.turn.fence().number, waiting));
        Ok(reach)
    }

    async fn rows(&mut self, of: &str) -> Result<Reach, Trouble> {
        // That it is refused or not there ends the run: it never means that rows are gone.
        self.hash = self.client.card(&self.set, self.budget).await?.hash;
        let stored = self.turn.checkpoint(self.pipeline.pipeline(), State::PARTITION).await?;
        self.state = State::parse(stored.as_deref(), of);
        self.meet().await?;
        for part in [Part::Letters, Part::Changes, Part::Waiting, Part::Manifest, Part::Files] {
            let reach = match part {
                Part::Letters => Box::pin(self.retry_letters()).await?,
                Part::Changes => Box::pin(self.follow()).await?,
                Part::Waiting => Box::pin(self.look_at_waiting()).await?,
                Part::Manifest => Box::pin(self.read_manifest()).await?,
                Part::Files => Box::pin(self.fetch_files()).await?,
            };
            if reach == Reach::More {
                return Ok(Reach::More);
            }
        }
        // Rows that differ may have asked for a pass over all.
        Ok(if self.state.pass.is_some() { Reach::More } else { Reach::Done })
    }

    /// The fields of the source, and what the tables are made of: others than before ask for a pass over all rows.
    async fn meet(&mut self) -> Result<(), Trouble> {
        let now = shape(self.pipeline.pipeline());
        if self.state.hash == self.hash && self.state.shape == now {
            return Ok(());
        }
        self.warm.lens = None;
        self.lens().await?;
        if self.state.meet(&self.hash, &shape(self.pipeline.pipeline())) {
            let (pipeline, hash) = (self.name(), &self.hash);
            tracing::info!(pipeline, hash, "the form or the tables are new or have changed: all rows are read");
            self.save().await?;
        }
        Ok(())
    }

    /// Fetches files that are due.
    async fn fetch_files(&mut self) -> Result<Reach, Trouble> {
        let pipeline = &Arc::clone(self.pipeline.pipeline());
        let store = &mut self.warm.store;
        let work = Box::pin(attachment::work(self.turn, self.client, pipeline, store, self.budget)).await?;
        self.turn.count_files(pipeline, work.stored);
        Ok(if work.more { Reach::More } else { Reach::Done })
    }

    /// How rows are read. Asked for when the first rows are: a tick without news needs none.
    pub(super) async fn lens(&mut self) -> Result<Arc<Decoder>, Trouble> {
        if let Some((hash, decoder)) = &self.warm.lens
            && *hash == self.hash
        {
            return Ok(Arc::clone(decoder));
        }
        let schema = self.client.fields(&self.set, self.budget).await?;
        self.pipeline.see(self.turn, Known::All(&schema.all_fields(self.source.geo))).await?;
        let decoder = Arc::new(Decoder::new(&schema, self.source));
        self.warm.lens = Some((self.hash.clone(), Arc::clone(&decoder)));
        Ok(decoder)
    }

    /// Stores the state by itself.
    pub(super) async fn save(&mut self) -> Result<(), Trouble> {
        self.apply(Read::default()).await.map(drop)
    }

    /// What was read, in one transaction with the state. Gives the rows that became dead letters.
    pub(super) async fn apply(&mut self, read: Read) -> Result<Vec<Box<str>>, Trouble> {
        self.turn.prolong().await?;
        let pipeline = self.pipeline.pipeline();
        let mut batch: Batch<'_> = batch_of(pipeline, read.events);
        batch.only_writer = true;
        batch.checkpoint = Some(Checkpoint {
            partition: State::PARTITION.to_owned(),
            position: self.state.to_text(),
            at: batch.changes.iter().filter_map(|change| change.at).max(),
            fence: Some(self.turn.fence().clone()),
        });
        let outcome = self.turn.apply(pipeline, &batch).await?;
        let dead = batch.rejected.iter().chain(&outcome.refused);
        let dead = dead.map(|bad| batch.origins[bad.event as usize].position.clone()).collect();
        drop(batch);
        if let Some(waiting) = &mut self.waiting {
            waiting.learn(read.lacks);
        }
        Ok(dead)
    }

    pub(super) fn has_time(&self) -> bool {
        self.budget.allows(TIME_FOR_A_PAGE)
    }

    /// Adds something that somebody should know.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.turn.note(self.pipeline.pipeline(), text);
    }

    /// The pipeline's name.
    pub(super) fn name(&self) -> &str {
        &self.pipeline.pipeline().name
    }
}

/// What a run is made of, in its order.
#[derive(Clone, Copy)]
enum Part {
    Letters,
    Changes,
    Waiting,
    Manifest,
    Files,
}
