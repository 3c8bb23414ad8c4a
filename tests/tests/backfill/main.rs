//! Backfills of a real table, in a local AWS, into a real Postgres.

mod fixture;
mod lease;
mod precedence;
mod program;
mod rate;
mod repair;
mod resume;
mod whole;
mod wrong;
