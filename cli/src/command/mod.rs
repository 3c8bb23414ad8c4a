//! The commands, one file each.

mod backfill;
mod check;
mod dead_letters;
mod demo;
mod generate;
mod hook;
mod infer;
mod invoke;
mod migrate;
mod poll;
mod recreate;
mod redrive;
mod replay;
mod replay_stream;
mod schema;
mod status;

use tributary_core::Error;

use crate::args::{Args, Command};
use crate::failure::{End, Failure};
use crate::output::Output;

/// Runs the command of this command line.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<End, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::unavailable("cannot start").with_source(e))?;
    runtime.block_on(async {
        match &args.command {
            Command::Demo(demo) => Box::pin(demo::run(args, demo, output)).await,
            Command::Check => check::run(args, output),
            Command::Schema => schema::run(output),
            Command::Migrate(migrate) => Box::pin(migrate::run(args, migrate, output)).await,
            Command::Backfill(backfill) => Box::pin(backfill::run(args, backfill, output)).await,
            Command::Generate(generate) => Box::pin(generate::run(generate, output)).await,
            Command::Invoke(invoke) => Box::pin(invoke::run(args, invoke, output)).await,
            Command::Hook(hook) => Box::pin(hook::run(args, hook, output)).await,
            Command::ReplayStream(replay) => Box::pin(replay_stream::run(args, replay, output)).await,
            Command::Redrive(redrive) => Box::pin(redrive::run(args, redrive, output)).await,
            Command::Infer(infer) => Box::pin(infer::run(args, infer, output)).await,
            Command::Poll(poll) => Box::pin(poll::run(args, poll, output)).await,
            Command::Status => Box::pin(status::run(args, output)).await,
            Command::DeadLetters(letters) => Box::pin(dead_letters::run(args, letters, output)).await,
        }
    })
}
