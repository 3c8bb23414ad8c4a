//! The command line as a user meets it: the real binary, what it prints where, and its exit codes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod demo;
mod dynamodb;
mod from_a_script;
mod infer;
mod infer_odk;
mod local;
mod offline;
mod operate;
mod program;
mod redrive;
mod replay_stream;
