//! A range of a shard, read again: what an event source mapping gave up, as long as the stream has it.

use std::time::Duration;

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodbstreams::types::ShardIteratorType;
use tributary_core::Error;
use tributary_core::pipeline::DynamodbStore;
use tributary_runtime::stream_driver::Record;
use tributary_sources::dynamodb::arn::StreamArn;

use super::{client, event, failed};
use crate::given_up::Range;

/// So many pages without a record in a row, and the shard is taken to have no more for now. AWS answers an empty page now
/// and then where there is more to come.
const EMPTY_PAGES: u32 = 8;
/// After a page without a record. A shard may be read five times a second.
const PAUSE: Duration = Duration::from_millis(200);

/// What the stream still has of a range.
#[derive(Debug)]
pub(crate) struct Found {
    /// The records. There may be more than the batch had: others of the shard stand between them.
    pub(crate) records: Vec<Record>,
    /// Whether the range is here from its first to its last sequence number.
    pub(crate) whole: bool,
}

/// Reads a range again.
///
/// # Errors
/// `Config` when there is no such stream or we may not read it, `Unavailable` when DynamoDB doesn't answer, or not with
/// all that it should have. What it no longer has is no error, see [`Found::whole`].
pub(crate) async fn read(store: &DynamodbStore, arn: &StreamArn, range: &Range) -> Result<Found, Error> {
    let client = client(store).await;
    // A stream that isn't there is more likely looked for at the wrong place than forgotten.
    let known = client.describe_stream().stream_arn(arn.as_str()).limit(1).send().await;
    known.map_err(|e| failed(arn, "DescribeStream", e))?;
    // The horizon may move on between two requests.
    for from in [Some(&range.first), None, None, None] {
        let kind = if from.is_some() { ShardIteratorType::AtSequenceNumber } else { ShardIteratorType::TrimHorizon };
        let iterator = client.get_shard_iterator().stream_arn(arn.as_str()).shard_id(&range.shard);
        let iterator = iterator.shard_iterator_type(kind).set_sequence_number(from.cloned()).send().await;
        let iterator = match iterator {
            Ok(iterator) => iterator.shard_iterator,
            Err(error) if is(&error, "TrimmedDataAccessException") => continue,
            // The stream has forgotten the whole shard.
            Err(error) if is(&error, "ResourceNotFoundException") => {
                return Ok(Found { records: Vec::new(), whole: false });
            }
            Err(error) => return Err(failed(arn, "GetShardIterator", error)),
        };
        if let Some(found) = records(&client, arn, range, iterator, from.is_none()).await? {
            return Ok(found);
        }
    }
    Err(Error::unavailable(format!("DynamoDB forgets {} while it is read", range.shard)).with_hint("try again"))
}

/// The records from this iterator to the end of the range; `None` when they are trimmed while they are read.
async fn records(
    client: &Client,
    arn: &StreamArn,
    range: &Range,
    mut next: Option<String>,
    trimmed: bool,
) -> Result<Option<Found>, Error> {
    let (mut records, mut empty) = (Vec::<Record>::new(), 0);
    // Whether the last number was seen, or one beyond it.
    let mut reached = false;
    while let (Some(iterator), false) = (next, reached) {
        let page = match client.get_records().shard_iterator(iterator).send().await {
            Ok(page) => page,
            Err(error) if is(&error, "TrimmedDataAccessException") => return Ok(None),
            Err(error) => return Err(failed(arn, "GetRecords", error)),
        };
        for record in page.records() {
            let record = Record::new(event(record, arn).to_string());
            reached = record.number().is_some() && !record.is_before(&range.last);
            if !record.is_before(&range.first) && !record.is_after(&range.last) {
                records.push(record);
            }
            if reached {
                break;
            }
        }
        next = page.next_shard_iterator;
        empty = if page.records.is_some_and(|records| !records.is_empty()) { 0 } else { empty + 1 };
        if empty > 0 && next.is_some() {
            if empty == EMPTY_PAGES {
                // Of an open shard. What is trimmed doesn't come any more; anything else must.
                if trimmed {
                    break;
                }
                let Range { shard, last, .. } = range;
                return Err(Error::unavailable(format!("DynamoDB does not give {last} of {shard}"))
                    .with_hint("it should have it, so try again"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    let begins = records.first().is_some_and(|record| record.number().is_some() && !record.is_after(&range.first));
    Ok(Some(Found { whole: begins && reached, records }))
}

fn is<E: ProvideErrorMetadata>(error: &SdkError<E>, code: &str) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some(code)
}
