//! The files that belong to submissions: from the server to a bucket or a directory.

mod bucket;
mod directory;
mod spool;
mod store;

pub use spool::Spool;
pub use store::{Content, Store};
