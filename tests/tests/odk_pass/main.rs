//! A form of ODK Central into Postgres, from a fake of it that behaves as its reference says: the passes, one by one and in
//! random histories with everything that goes wrong.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]
#![allow(clippy::print_stdout, reason = "figures, for who asks for them with --nocapture")]

mod change;
mod entity;
mod fixture;
mod history;
mod key;
mod trouble;
