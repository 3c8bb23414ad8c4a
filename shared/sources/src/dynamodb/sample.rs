//! Some items of a table, for whoever asks what they look like. Needs no stream.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeyType;
use tributary_core::value::Value;
use tributary_core::{Error, Result};

use super::attribute::from_item;
use super::failure::failed;

/// What was seen of a table.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The key attributes, the partition key first.
    pub key: Vec<String>,
    /// What its stream carries (`NEW_AND_OLD_IMAGES`, …); `None` where none is enabled.
    pub stream: Option<String>,
    /// The items.
    pub items: Vec<Value>,
    /// Whether these are all.
    pub is_whole: bool,
}

/// Reads up to so many items (`dynamodb:DescribeTable`, `dynamodb:Scan`), from the beginning of a scan: by the order of
/// their keys' hashes, which is as good as any. A page has at most 1 MB.
///
/// # Errors
/// `Config` when there is no such table or the role may not ask; `Auth` when the credentials are refused; `Unavailable` when
/// DynamoDB doesn't answer; `Data` when an item cannot be read.
pub async fn sample(client: &Client, table: &str, most: usize) -> Result<Sample> {
    let answer = client.describe_table().table_name(table).send().await;
    let answer = answer.map_err(|e| failed(e, "dynamodb:DescribeTable", table))?;
    let about = answer.table.ok_or_else(|| Error::unavailable("DynamoDB answered without a table"))?;
    let mut schema: Vec<_> = about.key_schema().iter().collect();
    schema.sort_by_key(|element| *element.key_type() != KeyType::Hash);
    let stream = about.stream_specification().filter(|stream| stream.stream_enabled());
    let mut sample = Sample {
        key: schema.iter().map(|element| element.attribute_name().to_owned()).collect(),
        stream: stream.and_then(|stream| stream.stream_view_type()).map(|view| view.as_str().to_owned()),
        items: Vec::new(),
        is_whole: false,
    };
    let mut start = None;
    while sample.items.len() < most {
        let left = i32::try_from(most - sample.items.len()).unwrap_or(i32::MAX);
        let page = client.scan().table_name(table).limit(left).set_exclusive_start_key(start).send().await;
        let page = page.map_err(|e| failed(e, "dynamodb:Scan", table))?;
        for item in page.items.unwrap_or_default() {
            sample.items.push(from_item(item)?);
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            sample.is_whole = true;
            break;
        }
    }
    Ok(sample)
}
