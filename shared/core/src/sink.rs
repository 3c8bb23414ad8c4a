//! Where changes go.

use std::future::Future;
use std::time::Duration;

use crate::batch::{Batch, Outcome};
use crate::error::Result;

/// Takes batches of changes. Implemented by Postgres and by the in-memory twin with the same version rule.
pub trait Sink {
    /// Applies a batch: afterwards every row is at least as new as the batch's change for it, no row went back, and
    /// dead letters and the checkpoint are stored too. When this returns `Ok`, all of it is durable; on `Err`, nothing
    /// is, and the same batch may be applied again.
    ///
    /// # Errors
    /// `Unavailable` after retries within the budget, `Config` when tables and mapping disagree, `Conflict` when the
    /// lease was lost, `Auth` when the credential was refused twice.
    fn apply(&mut self, batch: &Batch<'_>, budget: &impl Budget) -> impl Future<Output = Result<Outcome>>;
}

/// How much time is left: of a Lambda invocation, or of a run in a terminal.
pub trait Budget {
    /// Time left until the caller must have answered; `None` when there is no end.
    fn remaining(&self) -> Option<Duration>;

    /// Whether at least this much time is left.
    fn allows(&self, needed: Duration) -> bool {
        self.remaining().is_none_or(|left| left >= needed)
    }
}

/// A budget without end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl Budget for Unlimited {
    fn remaining(&self) -> Option<Duration> {
        None
    }
}
