//! ODK Central into Postgres, from a fake of it that behaves as was observed: passes, repeats, files, entities, and what
//! goes wrong.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]
#![allow(clippy::print_stdout, reason = "figures, for who asks for them with --nocapture")]

mod compare;
mod convergence;
mod crash;
mod entity;
mod files;
mod fixture;
mod keys;
mod moves;
mod old;
mod resume;
mod wrong;
