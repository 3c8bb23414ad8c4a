//! The whole bundle: `infra/template.yaml` as it is, deployed by the SAM CLI into an emulator of AWS, the real functions in
//! front of a real Postgres; and the functions under `cargo lambda`.

#![allow(clippy::unwrap_used, reason = "a test may, in its own functions too")]
#![allow(clippy::print_stdout, reason = "figures, for who asks for them with --nocapture")]

mod backfill;
mod central;
mod described;
mod fixture;
mod flow;
mod given_up;
mod outage;
mod ping;
mod poison;
mod polls;
mod rotation;
mod watch;
mod webhook;
