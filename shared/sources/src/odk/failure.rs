//! What an answer that is no success means, and what to do about it.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_core::{Error, Kind};

/// Why a request brought nothing.
#[derive(Debug)]
pub enum Trouble {
    /// What is left of the budget doesn't do for the request, or for the wait that the server asks for.
    OutOfTime,
    /// The server says no.
    Refused(Refusal),
    /// There was no answer, or none that can be read.
    Failed(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Trouble::Failed(error)
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::OutOfTime => Error::unavailable("ODK Central asks for more patience than there is time")
                .with_hint("the next tick goes on; give the function more time"),
            Trouble::Refused(refusal) => refusal.into_error(),
            Trouble::Failed(error) => error,
        }
    }
}

/// An answer by which a server says no. Its message is not kept: it may quote values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Central's number for the reason, as it writes it: `404.1`, `501.11`; empty when the body has none.
    pub code: String,
    /// What was asked for, as a message says it: `read the submissions of the form rent in project 1`.
    pub doing: String,
    /// Whether it was the login that was refused.
    pub at_login: bool,
}

impl Refusal {
    /// Whether there is no such thing: a form that was deleted, a project that never was. It never means that rows are gone.
    pub fn is_missing(&self) -> bool {
        self.status == 404
    }

    /// Whether the place at which a listing was to go on isn't there any more. It begins anew.
    pub fn is_lost_place(&self) -> bool {
        matches!(self.code.as_str(), "400.34" | "400.35")
    }

    /// Whether the server may know nothing of what the question mentions, so that a simpler one may be answered.
    pub(super) fn is_unknown_question(&self) -> bool {
        matches!(self.status, 400 | 501) && !self.is_lost_place()
    }

    fn into_error(self) -> Error {
        let Refusal { status, code, doing, at_login } = &self;
        let code = if code.is_empty() { "no reason given" } else { code };
        match (status, at_login) {
            (401, _) if code == "401.3" => {
                Error::new(Kind::Auth, "ODK Central takes email and password with each request over https only")
                    .with_hint("write `https://` in `base_url`, or leave `basic: true` out")
            }
            (401, true) => Error::new(Kind::Auth, "ODK Central refuses the email and password").with_hint(
                "look at what the datastore's `auth:` points to: it takes a web user of Central, not an app user, and \
                 its password as it is typed into the login page",
            ),
            (401, false) => Error::new(Kind::Auth, format!("ODK Central doesn't let this user {doing} ({code})"))
                .with_hint("the session was renewed and refused again: see whether the web user was retired"),
            (404, true) => Error::config("ODK Central has no login by email and password").with_hint(
                "either `base_url` is not the address of an ODK Central, or people log in there by single sign-on \
                 (OIDC), which leaves no way in for programs: ask its administrator for a server without it",
            ),
            (403, _) => Error::config(format!("ODK Central doesn't let this user {doing} ({code})")).with_hint(
                "give the web user of the datastore's `auth:` the role Project Viewer in that project; app users and \
                 public links may send submissions, not read them",
            ),
            (404, false) => Error::config(format!("ODK Central cannot {doing}: there is no such thing ({code})"))
                .with_hint(
                    "check `project:` (a number, as in the address of its page) and `form:` (the form id, not its title) \
                     or `dataset:`; of a form that was deleted the rows stay as they are",
                ),
            (408 | 429 | 500 | 502..=599, _) => {
                Error::unavailable(format!("ODK Central cannot {doing} now: status {status}, {code}"))
                    .with_hint("the next tick tries again; the server's log says more")
            }
            (300..=399, _) => Error::config(format!("the address of ODK Central leads elsewhere: status {status}"))
                .with_hint("write the address as the browser shows it, with https://; the login is not sent along"),
            (400 | 501, _) => Error::config(format!("ODK Central refuses to {doing}: status {status}, {code}"))
                .with_hint("servers from v2023.4 on are known to work; see what /version.txt says"),
            _ => Error::config(format!("ODK Central refuses to {doing}: status {status}, {code}"))
                .with_hint("check the address, the project and the form that the mapping names"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}, {}", self.status, self.code)
    }
}

/// The number of the reason in an error's body: `{"message": "…", "code": 404.1}`. As it is written there, since 501.1 and
/// 501.10 are two.
pub(super) fn code(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body<'b> {
        #[serde(borrow)]
        code: &'b RawValue,
    }
    let code = serde_json::from_slice::<Body<'_>>(body).map(|body| body.code.get()).unwrap_or_default();
    let is_number = code.len() <= 8 && code.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_number { code.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_a_number_and_nothing_else_is_kept() {
        let check = |body: &str, expect: &str| assert_eq!(code(body.as_bytes()), expect, "{body}");
        check(r#"{"message":"Could not find the resource you were looking for.","code":404.1}"#, "404.1");
        check(r#"{"message":"about Ada","code":501.10,"details":{"feature":"x"}}"#, "501.10");
        check(r#"{"message":"x","code":"hunter2"}"#, "");
        check(r#"{"message":"x"}"#, "");
        check("<html>", "");
        check("", "");
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        let check = |status: u16, code: &str, at_login: bool, kind: Kind, hint: &str| {
            let doing = "read the submissions of the form rent in project 1".to_owned();
            let refusal = Refusal { status, code: code.into(), doing, at_login };
            let error = Error::from(Trouble::Refused(refusal));
            assert_eq!(error.kind(), kind, "{status} {code}");
            assert!(error.hint().unwrap().contains(hint), "{status} {code}: {:?}", error.hint());
        };
        check(401, "401.2", true, Kind::Auth, "not an app user");
        check(401, "401.2", false, Kind::Auth, "was retired");
        check(401, "401.3", false, Kind::Auth, "leave `basic: true` out");
        check(403, "403.1", false, Kind::Config, "Project Viewer");
        check(404, "404.1", false, Kind::Config, "not its title");
        check(404, "404.1", true, Kind::Config, "single sign-on (OIDC)");
        check(400, "400.18", false, Kind::Config, "version.txt");
        check(501, "501.5", false, Kind::Config, "version.txt");
        check(301, "", true, Kind::Config, "https://");
        for status in [408, 429, 500, 502, 503, 504] {
            check(status, "", false, Kind::Unavailable, "next tick");
        }
        check(418, "", false, Kind::Config, "check the address");
    }

    #[test]
    fn a_place_that_is_lost_is_no_question_that_is_unknown() {
        let check = |status: u16, code: &str, lost: bool, unknown: bool| {
            let refusal = Refusal { status, code: code.into(), doing: String::new(), at_login: false };
            assert_eq!((refusal.is_lost_place(), refusal.is_unknown_question()), (lost, unknown), "{code}");
        };
        check(400, "400.35", true, false);
        check(400, "400.34", true, false);
        check(400, "400.18", false, true);
        check(501, "501.5", false, true);
        check(404, "404.1", false, false);
        check(500, "500.1", false, false);
    }
}
