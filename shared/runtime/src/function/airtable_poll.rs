//! The function that polls Airtable.

use std::sync::Arc;

use tributary_core::{Error, Result};
use tributary_sources::airtable::client::Pace;

use super::poll::poll;
use super::started;
use crate::airtable_poll::AirtablePoll;
use crate::vault::Vault;

/// How many requests a second a base gets from us, where others need some of its five.
const RATE: &str = "TRIBUTARY_AIRTABLE_RATE";

/// Polls the Airtable tables of the mapping at each tick, until Lambda ends the process.
///
/// # Errors
/// When settings or mapping are wrong; Lambda then reports a failed initialisation.
pub async fn airtable_poll() -> Result<(), lambda_runtime::Error> {
    let pace = started(pace(std::env::var(RATE).ok().as_deref()))?;
    poll("airtable-poll", |secrets: Arc<Vault>| AirtablePoll::new(secrets).with_pace(pace)).await
}

fn pace(text: Option<&str>) -> Result<Pace> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Pace::default()) };
    match text.parse() {
        Ok(per_second) if per_second > 0 => Ok(Pace { per_second, ..Pace::default() }),
        _ => Err(Error::config(format!("{RATE} is no number of requests a second"))
            .with_hint("write a whole number from 1; Airtable allows 5 for a base")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_five_a_second_or_what_is_asked_for() {
        let check = |text: Option<&str>, expect: Option<u32>| {
            assert_eq!(pace(text).ok().map(|pace| pace.per_second), expect, "{text:?}");
        };
        check(None, Some(5));
        check(Some(""), Some(5));
        check(Some("2"), Some(2));
        check(Some("0"), None);
        check(Some("2.5"), None);
    }
}
