//! A bucket of S3, or of what speaks its protocol, as the place for files.
//!
//! An object's MD5 is kept beside it as metadata: its ETag is the MD5 only where it was written in one piece and isn't
//! encrypted with a key of KMS (Amazon S3 API reference, "Object", field `ETag`).

use std::time::Duration;

use aws_config::Region;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tributary_core::{Error, Kind, Result};

use super::spool::{Spool, failed};
use super::store::Content;
use crate::aws::emulator::config_at;
use crate::vault::sdk::lacks_credentials;

/// The name of the metadata.
const MD5: &str = "md5";
/// A file that is larger goes in parts of this size, the smallest that S3 takes: so much memory each file needs.
const PART: u64 = 5 * 1024 * 1024;
/// The most parts that an object may have.
const PARTS: u64 = 10_000;
/// How long an answer may take; the request holds a part.
const ANSWER: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Bucket {
    client: Client,
    name: String,
    /// With a slash at its end, or empty.
    prefix: String,
}

impl Bucket {
    pub(super) async fn new(name: &str, prefix: Option<&str>, region: Option<&str>, endpoint: Option<&str>) -> Self {
        let config = config_at(endpoint).await;
        // What is no AWS has no host name for each bucket, and may not know checksums of late.
        let is_other = endpoint.is_some() || config.endpoint_url().is_some();
        let waits = TimeoutConfig::builder().read_timeout(ANSWER).operation_attempt_timeout(ANSWER * 2).build();
        let mut builder = Builder::from(&config).force_path_style(is_other).timeout_config(waits);
        if let Some(region) = region {
            builder = builder.region(Region::new(region.to_owned()));
        } else if endpoint.is_some() && config.region().is_none() {
            builder = builder.region(Region::from_static("us-east-1"));
        }
        if let Some(endpoint) = endpoint {
            builder = builder.endpoint_url(endpoint);
        }
        if is_other {
            builder = builder
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        }
        let prefix = prefix.map(|prefix| prefix.trim_matches('/')).filter(|prefix| !prefix.is_empty());
        Bucket {
            client: Client::from_conf(builder.build()),
            name: name.to_owned(),
            prefix: prefix.map(|prefix| format!("{prefix}/")).unwrap_or_default(),
        }
    }

