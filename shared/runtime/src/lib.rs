//! The Lambda edge: where the environment, AWS and the clock come in, and source, mapping and sink meet.
//!
//! Each source has a feature of its name, with its handler and what that needs.
//!
//! It writes no SQL and decodes no source: that is `tributary_postgres` and `tributary_sources`. Called by the functions,
//! the command line and the tests.

#[cfg(feature = "airtable")]
pub mod airtable_poll;
pub mod auto;
pub mod aws;
#[cfg(feature = "dynamodb")]
pub mod backfill;
pub mod batch;
pub mod budget;
mod clock;
pub mod database;
#[cfg(feature = "dynamodb")]
pub mod dynamodb_stream;
pub mod function;
mod housekeeping;
pub mod iam;
pub mod lease;
pub mod metrics;
#[cfg(feature = "odk")]
pub mod odk_poll;
pub mod replay;
pub mod secrets;
#[cfg(feature = "sequin")]
pub mod sequin_poll;
pub mod settings;
#[cfg(any(feature = "airtable", feature = "odk"))]
mod shape;
pub mod sinks;
#[cfg(feature = "dynamodb")]
pub mod stream_driver;
pub mod telemetry;
pub mod tick;
pub mod vault;
#[cfg(feature = "webhook")]
pub mod webhook;
