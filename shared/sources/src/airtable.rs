//! Airtable: its Web API, what its cells mean, and what its webhooks tell.
//!
//! Called by the runtime (`airtable_poll`) and by whoever asks what a table looks like (`infer`, `columns: auto`). The
//! token is handed in; nothing here reads the environment or knows a mapping.
//!
//! Facts are from the Web API's reference, <https://airtable.com/developers/web/api/introduction>.

pub mod cell;
pub mod client;
mod failure;
pub mod formula;
mod gate;
pub mod payload;
pub mod record;
pub mod schema;

pub use client::Airtable;
pub use failure::{Refusal, Trouble};
