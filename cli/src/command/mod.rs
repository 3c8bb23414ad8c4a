//! The commands, one file each.

mod check;
mod migrate;
mod schema;
mod status;

use crate::args::{Args, Command};
use crate::failure::{End, Failure};
use crate::output::Output;

/// Runs the command of this command line.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<End, Failure> {
    match &args.command {
        Command::Check => return check::run(args, output),
        Command::Schema => return schema::run(output),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| tributary_core::Error::unavailable("cannot start").with_source(e))?;
    runtime.block_on(async {
        match &args.command {
            Command::Migrate(migrate) => Box::pin(migrate::run(args, migrate, output)).await,
            Command::Status => Box::pin(status::run(args, output)).await,
            _ => Ok(End::Fine),
        }
    })
}
