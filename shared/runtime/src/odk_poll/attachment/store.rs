//! Where files are put: a bucket or a directory. What is there already is not put again.
//!
//! Neither is asked for anything before a file needs it, and of a directory AWS hears nothing.

use tributary_core::Result;
use tributary_core::pipeline::Destination;

use super::bucket::Bucket;
use super::directory::Directory;
use super::spool::Spool;

/// Where files are put.
#[derive(Debug)]
pub struct Store(Place);

#[derive(Debug)]
enum Place {
    Bucket(Bucket),
    Directory(Directory),
}

/// What a file is, beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Content<'c> {
    /// Its size in bytes.
    pub size: u64,
    /// The MD5 of its bytes, in lowercase hexadecimal digits.
    pub md5: &'c str,
    /// Its type, as its source says.
    pub content_type: Option<&'c str>,
}

impl Store {
    /// The store of a mapping.
    pub async fn of(to: &Destination) -> Self {
        Store(match to {
            Destination::S3 { bucket, prefix, region, endpoint } => {
                Place::Bucket(Bucket::new(bucket, prefix.as_deref(), region.as_deref(), endpoint.as_deref()).await)
            }
            Destination::Directory(path) => Place::Directory(Directory::new(path)),
        })
    }

    /// Where the file of this key is, for people and programs: `s3://bucket/prefix/key`, or its path.
    pub fn location(&self, key: &str) -> String {
        match &self.0 {
            Place::Bucket(bucket) => bucket.location(key),
            Place::Directory(directory) => directory.location(key),
        }
    }

    /// A place to write a file to that is to be stored.
    ///
    /// # Errors
    /// `Config` when there is none that may be written to.
    pub async fn spool(&self) -> Result<Spool> {
        match &self.0 {
            Place::Bucket(_) => Spool::nameless(),
            Place::Directory(directory) => directory.spool().await,
        }
    }

    /// Whether this content is there under this key.
    ///
    /// # Errors
    /// `Config` when the store is not as the mapping says, `Data` when no file can have this key, `Unavailable` when it
    /// doesn't answer.
    pub async fn holds(&self, key: &str, content: Content<'_>) -> Result<bool> {
        match &self.0 {
            Place::Bucket(bucket) => Box::pin(bucket.holds(key, content)).await,
            Place::Directory(directory) => directory.holds(key, content).await,
        }
    }

    /// Puts a file there, whole or not at all, in place of what has its key.
    ///
    /// # Errors
    /// As [`Store::holds`].
    pub async fn put(&self, key: &str, spool: Spool, content: Content<'_>) -> Result<()> {
        match &self.0 {
            Place::Bucket(bucket) => Box::pin(bucket.put(key, spool, content)).await,
            Place::Directory(directory) => directory.put(key, spool).await,
        }
    }
}
