//! Why a request was refused.

use std::fmt;

/// Why a request was refused. Its text holds nothing of the request and nothing of a secret, nor how near a guess came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub kind: Kind,
    /// With what.
    pub subject: Subject,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It isn't there.
    Missing,
    /// It is not of the form that the scheme has, or larger than anything sensible.
    Malformed,
    /// It is not of any of the secrets.
    Mismatch,
    /// It was signed too long ago: a replay, a delivery that was under way for long, or a clock that is wrong.
    Stale,
    /// It was signed in the future: a clock is wrong.
    Future,
}

/// With what something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The signature.
    Signature,
    /// The signed time.
    Timestamp,
    /// The signed id.
    Id,
    /// A token, a key, or a password.
    Credential,
}

impl Refusal {
    pub(super) fn new(kind: Kind, subject: Subject) -> Self {
        Refusal { kind, subject }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = match self.subject {
            Subject::Signature => "the signature",
            Subject::Timestamp => "the timestamp",
            Subject::Id => "the id",
            Subject::Credential => "the credential",
        };
        let kind = match self.kind {
            Kind::Missing => "is missing",
            Kind::Malformed => "is malformed",
            Kind::Mismatch => "does not match",
            Kind::Stale => "is too old",
            Kind::Future => "is in the future",
        };
        write!(f, "{subject} {kind}")
    }
}

impl std::error::Error for Refusal {}
