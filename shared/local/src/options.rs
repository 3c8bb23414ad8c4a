//! What a caller may ask of a local Postgres.

use std::env;
use std::io::Write as _;
use std::path::PathBuf;

use tributary_core::Error;

/// The ways to a Postgres that are allowed, from `TRIBUTARY_POSTGRES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Route {
    /// All of them, the cheapest first.
    #[default]
    Any,
    /// Only binaries that are on this machine.
    System,
    /// Only `pglite-proxy`, installed with cargo if need be.
    Pglite,
    /// As if nothing were installed: tries the installation.
    Install,
}

impl Route {
    /// Reads `TRIBUTARY_POSTGRES`; absent or empty means [`Route::Any`].
    ///
    /// # Errors
    /// When the variable holds an unknown word.
    pub fn from_env() -> Result<Self, Error> {
        Route::parse(&env::var("TRIBUTARY_POSTGRES").unwrap_or_default())
    }

    fn parse(word: &str) -> Result<Self, Error> {
        match word {
            "" | "any" => Ok(Route::Any),
            "system" => Ok(Route::System),
            "pglite" => Ok(Route::Pglite),
            "install" => Ok(Route::Install),
            other => Err(Error::config(format!("TRIBUTARY_POSTGRES is `{other}`"))
                .with_hint("use any, system, pglite or install")),
        }
    }
}

/// What a caller asks of [`crate::Postgres::find_or_start`].
#[derive(Clone, Debug)]
pub struct Options {
    /// An existing database to use, as a libpq URL. Nothing is started or stopped then.
    pub url: Option<String>,
    /// The allowed ways to a Postgres.
    pub route: Route,
    /// Whether step 4, the installation, is allowed.
    pub install: bool,
    /// Whether commits reach the disk (`fsync`, `synchronous_commit`, `full_page_writes`). Off for tests, on for benchmarks.
    pub durable: bool,
    /// Whether the server goes on after us. [`crate::Postgres::stop_command`] says how to end it.
    pub keep: bool,
    /// Whether processes of the same user share one server. It ends about 3 s after the last of them. Needs `cache`.
    pub shared: bool,
    /// Further server settings, as `-c name=value`. They win over ours.
    pub settings: Vec<(String, String)>,
    /// Where the files of a freshly made cluster are kept for the next start, which saves 0.5 s. Usually in `target`.
    pub cache: Option<PathBuf>,
    /// Where tools are looked for (in its `bin`) and installed to.
    pub tools: PathBuf,
    /// Told in a line what takes long.
    pub say: fn(&str),
}

impl Default for Options {
    fn default() -> Self {
        let target = target_directory();
        Options {
            url: None,
            route: Route::Any,
            install: true,
            durable: false,
            keep: false,
            shared: false,
            settings: Vec::new(),
            cache: target.as_ref().map(|target| target.join("postgres")),
            tools: target.unwrap_or_else(|| PathBuf::from("target")).join("tools"),
            say: say_on_stderr,
        }
    }
}

impl Options {
    /// What tests want: `TEST_DATABASE_URL` if it is set (`DATABASE_URL` is not looked at, so that nobody's warehouse gets
    /// test tables), else a server that all test processes share.
    ///
    /// # Errors
    /// When `TRIBUTARY_POSTGRES` holds an unknown word.
    pub fn for_tests() -> Result<Self, Error> {
        let url = env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty());
        Ok(Options { url, route: Route::from_env()?, shared: true, ..Options::default() })
    }
}

/// The `target` directory that the running program was built into; none for an installed program.
fn target_directory() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    // A target directory is where cargo has put its mark, whatever its name.
    program.ancestors().find(|place| place.join("CACHEDIR.TAG").is_file()).map(PathBuf::from)
}

fn say_on_stderr(line: &str) {
    // Nobody may be listening any more, and that is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_read_or_refused() {
        let check = |word: &str, expect: Option<Route>| assert_eq!(Route::parse(word).ok(), expect, "{word}");
        check("", Some(Route::Any));
        check("system", Some(Route::System));
        check("pglite", Some(Route::Pglite));
        check("install", Some(Route::Install));
        check("docker", None);
    }

    #[test]
    fn a_test_program_lies_in_a_target_directory() {
        let target = target_directory().unwrap();
        assert!(env::current_exe().unwrap().starts_with(target));
    }
}
