//! The real function behind a Runtime API: sample events, a database that goes away, processes that are killed.

mod crash;
mod deadline;
mod fixture;
mod memory;
mod outage;
mod sample;
