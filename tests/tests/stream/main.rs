//! The function behind a stream as Lambda delivers it, and worse: any order, twice, killed, cut off, refused.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]
#![allow(clippy::print_stdout, reason = "figures, for who asks for them with --nocapture")]

mod convergence;
mod crash;
mod fixture;
mod history;
mod metrics;
mod poison;
mod rotation;
mod twin;
