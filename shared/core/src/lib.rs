//! The heart of Tributary: values, versions, the mapping, and what an event means for the rows of a table.
//!
//! Pure: no tokio, no AWS, no clock, no environment, no network. What it needs of the world is handed in.

pub mod auto;
pub mod batch;
pub mod cast;
pub mod cell;
pub mod change;
pub mod column_type;
pub mod decimal;
pub mod error;
pub mod event;
pub mod expr;
pub mod finding;
pub mod mapping;
pub mod memory;
pub mod path;
pub mod pipeline;
pub mod register;
pub mod route;
pub mod sink;
pub mod source;
pub mod table;
pub mod value;
pub mod version;
pub mod view;
pub mod webhook;

pub use error::{Error, Kind, Result};
