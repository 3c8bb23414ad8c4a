//! The functions as Lambda runs them: everything is made and connected during Init, then events are served one by one.
//!
//! A module a source; here is what they share.

#[cfg(feature = "airtable")]
mod airtable_poll;
#[cfg(feature = "dynamodb")]
mod dynamodb_stream;
#[cfg(feature = "odk")]
mod odk_poll;
#[cfg(any(feature = "sequin", feature = "airtable", feature = "odk"))]
mod poll;
#[cfg(feature = "sequin")]
mod sequin_poll;
#[cfg(feature = "webhook")]
mod webhook;

#[cfg(feature = "airtable")]
pub use airtable_poll::airtable_poll;
#[cfg(feature = "dynamodb")]
pub use dynamodb_stream::dynamodb_stream;
#[cfg(feature = "odk")]
pub use odk_poll::odk_poll;
#[cfg(feature = "sequin")]
pub use sequin_poll::sequin_poll;
#[cfg(feature = "webhook")]
pub use webhook::webhook;

use lambda_runtime::Diagnostic;
use serde_json::value::RawValue;
use tributary_core::{Error, Result};

/// What a handler is made of, or the reason why it can't be, which is logged with its hint.
fn started<H>(handler: Result<H>) -> Result<H> {
    handler.inspect_err(|error| tracing::error!(error = %error.chain(), hint = error.hint(), "cannot start"))
}

fn json(answer: &impl serde::Serialize) -> Result<Box<RawValue>> {
    serde_json::value::to_raw_value(answer)
        .map_err(|e| Error::new(tributary_core::Kind::Bug, "an answer is no JSON").with_source(e))
}

/// What Lambda shows of a failed invocation.
fn diagnostic(error: &Error) -> Diagnostic {
    tracing::error!(error = %error.chain(), hint = error.hint(), "the invocation failed");
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    Diagnostic { error_type: format!("{:?}", error.kind()), error_message: format!("{}{hint}", error.chain()) }
}
