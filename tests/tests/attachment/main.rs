//! The files of submissions: where they are put, and the worker that fetches them.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]

mod again;
mod bucket;
mod fixture;
mod priority;
mod wrong;
