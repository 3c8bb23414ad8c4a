//! Sequin: two products of that name whose APIs have little in common.
//!
//! **Sequin Stream** ([`message`]) sends changes of Postgres tables; it is self-hosted. The **former Sequin** ([`record`],
//! [`collection`]) sent records of Airtable and others; who still runs against such a server is served too.
//!
//! Both are queues: what was received is leased, and comes again unless it is acknowledged. [`consumer`] speaks to both.
//! Called by the runtime, which knows the mapping, holds the token and commits in between.

mod answer;
pub mod collection;
pub mod consumer;
pub mod infer;
pub mod message;
pub mod record;

use tributary_core::event::Origin;

/// How the position of a message begins that no pipeline takes.
pub const UNCLAIMED: &str = "unclaimed/";

fn unclaimed(origin: Origin) -> Origin {
    Origin { position: format!("{UNCLAIMED}{}", origin.position).into(), ..origin }
}
