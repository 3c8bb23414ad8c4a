//! Airtable into Postgres, from a fake of it that behaves as its reference says: feeds, sweeps, and what goes wrong.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]
#![allow(clippy::print_stdout, reason = "figures, for who asks for them with --nocapture")]

mod auto;
mod cells;
mod convergence;
mod crash;
mod feed;
mod figures;
mod fixture;
mod hook;
mod modified;
mod pace;
mod sweep;
mod wrong;
