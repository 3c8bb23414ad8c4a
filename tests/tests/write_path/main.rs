//! The write path on a real server: invariants 1 to 5 and 7 of ARCHITECTURE.md.

mod adoption;
mod convergence;
mod fixture;
mod flight;
mod interleaving;
mod pooled;
mod purge;
mod refusal;
mod repair;
mod role;
mod runner;
mod value;
