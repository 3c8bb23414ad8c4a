//! What a feed sends: rows with what stands around them, or their ids only.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use tributary_core::value::Value;
use tributary_core::{Error, Result};

use super::call::Gather;
use super::rows::{Envelope, Splitter};
use super::set::{Set, skiptoken};
use crate::json;

/// A page of a feed.
#[derive(Debug)]
pub struct Page {
    /// The rows, in the order of the server: the newest first.
    pub rows: Vec<Row>,
    /// How many rows the filter admits, all pages together, where that was asked. Fewer rows than that mean that the
    /// listing was cut in silence, as happens when the row at which it was to go on has been purged.
    pub count: Option<u64>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
    /// When the server says that it answered, in microseconds since 1970, rounded down to seconds.
    pub date: i64,
    /// Of [`super::Filter::Ids`] those that this server cannot be asked for: nothing is known of them. All others that are
    /// not among the rows are gone.
    pub unanswered: Vec<Box<str>>,
}

/// A row of a feed.
#[derive(Debug)]
pub struct Row {
    /// Its `__id`; empty when it has none.
    pub id: Box<str>,
    /// The row, or why it cannot be read.
    pub value: Result<Value>,
    /// The row as it was sent.
    pub payload: Bytes,
}

/// Whether rows have come, gone or changed since.
#[derive(Debug)]
pub enum Gate {
    /// None has, as far as the server tells.
    Same {
        /// When the server says that it answered, in microseconds since 1970, rounded down to seconds.
        date: i64,
    },
    /// Some may have.
    Changed {
        /// The mark of the present state, for the next time; `None` where the server gives none that can be trusted.
        etag: Option<String>,
        /// When the server says that it answered, in microseconds since 1970, rounded down to seconds.
        date: i64,
        /// The `__id`s of all rows that are not deleted.
        ids: Vec<Box<str>>,
    },
}

impl Row {
    /// Reads a row.
    pub fn read(payload: Bytes) -> Self {
        let text = std::str::from_utf8(&payload).map_err(|_| Error::data("a row is not UTF-8"));
        let value = text.and_then(json::read);
        let id = match value.as_ref().ok().and_then(|row| row.get("__id")) {
            Some(Value::Text(id)) => id.clone(),
            Some(_) => "".into(),
            // A row with a value that we cannot read still has a name.
            None => id_of(&payload).unwrap_or_default(),
        };
        Row { id, value, payload }
    }

    /// What the server says of it: `__system`.
    pub fn system(&self) -> Option<&Value> {
        self.value.as_ref().ok()?.get("__system")
    }

    /// When it was deleted, in microseconds since 1970; `None` where it is not. A time that cannot be read is 0.
    pub fn deleted_at(&self) -> Option<i64> {
        match self.system()?.get("deletedAt")? {
            Value::Null => None,
            at => Some(micros(at).unwrap_or(0)),
        }
    }

    /// When it was last changed, or else made, in microseconds since 1970. Attachments, restores and deletes don't show.
    pub fn changed_at(&self) -> Option<i64> {
        let system = self.system()?;
        let at = |name: &str| system.get(name).and_then(micros);
        at("updatedAt").or_else(|| at("submissionDate")).or_else(|| at("createdAt"))
    }

    /// The first part of its version: milliseconds since 1970 of the last change, of an entity the number of its version.
    /// 0 where it has none.
    pub fn first(&self, set: &Set) -> u64 {
        let number = match set {
            Set::Submissions { .. } => self.changed_at().map(|at| i128::from(at.div_euclid(1_000))),
            Set::Entities { .. } => match self.system().and_then(|system| system.get("version")) {
                Some(Value::Number(number)) => number.to_i128(),
                _ => None,
            },
        };
        number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
    }
}

fn micros(value: &Value) -> Option<i64> {
    let Value::Text(text) = value else { return None };
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}

/// Reads the rows of a page.
#[derive(Default)]
pub(super) struct Rows {
    splitter: Splitter,
    rows: Vec<Row>,
}

impl Gather for Rows {
    type Out = (Vec<Row>, Option<u64>, Option<String>);

    fn take(&mut self, part: &[u8]) -> Result<()> {
        self.splitter.take(part, |row| {
            self.rows.push(Row::read(Bytes::copy_from_slice(row)));
            Ok(())
        })
    }

    fn finish(self) -> Result<Self::Out> {
        let Envelope { count, next } = self.splitter.finish()?;
        let next = next.map(|link| {
            skiptoken(&link).ok_or_else(|| Error::data("a page of ODK Central has a next link that leads nowhere"))
        });
        Ok((self.rows, count, next.transpose()?))
    }
}

/// Reads the ids of all rows, and keeps nothing else of them.
#[derive(Default)]
pub(super) struct Ids {
    splitter: Splitter,
    ids: Vec<Box<str>>,
}

impl Gather for Ids {
    type Out = Vec<Box<str>>;

    fn take(&mut self, part: &[u8]) -> Result<()> {
        self.splitter.take(part, |row| {
            self.ids.push(id_of(row)?);
            Ok(())
        })
    }

