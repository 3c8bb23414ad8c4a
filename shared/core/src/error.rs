//! The one error of the project: what kind of trouble, what happened, what to do about it, and what caused it.
//!
//! Callers branch on [`Kind`] and on [`Error::retry`], never on the text.

use std::error::Error as StdError;
use std::fmt;

/// What kind of trouble an [`Error`] is. It decides who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The mapping, a setting or the shape of a table is wrong: the operator mends it, a retry won't.
    Config,
    /// One record holds something that cannot be applied: it is dead-lettered, the others go on.
    Data,
    /// A system that we depend on does not answer: a retry may succeed.
    Unavailable,
    /// A credential was refused: fetch the secret anew once, then give up.
    Auth,
    /// Somebody else holds the lease, or took it over.
    Conflict,
    /// We broke an invariant of our own.
    Bug,
}

struct Inner {
    kind: Kind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// An error with its kind, its cause and, where we know one, a remedy.
///
/// `Display` prints the message alone, `{:#}` the whole chain of causes on one line.
pub struct Error(Box<Inner>);

/// A result with the project's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind. The message is lowercase, without a full stop, and holds no value of a row.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), hint: None, source: None }))
    }

    /// The operator must mend a mapping, a setting or a table.
    pub fn config(message: impl Into<String>) -> Self {
        Error::new(Kind::Config, message)
    }

    /// One record cannot be applied.
    pub fn data(message: impl Into<String>) -> Self {
        Error::new(Kind::Data, message)
    }

    /// A system does not answer.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Error::new(Kind::Unavailable, message)
    }

    /// Adds what the operator can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of trouble this is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whether the same call may succeed later with nothing changed by us.
    pub fn retry(&self) -> bool {
        matches!(self.0.kind, Kind::Unavailable)
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The message and all causes, joined by `: `. `tokio_postgres::Error` hides the server's words in its source, so a
    /// log line needs this.
    pub fn chain(&self) -> String {
        let mut text = self.0.message.clone();
        let mut next = self.source();
        while let Some(cause) = next {
            let cause_text = cause.to_string();
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            next = cause.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() { f.write_str(&self.chain()) } else { f.write_str(&self.0.message) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.chain())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_keeps_every_cause_and_the_short_form_does_not() {
        let inner = Error::unavailable("connection refused");
        let outer = Error::config("cannot read the table").with_source(inner).with_hint("start it");
        assert_eq!(outer.to_string(), "cannot read the table");
        assert_eq!(format!("{outer:#}"), "cannot read the table: connection refused");
        assert_eq!(outer.hint(), Some("start it"));
        assert!(!outer.retry());
    }
}
