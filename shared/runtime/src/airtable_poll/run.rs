//! One turn of a pipeline: its feed, then a sweep if one is due.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_core::auto::{Field, Known};
use tributary_core::batch::{Batch, Checkpoint};
use tributary_core::event::{Decoded, Undecodable};
use tributary_core::pipeline::{AirtableFeed, AirtableSource};
use tributary_core::sink::Budget;
use tributary_core::{Error, Result};
use tributary_postgres::Credentials;
use tributary_sources::airtable::client::Query;
use tributary_sources::airtable::record::{Decoder, Records, gone};
use tributary_sources::airtable::{Airtable, Trouble, formula, schema};

use super::modified::Window;
use super::state::{Feed, Swept, parse, text};
use super::sweep::Sweep;
use super::usage::wanted;
use crate::auto::Following;
use crate::batch::batch_of;
use crate::clock::unix_micros;
use crate::shape::shape;
use crate::tick::{Share, Turn};

/// How long a schema is believed.
const LENS_LIVES: Duration = Duration::from_secs(600);
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
    /// A sweep that goes on.
    pub(super) sweep: Option<Sweep>,
    /// The records of the last window of time, with the time that they showed.
    pub(super) seen: HashMap<Box<str>, i64>,
    /// How the table is read, and since when.
    lens: Option<(Instant, Arc<Lens>)>,
}

/// How the records of the table are read.
pub(super) struct Lens {
    /// The table's id.
    pub(super) table: String,
    pub(super) decoder: Decoder,
    /// The fields to ask for.
    pub(super) fields: Vec<String>,
    /// The id of the field that a feed by time goes by.
    pub(super) time: Option<String>,
    pub(super) shape: String,
}

pub(super) struct Run<'r, 't, C> {
    pub(super) turn: &'r mut Turn<'t, C>,
    pub(super) client: &'r Airtable,
    /// How long we may wait for Airtable. A commit may take all that is left of the tick.
    pub(super) budget: &'r Share,
    pub(super) pipeline: Following<'t>,
    pub(super) source: &'t AirtableSource,
    pub(super) warm: &'r mut Warm,
    pub(super) window: Window,
    /// While this lasts, a page may begin.
    time: Share,
}

impl<'r, 't, C: Credentials> Run<'r, 't, C> {
    pub(super) fn new(
        turn: &'r mut Turn<'t, C>,
        client: &'r Airtable,
        budget: &'r Share,
        pipeline: Following<'t>,
        source: &'t AirtableSource,
        warm: &'r mut Warm,
        window: Window,
    ) -> Self {
        Run { turn, client, budget, pipeline, source, warm, window, time: *budget }
    }

    pub(super) async fn all(&mut self) -> Result<Reach, Trouble> {
        self.retry_letters().await?;
        let swept: Option<Swept> =
            parse(self.turn.checkpoint(self.pipeline.pipeline(), Swept::PARTITION).await?.as_deref());
        let mut feed = self.listen(swept.as_ref().map_or(0, |swept| swept.healed)).await?;
        // Once a sweep, and not once a tick: that a hook is alive costs a request to know.
        let look = self.warm.sweep.is_none() && self.is_due(&feed, swept.as_ref()).is_some();
        let half = self.budget.remaining().map(|left| left / 2).filter(|half| *half > TIME_FOR_A_PAGE * 2);
        if let (Some(half), Some(_)) = (half, self.is_due(&feed, swept.as_ref())) {
            // However much the feed tells, a sweep must get on.
            self.time = self.time.at_most(half);
        }
        let reach = match &self.source.feed {
            AirtableFeed::Webhook { id } => Box::pin(self.follow(&mut feed, id.as_deref(), look)).await?,
            AirtableFeed::LastModified { .. } => Box::pin(self.read_modified(&mut feed)).await?,
            AirtableFeed::Sweep => Reach::Done,
        };
        self.time = *self.budget;
        if let Some(why) = self.is_due(&feed, swept.as_ref()) {
            if !self.has_time() {
                return Ok(Reach::More);
            }
            tracing::info!(pipeline = self.name(), why, "a sweep is due");
            if Box::pin(self.sweep(&mut feed)).await? == Reach::More {
                return Ok(Reach::More);
            }
        }
        if reach == Reach::More {
            return Ok(Reach::More);
        }
        match &feed.dead {
            // The sweeps go on, but somebody has to know.
            Some(why) => Err(Error::config(format!(
                "the webhook {} tells nothing any more: {why}",
                feed.hook.as_deref().unwrap_or_default()
            ))
            .with_hint(
                "changes show at the next sweep only; make another webhook and name it in the mapping, or write \
                 `feed: webhook`, and the function makes its own",
            )
            .into()),
            None => Ok(Reach::Done),
        }
    }

