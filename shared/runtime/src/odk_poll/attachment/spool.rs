//! A file on its way: on the disk of this machine, so that its size is no matter of memory.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWrite, AsyncWriteExt as _};
use tributary_core::{Error, Result};

/// What the names of files begin and end with that are not whole yet.
pub(super) const UNFINISHED: (&str, &str) = (".tributary-", ".part");

/// A place on the disk that a file is written to. Unless it is kept, it goes when this is dropped.
#[derive(Debug)]
pub struct Spool {
    file: File,
    path: Option<TempPath>,
    trouble: Option<io::ErrorKind>,
}

impl Spool {
    /// In the directory for temporary files. It has no name there, so that nothing stays behind when this process is killed.
    pub(super) fn nameless() -> Result<Self> {
        let file = tempfile::tempfile().map_err(|error| failed("keep a file for a moment", error))?;
        Ok(Spool { file: File::from_std(file), path: None, trouble: None })
    }

    /// In this directory, under a name that says that it isn't whole.
    pub(super) fn named(directory: &Path) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED.0).suffix(UNFINISHED.1);
        #[cfg(unix)]
        {
            // What may be read by whom is the umask's business, as for any other file.
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let made = builder.tempfile_in(directory).map_err(|error| failed("write into the directory", error))?;
        let (file, path) = made.into_parts();
        Ok(Spool { file: File::from_std(file), path: Some(path), trouble: None })
    }

    #[cfg(test)]
    fn on(file: std::fs::File) -> Self {
        Spool { file: File::from_std(file), path: None, trouble: None }
    }

    /// Why it could not be written, where that is what went wrong.
    pub fn trouble(&self) -> Option<Error> {
        self.trouble.map(|kind| failed("keep a file for a moment", kind.into()))
    }

    /// The file, from its beginning, all of it written.
    pub(super) async fn read(&mut self) -> io::Result<&mut File> {
        self.file.flush().await?;
        self.file.rewind().await?;
        Ok(&mut self.file)
    }

    /// Gives it a name for good, in place of what had that name. It is on the disk by then.
    pub(super) async fn keep(mut self, name: &Path) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        match self.path.take() {
            Some(path) => path.persist(name).map_err(|error| error.error),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn note<T>(&mut self, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &poll {
            self.trouble = Some(error.kind());
        }
        poll
    }
}

impl AsyncWrite for Spool {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.file).poll_write(context, bytes);
        self.note(poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.file).poll_flush(context);
        self.note(poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.file).poll_shutdown(context);
        self.note(poll)
    }
}

/// What an error of the disk means: of the file alone (`Data`), of the place as a whole (`Config`), or of the moment.
pub(super) fn failed(doing: &str, error: io::Error) -> Error {
    use io::ErrorKind;
    let text = format!("cannot {doing}");
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Error::data(
            "the disk has no room for the file",
        )
        .with_hint(
            "a function gets more by EphemeralStorage (512 MB unless it is raised, 10 GB at most); elsewhere make room \
                 in the directory, or set TMPDIR",
        ),
        ErrorKind::InvalidFilename => Error::data("the file's name is longer than the disk takes")
            .with_hint("write a shorter `path`, or store in S3"),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotADirectory => {
            Error::config(text).with_hint("name a directory that this program may write to")
        }
        _ => Error::unavailable(text),
    }
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use tributary_core::Kind;

    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_told_with_its_remedy() {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut spool = Spool::on(full);
        assert!(spool.trouble().is_none());
        let wrote = async {
            spool.write_all(&[7; 1 << 20]).await?;
            spool.flush().await
        };
        wrote.await.unwrap_err();
        let trouble = spool.trouble().unwrap();
        assert_eq!(trouble.kind(), Kind::Data);
        assert!(trouble.hint().unwrap().contains("EphemeralStorage"), "{trouble:#}");
    }

    #[tokio::test]
    async fn an_unfinished_file_is_gone_with_its_spool() {
        let place = tempfile::tempdir().unwrap();
        let mut spool = Spool::named(place.path()).unwrap();
        spool.write_all(b"half").await.unwrap();
        let name = std::fs::read_dir(place.path()).unwrap().next().unwrap().unwrap().file_name();
        let name = name.to_str().unwrap();
        assert!(name.starts_with(UNFINISHED.0) && name.ends_with(UNFINISHED.1), "{name}");
        drop(spool);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        let mut spool = Spool::nameless().unwrap();
        spool.write_all(b"whole").await.unwrap();
        let mut text = String::new();
        tokio::io::AsyncReadExt::read_to_string(spool.read().await.unwrap(), &mut text).await.unwrap();
        assert_eq!(text, "whole");
    }
}
