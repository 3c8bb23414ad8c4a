//! Finds the programs of an installed Postgres server. Starts none of them but `--version`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tributary_core::Error;

/// The oldest major version that the write path is meant for.
const OLDEST: u32 = 12;

/// The two programs that a cluster needs, and which version they are.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub(crate) initdb: PathBuf,
    pub(crate) postgres: PathBuf,
    /// As the server says it, `15.14` for instance.
    pub(crate) version: String,
}

/// Finds the first installation that is whole and new enough.
///
/// # Errors
/// When `TRIBUTARY_POSTGRES_BIN` names a directory without a usable Postgres. Finding none elsewhere is no error.
pub(crate) fn find() -> Result<Option<Binaries>, Error> {
    if let Some(place) = env::var_os("TRIBUTARY_POSTGRES_BIN").filter(|place| !place.is_empty()) {
        let place = PathBuf::from(place);
        return in_directory(&place).map(Some).ok_or_else(|| {
            Error::config(format!("no postgres {OLDEST} or later in {}", place.display()))
                .with_hint("TRIBUTARY_POSTGRES_BIN names the directory that holds `postgres` and `initdb`")
        });
    }
    Ok(candidates().iter().find_map(|place| in_directory(place)))
}

/// The directories to look into, the likeliest first.
fn candidates() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    if let Ok(answer) = Command::new("pg_config").arg("--bindir").output() {
        places.push(PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim()));
    }
    for (parent, prefix, inner) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
        ("/opt/local/lib", "postgresql", "bin"),
    ] {
        places.extend(versions(Path::new(parent), prefix).into_iter().map(|place| place.join(inner)));
    }
    places.retain(|place| place.is_absolute());
    places
}

/// The directories in `parent` that begin with `prefix`, the highest number first.
fn versions(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let digits = name.strip_prefix(prefix)?.trim_start_matches('@');
            Some((digits.parse().unwrap_or(0), entry.path()))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, place)| place).collect()
}

fn in_directory(place: &Path) -> Option<Binaries> {
    // Through symbolic links, because a server looks for its files beside itself.
    let program = |name: &str| fs::canonicalize(place.join(name)).ok().filter(|file| file.is_file());
    let (postgres, initdb) = (program("postgres")?, program("initdb")?);
    let answer = Command::new(&postgres).arg("--version").output().ok().filter(|answer| answer.status.success())?;
    let version = version_in(&String::from_utf8_lossy(&answer.stdout))?;
    Some(Binaries { initdb, postgres, version })
}

/// `postgres (PostgreSQL) 15.14 (Debian …)` → `15.14`, or none when it is too old.
fn version_in(line: &str) -> Option<String> {
    let version = line.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    (digits.parse::<u32>().ok()? >= OLDEST).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_old_ones_left_aside() {
        let check = |line: &str, expect: Option<&str>| assert_eq!(version_in(line).as_deref(), expect, "{line}");
        check("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n", Some("15.14"));
        check("postgres (PostgreSQL) 18beta1", Some("18beta1"));
        check("postgres (PostgreSQL) 9.6.24", None);
        check("postgres: command not found", None);
    }

    #[test]
    fn the_newest_directory_comes_first() {
        let place = tempfile::tempdir().unwrap();
        for name in ["postgresql@9", "postgresql@16", "postgresql@14", "postgresql", "libpq"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        let found: Vec<String> = versions(place.path(), "postgresql")
            .iter()
            .map(|place| place.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(found, ["postgresql@16", "postgresql@14", "postgresql@9", "postgresql"]);
    }
}
