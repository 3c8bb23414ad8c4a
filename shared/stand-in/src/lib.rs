//! Servers that stand in for remote ones, in this process and on 127.0.0.1: where the real one cannot run, the tests and
//! the demonstration talk to these.
//!
//! They hold state and behave as the real ones are known to, traps and errors included; nothing is canned. They know
//! nothing of Tributary. They panic where a caller asks for what isn't there: no function links them.

pub mod airtable;
pub mod odk;
pub mod sequin;
