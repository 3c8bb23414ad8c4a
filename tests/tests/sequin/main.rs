//! Sequin drained into Postgres: against a server of our own that behaves as Sequin does ([`tributary_tests::sequin`]).

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]
#![allow(clippy::print_stdout, reason = "figures, for who asks for them with --nocapture")]

mod auto;
mod convergence;
mod crash;
mod drain;
mod fixture;
mod history;
mod legacy;
mod memory;
mod program;
mod replay;
mod wrong;
