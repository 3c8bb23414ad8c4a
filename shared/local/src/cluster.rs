//! A cluster of an installed Postgres: its files, its settings, its start.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use tributary_core::Error;

use crate::account::{Account, io};
use crate::binaries::Binaries;
use crate::directory;
use crate::options::Options;
use crate::server::Server;

/// Raised when clusters are made in another way, so that kept ones are made anew.
const LAYOUT: u32 = 2;

/// The longest path of a Unix socket that Linux and macOS both take, in bytes.
const SOCKET_PATH: usize = 103;

/// A started cluster.
pub(crate) struct Cluster {
    pub(crate) server: Server,
    pub(crate) url: String,
    pub(crate) account: Option<Account>,
}

/// Makes a cluster in a private directory and starts it.
pub(crate) fn start(binaries: &Binaries, options: &Options) -> Result<Cluster, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let place = directory::private()?;
        let account = Account::to_drop_to(place.path())?;
        let password = make(binaries, place.path(), account, options)?;
        let port = free_port()?;
        let command = command(binaries, place.path(), port, options);
        match Server::start(place, account, "QUIT", &command, ready) {
            Ok((server, ())) => {
                let url = format!("postgres://local:{password}@127.0.0.1:{port}/postgres?sslmode=disable");
                return Ok(Cluster { server, url, account });
            }
            // Somebody took the port between our look and the server's.
            Err(error) if tries < 5 && error.chain().contains("could not bind") => {}
            Err(error) => {
                let hint = match &options.cache {
                    Some(cache) => format!("if it persists, remove {} and try again", cache.display()),
                    None => "try another postgres by TRIBUTARY_POSTGRES_BIN".to_owned(),
                };
                return Err(error.with_hint(hint));
            }
        }
    }
}

/// Puts the files of a new cluster into `place/data`, from the cache if it has them. Returns the password.
fn make(binaries: &Binaries, place: &Path, account: Option<Account>, options: &Options) -> Result<String, Error> {
    let Some(cache) = &options.cache else { return init(binaries, place, account) };
    fs::create_dir_all(cache).map_err(|cause| io("cannot make", cache, cause))?;
    let kept = cache.join(format!("{}-{LAYOUT}", binaries.version));
    let _lock = lock(&cache.join("lock"))?;
    if let Ok(password) = fs::read_to_string(kept.join("password")) {
        directory::copy(&kept.join("data"), &place.join("data"))?;
        if let Some(account) = account {
            account.own(place)?;
        }
        return Ok(password);
    }
    let password = init(binaries, place, account)?;
    let fresh = tempfile::Builder::new().tempdir_in(cache).map_err(|cause| io("cannot write to", cache, cause))?;
    directory::copy(&place.join("data"), &fresh.path().join("data"))?;
    let file = fresh.path().join("password");
    fs::write(&file, &password).map_err(|cause| io("cannot write", &file, cause))?;
    let fresh = fresh.keep();
    fs::rename(&fresh, &kept).map_err(|cause| io("cannot make", &kept, cause))?;
    Ok(password)
}

/// Held until it is dropped. Also ends with the process.
pub(crate) fn lock(file: &Path) -> Result<fs::File, Error> {
    let refused = |cause| io("cannot lock", file, cause);
    let lock = fs::File::create(file).map_err(refused)?;
    lock.lock().map_err(refused)?;
    Ok(lock)
}

fn init(binaries: &Binaries, place: &Path, account: Option<Account>) -> Result<String, Error> {
    let password = random_password()?;
    let file = place.join("password");
    fs::write(&file, &password).map_err(|cause| io("cannot write", &file, cause))?;
    if let Some(account) = account {
        account.own(place)?;
    }
    // Not every system has the first locale; the second sorts alike, but knows no letters beyond ASCII.
    let mut last = String::new();
    for locale in ["C.UTF-8", "C"] {
        let mut command = Command::new(&binaries.initdb);
        command.arg("--pgdata").arg(place.join("data")).arg("--pwfile").arg(&file);
        // A password, because other accounts of this machine reach 127.0.0.1 too, and this user may run programs.
        command.args(["--username=local", "--auth=password", "--encoding=UTF8", "--no-sync"]);
        command.arg(format!("--locale={locale}")).env("LC_ALL", "C").current_dir(place);
        if let Some(account) = account {
            account.assume(&mut command);
        }
        let answer = command.output().map_err(|cause| io("cannot run", &binaries.initdb, cause))?;
        if answer.status.success() {
            return Ok(password);
        }
        last = String::from_utf8_lossy(&answer.stderr).trim().to_owned();
        if !last.contains("locale") {
            break;
        }
    }
    Err(Error::config("initdb failed")
        .with_source(last)
        .with_hint("try another postgres by TRIBUTARY_POSTGRES_BIN, or give the URL of a running database"))
}

fn random_password() -> Result<String, Error> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0_u8; 16];
    fs::File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|cause| io("cannot read", source, cause))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn free_port() -> Result<u16, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|cause| Error::config("cannot listen on 127.0.0.1").with_source(cause))
}

fn command(binaries: &Binaries, place: &Path, port: u16, options: &Options) -> Vec<String> {
    let longest = place.join(".s.PGSQL.65535.lock").as_os_str().len();
    let socket = if longest <= SOCKET_PATH { place.to_string_lossy().into_owned() } else { String::new() };
    let reaches_disk = if options.durable { "on" } else { "off" };
    let ours = [
        ("listen_addresses", "127.0.0.1"),
        ("port", &port.to_string()),
        ("unix_socket_directories", &socket),
        ("max_connections", "200"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("fsync", reaches_disk),
        ("synchronous_commit", reaches_disk),
        ("full_page_writes", reaches_disk),
    ];
    let mut command = vec![path(&binaries.postgres), "-D".to_owned(), path(&place.join("data"))];
    let theirs = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in ours.into_iter().chain(theirs) {
        command.push("-c".to_owned());
        command.push(format!("{name}={value}"));
    }
    command
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A server writes `ready` into the eighth line of this file as soon as it takes connections.
fn ready(place: &Path) -> Option<()> {
    let file: PathBuf = place.join("data/postmaster.pid");
    let text = fs::read_to_string(file).ok()?;
    (text.lines().nth(7)?.trim() == "ready").then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_caller_come_last() {
        let binaries = Binaries { initdb: "i".into(), postgres: "p".into(), version: "15".into() };
        let options =
            Options { settings: vec![("max_connections".into(), "7".into())], durable: true, ..Options::default() };
        let command = command(&binaries, Path::new("/tmp/x"), 4000, &options);
        assert_eq!(command.last().unwrap(), "max_connections=7");
        assert!(command.contains(&"fsync=on".to_owned()));
        assert!(command.contains(&"unix_socket_directories=/tmp/x".to_owned()));
        let deep = format!("/tmp/{}", "x".repeat(100));
        let command = super::command(&binaries, Path::new(&deep), 4000, &options);
        assert!(command.contains(&"unix_socket_directories=".to_owned()), "too long for a socket");
    }
}
