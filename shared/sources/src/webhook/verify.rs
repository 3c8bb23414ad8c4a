//! Whether a request comes from who it should come from: signatures and credentials, compared in constant time.
//!
//! Every secret is tried against every signature of the request, whatever matched before, so that the time taken doesn't
//! tell which one it was. A secret that is presented itself (a token) is compared by its digest, so that the time doesn't
//! tell how far it agrees. What is hashed is bounded first: headers by their length, signatures by their number.
//!
//! The cryptography is *ring*'s, which is in the program for TLS already: HMAC, SHA-256 and Ed25519. Two MACs are compared
//! with *subtle*, which TLS brings along too: *ring* verifies a MAC only of a message in one piece, and a signed message
//! of id, time and body would have to be copied for that.

mod claim;
mod credential;
mod encoding;
mod key;
mod refusal;
mod sign;

use std::time::Duration;

use tributary_core::{Error, Result};

use super::Headers;
pub use super::scheme::MAX_SECRETS;
use super::scheme::{Hmac, Piece, Scheme};
use claim::Claim;
use credential::Credentials;
pub(super) use encoding::to_hex;
use key::Keys;
pub use refusal::{Kind, Refusal, Subject};
pub use sign::{Outgoing, sign};

/// How long a header may be of which something is hashed or decoded.
pub const MAX_HEADER: usize = 8192;

/// How many signatures a request may carry. Senders send one for each secret while they rotate it.
pub const MAX_SIGNATURES: usize = 16;

/// A request to be verified.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// Its headers.
    pub headers: &'r Headers,
    /// The body as it arrived: base64 of the transport undone, compression not.
    pub body: &'r [u8],
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// What a request proved beside its origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The sender's id of the delivery, where the scheme signs one.
    pub id: Option<Box<str>>,
    /// When it was signed, in microseconds since 1970, where the scheme signs a time.
    pub at: Option<i64>,
}

/// A scheme with its secrets, ready to verify.
pub struct Verifier {
    scheme: Scheme,
    proof: Proof,
}

enum Proof {
    Signature(Keys),
    Credential(Credentials),
    Nothing,
}

impl Verifier {
    /// Prepares the secrets for the scheme. Each of them is accepted.
    ///
    /// # Errors
    /// `Config` when there is no secret or more than [`MAX_SECRETS`], when one is empty or not of the scheme's form, or when
    /// a generic HMAC has a time or an id that it doesn't sign, or signs one without saying where it stands. No message
    /// holds a secret.
    pub fn new<S: AsRef<str>>(scheme: Scheme, secrets: &[S]) -> Result<Self> {
        if scheme == Scheme::None {
            return if secrets.is_empty() {
                Ok(Verifier { scheme, proof: Proof::Nothing })
            } else {
                Err(Error::config("a hook that verifies nothing has secrets").with_hint("name the scheme they are for"))
            };
        }
        if secrets.is_empty() || secrets.len() > MAX_SECRETS {
            return Err(Error::config(format!("a hook has 1 to {MAX_SECRETS} secrets")));
        }
        if secrets.iter().any(|secret| secret.as_ref().is_empty()) {
            return Err(Error::config("a secret of a hook is empty"));
        }
        if let Scheme::Hmac(hmac) = &scheme {
            coherent(hmac)?;
        }
        let proof = match Credentials::new(&scheme, secrets)? {
            Some(credentials) => Proof::Credential(credentials),
            None => Proof::Signature(Keys::new(&scheme, secrets)?),
        };
        Ok(Verifier { scheme, proof })
    }

    /// The scheme.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Verifies a request.
    ///
    /// # Errors
    /// A [`Refusal`]. That a time is too old or ahead is said only of a request whose signature is right.
    pub fn verify(&self, request: &Request<'_>) -> Result<Verified, Refusal> {
        match &self.proof {
            Proof::Nothing => Ok(Verified::default()),
            Proof::Credential(credentials) => credentials.verify(request.headers),
            Proof::Signature(keys) => {
                let claim = Claim::read(&self.scheme, request.headers)?;
                if !keys.match_any(&claim, request.body) {
                    return Err(Refusal::new(Kind::Mismatch, Subject::Signature));
                }
                if let Some(time) = &claim.time {
                    fresh(time.micros, request.now, time.tolerance)?;
                }
                Ok(Verified { id: claim.id.map(Into::into), at: claim.time.map(|time| time.micros) })
            }
        }
    }
}

/// Without the secrets.
impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// A time or an id that nobody signed proves nothing, and looks as if it did.
fn coherent(hmac: &Hmac) -> Result<()> {
    for (place, name, header) in [
        (Piece::Timestamp, "timestamp", hmac.timestamp.as_ref().map(|time| &time.header)),
        (Piece::Id, "id", hmac.id.as_ref()),
    ] {
        match (hmac.template.has(&place), header) {
            (true, None) => {
                return Err(Error::config(format!("what is signed has {{{name}}}, and no header is named for it")));
            }
            (false, Some(_)) => {
                return Err(Error::config(format!("a header is named for {{{name}}}, which is not signed")).with_hint(
                    "what anybody can change proves nothing; let the template say how the sender signs it",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn fresh(micros: i64, now: i64, tolerance: Duration) -> Result<(), Refusal> {
    let tolerance = i64::try_from(tolerance.as_micros()).unwrap_or(i64::MAX);
    let now = now.saturating_mul(1_000_000);
    if now.saturating_sub(micros) > tolerance {
        Err(Refusal::new(Kind::Stale, Subject::Timestamp))
    } else if micros.saturating_sub(now) > tolerance {
        Err(Refusal::new(Kind::Future, Subject::Timestamp))
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[path = "verify/flip_tests.rs"]
mod flip_tests;
#[cfg(test)]
#[path = "verify/tests.rs"]
mod tests;
#[cfg(test)]
#[path = "verify/vector_tests.rs"]
mod vector_tests;
