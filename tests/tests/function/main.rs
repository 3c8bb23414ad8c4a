//! The real function behind a Runtime API: sample events, a database that goes away, processes that are killed.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]

mod crash;
mod deadline;
mod fixture;
mod memory;
mod outage;
mod sample;
