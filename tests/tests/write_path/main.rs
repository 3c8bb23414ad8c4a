//! The write path on a real server: invariants 1 to 5 and 7 of ARCHITECTURE.md.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]

mod adoption;
mod attachment;
mod convergence;
mod fenced;
mod fixture;
mod flight;
mod interleaving;
mod live;
mod parts;
mod pooled;
mod purge;
mod receipts;
mod refusal;
mod repair;
mod role;
mod runner;
mod value;
mod view;
