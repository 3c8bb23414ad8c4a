//! What is asked of a form or a dataset, as the address of a request says it.
//!
//! Only what every server answers in the same way is used: no `$orderby` (its own next link fails), no tables of repeats
//! (a page of one costs a look at all submissions).

use std::fmt::Write as _;

use jiff::Timestamp;
use tributary_core::pipeline::{OdkSet, OdkSource};

/// Something whose rows are read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Set {
    /// The submissions of a form.
    Submissions {
        /// The project's number.
        project: u64,
        /// The form's id, `xmlFormId`.
        form: String,
    },
    /// The entities of a dataset.
    Entities {
        /// The project's number.
        project: u64,
        /// The dataset's name.
        dataset: String,
    },
}

impl Set {
    /// What a source reads.
    pub fn of(source: &OdkSource) -> Self {
        let project = source.project;
        match &source.set {
            OdkSet::Form(form) => Set::Submissions { project, form: form.clone() },
            OdkSet::Dataset(dataset) => Set::Entities { project, dataset: dataset.clone() },
        }
    }

    /// As a message says it: `the submissions of the form rent in project 1`.
    pub(super) fn spoken(&self) -> String {
        match self {
            Set::Submissions { project, form } => format!("the submissions of the form {form} in project {project}"),
            Set::Entities { project, dataset } => format!("the entities of the dataset {dataset} in project {project}"),
        }
    }

    /// The path of the form or dataset below the server's address.
    pub(super) fn path(&self) -> String {
        match self {
            Set::Submissions { project, form } => format!("/v1/projects/{project}/forms/{}", encoded(form)),
            Set::Entities { project, dataset } => format!("/v1/projects/{project}/datasets/{}", encoded(dataset)),
        }
    }

    /// The path of its feed.
    pub(super) fn feed(&self) -> String {
        let table = match self {
            Set::Submissions { .. } => "Submissions",
            Set::Entities { .. } => "Entities",
        };
        format!("{}.svc/{table}", self.path())
    }

    /// Whether rows have lists of their own.
    pub(super) fn has_lists(&self) -> bool {
        matches!(self, Set::Submissions { .. })
    }

    fn created(&self) -> &'static str {
        match self {
            Set::Submissions { .. } => "__system/submissionDate",
            Set::Entities { .. } => "__system/createdAt",
        }
    }
}

/// Which rows are asked for, and how much of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// How much of each row.
    pub view: View,
    /// Which rows; all that are not deleted otherwise.
    pub filter: Option<Filter>,
    /// How many rows a page has at most. Not used with [`Filter::Ids`], which is one page.
    pub top: u32,
    /// Whether all rows that the filter admits are counted.
    pub count: bool,
    /// Where the page begins: [`super::Page::next`] of the one before.
    pub skiptoken: Option<String>,
}

/// How much of a row is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// All, the elements of its lists too.
    Whole,
    /// `__id` and `__system`.
    Manifest,
    /// `__id`.
    Ids,
}

/// Which rows are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Those that were made, changed or deleted at this time or later.
    Since {
        /// Microseconds since 1970; the server knows milliseconds.
        at: i64,
        /// Whether deleted rows are among them. A server that cannot tell sends those that are not deleted.
        deleted: bool,
    },
    /// Those that were made at this time or earlier: what is left of a listing whose place is lost.
    Until {
        /// Microseconds since 1970; the server knows milliseconds.
        at: i64,
    },
    /// Those of these `__id`s, deleted ones too where the server can tell them.
    Ids(Vec<Box<str>>),
}

/// How a server is asked, of the ways that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wording {
    /// Whether `deletedAt` may be mentioned.
    pub(super) deleted_at: bool,
    /// Whether `$select` may be used.
    pub(super) select: bool,
}

/// The query of an address.
pub(super) fn words(set: &Set, query: &Query, wording: Wording) -> String {
    let mut options: Vec<(&str, String)> = Vec::new();
    match query.view {
        View::Whole if set.has_lists() => options.push(("$expand", "*".into())),
        View::Manifest if wording.select => options.push(("$select", "__id,__system".into())),
        View::Ids if wording.select => options.push(("$select", "__id".into())),
        View::Whole | View::Manifest | View::Ids => {}
    }
    if let Some(filter) = &query.filter {
        options.push(("$filter", filter.words(set, wording)));
    }
    if query.count {
        options.push(("$count", "true".into()));
    }
    if query.top > 0 {
        options.push(("$top", query.top.to_string()));
    }
    if let Some(token) = &query.skiptoken {
        match token.strip_prefix(SKIP) {
            Some(rows) => options.push(("$skip", rows.to_owned())),
            None => options.push(("$skiptoken", token.clone())),
        }
    }
    let mut words = String::new();
    for (name, value) in options {
        let mark = if words.is_empty() { '?' } else { '&' };
        let _ = write!(words, "{mark}{name}={}", encoded(&value));
    }
    words
}

impl Filter {
    fn words(&self, set: &Set, wording: Wording) -> String {
        match self {
            Filter::Since { at, deleted } => {
                let at = instant(*at);
                let mut words = format!("{} ge {at} or __system/updatedAt ge {at}", set.created());
                // To mention it drops the condition that rows are not deleted.
                if *deleted && wording.deleted_at {
                    let _ = write!(words, " or __system/deletedAt ge {at}");
                }
                words
            }
            Filter::Until { at } => format!("{} le {}", set.created(), instant(*at)),
            Filter::Ids(ids) => {
                let one = |id: &str| format!("__id eq '{}'", id.replace('\'', "''"));
                let any = ids.iter().map(|id| one(id)).collect::<Vec<_>>().join(" or ");
                if wording.deleted_at {
                    format!("({any}) and (__system/deletedAt eq null or __system/deletedAt ne null)")
                } else {
                    any
                }
            }
        }
    }
}

