//! The handle of a local Postgres, and the order in which one is looked for.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tributary_core::Error;

use crate::binaries::{self, Binaries};
use crate::cluster::{self, Cluster};
use crate::install::{self, Installed};
use crate::options::{Options, Route};
use crate::pglite;
use crate::server::{self, Server};
use crate::url;

/// Where a database comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The caller gave its URL.
    Given,
    /// A cluster of our own, by the installed server of this version.
    System {
        /// As the server says it, `15.14` for instance.
        version: String,
    },
    /// `pglite-proxy`.
    Pglite,
}

/// A Postgres that answers at [`Postgres::url`]. One that we have started ends when this is dropped, or with the process
/// at the latest, even one that is killed.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    origin: Origin,
    /// None for a given one, and for one that another process has started.
    server: Option<Server>,
    stop_command: Option<String>,
}

impl Postgres {
    /// Finds or starts a Postgres, in the order that the crate's documentation tells. Blocks while it does so.
    ///
    /// # Errors
    /// When there is none and none can be had. The hint says what to install.
    pub fn find_or_start(options: &Options) -> Result<Postgres, Error> {
        if let Some(url) = &options.url {
            return Ok(Postgres { url: url.clone(), origin: Origin::Given, server: None, stop_command: None });
        }
        if matches!(options.route, Route::Any | Route::System) {
            if let Some(binaries) = binaries::find()? {
                return Postgres::of_system(&binaries, options);
            }
            if options.route == Route::System {
                return Err(Error::config("no postgres server on this machine").with_hint(install::ADVICE));
            }
        }
        if options.route != Route::Install
            && let Some(program) = pglite::find(&options.tools)
        {
            return Postgres::of_pglite(&program, options);
        }
        if !options.install {
            return Err(Error::config("no postgres on this machine").with_hint(install::ADVICE));
        }
        match install::install(options)? {
            Installed::System(binaries) => Postgres::of_system(&binaries, options),
            Installed::Pglite(program) => Postgres::of_pglite(&program, options),
        }
    }

    fn of_system(binaries: &Binaries, options: &Options) -> Result<Postgres, Error> {
        let origin = Origin::System { version: binaries.version.clone() };
        // The supervisor runs under another account when we are root, and must see whether our processes are alive.
        let blind = fs::read_to_string("/proc/mounts").is_ok_and(|mounts| mounts.contains("hidepid="));
        match &options.cache {
            Some(cache) if options.shared && !options.keep && !blind => shared(binaries, options, cache, origin),
            _ => {
                let Cluster { server, url, .. } = cluster::start(binaries, options)?;
                Postgres { url, origin, server: Some(server), stop_command: None }.kept_if(options.keep)
            }
        }
    }

    fn of_pglite(program: &Path, options: &Options) -> Result<Postgres, Error> {
        let (server, url) = pglite::start(program, options)?;
        Postgres { url, origin: Origin::Pglite, server: Some(server), stop_command: None }.kept_if(options.keep)
    }

    fn kept_if(mut self, keep: bool) -> Result<Self, Error> {
        if let Some(server) = self.server.as_mut().filter(|_| keep) {
            // Postgres would wait for its clients on the plain signal; the proxy knows only that.
            let signal = if self.origin == Origin::Pglite { "TERM" } else { "INT" };
            self.stop_command = Some(format!("kill -{signal} {}", server.keep()?));
        }
        Ok(self)
    }

    /// A libpq URL. Of a server of ours: host 127.0.0.1, a superuser, a database that is empty at first.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of another database on the same server. Creating it is the caller's part.
    pub fn url_for(&self, database: &str) -> String {
        url::with_database(&self.url, database)
    }

    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether a second connection has to wait until the first is closed.
    pub fn single_connection(&self) -> bool {
        self.origin == Origin::Pglite
    }

    /// For a kept server: the command that ends it. Its files go with it.
    pub fn stop_command(&self) -> Option<&str> {
        self.stop_command.as_deref()
    }

    /// The directory of a server that we have started: its log is `log` there, its data `data`.
    pub fn directory(&self) -> Option<&Path> {
        self.server.as_ref().map(Server::directory)
    }

    /// What the server that we have started has written to its log so far.
    pub fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }

    /// Ends a server of ours and waits until its files are gone; leaves alone one that was given, kept or is shared.
    /// Dropping does the same.
    pub fn stop(mut self) {
        if let Some(server) = &mut self.server {
            server.stop();
        }
    }
}

/// Joins the server that another process has started with the same settings, or starts one for all.
fn shared(binaries: &Binaries, options: &Options, cache: &Path, origin: Origin) -> Result<Postgres, Error> {
    let mut hasher = DefaultHasher::new();
    (&binaries.postgres, &binaries.version, options.durable, &options.settings).hash(&mut hasher);
    let name = format!("shared-{:016x}", hasher.finish());
    fs::create_dir_all(cache).map_err(|cause| crate::account::io("cannot make", cache, cause))?;
    let _lock = cluster::lock(&cache.join(format!("{name}.lock")))?;
    let file = cache.join(name);
    if let Some(url) = joined(&file) {
        return Ok(Postgres { url, origin, server: None, stop_command: None });
    }
    let Cluster { mut server, url, account } = cluster::start(binaries, options)?;
    server.share(account)?;
    let failed = |cause| crate::account::io("cannot write", &file, cause);
    let _ = fs::remove_file(&file);
    let text = format!("{url}\n{}\n", server.directory().display());
    let mut opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(failed)?;
    std::io::Write::write_all(&mut opened, text.as_bytes()).map_err(failed)?;
    Ok(Postgres { url, origin, server: Some(server), stop_command: None })
}

/// The URL of the running shared server, of which we are a user from now on.
fn joined(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let (url, directory) = text.trim_end().split_once('\n')?;
    let place = url.rsplit_once('@')?.1.split('/').next()?;
    // First enter, then look: a server with a user in it does not end by itself.
    let entered = server::join(&PathBuf::from(directory));
    (entered && TcpStream::connect(place).is_ok()).then(|| url.to_owned())
}