    pub(super) fn location(&self, key: &str) -> String {
        format!("s3://{}/{}{key}", self.name, self.prefix)
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    pub(super) async fn holds(&self, key: &str, content: Content<'_>) -> Result<bool> {
        let there = match self.client.head_object().bucket(&self.name).key(self.key(key)).send().await {
            Ok(there) => there,
            // Who may not list the bucket is told 403 of an object that isn't there. Putting it will show.
            Err(error) if matches!(status(&error), Some(404 | 403)) => return Ok(false),
            Err(error) => return Err(self.refused("s3:GetObject", error)),
        };
        if there.content_length().and_then(|size| u64::try_from(size).ok()) != Some(content.size) {
            return Ok(false);
        }
        let kept = there.metadata().and_then(|kept| kept.get(MD5)).map(String::as_str);
        let etag = there.e_tag().map(|etag| etag.trim_matches('"'));
        Ok(kept.or(etag).is_some_and(|md5| md5.eq_ignore_ascii_case(content.md5)))
    }

    pub(super) async fn put(&self, key: &str, mut spool: Spool, content: Content<'_>) -> Result<()> {
        let file = spool.read().await.map_err(unread)?;
        let key = self.key(key);
        if content.size > PART {
            return self.put_in_parts(&key, file, content).await;
        }
        let body = part(file, content.size).await?;
        let request = self.client.put_object().bucket(&self.name).key(key).body(ByteStream::from(body));
        let request = request.set_content_type(content.content_type.map(str::to_owned)).metadata(MD5, content.md5);
        request.send().await.map(drop).map_err(|error| self.refused("s3:PutObject", error))
    }

    /// One part after the other, so that one is in memory.
    async fn put_in_parts(&self, key: &str, file: &mut File, content: Content<'_>) -> Result<()> {
        let request = self.client.create_multipart_upload().bucket(&self.name).key(key).metadata(MD5, content.md5);
        let begun = request.set_content_type(content.content_type.map(str::to_owned)).send().await;
        let begun = begun.map_err(|error| self.refused("s3:PutObject", error))?;
        let id = begun.upload_id().ok_or_else(|| Error::unavailable("S3 began an upload without an id"))?;
        let done = Box::pin(self.send_parts(key, id, file, content.size)).await;
        if done.is_err() {
            // What is left of it would be paid for.
            let ended = self.client.abort_multipart_upload().bucket(&self.name).key(key).upload_id(id).send().await;
            if let Err(error) = ended {
                let error = self.refused("s3:AbortMultipartUpload", error);
                tracing::warn!(bucket = self.name, error = %error.chain(), "an upload in parts was left unfinished");
            }
        }
        done
    }

    async fn send_parts(&self, key: &str, id: &str, file: &mut File, size: u64) -> Result<()> {
        let of_a_part = PART.max(size.div_ceil(PARTS));
        let (mut parts, mut sent, mut number) = (Vec::new(), 0, 0);
        while sent < size {
            let length = of_a_part.min(size - sent);
            let body = part(file, length).await?;
            number += 1;
            let request = self.client.upload_part().bucket(&self.name).key(key).upload_id(id).part_number(number);
            let answer = request.body(ByteStream::from(body)).send().await;
            let answer = answer.map_err(|error| self.refused("s3:PutObject", error))?;
            let part = CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag);
            parts.push(part.set_checksum_crc32(answer.checksum_crc32).build());
            sent += length;
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client.complete_multipart_upload().bucket(&self.name).key(key).upload_id(id);
        let done = request.multipart_upload(parts).send().await;
        done.map(drop).map_err(|error| self.refused("s3:PutObject", error))
    }

    fn refused<E>(&self, action: &str, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let place = format!("the bucket {}", self.name);
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
        let status = status(&error);
        let (kind, message, hint) = match (code, status) {
            ("KeyTooLongError" | "EntityTooLarge" | "InvalidArgument" | "InvalidRequest" | "BadDigest", _) => {
                (Kind::Data, format!("{place} doesn't take the file"), "write a shorter `path`".to_owned())
            }
            ("PermanentRedirect" | "AuthorizationHeaderMalformed", _) | (_, Some(301)) => (
                Kind::Config,
                format!("{place} is in another region"),
                format!("write `region: {}` beside the bucket", region_of(&error).unwrap_or("…")),
            ),
            ("NoSuchBucket", _) | (_, Some(404)) => {
                (Kind::Config, format!("there is no {}", &place[4..]), "make it, or check its name".to_owned())
            }
            ("AccessDenied", _) | (_, Some(403)) => {
                (Kind::Config, format!("{place} may not be used"), format!("allow the function's role {action} on it"))
            }
            _ if lacks_credentials(&error) => (
                Kind::Config,
                format!("there are no AWS credentials to use {place}"),
                "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned(),
            ),
            _ if matches!(error, SdkError::ConstructionFailure(_)) => (
                Kind::Config,
                format!("a request for {place} cannot be made"),
                "set AWS_REGION, or `region` beside the bucket".to_owned(),
            ),
            _ => (
                Kind::Unavailable,
                format!("{place} doesn't answer as it should"),
                "a function in a VPC needs a NAT gateway or a gateway endpoint for S3".to_owned(),
            ),
        };
        Error::new(kind, message).with_hint(hint).with_source(error)
    }
}

/// The next bytes of a file, so many.
async fn part(file: &mut File, length: u64) -> Result<Bytes> {
    let length = usize::try_from(length).map_err(|_| Error::data("a part of the file is larger than memory"))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes).await.map_err(unread)?;
    Ok(bytes.into())
}

fn unread(error: std::io::Error) -> Error {
    failed("read back a file that was kept for a moment", error)
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// S3 says it with each refusal, also of a HEAD, which has no body.
fn region_of<E>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.raw_response().and_then(|response| response.headers().get("x-amz-bucket-region"))
}
