//! A Postgres for the local runner: started when nobody named one.

use tributary_core::Error;
use tributary_local::{Options, Origin, Postgres, Route};

use crate::output::progress;

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

/// What it is, in words.
pub(crate) fn name(postgres: &Postgres) -> String {
    match postgres.origin() {
        Origin::Given => "the Postgres of --database-url".to_owned(),
        Origin::System { version } => format!("Postgres {version}"),
        Origin::Pglite => "Postgres in WebAssembly (pglite)".to_owned(),
    }
}
