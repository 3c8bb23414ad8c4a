//! The account that a server runs under. Postgres refuses to run as root, so root hands its server to somebody else.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tributary_core::Error;

/// A user and its group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account to step down to, if we are root: `postgres` where it exists, else `nobody`. `ours` is a file that this
    /// process has just made, which is the way to our own uid without a system call of our own.
    pub(crate) fn to_drop_to(ours: &Path) -> Result<Option<Account>, Error> {
        let owner = fs::metadata(ours).map_err(|cause| io("cannot read", ours, cause))?.uid();
        if owner != 0 {
            return Ok(None);
        }
        ["postgres", "nobody"].into_iter().find_map(Account::named).map(Some).ok_or_else(|| {
            Error::config("postgres refuses to run as root, and there is neither a user `postgres` nor `nobody`")
                .with_hint("run as another user, or give the URL of a running database")
        })
    }

    fn named(name: &str) -> Option<Account> {
        let number = |flag: &str| {
            let answer = Command::new("id").args([flag, name]).stderr(Stdio::null()).output().ok()?;
            std::str::from_utf8(&answer.stdout).ok()?.trim().parse().ok().filter(|&number| number != 0)
        };
        Some(Account { uid: number("-u")?, gid: number("-g")? })
    }

    /// Makes the command run under this account.
    pub(crate) fn assume(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives this account a directory and all in it.
    pub(crate) fn own(self, place: &Path) -> Result<(), Error> {
        let refused = |cause| {
            io("cannot give away", place, cause)
                .with_hint("run as another user than root, or give the URL of a database")
        };
        chown(place, Some(self.uid), Some(self.gid)).map_err(refused)?;
        if fs::symlink_metadata(place).map_err(refused)?.is_dir() {
            for entry in fs::read_dir(place).map_err(refused)? {
                self.own(&entry.map_err(refused)?.path())?;
            }
        }
        Ok(())
    }
}

/// An error about a file.
pub(crate) fn io(what: &str, place: &Path, cause: std::io::Error) -> Error {
    Error::config(format!("{what} {}", place.display())).with_source(cause)
}
