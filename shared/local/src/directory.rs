//! Private directories for clusters, and copies of them.

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tributary_core::Error;

use crate::account::io;

/// A new empty directory that only we may enter, at a place that another account can reach when root gives it away.
/// It is short, since the path of a Unix socket has room for 107 bytes (103 on macOS).
pub(crate) fn private() -> Result<TempDir, Error> {
    let places = [env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
    let mut last = None;
    for place in places.iter().filter(|place| open_to_all(place)) {
        match tempfile::Builder::new().prefix("tributary-").tempdir_in(place) {
            Ok(directory) => return Ok(directory),
            Err(cause) => last = Some(io("cannot make a directory in", place, cause)),
        }
    }
    Err(last
        .unwrap_or_else(|| Error::config("no temporary directory can be entered by other accounts"))
        .with_hint("set TMPDIR to a directory that is writable and that all its parents let through"))
}

/// Whether every account may pass through this directory and all above it. Our own uid needs no such thing, but whoever
/// isn't root has a TMPDIR that its own account can enter.
pub(crate) fn open_to_all(place: &Path) -> bool {
    let Ok(place) = fs::canonicalize(place) else { return false };
    let root = fs::metadata("/proc/self").map_or(true, |ours| ours.uid() == 0);
    !root || place.ancestors().all(|above| fs::metadata(above).is_ok_and(|found| found.permissions().mode() & 1 == 1))
}

/// Copies a directory with all in it. Modes are kept, owners are not: the copy is ours.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |cause| io("cannot copy", from, cause);
    fs::create_dir(to).map_err(|cause| io("cannot make", to, cause))?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(failed)?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).map_err(failed)?;
        }
    }
    let mode = fs::metadata(from).map_err(failed)?.permissions();
    fs::set_permissions(to, mode).map_err(|cause| io("cannot set the mode of", to, cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_same_files_and_modes() {
        let place = private().unwrap();
        let from = place.path().join("a");
        fs::create_dir_all(from.join("deep/er")).unwrap();
        fs::write(from.join("deep/er/file"), "text").unwrap();
        fs::set_permissions(from.join("deep"), fs::Permissions::from_mode(0o750)).unwrap();
        let to = place.path().join("b");
        copy(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("deep/er/file")).unwrap(), "text");
        assert_eq!(fs::metadata(to.join("deep")).unwrap().permissions().mode() & 0o777, 0o750);
        assert!(copy(&from, &to).is_err(), "an existing directory is not written into");
    }
}
