//! A DynamoDB stream, read whole as an event source mapping would read it: all shards, each from its oldest record on.

pub(crate) mod range;

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use tributary_core::pipeline::{Datastore, DynamodbStore, Mapping, Pipeline, SourceKind};
use tributary_core::{Error, Kind};
use tributary_runtime::aws;
use tributary_runtime::stream_driver::{self, Shard};
use tributary_sources::dynamodb::arn::StreamArn;

/// An open shard has no end. After so many pages without a record it is taken to have no more: AWS answers an empty page
/// now and then where there is more to come.
const EMPTY_PAGES: u32 = 5;

/// All shards of a stream with the records that it still has, a day's at most.
///
/// # Errors
/// `Config` when there is no such stream or we may not read it, `Auth` when the credentials are refused, `Unavailable`
/// when DynamoDB doesn't answer.
pub(crate) async fn read(store: &DynamodbStore, arn: &StreamArn) -> Result<Vec<Shard>, Error> {
    let client = client(store).await;
    let mut shards = Vec::new();
    let mut start = None;
    loop {
        let page = client.describe_stream().stream_arn(arn.as_str()).set_exclusive_start_shard_id(start);
        let page = page.send().await.map_err(|e| failed(arn, "DescribeStream", e))?;
        let description =
            page.stream_description.ok_or_else(|| Error::unavailable("DynamoDB answered without a stream"))?;
        for shard in description.shards() {
            let id = shard.shard_id().map(str::to_owned);
            let id = id.ok_or_else(|| Error::unavailable("DynamoDB answered with a shard that has no name"))?;
            let ended = shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_some());
            let records = records(&client, arn, &id, ended).await?;
            shards.push(Shard { id, parent: shard.parent_shard_id().map(str::to_owned), records });
        }
        start = description.last_evaluated_shard_id;
        if start.is_none() {
            return Ok(shards);
        }
    }
}

/// The pipelines that read a stream, with the datastore that it is in.
///
/// # Errors
/// `Config` when there is none.
pub(crate) fn readers<'m>(
    mapping: &'m Mapping,
    arn: &StreamArn,
) -> Result<Vec<(&'m Pipeline, &'m DynamodbStore)>, Error> {
    let store = |pipeline: &Pipeline| match mapping.datastores.get(&pipeline.source.datastore) {
        Some(Datastore::Dynamodb(store)) if store.region.as_deref().is_none_or(|own| own == arn.region()) => {
            Some(store)
        }
        _ => None,
    };
    let reads = |kind: &SourceKind| matches!(kind, SourceKind::Dynamodb { table, .. } if table == arn.table());
    let own = mapping.pipelines.iter().filter(|pipeline| reads(&pipeline.source.kind));
    let readers: Vec<_> = own.filter_map(|pipeline| Some((pipeline, store(pipeline)?))).collect();
    if readers.is_empty() {
        return Err(Error::config(format!("no pipeline reads the stream {arn}"))
            .with_hint(format!("add a pipeline with `table: {}` to the mapping", arn.table())));
    }
    Ok(readers)
}

async fn client(store: &DynamodbStore) -> Client {
    let mut config = aws_sdk_dynamodbstreams::config::Builder::from(&aws::config_of(store).await);
    if let Some(endpoint) = &store.endpoint {
        config = config.endpoint_url(endpoint);
    }
    Client::from_conf(config.build())
}

async fn records(
    client: &Client,
    arn: &StreamArn,
    shard: &str,
    ended: bool,
) -> Result<Vec<stream_driver::Record>, Error> {
    let iterator = client.get_shard_iterator().stream_arn(arn.as_str()).shard_id(shard);
    let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await;
    let mut next = iterator.map_err(|e| failed(arn, "GetShardIterator", e))?.shard_iterator;
    let (mut records, mut empty) = (Vec::new(), 0);
    while let Some(iterator) = next {
        let page = client.get_records().shard_iterator(iterator).send().await;
        let page = page.map_err(|e| failed(arn, "GetRecords", e))?;
        empty = if page.records().is_empty() { empty + 1 } else { 0 };
        if empty >= EMPTY_PAGES && !ended {
            break;
        }
        records.extend(page.records().iter().map(|record| stream_driver::Record::new(event(record, arn).to_string())));
        next = page.next_shard_iterator;
    }
    Ok(records)
}

