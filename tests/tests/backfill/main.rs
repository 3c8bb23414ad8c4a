//! Backfills of a real table, in a local AWS, into a real Postgres.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]

mod fixture;
mod infer;
mod lease;
mod precedence;
mod program;
mod rate;
mod repair;
mod resume;
mod whole;
mod wrong;
