//! Where changes come from: bytes or pages of a source, decoded into [`tributary_core::event::Event`]s.
//!
//! One module a source, behind a feature of its name, so that a function links the client libraries of its own source
//! only. None of them knows Postgres, the mapping or Lambda; the runtime joins those.

#[cfg(feature = "airtable")]
pub mod airtable;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
pub mod guess;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "http")]
pub mod json;
#[cfg(feature = "odk")]
pub mod odk;
#[cfg(feature = "sequin")]
pub mod sequin;
#[cfg(feature = "webhook")]
pub mod webhook;
