//! Secrets that are presented themselves: tokens, keys, passwords.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use subtle::{Choice, ConstantTimeEq};
use tributary_core::{Error, Result};

use super::claim::present;
use super::{Kind, Refusal, Subject, Verified};
use crate::webhook::Headers;
use crate::webhook::scheme::Scheme;

const AUTHORIZATION: &str = "authorization";

/// The digests of the secrets, and how one is presented.
pub(super) struct Credentials {
    digests: Vec<[u8; 32]>,
    form: Form,
}

enum Form {
    Bearer,
    Basic,
    Header(Box<str>),
}

impl Credentials {
    /// `None` when the scheme signs.
    pub(super) fn new<S: AsRef<str>>(scheme: &Scheme, secrets: &[S]) -> Result<Option<Self>> {
        let form = match scheme {
            Scheme::Bearer => Form::Bearer,
            Scheme::Basic if secrets.iter().all(|secret| secret.as_ref().contains(':')) => Form::Basic,
            Scheme::Basic => return Err(Error::config("a secret of basic authentication is not `user:password`")),
            Scheme::Header { header } => Form::Header(header.clone()),
            _ => return Ok(None),
        };
        let digests = secrets.iter().map(|secret| sha256(secret.as_ref().as_bytes())).collect();
        Ok(Some(Credentials { digests, form }))
    }

    pub(super) fn verify(&self, headers: &Headers) -> Result<Verified, Refusal> {
        let name = match &self.form {
            Form::Bearer | Form::Basic => AUTHORIZATION,
            Form::Header(name) => name,
        };
        let value = present(headers, name, Subject::Credential)?;
        let malformed = Refusal::new(Kind::Malformed, Subject::Credential);
        let presented = match &self.form {
            Form::Header(_) => sha256(value.as_bytes()),
            Form::Bearer => sha256(after_word(value, "bearer").ok_or(malformed)?.as_bytes()),
            Form::Basic => {
                let text = after_word(value, "basic").ok_or(malformed)?;
                sha256(&STANDARD.decode(text).map_err(|_| malformed)?)
            }
        };
        let found = self.digests.iter().fold(Choice::from(0), |found, digest| found | digest.ct_eq(&presented));
        if found.into() { Ok(Verified::default()) } else { Err(Refusal::new(Kind::Mismatch, Subject::Credential)) }
    }
}

/// What stands after the name of the authentication, which has no case (RFC 9110, 11.1).
fn after_word<'v>(value: &'v str, word: &str) -> Option<&'v str> {
    let (name, rest) = value.split_once(' ')?;
    let rest = rest.trim_start_matches(' ');
    (name.eq_ignore_ascii_case(word) && !rest.is_empty()).then_some(rest)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}
