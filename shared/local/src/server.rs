//! A server process that never outlives whoever needs it. It knows programs and directories, nothing of Postgres; the
//! test harness keeps other servers by it too.
//!
//! A shell (`supervisor.sh`) stands between us and the server. It holds the reading end of a pipe whose other end dies
//! with us, so that it notices our end even when nothing in this process can run any more.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tributary_core::Error;

use crate::account::{Account, io};

const SUPERVISOR: &str = include_str!("supervisor.sh");

/// How long a server may take until it answers. A cold disk and a busy machine are slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server with the shell that watches it. It ends when this is dropped, or when this process ends, however.
#[derive(Debug)]
pub struct Server {
    directory: PathBuf,
    shell: Child,
    line: Option<ChildStdin>,
}

impl Server {
    /// Starts `command` in a private directory of its own, and waits until `ready` finds what it looks for: the
    /// directory's file `log` is what the server says. SIGTERM ends it.
    ///
    /// # Errors
    /// When the server ends instead, or says nothing for a minute. The error carries the end of its log.
    pub fn of_command<T>(
        command: &[impl AsRef<OsStr>],
        ready: impl Fn(&Path) -> Option<T>,
    ) -> Result<(Server, T), Error> {
        Server::start(crate::directory::private()?, None, "TERM", command, ready)
    }

    /// Starts `command` in `directory`, under `account` if one is given, and waits until `ready` finds what it looks for
    /// in the directory. The directory is removed when the server has ended.
    ///
    /// # Errors
    /// When the server ends instead, or says nothing for a minute. The error carries the end of its log.
    pub(crate) fn start<T>(
        directory: TempDir,
        account: Option<Account>,
        signal: &str,
        command: &[impl AsRef<OsStr>],
        ready: impl Fn(&Path) -> Option<T>,
    ) -> Result<(Server, T), Error> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SUPERVISOR, "tributary-supervisor"]).arg(directory.path()).arg(signal).args(command);
        // Its own group, so that Ctrl-C reaches us first; no output of ours, so that nobody waits for its end.
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        shell.current_dir("/");
        // Nothing of `PGPORT` and its kin, and messages in one language.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            shell.env_remove(name);
        }
        shell.env("LC_ALL", "C");
        if let Some(account) = account {
            account.assume(&mut shell);
        }
        let mut child = shell.spawn().map_err(|cause| Error::config("cannot start a shell").with_source(cause))?;
        let line = child.stdin.take();
        let mut server = Server { directory: directory.keep(), shell: child, line };
        let answer = server.wait_until(ready)?;
        Ok((server, answer))
    }

    fn wait_until<T>(&mut self, ready: impl Fn(&Path) -> Option<T>) -> Result<T, Error> {
        let begin = Instant::now();
        loop {
            if let Some(answer) = ready(&self.directory) {
                return Ok(answer);
            }
            let ended = self.directory.join("exited").exists() || matches!(self.shell.try_wait(), Ok(Some(_)));
            if ended || begin.elapsed() > PATIENCE {
                let what = if ended { "the server ended while starting" } else { "the server does not get ready" };
                return Err(Error::unavailable(what).with_source(last_lines(&self.log())));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the server has said so far.
    pub fn log(&self) -> String {
        fs::read(self.directory.join("log")).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// The directory of the server, which is removed when it has ended. Others may put there what shall go with it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Lets the server go on after us, and says its process number.
    pub(crate) fn keep(&mut self) -> Result<u32, Error> {
        let file = self.directory.join("pid");
        let number = fs::read_to_string(&file).map_err(|cause| io("cannot read", &file, cause))?;
        self.say("keep")?;
        number.trim().parse().map_err(|cause| Error::unavailable("the server has no number").with_source(cause))
    }

    /// Lets the server go on as long as one of its users is alive, ourselves first.
    pub(crate) fn share(&mut self, account: Option<Account>) -> Result<(), Error> {
        let users = self.directory.join("users");
        fs::create_dir(&users).map_err(|cause| io("cannot make", &users, cause))?;
        if let Some(account) = account {
            account.own(&users)?;
        }
        if !join(&self.directory) {
            return Err(Error::unavailable("the server ended while starting"));
        }
        self.say("share")
    }

    fn say(&mut self, word: &str) -> Result<(), Error> {
        let gone = |cause| Error::unavailable("the server ended while starting").with_source(cause);
        match self.line.take() {
            Some(mut line) => writeln!(line, "{word}").map_err(gone),
            None => Ok(()),
        }
    }

    /// Ends the server and waits until its directory is gone. A server that was let go is left alone.
    pub(crate) fn stop(&mut self) {
        if self.line.take().is_some() {
            // Reaping can only fail when somebody else has reaped it, and then it is over as well.
            let _ = self.shell.wait();
            // The shell may have been killed, or may not be allowed to remove the directory itself.
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Enters this process among the users of a shared server; false when that server is ending.
pub(crate) fn join(directory: &Path) -> bool {
    fs::File::create(directory.join("users").join(process::id().to_string())).is_ok()
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().rev().take(8).collect();
    if lines.is_empty() { "it said nothing".to_owned() } else { lines.into_iter().rev().collect::<Vec<_>>().join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(script: &str) -> Result<Server, Error> {
        let directory = tempfile::tempdir().unwrap();
        let ready = |place: &Path| fs::read_to_string(place.join("log")).ok().filter(|log| log.contains("ready"));
        Server::start(directory, None, "TERM", &["sh", "-c", script], ready).map(|(server, _)| server)
    }

    fn gone(place: &Path) -> bool {
        let begin = Instant::now();
        while place.exists() && begin.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(20));
        }
        !place.exists()
    }

    #[test]
    fn the_directory_goes_with_the_server() {
        let mut server = started("echo ready; exec sleep 60").unwrap();
        let place = server.directory().to_owned();
        assert!(place.exists());
        server.stop();
        assert!(!place.exists());
    }

    #[test]
    fn a_server_that_ends_at_once_says_why() {
        let error = started("echo the port is taken; exit 3").unwrap_err();
        assert!(error.chain().contains("the port is taken"), "{error:#}");
    }

    #[test]
    fn a_kept_server_ends_by_a_signal_to_its_number() {
        let mut server = started("echo ready; exec sleep 60").unwrap();
        let number = server.keep().unwrap();
        let place = server.directory().to_owned();
        drop(server);
        thread::sleep(Duration::from_millis(100));
        assert!(place.exists(), "it outlives its handle");
        assert!(Command::new("kill").arg(number.to_string()).status().unwrap().success());
        assert!(gone(&place));
    }

    #[test]
    fn a_shared_server_ends_after_its_last_user() {
        let mut server = started("echo ready; exec sleep 60").unwrap();
        server.share(None).unwrap();
        let place = server.directory().to_owned();
        drop(server);
        thread::sleep(Duration::from_millis(4500));
        assert!(join(&place), "we are alive, so it is too");
        // A number that no process has: as if we had ended without a word.
        let user = place.join("users").join(process::id().to_string());
        fs::rename(user, place.join("users/999999999")).unwrap();
        assert!(gone(&place));
        assert!(!join(&place));
    }
}
