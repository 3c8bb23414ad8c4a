//! Files that a command line names.

use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;
use tributary_core::Error;

/// The content of a file, or of standard input where it is `-`. `what` says in an error's words what it should be.
///
/// # Errors
/// `Config` when it cannot be read.
pub(crate) fn read(path: &Path, what: &str) -> Result<Bytes, Error> {
    let mut bytes = Vec::new();
    let done = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    done.map_err(|cause| Error::config(format!("cannot read {what} `{}`", path.display())).with_source(cause))?;
    Ok(bytes.into())
}

/// What a file is called in messages.
pub(crate) fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}
