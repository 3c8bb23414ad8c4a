//! A Postgres for the local runner: started when nobody named one.

use tributary_core::Error;
use tributary_core::pipeline::Mapping;
use tributary_local::{Options, Origin, Postgres, Route};

use crate::args::Args;
use crate::output::progress;
use crate::sink;

/// The server at this URL, or one that is found or started here.
///
/// # Errors
/// When there is none and none can be had.
pub(crate) async fn start(url: Option<&str>, keep: bool) -> Result<Postgres, Error> {
    let options =
        Options { url: url.map(str::to_owned), route: Route::from_env()?, keep, say: progress, ..Options::default() };
    let started = tokio::task::spawn_blocking(move || Postgres::find_or_start(&options)).await;
    started.map_err(|e| Error::unavailable("cannot start a postgres").with_source(e))?
}

/// Where nobody has named a database, one that is started here and named in `args`, with the mapping's tables. It ends
/// when it is dropped.
///
/// # Errors
/// When none can be had, or the tables cannot be made.
pub(crate) async fn stand_in(args: &mut Args, mapping: &Mapping) -> Result<Option<Postgres>, Error> {
    if !sink::none_at_hand(args, mapping) {
        return Ok(None);
    }
    let server = start(None, false).await?;
    progress(&format!("no database is named: {} is started for this command, and ends with it", name(&server)));
    args.database_url = Some(server.url().to_owned());
    for mut sink in sink::all(args, mapping)? {
        Box::pin(sink.postgres.migrate()).await?;
    }
    Ok(Some(server))
}

/// What it is, in words.
pub(crate) fn name(postgres: &Postgres) -> String {
    match postgres.origin() {
        Origin::Given => "the Postgres of --database-url".to_owned(),
        Origin::System { version } => format!("Postgres {version}"),
        Origin::Pglite => "Postgres in WebAssembly (pglite)".to_owned(),
    }
}
