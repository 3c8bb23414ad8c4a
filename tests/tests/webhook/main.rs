//! The real function behind a URL: what senders post, verified, once, in the newest state, whatever they do and whatever
//! is away.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]

mod answer;
mod fixture;
mod flood;
mod keeping;
mod outage;
mod queue;
mod redelivery;
mod sample;
mod sender;
mod trigger;
