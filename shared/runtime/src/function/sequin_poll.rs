//! The function that drains Sequin.

use super::poll::poll;
use crate::sequin_poll::SequinPoll;

/// Drains the Sequin consumers of the mapping at each tick, until Lambda ends the process.
///
/// # Errors
/// When settings or mapping are wrong; Lambda then reports a failed initialisation.
pub async fn sequin_poll() -> Result<(), lambda_runtime::Error> {
    poll("sequin-poll", SequinPoll::new).await
}
