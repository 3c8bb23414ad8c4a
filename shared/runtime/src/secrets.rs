//! What a secret is, and who finds one: see [`crate::vault`]. The mapping holds references only.

use std::fmt;
use std::future::Future;

use tributary_core::Result;
use tributary_core::pipeline::SecretRef;

/// A secret's value. It has no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value into care.
    pub fn new(value: impl Into<String>) -> Self {
        Secret(value.into())
    }

    /// The value, for the one who sends it where it belongs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Finds the values of secrets.
pub trait Secrets {
    /// The value behind a reference.
    ///
    /// # Errors
    /// `Config` when it is not there or may not be read, `Unavailable` when the keeper doesn't answer. The message names
    /// the reference, never the value.
    fn get(&self, reference: &SecretRef) -> impl Future<Output = Result<Secret>>;

    /// Forgets a value that a server refused, so that the next [`Secrets::get`] fetches it anew.
    fn evict(&self, reference: &SecretRef);
}