    fn finish(self) -> Result<Self::Out> {
        let envelope = self.splitter.finish()?;
        match envelope.next {
            None => Ok(self.ids),
            // To take a part for the whole would delete the rest.
            Some(_) => Err(Error::data("ODK Central sends the ids of a part of the rows only")
                .with_hint("a proxy before it may add a page size to requests; let them through as they are")),
        }
    }
}

fn id_of(row: &[u8]) -> Result<Box<str>> {
    #[derive(Deserialize)]
    struct Row<'b> {
        #[serde(rename = "__id", borrow)]
        id: Cow<'b, str>,
    }
    let row: Row<'_> =
        serde_json::from_slice(row).map_err(|_| Error::data("a row of ODK Central has no `__id` that can be read"))?;
    Ok(row.id.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms() -> Set {
        Set::Submissions { project: 1, form: "f".into() }
    }

    fn entities() -> Set {
        Set::Entities { project: 1, dataset: "d".into() }
    }

    #[test]
    fn a_row_says_when_it_was_changed_and_deleted() {
        let check = |row: &str, set: &Set, first: u64, deleted_at: Option<i64>| {
            let row = Row::read(Bytes::copy_from_slice(row.as_bytes()));
            assert_eq!((row.first(set), row.deleted_at()), (first, deleted_at), "{row:?}");
        };
        let made = r#"{"__id":"a","__system":{"submissionDate":"1970-01-01T00:00:01.500Z","updatedAt":null,"deletedAt":null}}"#;
        check(made, &forms(), 1_500, None);
        let edited = made.replace("\"updatedAt\":null", "\"updatedAt\":\"1970-01-01T00:00:02.001Z\"");
        check(&edited, &forms(), 2_001, None);
        let deleted = made.replace("\"deletedAt\":null", "\"deletedAt\":\"1970-01-01T00:00:03Z\"");
        check(&deleted, &forms(), 1_500, Some(3_000_000));
        check(r#"{"__system":{"submissionDate":"soon","deletedAt":"x"}}"#, &forms(), 0, Some(0));
        check(r#"{"__system":{"submissionDate":"1969-01-01T00:00:00Z"}}"#, &forms(), 0, None);
        let entity = r#"{"__id":"a","__system":{"createdAt":"1970-01-01T00:00:01Z","version":7}}"#;
        check(entity, &entities(), 7, None);
        check(r#"{"__id":"a"}"#, &entities(), 0, None);
    }

    #[test]
    fn a_row_that_cannot_be_read_takes_no_other_with_it() {
        let mut rows = Rows::default();
        rows.take(br#"{"value":[{"__id":"a"},{"__id":"b","x":1e999999},{"__id":7}],"@odata.context":"c"}"#).unwrap();
        let (rows, count, next) = rows.finish().unwrap();
        let read: Vec<(&str, bool)> = rows.iter().map(|row| (&*row.id, row.value.is_ok())).collect();
        assert_eq!((read, count, next), (vec![("a", true), ("b", false), ("", true)], None, None));
        assert_eq!(&rows[1].payload[..], br#"{"__id":"b","x":1e999999}"#);
    }

    #[test]
    fn a_part_of_the_ids_is_not_taken_for_all() {
        let check = |body: &str, expect: Option<&[&str]>| {
            let mut ids = Ids::default();
            let read = ids.take(body.as_bytes()).and_then(|()| ids.finish()).ok();
            let expect = expect.map(|ids| ids.iter().map(|id| Box::from(*id)).collect::<Vec<Box<str>>>());
            assert_eq!(read, expect, "{body}");
        };
        check(
            r#"{"value":[{"__id":"uuid:a"},{"other":[],"__id":"\u0062"}],"@odata.context":"c"}"#,
            Some(&["uuid:a", "b"]),
        );
        check(r#"{"value":[{"__id":"a"}],"@odata.context":"c","@odata.nextLink":"x?$skiptoken=1"}"#, None);
        check(r#"{"value":[{"id":"a"}],"@odata.context":"c"}"#, None);
        check(r#"{"value":[{"__id":"a"}]}"#, None);
    }

    #[test]
    fn only_the_place_is_taken_from_a_next_link() {
        let check = |link: &str, expect: Option<&str>| assert_eq!(skiptoken(link).as_deref(), expect, "{link}");
        let host = "https://evil.example.org/v1/projects/1/forms/f.svc/Submissions";
        check(&format!("{host}?%24top=2&%24skiptoken=01eyJ9%3D%3D"), Some("01eyJ9=="));
        check(&format!("{host}?$skiptoken=a%2Bb%2Fc&$top=2#d"), Some("a+b/c"));
        check(&format!("{host}?$top=2"), None);
        check(&format!("{host}?$skiptoken="), None);
        check(&format!("{host}?$skiptoken=skip:1"), None);
        // A server of before v2023.4.
        check(&format!("{host}?%24top=2&%24skip=4"), Some("skip:4"));
        check(&format!("{host}?%24skip=1%26x"), None);
        check(host, None);
        let mut rows = Rows::default();
        rows.take(br#"{"value":[],"@odata.context":"c","@odata.nextLink":"https://x/?$top=1"}"#).unwrap();
        assert!(rows.finish().is_err(), "a next page that cannot be asked for is no end");
    }
}
