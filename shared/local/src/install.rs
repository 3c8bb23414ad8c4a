//! Gets a Postgres onto a machine that has none. Changes the system only as root, and starts no service.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use tributary_core::Error;

use crate::account::io;
use crate::binaries::{self, Binaries};
use crate::cluster::lock;
use crate::directory;
use crate::options::{Options, Route};
use crate::pglite;

/// What to tell whoever has no Postgres.
pub(crate) const ADVICE: &str = "install one (`apt-get install postgresql`, `brew install postgresql@17`), name its \
     directory by TRIBUTARY_POSTGRES_BIN, or give the URL of a running database";

/// The last release of the WebAssembly build.
const PGLITE: &str = "pglite-oxide@0.5.1";

/// Where Debian's packages look whether they are to make a cluster and start it when they are installed.
const DEBIAN_CLUSTERS: &str = "/etc/postgresql-common/createcluster.d/tributary.conf";

/// What an installation led to.
pub(crate) enum Installed {
    /// The system's server.
    System(Binaries),
    /// The program `pglite-proxy`.
    Pglite(PathBuf),
}

/// Installs one, after looking whether another process has just done so.
pub(crate) fn install(options: &Options) -> Result<Installed, Error> {
    fs::create_dir_all(&options.tools).map_err(|cause| io("cannot make", &options.tools, cause))?;
    let _lock = lock(&options.tools.join("lock"))?;
    let mut failures = Vec::new();
    if options.route != Route::Pglite {
        if options.route == Route::Any
            && let Some(binaries) = binaries::find()?
        {
            return Ok(Installed::System(binaries));
        }
        for way in [with_apt, with_brew] {
            match way(options) {
                Ok(false) => {}
                Ok(true) => match binaries::find()? {
                    Some(binaries) => return Ok(Installed::System(binaries)),
                    None => failures.push("the installed package holds no `initdb`".to_owned()),
                },
                Err(error) => {
                    (options.say)(&format!("{error}; trying another way"));
                    failures.push(error.chain());
                }
            }
        }
    }
    if let Some(program) = pglite::find(&options.tools) {
        return Ok(Installed::Pglite(program));
    }
    match with_cargo(options) {
        Ok(program) => Ok(Installed::Pglite(program)),
        Err(error) => {
            failures.push(error.chain());
            Err(Error::config("no postgres on this machine, and none could be installed")
                .with_source(failures.join("; "))
                .with_hint(ADVICE))
        }
    }
}

/// Debian and Ubuntu, as root. False when this is another system or we are not root.
fn with_apt(options: &Options) -> Result<bool, Error> {
    let probe = directory::private()?;
    let root = fs::metadata(probe.path()).is_ok_and(|made| std::os::unix::fs::MetadataExt::uid(&made) == 0);
    if !root || !succeeds("apt-get", &["--version"]) {
        return Ok(false);
    }
    let packages = ["install", "--yes", "--no-install-recommends", "postgresql"];
    told(options, "installing postgres with apt-get", || {
        let _no_cluster = NoCluster::at(Path::new(DEBIAN_CLUSTERS))?;
        let mut tried = run(&options.tools, "apt-get", &packages);
        if tried.is_err() {
            // A fresh container has no lists of packages, an old one has stale ones.
            run(&options.tools, "apt-get", &["update"])?;
            tried = run(&options.tools, "apt-get", &packages);
        }
        tried
    })?;
    Ok(true)
}

/// Keeps the package from making a cluster, and so from starting one, while it is installed. Nothing of it stays.
struct NoCluster<'a>(&'a Path);

impl<'a> NoCluster<'a> {
    fn at(file: &'a Path) -> Result<Self, Error> {
        let written = file.parent().map_or(Ok(()), fs::create_dir_all);
        let written = written.and_then(|()| fs::write(file, "create_main_cluster = false\n"));
        written.map(|()| NoCluster(file)).map_err(|cause| io("cannot write", file, cause))
    }
}

impl Drop for NoCluster<'_> {
    fn drop(&mut self) {
        // One that stays behind only means that the next version makes no cluster by itself either.
        let _ = fs::remove_file(self.0);
    }
}

/// macOS, and Linux with Homebrew. False when there is no Homebrew.
fn with_brew(options: &Options) -> Result<bool, Error> {
    if !succeeds("brew", &["--version"]) {
        return Ok(false);
    }
    told(options, "installing postgresql@17 with brew", || run(&options.tools, "brew", &["install", "postgresql@17"]))?;
    Ok(true)
}

/// Everywhere else: compiles the WebAssembly build's proxy, whose parts all come from the crates registry.
fn with_cargo(options: &Options) -> Result<PathBuf, Error> {
    let tools = options.tools.to_string_lossy().into_owned();
    let what = "installing pglite-proxy with cargo (some minutes, once)";
    told(options, what, || {
        // Its code is compiled ahead of time already: optimising the proxy buys nothing. Its own lock file is needed,
        // since newer versions of its dependencies do not fit together.
        let binary = ["install", PGLITE, "--locked", "--debug", "--bin", pglite::PROGRAM];
        let features = ["--no-default-features", "--features", "bundled", "--root", &tools];
        run(&options.tools, "cargo", &[&binary[..], &features[..]].concat())
    })?;
    pglite::find(&options.tools).ok_or_else(|| Error::config("cargo has installed no pglite-proxy"))
}

fn told(options: &Options, what: &str, work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    (options.say)(&format!("no postgres found: {what}"));
    let begin = Instant::now();
    work()?;
    (options.say)(&format!("done after {:.0} s", begin.elapsed().as_secs_f64()));
    Ok(())
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs an installer with its words in `install.log` among the tools; an error has the last of them.
fn run(tools: &Path, program: &str, arguments: &[&str]) -> Result<(), Error> {
    let file = tools.join("install.log");
    let log = fs::File::create(&file).map_err(|cause| io("cannot write", &file, cause))?;
    let both = log.try_clone().map_err(|cause| io("cannot write", &file, cause))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(log).stderr(both);
    command.env("DEBIAN_FRONTEND", "noninteractive").env("HOMEBREW_NO_AUTO_UPDATE", "1");
    // An installer of its own time: neither our profile's flags nor our target directory are for it.
    for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "RUSTC_WRAPPER"] {
        command.env_remove(name);
    }
    command.env("CARGO_PROFILE_DEV_DEBUG", "0").current_dir(tools);
    let status = command.status().map_err(|cause| Error::config(format!("cannot run {program}")).with_source(cause))?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read(&file).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
    let last: Vec<&str> = text.lines().rev().take(5).collect();
    Err(Error::unavailable(format!("{program} failed ({status}), see {}", file.display()))
        .with_source(last.into_iter().rev().collect::<Vec<_>>().join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_is_told_only_for_the_time_being() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("etc/tributary.conf");
        let told = NoCluster::at(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "create_main_cluster = false\n");
        drop(told);
        assert!(!file.exists());
    }

    #[test]
    fn a_failing_installer_says_why() {
        let place = tempfile::tempdir().unwrap();
        let error = run(place.path(), "sh", &["-c", "echo no space left; exit 4"]).unwrap_err();
        assert!(error.chain().contains("no space left"), "{error:#}");
        assert!(run(place.path(), "no-such-installer", &[]).is_err());
    }
}
