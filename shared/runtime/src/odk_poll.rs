//! The poller of ODK Central: keeps tables equal to a form's submissions, or to a dataset's entities.
//!
//! No single answer of a server tells all that has happened, so a run is made of parts, each of which finds what the others
//! cannot. Which change moves which of them was seen on real servers:
//!
//! | part | finds |
//! |---|---|
//! | the card | a new version of the form: other columns, all rows are read anew |
//! | the gate | whether anything was made, edited, reviewed, deleted, restored or purged: one request when nothing was |
//! | the window | what was made, edited, reviewed or deleted since the last pass |
//! | the ids | restores, purges, and what was committed later than the time that it bears |
//! | rows that lack something | files that arrive, data of encrypted submissions |
//! | the manifest, now and then | files that were taken away, submitters who were renamed, whatever a clock hid |
//!
//! Rows are read by one request at a time, each with the next number under the lease, so a version is the row's own time,
//! then the order in which we saw it. A place in a listing is stored in the transaction of the rows before it.
//!
//! What is refused or not found, cut or short never reads as "nothing there". A row that the ids don't have is asked for by
//! its id before it goes, and when many vanish at once two passes have to agree.

pub mod attachment;
mod changes;
mod digest;
mod guard;
mod ids;
mod letters;
mod listing;
mod manifest;
mod pass;
mod read;
mod run;
mod state;
mod stored;
mod waiting;

use std::collections::HashMap;
use std::sync::Arc;

use tributary_core::pipeline::{Datastore, Mapping, OdkEmail, OdkSet, OdkSource, OdkStore, SourceKind};
use tributary_core::{Error, Kind, Result};
use tributary_postgres::Credentials;
use tributary_sources::http::Patience;
use tributary_sources::odk::{Central, Login, Refusal, Trouble};

use crate::auto::Following;
use crate::secrets::Secrets;
use crate::tick::{Ended, Job, Poller, Share, Turn};
use run::{Reach, Run, Warm};

/// Polls ODK Central. Kept while a function is warm: sessions, the fields of forms, and which rows lack something.
pub struct OdkPoll<S> {
    secrets: Arc<S>,
    patience: Option<Patience>,
    clients: HashMap<String, Central>,
    warm: HashMap<String, Warm>,
}

impl<S: Secrets> OdkPoll<S> {
    /// A poller that gets its logins from these secrets.
    pub fn new(secrets: Arc<S>) -> Self {
        OdkPoll { secrets, patience: None, clients: HashMap::new(), warm: HashMap::new() }
    }

    /// Asks with another patience than pyODK's.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Makes sure that there is a client of this datastore.
    async fn connect(&mut self, name: &str, store: &OdkStore) -> Result<()> {
        if !self.clients.contains_key(name) {
            let email = match &store.email {
                OdkEmail::Plain(email) => email.clone(),
                OdkEmail::Secret(secret) => self.secrets.get(secret).await?.expose().trim().to_owned(),
            };
            let password = self.secrets.get(&store.password).await?.expose().to_owned();
            let login = Login { email, password, basic: store.basic };
            let client = match self.patience {
                Some(patience) => Central::with_patience(&store.base_url, login, patience),
                None => Central::new(&store.base_url, login),
            };
            self.clients.insert(name.to_owned(), client);
        }
        Ok(())
    }

    /// Lets the login be read anew.
    fn disconnect(&mut self, name: &str, store: &OdkStore) {
        if let OdkEmail::Secret(secret) = &store.email {
            self.secrets.evict(secret);
        }
        self.secrets.evict(&store.password);
        self.clients.remove(name);
    }
}

impl<C: Credentials, S: Secrets> Poller<C> for OdkPoll<S> {
    fn jobs<'m>(&self, mapping: &'m Mapping) -> Vec<Job<'m>> {
        let ours = mapping.pipelines.iter().filter(|pipeline| matches!(pipeline.source.kind, SourceKind::Odk(_)));
        ours.map(Job::of).collect()
    }

    async fn run(&mut self, turn: &mut Turn<'_, C>, budget: &Share) -> Result<Ended> {
        let wrong = || Error::new(Kind::Bug, "a job of ODK Central without its pipeline or datastore");
        let pipeline = *turn.pipelines().first().ok_or_else(wrong)?;
        let name = &pipeline.source.datastore;
        let (Some(Datastore::Odk(store)), SourceKind::Odk(source)) =
            (turn.mapping().datastores.get(name), &pipeline.source.kind)
        else {
            return Err(wrong());
        };
        let mut renewed = false;
        loop {
            self.connect(name, store).await?;
            let client = self.clients.get(name).ok_or_else(wrong)?;
            let warm = self.warm.entry(pipeline.name.clone()).or_default();
            let following = Following::begin(turn, pipeline).await?;
            let mut run = Run::new(turn, client, budget, following, source, warm);
            match Box::pin(run.all(&of(store, source))).await {
                Ok(Reach::Done) => return Ok(Ended::Drained),
                Ok(Reach::More) => return Ok(Ended::More),
                // The driver would give it another turn at once, and there is no time for what is next.
                Err(Trouble::OutOfTime) => return Ok(Ended::Later),
                Err(Trouble::Refused(Refusal { status: 401, .. })) if !renewed => {
                    tracing::warn!(datastore = name, "ODK Central refused the login; fetching it anew");
                    self.disconnect(name, store);
                    renewed = true;
                }
                Err(trouble) => return Err(trouble.into()),
            }
        }
    }
}

/// What a pipeline reads, as its state names it: another server, form or dataset begins anew.
fn of(store: &OdkStore, source: &OdkSource) -> String {
    let set = match &source.set {
        OdkSet::Form(form) => format!("forms/{form}"),
        OdkSet::Dataset(dataset) => format!("datasets/{dataset}"),
    };
    format!("{}/projects/{}/{set}", store.base_url.trim_end_matches('/'), source.project)
}
