//! `tributary`: the operator's commands and the local runner.
//!
//! It calls the same handlers as the functions do. Results go to stdout, logs and progress to stderr.

mod args;
mod clock;
mod command;
mod failure;
mod function;
mod given_up;
mod input;
mod interrupt;
mod keeper;
mod letter;
mod local;
mod mapping;
mod output;
mod sink;
mod stream;

use std::process::ExitCode;

use clap::Parser as _;
use tributary_runtime::telemetry::{Format, start_with};

fn main() -> ExitCode {
    // A wrong command line ends here, with clap's words and exit code 2.
    let args = args::Args::parse();
    let mut output = output::Output::new(args.json);
    let logging = start_with(Format::Plain, "warn").map_err(failure::Failure::from);
    let result = logging.and_then(|()| command::run(&args, &mut output));
    failure::exit(result, &mut output)
}