/// A time as a filter takes it: milliseconds, rounded down, UTC with a `Z` (a `+00:00` would be read as a space).
fn instant(micros: i64) -> String {
    let at = Timestamp::from_millisecond(micros.div_euclid(1_000)).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

/// A part of an address, with all that could end it encoded.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// What was encoded so, or `None` when it isn't text.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

/// What a place begins with that is a number of rows, not the server's own word.
const SKIP: &str = "skip:";

/// The `$skiptoken` of a next link. The rest of it is not used: it names the host that the server takes itself for.
///
/// Servers of before v2023.4 know no such tokens: there the place is how many rows came before, the link's `$skip`.
pub(super) fn skiptoken(link: &str) -> Option<String> {
    let (_, query) = link.split_once('?')?;
    let query = query.split('#').next()?;
    let of = |wanted: &str| {
        let mut found = query.split('&').filter_map(|pair| pair.split_once('='));
        decoded(found.find(|(name, _)| decoded(name).as_deref() == Some(wanted))?.1)
    };
    let token = of("$skiptoken").filter(|token| !token.is_empty() && !token.starts_with(SKIP));
    token.or_else(|| of("$skip")?.parse::<u64>().ok().map(|rows| format!("{SKIP}{rows}")))
}

impl Query {
    /// Other words for the same, for a server that doesn't know these; `None` when there are none.
    pub(super) fn simpler(&self, wording: Wording) -> Option<Wording> {
        let mentions_deleted = matches!(&self.filter, Some(Filter::Since { deleted: true, .. } | Filter::Ids(_)));
        if wording.deleted_at && mentions_deleted {
            Some(Wording { deleted_at: false, ..wording })
        } else if wording.select && self.view != View::Whole {
            Some(Wording { select: false, ..wording })
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Set {
        Set::Submissions { project: 3, form: "a b/ü.x".into() }
    }

    fn dataset() -> Set {
        Set::Entities { project: 3, dataset: "trees".into() }
    }

    const ALL: Wording = Wording { deleted_at: true, select: true };

    #[test]
    fn questions_are_as_the_server_reads_them() {
        let check = |set: &Set, view: View, filter: Option<Filter>, wording: Wording, expect: &str| {
            let query = Query { view, filter, top: 0, count: false, skiptoken: None };
            assert_eq!(decoded(&words(set, &query, wording)).unwrap(), expect);
        };
        let since = |deleted| Some(Filter::Since { at: 1_795_162_571_000_999, deleted });
        let at = "2026-11-20T08:16:11.000Z";
        check(&form(), View::Whole, None, ALL, "?$expand=*");
        check(&dataset(), View::Whole, None, ALL, "");
        check(&form(), View::Manifest, None, ALL, "?$select=__id,__system");
        check(&form(), View::Ids, None, ALL, "?$select=__id");
        check(&form(), View::Ids, None, Wording { select: false, ..ALL }, "");
        let both = format!("__system/submissionDate ge {at} or __system/updatedAt ge {at}");
        check(&form(), View::Whole, since(false), ALL, &format!("?$expand=*&$filter={both}"));
        check(
            &form(),
            View::Whole,
            since(true),
            ALL,
            &format!("?$expand=*&$filter={both} or __system/deletedAt ge {at}"),
        );
        let old = Wording { deleted_at: false, ..ALL };
        check(&form(), View::Whole, since(true), old, &format!("?$expand=*&$filter={both}"));
        check(
            &dataset(),
            View::Whole,
            since(false),
            ALL,
            &format!("?$filter={}", both.replace("submissionDate", "createdAt")),
        );
        let ids = || Some(Filter::Ids(vec!["uuid:a".into(), "it's".into()]));
        let any = "__id eq 'uuid:a' or __id eq 'it''s'";
        check(&form(), View::Whole, ids(), old, &format!("?$expand=*&$filter={any}"));
        check(
            &form(),
            View::Whole,
            ids(),
            ALL,
            &format!("?$expand=*&$filter=({any}) and (__system/deletedAt eq null or __system/deletedAt ne null)"),
        );
    }

    #[test]
    fn nothing_in_a_name_ends_the_address() {
        assert_eq!(form().feed(), "/v1/projects/3/forms/a%20b%2F%C3%BC.x.svc/Submissions");
        let query =
            Query { view: View::Whole, filter: None, top: 250, count: true, skiptoken: Some("01ey+/==&$top=1".into()) };
        assert_eq!(words(&dataset(), &query, ALL), "?$count=true&$top=250&$skiptoken=01ey%2B%2F%3D%3D%26%24top%3D1");
        assert_eq!(decoded("%zz"), None);
        assert_eq!(decoded("%c3"), None);
    }

    #[test]
    fn there_is_an_end_to_simpler_words() {
        let check = |view: View, filter: Option<Filter>, expect: u32| {
            let query = Query { view, filter, top: 0, count: false, skiptoken: None };
            let (mut wording, mut count) = (ALL, 0);
            while let Some(simpler) = query.simpler(wording) {
                (wording, count) = (simpler, count + 1);
            }
            assert_eq!(count, expect, "{query:?}");
        };
        check(View::Whole, None, 0);
        check(View::Ids, None, 1);
        check(View::Whole, Some(Filter::Since { at: 0, deleted: false }), 0);
        check(View::Whole, Some(Filter::Since { at: 0, deleted: true }), 1);
        check(View::Manifest, Some(Filter::Ids(vec!["a".into()])), 2);
    }
}
