//! Rows by their ids, in the ways that servers of different ages offer.

use tributary_core::sink::Budget;

use super::call::Call;
use super::client::{Central, page};
use super::failure::Trouble;
use super::page::{Page, Rows};
use super::set::{Filter, Query, Set, View};
use crate::http::Request;

/// Ids of one request: with more of them its address is longer than some proxies let through.
pub const IDS: usize = 20;

impl Central {
    /// The rows of these ids, in as many requests as it takes.
    pub(super) async fn by_ids(
        &self,
        set: &Set,
        view: View,
        ids: &[Box<str>],
        budget: &impl Budget,
    ) -> Result<Page, Trouble> {
        let lacks = self.features.of(set);
        let mut all = Found::default();
        // Whether a server reads a doubled quote as one is not sure, so that no answer says nothing.
        let (odd, plain): (Vec<Box<str>>, Vec<Box<str>>) = ids.iter().cloned().partition(|id| id.contains('\''));
        for chunk in plain.chunks(IDS) {
            if !lacks.ids.is_set() {
                match self.filtered(set, view, chunk, budget).await {
                    Ok(page) => {
                        all.add(page, chunk);
                        continue;
                    }
                    Err(Trouble::Refused(refusal)) if refusal.is_unknown_question() => {
                        tracing::info!("this ODK Central filters by no __id: rows are asked for one by one");
                        lacks.ids.set();
                    }
                    Err(trouble) => return Err(trouble),
                }
            }
            for id in chunk {
                self.one(set, id, &mut all, budget).await?;
            }
        }
        for id in &odd {
            let asked = std::slice::from_ref(id);
            let found = match lacks.ids.is_set() {
                true => None,
                false => match self.filtered(set, view, asked, budget).await {
                    Ok(page) => Some(page).filter(|page| page.rows.iter().any(|row| row.id == *id)),
                    Err(Trouble::Refused(refusal)) if refusal.is_unknown_question() => None,
                    Err(trouble) => return Err(trouble),
                },
            };
            match found {
                Some(page) => all.add(page, asked),
                None => all.unanswered.push(id.clone()),
            }
        }
        let date = match all.date {
            Some(date) if !all.is_doubted => date,
            // A form that was deleted meanwhile answers as a row that was: none of its rows is gone.
            _ => {
                let answer = self.look(set, budget).await?;
                all.date.unwrap_or(answer.date)
            }
        };
        Ok(Page { rows: all.rows, count: None, next: None, date, unanswered: all.unanswered })
    }

    async fn filtered(&self, set: &Set, view: View, ids: &[Box<str>], budget: &impl Budget) -> Result<Page, Trouble> {
        let query = Query { view, filter: Some(Filter::Ids(ids.to_vec())), top: 0, count: false, skiptoken: None };
        Ok(page(self.feed::<Rows>(set, &query, None, budget).await?))
    }

    /// `Submissions('id')`, which takes ids of this form only and knows no deleted row.
    async fn one(&self, set: &Set, id: &str, all: &mut Found, budget: &impl Budget) -> Result<(), Trouble> {
        let rest = id.get(..5).filter(|head| head.eq_ignore_ascii_case("uuid:")).map_or(id, |head| &id[head.len()..]);
        let is_plain = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_plain || !set.has_lists() {
            all.unanswered.push(id.into());
            return Ok(());
        }
        let url = self.line.url(&format!("{}('{id}')?$expand=*", set.feed()));
        let call = Call::new(Request::get(url), format!("read one of {}", set.spoken()));
        match self.line.ask::<Rows>(&call, budget).await {
            Ok(answer) => all.add(page(answer), &[id.into()]),
            Err(Trouble::Refused(refusal)) if refusal.is_missing() => all.is_doubted = true,
            Err(trouble) => return Err(trouble),
        }
        Ok(())
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    rows: Vec<super::page::Row>,
    unanswered: Vec<Box<str>>,
    /// The time of the first answer.
    date: Option<i64>,
    /// Whether a row was said not to be there in words that may mean its form.
    is_doubted: bool,
}

impl Found {
    fn add(&mut self, page: Page, asked: &[Box<str>]) {
        self.date = self.date.or(Some(page.date));
        // A server that knows no filter sends all it has.
        self.rows.extend(page.rows.into_iter().filter(|row| row.id.is_empty() || asked.contains(&row.id)));
    }
}
