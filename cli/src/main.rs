//! `tributary`: the operator's commands and the local runner.
//!
//! It calls the same handlers as the functions do. Results go to stdout, logs and progress to stderr.

mod args;
mod clock;
mod command;
mod failure;
mod log;
mod mapping;
mod output;
mod sink;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // A wrong command line ends here, with clap's words and exit code 2.
    let args = args::Args::parse();
    log::start();
    let mut output = output::Output::new(args.json);
    let result = command::run(&args, &mut output);
    failure::exit(result, &mut output)
}