    fn is_due(&self, feed: &Feed, swept: Option<&Swept>) -> Option<&'static str> {
        let Some(swept) = swept else { return Some("the first") };
        let since = unix_micros().saturating_sub(swept.began);
        let shape = shape(self.pipeline.pipeline());
        if self.warm.sweep.is_some() {
            Some("it goes on")
        } else if self.source.feed == AirtableFeed::Sweep {
            Some("every run is one")
        } else if feed.breaks > swept.healed {
            Some("changes may have been missed")
        } else if shape != swept.shape {
            Some("the tables are made of other fields")
        } else if self.turn.is_forced() || self.turn.may_delete_many(self.name()) {
            Some("somebody asks for it")
        } else if u128::try_from(since).map_or(true, |since| since >= self.source.sweep_every.as_micros()) {
            Some("its time has come")
        } else {
            None
        }
    }

    pub(super) fn has_time(&self) -> bool {
        self.time.allows(TIME_FOR_A_PAGE)
    }

    /// How the table is read, by a schema that isn't old. Asked for when the first records are: an idle tick needs none.
    ///
    /// One that is a little old does no harm: fields are asked for by their ids, which a rename leaves, and Airtable refuses
    /// to list a field that isn't there any more.
    pub(super) async fn lens(&mut self) -> Result<Arc<Lens>, Trouble> {
        if let Some((since, lens)) = &self.warm.lens
            && since.elapsed() < LENS_LIVES
            // Somebody else may have seen other fields since.
            && lens.shape == shape(self.pipeline.pipeline())
        {
            return Ok(Arc::clone(lens));
        }
        let tables = self.client.tables(&self.source.base, self.budget).await?;
        let table = schema::table(&tables, &self.source.base, &self.source.table)?;
        self.pipeline.see(self.turn, Known::All(&fields_of(table))).await?;
        let pipeline = self.pipeline.pipeline();
        let decoder = Decoder::new(table, &wanted(pipeline))?;
        let mut fields: Vec<String> = decoder.field_ids().into_iter().map(str::to_owned).collect();
        let time = match &self.source.feed {
            AirtableFeed::LastModified { field } => {
                let field = table.need_field(field)?;
                field.check_last_modified()?;
                Some(field.id.clone())
            }
            AirtableFeed::Webhook { .. } | AirtableFeed::Sweep => None,
        };
        fields.extend(time.iter().filter(|time| !decoder.field_ids().contains(&time.as_str())).cloned());
        let lens = Lens { table: table.id.clone(), decoder, fields, time, shape: shape(pipeline) };
        let lens = Arc::new(lens);
        self.warm.lens = Some((Instant::now(), Arc::clone(&lens)));
        Ok(lens)
    }

    /// Lets the schema be read anew.
    pub(super) fn forget_lens(&mut self) {
        self.warm.lens = None;
    }

    /// A page of the table. A field that has gone since the schema was read is looked for once more; then it is an error
    /// that names those that are there.
    pub(super) async fn list(&mut self, mut query: Query) -> Result<Records, Trouble> {
        let mut again = query.offset.is_none();
        loop {
            let lens = self.lens().await?;
            query.fields.clone_from(&lens.fields);
            let table = lens.table.clone();
            match self.client.list(&self.source.base, &table, &query, self.budget).await {
                Err(Trouble::Refused(refusal)) if refusal.is_unknown_field() && again => {
                    again = false;
                    self.forget_lens();
                }
                other => return other,
            }
        }
    }

    /// These records as they are now. One that isn't returned is gone.
    pub(super) async fn fetch(&mut self, ids: &[(Box<str>, Option<i64>)]) -> Result<Fetched, Trouble> {
        // The schema comes first: what is observed by an earlier request must not get a later number.
        self.lens().await?;
        let version = self.turn.observation()?;
        let filter = formula::of_records(ids.iter().map(|(id, _)| &**id));
        let mut query = Query { filter_by_formula: Some(filter), ..Query::default() };
        let at: HashMap<&str, Option<i64>> = ids.iter().map(|(id, at)| (&**id, *at)).collect();
        let mut fetched = Fetched::default();
        loop {
            let page = self.list(query.clone()).await?;
            let lens = self.lens().await?;
            for record in page.records {
                let time =
                    lens.time.as_deref().and_then(|field| tributary_sources::airtable::record::time_of(&record, field));
                let mut read = lens.decoder.read(record, version, time);
                if let Ok(event) = &mut read.decoded {
                    event.at = at.get(&*read.id).copied().flatten().or(event.at);
                }
                fetched.there.insert(read.id);
                fetched.events.push(read.decoded);
            }
            query.offset = page.offset;
            if query.offset.is_none() {
                break;
            }
        }
        for (id, at) in ids.iter().filter(|(id, _)| !fetched.there.contains(id)) {
            fetched.events.push(Ok::<_, Undecodable>(gone(id, version, *at)));
        }
        Ok(fetched)
    }

    /// A batch of these events, and how far the source has been read with it. Gives the records that became dead letters.
    pub(super) async fn apply(
        &mut self,
        events: Vec<Decoded>,
        partition: &str,
        position: String,
    ) -> Result<Vec<Box<str>>, Trouble> {
        self.turn.prolong().await?;
        let pipeline = self.pipeline.pipeline();
        let mut batch: Batch<'_> = batch_of(pipeline, events);
        batch.only_writer = true;
        batch.checkpoint = Some(Checkpoint {
            partition: partition.to_owned(),
            position,
            at: batch.changes.iter().filter_map(|change| change.at).max(),
            fence: Some(self.turn.fence().clone()),
        });
        let outcome = self.turn.apply(pipeline, &batch).await?;
        let dead = batch.rejected.iter().chain(&outcome.refused);
        let dead: Vec<Box<str>> = dead.map(|bad| batch.origins[bad.event as usize].position.clone()).collect();
        if let Some(sweep) = &mut self.warm.sweep {
            sweep.refuse(dead.iter().cloned());
        }
        Ok(dead)
    }

    /// Stores how far the feed is, with the rows that this led to.
    pub(super) async fn store(&mut self, feed: &Feed, events: Vec<Decoded>) -> Result<(), Trouble> {
        self.apply(events, Feed::PARTITION, text(feed)).await.map(drop)
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

/// A table's fields, by the ids that renames leave.
fn fields_of(table: &schema::MetaTable) -> Vec<Field> {
    let fields = schema::fields(table).into_iter();
    fields.map(|field| Field { id: field.id, list: None, name: field.name, ty: Some(field.ty) }).collect()
}

/// What came of asking for records by their ids.
#[derive(Default)]
pub(super) struct Fetched {
    /// Each of them: as it is, or gone.
    pub(super) events: Vec<Decoded>,
    /// Those that are there.
    pub(super) there: HashSet<Box<str>>,
}
