//! The function that polls ODK Central.

use super::poll::poll;
use crate::odk_poll::OdkPoll;

/// Polls the forms and datasets of the mapping at each tick, until Lambda ends the process.
///
/// # Errors
/// When settings or mapping are wrong; Lambda then reports a failed initialisation.
pub async fn odk_poll() -> Result<(), lambda_runtime::Error> {
    poll("odk-poll", OdkPoll::new).await
}
