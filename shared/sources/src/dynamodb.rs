//! DynamoDB: the records of its streams, the items of a scan, and sample data.
//!
//! Called by the runtime (events, backfills) and the command line (`generate`). AWS clients are made there and handed
//! in; nothing here reads the environment.

pub mod arn;
pub mod attribute;
mod failure;
pub mod generate;
pub mod rate;
pub mod record;
pub mod sample;
pub mod scan;
pub mod stream;
pub mod table;
mod wire;
