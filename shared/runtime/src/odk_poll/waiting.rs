//! Rows that lack something that may still come, of which no timestamp and no mark tells: files, or the data of an
//! encrypted submission.

use std::collections::{HashMap, HashSet};

use tributary_core::value::Value;
use tributary_postgres::Credentials;
use tributary_sources::odk::{Filter, Query, Set, Trouble, View};

use super::digest::digest;
use super::ids::Asked;
use super::listing::{Leaf, Listing, Turned};
use super::manifest::MANIFEST_PAGE;
use super::read::made_at;
use super::run::{Reach, Run};
use super::stored::Ledger;

/// More rows than that are not asked for by their ids, unless what the server says of them has changed.
const MANY: usize = 100;

/// The rows of a pipeline that lack something.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    rows: HashMap<Box<str>, Lack>,
}

/// A row that lacks something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lack {
    /// When it was made, in microseconds since 1970.
    made_at: i64,
    /// What the server said of it, in short.
    digest: u64,
    /// The first part of its version.
    first: u64,
}

impl Lack {
    /// What a row lacks, by what the server says of it; `first` is the first part of its version.
    pub(super) fn of(system: &Value, first: u64) -> Option<Self> {
        let number = |name: &str| match system.get(name) {
            Some(Value::Number(number)) => number.to_i128(),
            _ => None,
        };
        let lacks_files = number("attachmentsPresent") < number("attachmentsExpected");
        let lacks_data =
            matches!(system.get("status"), Some(Value::Text(status)) if &**status == "missingEncryptedFormData");
        (lacks_files || lacks_data).then(|| Lack {
            made_at: made_at(system).unwrap_or(i64::MAX),
            digest: digest(system),
            first,
        })
    }
}

impl Waiting {
    /// These rows were read: what they lack now.
    pub(super) fn learn(&mut self, rows: Vec<(Box<str>, Option<Lack>)>) {
        for (id, lack) in rows {
            match lack {
                Some(lack) => drop(self.rows.insert(id, lack)),
                None => drop(self.rows.remove(&id)),
            }
        }
    }

    /// Those that were made after this time, in microseconds since 1970.
    fn since(&self, time: i64) -> Vec<(Box<str>, Lack)> {
        let due = self.rows.iter().filter(|(_, lack)| lack.made_at > time);
        let mut due: Vec<_> = due.map(|(id, lack)| (id.clone(), *lack)).collect();
        // The newest first: their files are waited for.
        due.sort_unstable_by(|(a_id, a), (b_id, b)| b.made_at.cmp(&a.made_at).then_with(|| a_id.cmp(b_id)));
        due
    }
}

impl<C: Credentials> Run<'_, '_, C> {
    /// Reads the rows again that lack something, if they are not too old.
    pub(super) async fn look_at_waiting(&mut self) -> Result<Reach, Trouble> {
        if matches!(self.set, Set::Entities { .. }) || self.source.retry_attachments_for.is_zero() {
            return Ok(Reach::Done);
        }
        if self.waiting.is_none() {
            self.waiting = Some(self.waiting_rows().await?);
        }
        let age = i64::try_from(self.source.retry_attachments_for.as_micros()).unwrap_or(i64::MAX);
        let mut due =
            self.waiting.as_ref().map(|waiting| waiting.since(self.now.saturating_sub(age))).unwrap_or_default();
        if due.len() > MANY {
            match self.changed_among(due).await? {
                Some(changed) => due = changed,
                None => return Ok(Reach::More),
            }
        }
        let asked: Vec<Asked> = due.iter().map(|(id, lack)| Asked::anew(id, lack.first)).collect();
        self.fetch_all(&asked, &mut HashSet::new()).await
    }

    /// The rows that lack something, by what is stored.
    async fn waiting_rows(&mut self) -> Result<Waiting, Trouble> {
        let mut waiting = Waiting::default();
        let pipeline = self.pipeline.pipeline();
        if let Some(ledger) = Ledger::of(pipeline, self.source) {
            ledger
                .visit(self.turn.sink(pipeline)?, true, |row| {
                    let lack =
                        row.system.as_ref().filter(|_| row.is_live).and_then(|system| Lack::of(system, row.first));
                    waiting.rows.extend(lack.map(|lack| (row.id, lack)));
                })
                .await?;
        }
        Ok(waiting)
    }

    /// Those of whom the server says something else now; `None` when the time is over.
    async fn changed_among(&mut self, rows: Vec<(Box<str>, Lack)>) -> Result<Option<Vec<(Box<str>, Lack)>>, Trouble> {
        let oldest = rows.iter().map(|(_, lack)| lack.made_at).min().unwrap_or_default();
        let mut unchanged: HashMap<Box<str>, Lack> = rows.into_iter().collect();
        let mut changed = Vec::new();
        let mut listing = Listing::default();
        loop {
            if !self.has_time() {
                return Ok(None);
            }
            let filter = Some(Filter::Since { at: oldest, deleted: false });
            let token = listing.token.clone();
            let query = Query { view: View::Manifest, filter, top: MANIFEST_PAGE, count: true, skiptoken: token };
            let page = self.client.page(&self.set, &query, self.budget).await?;
            let leaf = Leaf { rows: page.rows.len() as u64, count: page.count, next: page.next, lowest: None };
            for row in page.rows {
                let differs = |lack: &Lack| row.system().map(digest) != Some(lack.digest);
                if unchanged.get(&row.id).is_some_and(differs) {
                    changed.extend(unchanged.remove_entry(&row.id));
                }
            }
            match listing.turn(leaf, false) {
                Turned::More => {}
                // Those that didn't come are asked for by the next tick.
                Turned::Done | Turned::Short => return Ok(Some(changed)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lack(system: &str) -> Option<Lack> {
        Lack::of(&tributary_sources::json::read(system).unwrap(), 7)
    }

    #[test]
    fn rows_wait_for_files_and_for_encrypted_data() {
        let check = |present: &str, expected: &str, status: &str, waits: bool| {
            let system = format!(
                r#"{{"submissionDate":"1970-01-01T00:00:01Z","attachmentsPresent":{present},"attachmentsExpected":{expected},"status":{status}}}"#
            );
            assert_eq!(
                lack(&system).map(|lack| (lack.made_at, lack.first)),
                waits.then_some((1_000_000, 7)),
                "{system}"
            );
        };
        check("0", "0", "null", false);
        check("2", "2", "null", false);
        check("1", "2", "null", true);
        check("0", "1", "\"notDecrypted\"", true);
        check("1", "1", "\"notDecrypted\"", false);
        check("0", "0", "\"missingEncryptedFormData\"", true);
        check("null", "null", "null", false);
        assert_eq!(lack("{}"), None);
    }

    #[test]
    fn rows_wait_until_they_have_all_or_are_too_old() {
        let mut waiting = Waiting::default();
        let of = |made_at: i64| Some(Lack { made_at, digest: 0, first: 0 });
        let mut check = |rows: &[(&str, Option<Lack>)], since: i64, expect: &[&str]| {
            waiting.learn(rows.iter().map(|(id, lack)| ((*id).into(), *lack)).collect());
            let due: Vec<String> = waiting.since(since).into_iter().map(|(id, _)| id.into()).collect();
            assert_eq!(due, expect, "{rows:?} {since}");
        };
        check(&[("a", of(1)), ("b", of(2)), ("c", None)], 0, &["b", "a"]);
        check(&[], 1, &["b"]);
        check(&[("b", None), ("d", of(9))], 0, &["d", "a"]);
    }
}
