//! What we ask of a server: what a form is, whether it has changed, and its rows.

use bytes::Bytes;
use tributary_core::sink::Budget;

use super::call::{Answer, Call, Gather, Line, PATIENCE, Whole};
use super::card::Card;
use super::failure::Trouble;
use super::features::Features;
use super::page::{Gate, Ids, Page, Rows};
use super::schema::Schema;
use super::session::Login;
use super::set::{Filter, Query, Set, View, Wording, words};
use crate::http::{HeaderValue, Patience, Request, header};

/// How an ETag begins that counts what happened to a form's submissions: `W/"eventhash:…"`, since v2026.1. Others are made
/// of the body by whoever passes it on, and a body of ids is the same after an edit.
const EVENTS: &str = "eventhash:";
/// How long the body of all ids may be: some ten million rows.
const ALL_IDS: usize = 1024 * 1024 * 1024;

/// One ODK Central, with one login. Kept while a function is warm: its session, connections, and what the server turned
/// out not to know.
#[derive(Debug)]
pub struct Central {
    pub(super) line: Line,
    pub(super) features: Features,
}

impl Central {
    /// The server at this address (`https://odk.example.org`).
    pub fn new(base_url: &str, login: Login) -> Self {
        Central::with_patience(base_url, login, PATIENCE)
    }

    /// As [`Central::new`], with another patience than pyODK's.
    pub fn with_patience(base_url: &str, login: Login, patience: Patience) -> Self {
        Central { line: Line::new(base_url, login, patience), features: Features::default() }
    }

    /// What tells whether a form or dataset is another one now.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn card(&self, set: &Set, budget: &impl Budget) -> Result<Card, Trouble> {
        let body = self.look(set, budget).await?.said.unwrap_or_default();
        Ok(match set {
            Set::Submissions { .. } => Card::of_form(&body)?,
            Set::Entities { .. } => Card::of_dataset(&body)?,
        })
    }

    /// What it asks.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn fields(&self, set: &Set, budget: &impl Budget) -> Result<Schema, Trouble> {
        let path = match set {
            Set::Submissions { .. } => format!("{}/fields?odata=true", set.path()),
            Set::Entities { .. } => set.path(),
        };
        let answer = self.read(&path, format!("read the fields of {}", set.spoken()), budget).await?;
        Ok(Schema::read(set, &answer.said.unwrap_or_default())?)
    }

    /// The ids of all rows that aren't deleted, unless nothing has happened since the answer with this ETag.
    ///
    /// Attachments, new versions of a form and renamed users don't show in it, and entities have none.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn gate(&self, set: &Set, etag: Option<&str>, budget: &impl Budget) -> Result<Gate, Trouble> {
        let query = Query { view: View::Ids, filter: None, top: 0, count: false, skiptoken: None };
        let etag = etag.filter(|etag| etag.contains(EVENTS)).and_then(|etag| HeaderValue::from_str(etag).ok());
        let answer = self.feed::<Ids>(set, &query, etag, budget).await?;
        let date = answer.date;
        let Some(ids) = answer.said else { return Ok(Gate::Same { date }) };
        let etag = answer.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok());
        Ok(Gate::Changed { etag: etag.filter(|etag| etag.contains(EVENTS)).map(str::to_owned), date, ids })
    }

    /// A page of rows.
    ///
    /// # Errors
    /// [`Trouble`]; with [`super::Refusal::is_lost_place`] the listing has to begin anew.
    pub async fn page(&self, set: &Set, query: &Query, budget: &impl Budget) -> Result<Page, Trouble> {
        if let Some(Filter::Ids(ids)) = &query.filter {
            return self.by_ids(set, query.view, ids, budget).await;
        }
        Ok(page(self.feed::<Rows>(set, query, None, budget).await?))
    }

    /// Asks for a feed, in simpler words where the server doesn't know the first ones.
    pub(super) async fn feed<G: Gather>(
        &self,
        set: &Set,
        query: &Query,
        etag: Option<HeaderValue>,
        budget: &impl Budget,
    ) -> Result<Answer<G::Out>, Trouble> {
        let lacks = self.features.of(set);
        let known = Wording { deleted_at: !lacks.deleted_at.is_set(), select: !lacks.select.is_set() };
        let mut wording = known;
        loop {
            let url = self.line.url(&format!("{}{}", set.feed(), words(set, query, wording)));
            let mut request = Request::get(url);
            if query.view == View::Ids {
                request.limit = ALL_IDS;
            }
            if let Some(etag) = &etag {
                request = request.header(header::IF_NONE_MATCH, etag.clone());
            }
            let takes: &[u16] = if etag.is_some() { &[304] } else { &[] };
            let call = Call::new(request, format!("read {}", set.spoken())).takes(takes);
            match self.line.ask::<G>(&call, budget).await {
                Ok(answer) => {
                    if wording.deleted_at != known.deleted_at {
                        tracing::info!("this ODK Central filters by no deletedAt: deletes show in the ids");
                        lacks.deleted_at.set();
                    }
                    if wording.select != known.select {
                        lacks.select.set();
                    }
                    return Ok(answer);
                }
                Err(Trouble::Refused(refusal)) if refusal.is_unknown_question() => {
                    wording = query.simpler(wording).ok_or(Trouble::Refused(refusal))?;
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// Looks whether it is there. Gives what the server says of it.
    pub(super) async fn look(&self, set: &Set, budget: &impl Budget) -> Result<Answer<Bytes>, Trouble> {
        self.read(&set.path(), format!("look at {}", set.spoken()), budget).await
    }

    async fn read(&self, path: &str, doing: String, budget: &impl Budget) -> Result<Answer<Bytes>, Trouble> {
        let call = Call::new(Request::get(self.line.url(path)), doing);
        self.line.ask::<Whole>(&call, budget).await
    }
}

pub(super) fn page(answer: Answer<<Rows as Gather>::Out>) -> Page {
    let (rows, count, next) = answer.said.unwrap_or_default();
    Page { rows, count, next, date: answer.date, unanswered: Vec::new() }
}
