//! A directory of this machine as the place for files. It is made when it is first needed.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use md5::{Digest as _, Md5};
use tokio::fs;
use tokio::io::AsyncReadExt as _;
use tributary_core::{Error, Kind, Result};

use super::spool::{Spool, UNFINISHED, failed};
use super::store::Content;

/// An unfinished file of this age is nobody's: its writer was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub(super) fn new(path: &str) -> Self {
        Directory { root: PathBuf::from(path) }
    }

    pub(super) fn location(&self, key: &str) -> String {
        self.root.join(key).to_string_lossy().into_owned()
    }

    /// On the same disk as the file will be, so that it needs only another name then.
    pub(super) async fn spool(&self) -> Result<Spool> {
        let made = fs::create_dir_all(&self.root).await;
        made.map_err(|error| failed("make the directory for files", error))?;
        self.clean().await;
        Spool::named(&self.root)
    }

    /// Removes what killed processes have left.
    async fn clean(&self) {
        let Ok(mut entries) = fs::read_dir(&self.root).await else { return };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name();
            let ours = name.to_str().is_some_and(|name| name.starts_with(UNFINISHED.0) && name.ends_with(UNFINISHED.1));
            if ours && is_abandoned(&entry).await {
                // Another process may have been quicker.
                let _ = fs::remove_file(entry.path()).await;
            }
        }
    }

    pub(super) async fn holds(&self, key: &str, content: Content<'_>) -> Result<bool> {
        let path = self.path(key)?;
        let failed = |error| failed("read what is in the directory", error);
        match fs::metadata(&path).await {
            Ok(there) if !there.is_file() || there.len() != content.size => Ok(false),
            Ok(_) => Ok(md5_of(&path).await.map_err(failed)? == content.md5),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) async fn put(&self, key: &str, spool: Spool) -> Result<()> {
        let failed = |error| failed("write into the directory", error);
        let path = self.path(key)?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).await.map_err(failed)?;
        }
        spool.keep(&path).await.map_err(failed)
    }

    /// Nothing but names below the root: keys are made of safe parts, and this is where it would hurt if they weren't.
    fn path(&self, key: &str) -> Result<PathBuf> {
        let is_inside = Path::new(key).components().all(|part| matches!(part, Component::Normal(_)));
        if key.is_empty() || !is_inside || key.contains('\0') {
            return Err(Error::new(Kind::Bug, "a file's key leads out of the directory"));
        }
        Ok(self.root.join(key))
    }
}

async fn is_abandoned(entry: &fs::DirEntry) -> bool {
    let Ok(about) = entry.metadata().await else { return false };
    let age = about.modified().ok().and_then(|written| SystemTime::now().duration_since(written).ok());
    about.is_file() && age.is_some_and(|age| age > ABANDONED)
}

async fn md5_of(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path).await?;
    let (mut digest, mut buffer) = (Md5::new(), vec![0; 64 * 1024]);
    loop {
        let read = file.read(&mut buffer).await?;
        if read == 0 {
            return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        digest.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    // `md5sum` of `hello` and of nothing.
    const HELLO: Content<'_> = Content { size: 5, md5: "5d41402abc4b2a76b9719d911017c592", content_type: None };
    const NOTHING: Content<'_> = Content { size: 0, md5: "d41d8cd98f00b204e9800998ecf8427e", content_type: None };

    async fn put(directory: &Directory, key: &str, text: &str) -> Result<()> {
        let mut spool = directory.spool().await?;
        spool.write_all(text.as_bytes()).await.unwrap();
        directory.put(key, spool).await
    }

    #[tokio::test]
    async fn a_file_is_there_once_it_is_put() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("a/b");
        let directory = Directory::new(root.to_str().unwrap());
        let key = "form/uuid:1/x.jpg";
        assert!(!directory.holds(key, HELLO).await.unwrap());
        put(&directory, key, "hello").await.unwrap();
        assert!(directory.holds(key, HELLO).await.unwrap());
        assert_eq!(std::fs::read(directory.location(key)).unwrap(), b"hello");
        assert!(!directory.holds(key, NOTHING).await.unwrap());
        put(&directory, key, "jello").await.unwrap();
        assert!(!directory.holds(key, HELLO).await.unwrap(), "as long, and another");
        put(&directory, key, "").await.unwrap();
        assert!(directory.holds(key, NOTHING).await.unwrap());
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 1, "nothing unfinished stays");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::write(place.path().join("other"), "").unwrap();
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode(&root.join(key)), mode(&place.path().join("other")), "as the umask says");
        }
    }

    #[tokio::test]
    async fn no_key_leads_out_of_the_directory() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::new(place.path().join("in").to_str().unwrap());
        for key in ["../x", "a/../../x", "/x", "", "..", "a/..", "x\0"] {
            let result = put(&directory, key, "hello").await;
            assert_eq!(result.unwrap_err().kind(), Kind::Bug, "{key}");
            assert_eq!(directory.holds(key, HELLO).await.unwrap_err().kind(), Kind::Bug, "{key}");
        }
        assert!(!place.path().join("x").exists());
    }

    #[tokio::test]
    async fn what_a_killed_process_left_goes_after_an_hour() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::new(place.path().to_str().unwrap());
        let write = |name: &str, age: u64| {
            let file = std::fs::File::create(place.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        };
        write(".tributary-old.part", 4000);
        write(".tributary-new.part", 3000);
        write("mine.part", 4000);
        drop(directory.spool().await.unwrap());
        let entries = std::fs::read_dir(place.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, [".tributary-new.part", "mine.part"]);
    }

    #[tokio::test]
    async fn what_stands_in_the_way_is_told() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("file"), "").unwrap();
        let check = async |root: &str, key: &str, expect: Kind| {
            let directory = Directory::new(place.path().join(root).to_str().unwrap());
            let error = put(&directory, key, "hello").await.unwrap_err();
            assert_eq!(error.kind(), expect, "{error:#}");
        };
        check("file/below", "x", Kind::Config).await;
        check("root", &"x".repeat(300), Kind::Data).await;
    }
}
