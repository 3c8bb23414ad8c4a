//! Who may pass: the scheme of a hook with its secrets as they are now.
//!
//! Secrets are looked up anew now and then, and at once when a request doesn't match, because they may have been rotated.
//! That costs a call of Secrets Manager, so whoever sends nonsense makes us do it once in a while and not for each request.

use std::time::{Duration, Instant};

use tributary_core::Result;
use tributary_core::pipeline::SecretRef;
use tributary_core::webhook::Verification;
use tributary_sources::webhook::Headers;
use tributary_sources::webhook::verify::{Kind, Refusal, Request, Subject, Verified, Verifier};

use crate::secrets::{Secret, Secrets};

/// How long secrets are used before they are looked up again. The vault keeps those of Secrets Manager for longer.
const FRESH: Duration = Duration::from_secs(60);

/// How long after secrets were fetched anew a mismatch fetches nothing.
const PAUSE: Duration = Duration::from_secs(30);

/// A hook's verification.
pub(super) struct Gate {
    verification: Verification,
    open: Option<Open>,
    /// When a mismatch last had the secrets fetched anew.
    fetched: Option<Instant>,
}

/// A verifier, and what it was made of.
struct Open {
    verifier: Verifier,
    secrets: Vec<Secret>,
    since: Instant,
}

impl Gate {
    pub(super) fn new(verification: Verification) -> Self {
        Gate { verification, open: None, fetched: None }
    }

    /// Looks the secrets up, so that the first request needn't wait for it.
    ///
    /// # Errors
    /// As [`Gate::verify`].
    pub(super) async fn warm_up(&mut self, secrets: &impl Secrets) -> Result<()> {
        self.look_up(secrets).await
    }

    /// Verifies a request.
    ///
    /// # Errors
    /// The outer: what the keeper of the secrets fails with, or `Config` when a secret is not of the scheme's form. The
    /// inner: the request is refused.
    pub(super) async fn verify(
        &mut self,
        headers: &Headers,
        body: &[u8],
        now: i64,
        secrets: &impl Secrets,
    ) -> Result<Result<Verified, Refusal>> {
        if self.open.as_ref().is_none_or(|open| open.since.elapsed() >= FRESH) {
            self.refresh(secrets).await?;
        }
        let request = Request { headers, body, now };
        let first = self.check(&request);
        let rotated = matches!(first, Err(Refusal { kind: Kind::Mismatch, .. })) && self.may_fetch();
        if !rotated {
            return Ok(first);
        }
        self.fetched = Some(Instant::now());
        let before = self.open.as_ref().map(|open| open.secrets.clone());
        self.verification.secrets.iter().for_each(|reference| secrets.evict(reference));
        self.refresh(secrets).await?;
        if self.open.as_ref().map(|open| &open.secrets) == before.as_ref() {
            return Ok(first);
        }
        tracing::info!("the secrets of a hook have changed");
        Ok(self.check(&request))
    }

    fn check(&self, request: &Request<'_>) -> Result<Verified, Refusal> {
        match &self.open {
            Some(open) => open.verifier.verify(request),
            // Never so after a refresh, and then nobody passes.
            None => Err(Refusal { kind: Kind::Mismatch, subject: Subject::Credential }),
        }
    }

    /// Whether there is anything to fetch, and it is time.
    fn may_fetch(&self) -> bool {
        let remote = |reference: &SecretRef| !matches!(reference, SecretRef::Env(_));
        self.verification.secrets.iter().any(remote) && self.fetched.is_none_or(|fetched| fetched.elapsed() >= PAUSE)
    }

    /// Looks the secrets up. While their keeper doesn't answer, those that are known stay good.
    async fn refresh(&mut self, secrets: &impl Secrets) -> Result<()> {
        match (self.look_up(secrets).await, &mut self.open) {
            (Err(error), Some(open)) if error.retry() => {
                tracing::warn!(error = %error.chain(), hint = error.hint(), "going on with the known secrets of a hook");
                open.since = Instant::now();
                Ok(())
            }
            (result, _) => result,
        }
    }

    async fn look_up(&mut self, secrets: &impl Secrets) -> Result<()> {
        let mut found = Vec::with_capacity(self.verification.secrets.len());
        for reference in &self.verification.secrets {
            found.push(secrets.get(reference).await?);
        }
        let since = Instant::now();
        match &mut self.open {
            Some(open) if open.secrets == found => open.since = since,
            _ => {
                let texts: Vec<&str> = found.iter().map(Secret::expose).collect();
                let verifier = Verifier::new(self.verification.scheme.clone(), &texts)?;
                self.open = Some(Open { verifier, secrets: found, since });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "gate/tests.rs"]
mod tests;
