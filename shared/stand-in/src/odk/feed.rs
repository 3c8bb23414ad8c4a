//! Feeds: a page of rows newest first, how many there are, and where the next begins.

use std::fmt::Write as _;

use super::answer::Answer;
use super::digest::md5;
use super::filter::Operand;
use super::query::{Query, skiptoken};
use super::store::{Row, Store};

/// What belongs to a feed and not to its rows.
pub(super) struct Frame<'f> {
    /// Where the server believes to be, and the feed under it: `https://odk.example.org` and `/v1/…svc/Submissions`.
    pub(super) domain: &'f str,
    pub(super) path: &'f str,
    /// What a place names a row by: `instanceId` or `uuid`.
    pub(super) place: &'static str,
    pub(super) cursors: bool,
    pub(super) etags: bool,
    pub(super) if_none_match: Option<&'f str>,
    /// So many rows at the end of the page are lost.
    pub(super) short: usize,
}

/// A page of these rows.
pub(super) fn page<T: Row>(
    store: &Store<T>,
    query: &Query,
    frame: &Frame<'_>,
    write: impl Fn(&mut String, &T),
) -> Answer {
    let shown = |row: &&T| {
        let Some(filter) = &query.filter else { return !row.is_deleted() };
        (filter.shows_deleted || !row.is_deleted())
            && filter.holds(&|field| row.operand(field).unwrap_or(Operand::Null))
    };
    let top = query.top.unwrap_or(usize::MAX);
    let wanted = top.saturating_add(1);
    let mut rows: Vec<&T> = match &query.anchor {
        None => store.newest_first().filter(shown).skip(query.skip).take(wanted).collect(),
        // A place whose row was purged is before nothing.
        Some(anchor) => match store.get(anchor) {
            None => Vec::new(),
            Some(anchor) => store.before(anchor.key()).filter(shown).take(wanted).collect(),
        },
    };
    let more = rows.len() > top && top > 0;
    rows.truncate(top);
    let etag = etag(&rows);
    if frame.etags && top > 0 && frame.if_none_match == Some(etag.as_str()) {
        return Answer::new(304, vec![("odata-version", "4.0".to_owned()), ("etag", etag)], "");
    }
    let mut body = String::from("{\"value\":[");
    for row in &rows[..rows.len().saturating_sub(frame.short)] {
        write(&mut body, row);
        body.push(',');
    }
    if body.ends_with(',') {
        body.pop();
    }
    let (domain, path) = (frame.domain, frame.path);
    let (above, set) = path.rsplit_once('/').expect("a path");
    write!(body, "],\"@odata.context\":\"{domain}{above}/$metadata#{set}\"").expect("to a string");
    if let Some(last) = rows.last().filter(|_| more) {
        let next = if frame.cursors {
            query.next(("$skiptoken", skiptoken(frame.place, last.id())))
        } else {
            query.next(("$skip", (query.skip + rows.len()).to_string()))
        };
        write!(body, ",\"@odata.nextLink\":\"{domain}{path}?{next}\"").expect("to a string");
    }
    if query.count {
        let count = store.newest_first().filter(shown).count();
        write!(body, ",\"@odata.count\":{count}").expect("to a string");
    }
    body.push('}');
    let mut headers =
        vec![("odata-version", "4.0".to_owned()), ("content-type", "application/json; charset=utf-8".to_owned())];
    if frame.etags && top > 0 {
        headers.push(("etag", etag));
    }
    Answer { sized: false, ..Answer::new(200, headers, body) }
}

/// Of the events of these rows; nothing else moves it.
fn etag<T: Row>(rows: &[&T]) -> String {
    if rows.is_empty() {
        return format!("W/\"eventhash:{:032}\"", 0);
    }
    let events = rows.iter().fold(String::new(), |mut text, row| {
        write!(text, "{},", row.event()).expect("to a string");
        text
    });
    format!("W/\"eventhash:{}\"", md5(events.as_bytes()))
}
