//! ODK Central: its API, what its forms ask, and what the rows of its OData feeds mean.
//!
//! Called by the runtime (`odk_poll`) and by whoever asks what a form looks like (`infer`, `columns: auto`). Email and
//! password are handed in; nothing here reads the environment or knows Postgres. When to ask for what, and what it means
//! that a row doesn't come, is the caller's business.
//!
//! Facts are from <https://docs.getodk.org/central-api/> and from looking at real servers; those from v2023 on are served.

pub mod attachment;
mod call;
mod card;
pub mod client;
mod columns;
mod decode;
mod failure;
mod features;
mod flat;
pub mod page;
mod rows;
pub mod schema;
mod session;
pub mod set;
mod single;
mod version;

pub use attachment::{File, Got};
pub use card::Card;
pub use client::Central;
pub use decode::Decoder;
pub use failure::{Refusal, Trouble};
pub use page::{Gate, Page, Row};
pub use schema::{Field, Schema};
pub use session::Login;
pub use set::{Filter, Query, Set, View};
pub use single::IDS;
pub use version::{first_of, version};

#[cfg(test)]
mod tests;
