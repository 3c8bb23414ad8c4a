//! The only crate that writes SQL: connecting, migrating, applying batches, checkpoints, leases and dead letters.
//!
//! It knows changes and tables, never sources. The statements are in `sql`, the transaction in `flush`, what happens
//! when a row is refused in `bisect`.

mod adopt;
mod attachment;
mod bisect;
mod catalog;
mod checkpoint;
mod chunk;
pub mod connect;
mod dead_letter;
mod encode;
mod flush;
mod fold;
mod live;
mod migrate;
mod operate;
mod preview;
mod purge;
mod receipt;
mod recreate;
mod repair;
mod session;
mod sink;
mod sql;
mod status;
mod tally;
mod view;

pub use attachment::{Due, Fetched};
pub use dead_letter::{Letter, Which};
pub use migrate::{Plan, Refusal, Step};
pub use preview::{create_database, drop_database};
pub use recreate::{COUNTED, Held, Holdings, Made};
pub use repair::{Burial, Unseen};
pub use sink::{Credentials, Postgres};
pub use status::{Lease, Stand, Status, Tally};
