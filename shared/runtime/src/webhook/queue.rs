//! The queue that verified deliveries go by, and the bucket for those that are larger than it takes.
//!
//! | variable | meaning |
//! |---|---|
//! | `TRIBUTARY_WEBHOOK_QUEUE` | the URL of the SQS queue, for hooks with `mode: queue` |
//! | `TRIBUTARY_WEBHOOK_BUCKET` | the S3 bucket, for those with `too_large: s3` |
//!
//! Objects are left to the bucket's lifecycle: a message may come twice, and the second time its object must still be there.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use tokio::sync::OnceCell;
use tributary_core::webhook::TooLarge;
use tributary_core::{Error, Kind, Result};

use super::message::{Content, MAX_MESSAGE, Message};
use crate::aws;
use crate::vault::sdk::lacks_credentials;

const QUEUE: &str = "TRIBUTARY_WEBHOOK_QUEUE";
const BUCKET: &str = "TRIBUTARY_WEBHOOK_BUCKET";

/// Queue and bucket. Their clients are made when they are first needed.
#[derive(Debug, Default)]
pub(super) struct Queue {
    url: Option<String>,
    bucket: Option<String>,
    sqs: OnceCell<aws_sdk_sqs::Client>,
    s3: OnceCell<aws_sdk_s3::Client>,
}

impl Queue {
    /// Those that the environment names.
    pub(super) fn of_environment() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Queue { url: variable(QUEUE), bucket: variable(BUCKET), ..Queue::default() }
    }

    /// Whether what a hook needs is there.
    ///
    /// # Errors
    /// `Config` when it isn't.
    pub(super) fn serves(&self, hook: &str, too_large: TooLarge) -> Result<()> {
        let lacks = |name: &str, what: &str| {
            Err(Error::config(format!("the hook `{hook}` goes by a queue, and {name} is not set"))
                .with_hint(format!("set it to {what}, or say `mode: direct`")))
        };
        match (&self.url, &self.bucket, too_large) {
            (None, _, _) => lacks(QUEUE, "the URL of the queue"),
            (_, None, TooLarge::S3) => lacks(BUCKET, "the bucket for bodies that are larger than the queue takes"),
            _ => Ok(()),
        }
    }

    /// Sends a delivery. Whether it did: it may be larger than the queue takes, and there may be no place for it.
    ///
    /// # Errors
    /// `Config` when queue or bucket are not there or may not be written, `Unavailable` when they don't answer.
    pub(super) async fn send(&self, mut message: Message, body: &Bytes, too_large: TooLarge) -> Result<bool> {
        let mut text = message.to_text()?;
        if text.len() > MAX_MESSAGE {
            if too_large == TooLarge::Refuse {
                return Ok(false);
            }
            drop(text);
            message.content = self.put(&message, body).await?;
            text = message.to_text()?;
        }
        let url = self.url.as_deref().ok_or_else(|| Error::config(format!("{QUEUE} is not set")))?;
        let client = self.sqs.get_or_init(async || aws_sdk_sqs::Client::new(aws::config().await)).await;
        let sent = client.send_message().queue_url(url).message_body(text).send().await;
        sent.map_err(|error| refused("the queue of webhooks", "sqs:SendMessage", &error))?;
        Ok(true)
    }

    /// Puts a body into the bucket.
    async fn put(&self, message: &Message, body: &Bytes) -> Result<Content> {
        let bucket = self.bucket.clone().ok_or_else(|| Error::config(format!("{BUCKET} is not set")))?;
        let key = format!("hooks/{}/{}-{:016x}", message.hook, message.received, fastrand::u64(..));
        let request = self.s3().await.put_object().bucket(&bucket).key(&key).body(ByteStream::from(body.clone()));
        let sent = request.content_type("application/octet-stream").send().await;
        sent.map_err(|error| refused("the bucket of webhooks", "s3:PutObject", &error))?;
        Ok(Content::S3 { bucket, key })
    }

    /// Gets a body out of the bucket, which must be ours: a message says its name.
    ///
    /// # Errors
    /// As [`Queue::send`].
    pub(super) async fn get(&self, bucket: &str, key: &str) -> Result<Bytes> {
        if self.bucket.as_deref() != Some(bucket) {
            return Err(Error::config("a message in the queue points to another bucket than ours")
                .with_hint(format!("set {BUCKET} to the bucket that it was when the message was sent")));
        }
        let object = self.s3().await.get_object().bucket(bucket).key(key).send().await;
        let object = object.map_err(|error| refused("the bucket of webhooks", "s3:GetObject", &error))?;
        let body = object.body.collect().await;
        let body = body.map_err(|e| Error::unavailable("an object broke off").with_source(e))?;
        Ok(body.into_bytes())
    }

    async fn s3(&self) -> &aws_sdk_s3::Client {
        let client = async || {
            let config = aws::config().await;
            // An endpoint of one's own is an emulator, which has no host name for each bucket.
            let by_path = config.endpoint_url().is_some();
            aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(config).force_path_style(by_path).build())
        };
        self.s3.get_or_init(client).await
    }
}

/// What a refusal of AWS means. Its own words hold no body.
pub(super) fn refused<E, R>(what: &str, action: &str, error: &SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let (code, said) = match error {
        SdkError::ServiceError(answer) => (answer.err().code().unwrap_or_default(), answer.err().message()),
        _ => ("", None),
    };
    let (kind, message, hint) = match code {
        "AccessDenied" | "AccessDeniedException" => {
            (Kind::Config, format!("{what} may not be used"), format!("allow the function's role {action} on it"))
        }
        "AWS.SimpleQueueService.NonExistentQueue"
        | "QueueDoesNotExist"
        | "NoSuchBucket"
        | "NoSuchKey"
        | "ResourceNotFoundException" => {
            (Kind::Config, format!("{what} is not there"), "check its name, and that it is in this region".to_owned())
        }
        _ if lacks_credentials(error) => (
            Kind::Config,
            format!("there are no AWS credentials to use {what}"),
            "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned(),
        ),
        _ => (
            Kind::Unavailable,
            format!("{what} doesn't answer"),
            "a function in a VPC needs a NAT gateway, or an endpoint for the service".to_owned(),
        ),
    };
    let explained = Error::new(kind, message).with_hint(hint);
    match said {
        Some(said) => explained.with_source(format!("{code}: {said}")),
        None => explained,
    }
}
