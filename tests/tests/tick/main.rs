//! The driver of the polling functions on a real database: who gets a turn, when, for how long, and what is left behind.
//! What a turn does is scripted here; the real sources have tests of their own.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]

mod fairness;
mod fixture;
mod lease;
mod overdue;
mod trouble;
