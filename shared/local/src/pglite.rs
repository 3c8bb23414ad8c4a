//! `pglite-proxy`: Postgres 17 compiled to WebAssembly, behind a TCP port. It runs as root and needs nothing from the
//! system, but serves one connection at a time and ignores `statement_timeout`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use tributary_core::Error;

use crate::directory;
use crate::options::Options;
use crate::server::Server;

/// The program's name, and cargo's for the binary.
pub(crate) const PROGRAM: &str = "pglite-proxy";

/// Finds the program on `PATH` or among our tools.
pub(crate) fn find(tools: &Path) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain([tools.join("bin")]).map(|place| place.join(PROGRAM)).find(|file| file.is_file())
}

/// Starts it on an empty database of its own. Returns its URL too.
pub(crate) fn start(program: &Path, options: &Options) -> Result<(Server, String), Error> {
    let place = directory::private()?;
    let mut command: Vec<OsString> = vec![program.into()];
    command.extend(["--temporary", "--tcp", "127.0.0.1:0", "--print-uri"].map(OsString::from));
    for (name, value) in &options.settings {
        command.extend(["--postgres-config".into(), format!("{name}={value}").into()]);
    }
    Server::start(place, None, "TERM", &command, uri).map_err(|error| {
        error.with_hint("install postgres with the system's packages, or give the URL of a running database")
    })
}

/// The first whole line of its output that is a URL.
fn uri(place: &Path) -> Option<String> {
    let log = fs::read_to_string(place.join("log")).ok()?;
    let whole = log.rsplit_once('\n')?.0;
    whole.lines().find(|line| line.starts_with("postgresql://")).map(str::to_owned)
}
