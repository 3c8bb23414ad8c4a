//! What a backfill must know of a table before it reads it: its key, its size, and the stream whose epoch it writes.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{KeyType, StreamViewType, TableDescription};
use tributary_core::{Error, Result};

use super::arn::StreamArn;
use super::failure::failed;

/// A table with an enabled stream.
#[derive(Clone, Debug)]
pub struct Table {
    /// The name.
    pub name: String,
    /// The key attributes, the partition key first.
    pub key: Vec<String>,
    /// The current stream.
    pub stream: StreamArn,
    /// How many items the table had at DynamoDB's last count, which is up to six hours old.
    pub items: u64,
    /// How many bytes they took then.
    pub bytes: u64,
}

/// Asks DynamoDB for the table (`dynamodb:DescribeTable`).
///
/// # Errors
/// `Config` when there is no such table, when its stream is not enabled or carries no new images, or when the role may
/// not ask; `Auth` when the credentials are refused; `Unavailable` when DynamoDB doesn't answer.
pub async fn describe_table(client: &Client, name: &str) -> Result<Table> {
    let answer = client.describe_table().table_name(name).send().await;
    let answer = answer.map_err(|e| failed(e, "dynamodb:DescribeTable", name))?;
    table_of(name, &answer.table.ok_or_else(|| Error::unavailable("DynamoDB answered without a table"))?)
}

fn table_of(name: &str, table: &TableDescription) -> Result<Table> {
    let specification = table.stream_specification().filter(|stream| stream.stream_enabled());
    // The ARN of a stream stays there for a while after the stream was disabled.
    let (Some(specification), Some(arn)) = (specification, table.latest_stream_arn()) else {
        return Err(Error::config(format!("the DynamoDB table `{name}` has no stream"))
            .with_hint("enable it with NEW_AND_OLD_IMAGES, deploy the function, then backfill"));
    };
    if let Some(view @ (StreamViewType::KeysOnly | StreamViewType::OldImage)) = specification.stream_view_type() {
        return Err(Error::config(format!("the stream of the DynamoDB table `{name}` is {}", view.as_str()))
            .with_hint("disable it and enable it again with NEW_AND_OLD_IMAGES, deploy the function, then backfill"));
    }
    let mut schema: Vec<_> = table.key_schema().iter().collect();
    schema.sort_by_key(|element| *element.key_type() != KeyType::Hash);
    let count = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
    let stream: StreamArn = arn.parse()?;
    stream.epoch()?;
    Ok(Table {
        name: name.to_owned(),
        key: schema.iter().map(|element| element.attribute_name().to_owned()).collect(),
        stream,
        items: count(table.item_count()),
        bytes: count(table.table_size_bytes()),
    })
}
