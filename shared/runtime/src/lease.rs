//! The one runner of something: who holds the lease, and its prolongation while the work goes on.

use std::time::{Duration, Instant};

use tributary_core::Result;
use tributary_core::batch::Fence;
use tributary_postgres::{Credentials, Postgres};

/// How long a runner may be silent before another may take over.
const TERM: Duration = Duration::from_secs(120);
/// How often the lease is prolonged.
const PROLONG_EVERY: Duration = Duration::from_secs(30);

/// A lease that is held.
#[derive(Debug)]
pub struct Lease {
    fence: Fence,
    holder: String,
    prolonged: Instant,
}

impl Lease {
    /// Takes the lease of this name.
    ///
    /// # Errors
    /// `Conflict` when somebody else holds it, `Unavailable` when the database doesn't answer.
    pub async fn take<C: Credentials>(sink: &mut Postgres<C>, name: &str) -> Result<Self> {
        let holder = holder();
        let fence = sink.acquire(name, &holder, TERM).await?;
        Ok(Lease { fence, holder, prolonged: Instant::now() })
    }

    /// The lease with its number: a checkpoint that carries it fails to commit once somebody else took over.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Prolongs the lease when it is time to. To be called before each piece of work, which must take less than a minute.
    ///
    /// # Errors
    /// `Conflict` when it was lost.
    pub async fn prolong<C: Credentials>(&mut self, sink: &mut Postgres<C>) -> Result<()> {
        if self.prolonged.elapsed() > PROLONG_EVERY {
            let fence = sink.acquire(&self.fence.lease, &self.holder, TERM).await?;
            // A higher number means that it had expired. Nobody was there in between, but what was counted under the old
            // number must not be mixed with the new.
            if fence != self.fence {
                return Err(tributary_core::Error::new(
                    tributary_core::Kind::Conflict,
                    format!("the lease `{}` expired during the work", fence.lease),
                ));
            }
            self.prolonged = Instant::now();
        }
        Ok(())
    }

    /// Gives the lease back, so that the next runner need not wait for its end.
    ///
    /// # Errors
    /// `Unavailable` when the database doesn't answer; then it ends by itself.
    pub async fn give_back<C: Credentials>(self, sink: &mut Postgres<C>) -> Result<()> {
        sink.release(&self.fence).await
    }
}

/// Who runs: enough to tell two runners apart and to find the one.
fn holder() -> String {
    let function = std::env::var("AWS_LAMBDA_LOG_STREAM_NAME").unwrap_or_else(|_| "cli".to_owned());
    format!("{function}/{}/{:08x}", std::process::id(), fastrand::u32(..))
}