/// A record in the form in which Lambda hands it over: that of `GetRecords`, with the stream's name.
fn event(record: &Record, arn: &StreamArn) -> Value {
    let mut inner = Map::new();
    let mut whole = Map::new();
    if let Some(data) = record.dynamodb() {
        let mut put = |name: &str, value: Option<Value>| drop(value.map(|value| inner.insert(name.to_owned(), value)));
        // Lambda sends whole seconds as AWS has them, and fractions where an emulator has them.
        let at = data.approximate_creation_date_time();
        put(
            "ApproximateCreationDateTime",
            at.map(|at| match at.subsec_nanos() {
                0 => json!(at.secs()),
                _ => json!(at.as_secs_f64()),
            }),
        );
        put("Keys", data.keys().map(item));
        put("NewImage", data.new_image().map(item));
        put("OldImage", data.old_image().map(item));
        put("SequenceNumber", data.sequence_number().map(Value::from));
        put("SizeBytes", data.size_bytes().map(Value::from));
        put("StreamViewType", data.stream_view_type().map(|view| Value::from(view.as_str())));
    }
    let mut put = |name: &str, value: Option<Value>| drop(value.map(|value| whole.insert(name.to_owned(), value)));
    put("eventID", record.event_id().map(Value::from));
    put("eventName", record.event_name().map(|name| Value::from(name.as_str())));
    put("eventVersion", record.event_version().map(Value::from));
    put("eventSource", Some("aws:dynamodb".into()));
    put("awsRegion", Some(arn.region().into()));
    put("dynamodb", Some(inner.into()));
    let who = record.user_identity();
    put("userIdentity", who.map(|who| json!({ "type": who.r#type(), "principalId": who.principal_id() })));
    put("eventSourceARN", Some(arn.as_str().into()));
    whole.into()
}

fn item(attributes: &std::collections::HashMap<String, AttributeValue>) -> Value {
    attributes.iter().map(|(name, value)| (name.clone(), attribute(value))).collect::<Map<_, _>>().into()
}

fn attribute(value: &AttributeValue) -> Value {
    let base64 = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::B(bytes) => json!({ "B": base64(bytes.as_ref()) }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::Null(flag) => json!({ "NULL": flag }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(numbers) => json!({ "NS": numbers }),
        AttributeValue::Bs(all) => json!({ "BS": all.iter().map(|bytes| base64(bytes.as_ref())).collect::<Vec<_>>() }),
        AttributeValue::L(elements) => json!({ "L": elements.iter().map(attribute).collect::<Vec<_>>() }),
        AttributeValue::M(fields) => json!({ "M": item(fields) }),
        // What a newer DynamoDB may have: it ends among the dead letters, not in silence.
        _ => json!({ "UNKNOWN": null }),
    }
}

fn failed<E>(arn: &StreamArn, action: &str, error: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    let (kind, message, hint) = match code {
        "ResourceNotFoundException" | "TrimmedDataAccessException" => (
            Kind::Config,
            format!("there is no stream {arn}"),
            "it may have been disabled; check the region too".to_owned(),
        ),
        "AccessDeniedException" => (
            Kind::Config,
            format!("AWS doesn't allow us to read the stream {arn}"),
            format!("allow `dynamodb:{action}` on it"),
        ),
        "" if matches!(error, SdkError::ConstructionFailure(_)) => (
            Kind::Config,
            "a request to DynamoDB cannot be made".to_owned(),
            "set AWS_REGION, or `region` in the datastore".to_owned(),
        ),
        _ => (
            Kind::Unavailable,
            format!("DynamoDB doesn't let us read the stream {arn}"),
            "check the network, the endpoint and the credentials".to_owned(),
        ),
    };
    Error::new(kind, message).with_hint(hint).with_source(error)
}
