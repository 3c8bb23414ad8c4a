//! Who keeps what was given up: files, a bucket, a queue. One document after the other, and deleted when it is done with.
//!
//! It doesn't look into the documents; `command::redrive` does.

mod bucket;
mod queue;

use std::path::PathBuf;
use std::vec;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use bytes::Bytes;
use serde_json::value::RawValue;
use tributary_core::{Error, Kind, Result};

use crate::args::Redrive;
use crate::input;
use bucket::Bucket;
use queue::Queue;

/// A document, as it lies with its keeper.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Where it lies, for people.
    pub(crate) name: String,
    /// The document, or why it cannot be had.
    pub(crate) document: Result<Bytes>,
    /// What its keeper knows it by.
    pub(crate) handle: String,
}

/// A keeper.
#[derive(Debug)]
pub(crate) enum Keeper {
    /// Files, all read.
    Files(vec::IntoIter<Kept>),
    /// S3.
    Bucket(Bucket),
    /// SQS.
    Queue(Queue),
}

impl Keeper {
    /// The keeper that a command line names. Files are read, bucket and queue are not asked yet.
    ///
    /// # Errors
    /// `Config` when a file cannot be read, `Data` when it is no JSON.
    pub(crate) async fn open(redrive: &Redrive) -> Result<Keeper> {
        let (from, endpoint) = (&redrive.from, redrive.endpoint.as_deref());
        Ok(match (&from.bucket, &from.queue) {
            (Some(name), _) => Keeper::Bucket(Bucket::new(name, &redrive.prefix, endpoint).await),
            (None, Some(url)) => Keeper::Queue(Queue::new(url, endpoint).await),
            (None, None) => Keeper::Files(files(&from.files)?.into_iter()),
        })
    }

    /// The next document.
    ///
    /// # Errors
    /// When bucket or queue cannot be listed. What ails a single document stands in its place.
    pub(crate) async fn next(&mut self) -> Result<Option<Kept>> {
        match self {
            Keeper::Files(documents) => Ok(documents.next()),
            Keeper::Bucket(bucket) => bucket.next().await,
            Keeper::Queue(queue) => queue.next().await,
        }
    }

    /// Deletes the document of this handle.
    ///
    /// # Errors
    /// When it cannot be. `Bug` for a file.
    pub(crate) async fn delete(&mut self, handle: &str) -> Result<()> {
        match self {
            Keeper::Files(_) => Err(Error::new(Kind::Bug, "a file is not ours to delete")),
            Keeper::Bucket(bucket) => bucket.delete(handle).await,
            Keeper::Queue(queue) => queue.delete(handle).await,
        }
    }

    /// Lets others have at once what was not deleted.
    pub(crate) async fn release(&mut self) {
        if let Keeper::Queue(queue) = self {
            queue.release().await;
        }
    }
}

/// The documents of files: one after another, with a line break between them or without.
fn files(paths: &[PathBuf]) -> Result<Vec<Kept>> {
    let mut all = Vec::new();
    for path in paths {
        let bytes = input::read(path, "the batch")?;
        let name = input::name(path);
        let documents: std::result::Result<Vec<&RawValue>, _> =
            serde_json::Deserializer::from_slice(&bytes).into_iter().collect();
        // The parser's own words may quote the payload.
        let documents = documents.map_err(|e| {
            Error::data(format!("`{name}` is no JSON: line {}, column {}", e.line(), e.column()))
                .with_hint("it is what an on-failure destination got, or several of that one after another")
        })?;
        if documents.is_empty() {
            return Err(Error::data(format!("`{name}` is empty")));
        }
        let alone = documents.len() == 1;
        all.extend(documents.iter().zip(1..).map(|(document, number)| Kept {
            name: if alone { name.clone() } else { format!("{name} ({number})") },
            document: Ok(Bytes::copy_from_slice(document.get().as_bytes())),
            handle: String::new(),
        }));
    }
    Ok(all)
}

/// What came in the way of a call for `place`, which takes the permission `action`.
fn failed<E>(place: &str, action: &str, error: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    let (kind, message, hint) = match code {
        "NoSuchBucket" | "PermanentRedirect" | "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue" => (
            Kind::Config,
            format!("there is no {place}"),
            "check its name, the account, and AWS_REGION, which must be its own".to_owned(),
        ),
        "AccessDenied" | "AccessDeniedException" => {
            (Kind::Config, format!("AWS doesn't allow us to use the {place}"), format!("allow `{action}` on it"))
        }
        "" if matches!(error, SdkError::ConstructionFailure(_)) => {
            (Kind::Config, format!("a request for the {place} cannot be made"), "set AWS_REGION".to_owned())
        }
        _ => (
            Kind::Unavailable,
            format!("the {place} doesn't answer as it should"),
            "check the network, the endpoint and the credentials".to_owned(),
        ),
    };
    Error::new(kind, message).with_hint(hint).with_source(error)
}
