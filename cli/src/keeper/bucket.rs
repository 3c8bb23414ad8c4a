//! A bucket of S3. Lambda's keys are `aws/lambda/<event source mapping>/<shard>/YYYY-MM-DDTHH.MM.SS-<random UUID>`
//! (Lambda developer guide, "Retain discarded records for a DynamoDB event source").

use std::collections::VecDeque;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use bytes::Bytes;
use tributary_core::pipeline::DynamodbStore;
use tributary_core::{Error, Result};
use tributary_runtime::aws;

use super::{Kept, failed};

/// An event is 6 MB at most, and twice that as a text within a document.
const LARGEST: i64 = 32 * 1024 * 1024;

/// Objects of a bucket, in the order of their keys.
#[derive(Debug)]
pub(crate) struct Bucket {
    client: Client,
    name: String,
    prefix: String,
    /// Keys and sizes that are listed and not yet taken.
    listed: VecDeque<(String, i64)>,
    /// From where to list on; `None` at the end.
    rest: Option<Listing>,
}

#[derive(Debug)]
enum Listing {
    Begin,
    After(String),
}

impl Bucket {
    pub(super) async fn new(name: &str, prefix: &str, endpoint: Option<&str>) -> Bucket {
        let place = DynamodbStore { region: None, endpoint: endpoint.map(str::to_owned) };
        let config = aws::config_of(&place).await;
        // An emulator is one host, without a subdomain for each bucket.
        let own_host = endpoint.is_none() && config.endpoint_url().is_none();
        let mut builder = Builder::from(&config).force_path_style(!own_host);
        if let Some(endpoint) = endpoint {
            builder = builder.endpoint_url(endpoint);
        }
        Bucket {
            client: Client::from_conf(builder.build()),
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            listed: VecDeque::new(),
            rest: Some(Listing::Begin),
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Kept>> {
        while self.listed.is_empty() {
            let Some(from) = self.rest.take() else { return Ok(None) };
            let list = self.client.list_objects_v2().bucket(&self.name).prefix(&self.prefix);
            let list = match from {
                Listing::Begin => list,
                Listing::After(token) => list.continuation_token(token),
            };
            let page = list.send().await.map_err(|e| failed(&self.place(), "s3:ListBucket", e))?;
            let object = |object: aws_sdk_s3::types::Object| Some((object.key?, object.size.unwrap_or(0)));
            self.listed.extend(page.contents.unwrap_or_default().into_iter().filter_map(object));
            self.rest = page.next_continuation_token.map(Listing::After);
        }
        let Some((key, size)) = self.listed.pop_front() else { return Ok(None) };
        Ok(Some(Kept { name: key.clone(), document: self.get(&key, size).await, handle: key }))
    }

    async fn get(&self, key: &str, size: i64) -> Result<Bytes> {
        if size > LARGEST {
            return Err(Error::data(format!("not a batch that was given up: it has {size} bytes"))
                .with_hint("narrow --prefix down to what Lambda has written"));
        }
        let object = self.client.get_object().bucket(&self.name).key(key).send().await;
        let object = object.map_err(|e| failed(&self.place(), "s3:GetObject", e))?;
        let body = object.body.collect().await;
        Ok(body.map_err(|e| Error::unavailable("the object breaks off").with_source(e))?.into_bytes())
    }

    pub(super) async fn delete(&self, key: &str) -> Result<()> {
        let deleted = self.client.delete_object().bucket(&self.name).key(key).send().await;
        deleted.map(drop).map_err(|e| failed(&self.place(), "s3:DeleteObject", e))
    }

    fn place(&self) -> String {
        format!("bucket {}", self.name)
    }
}
