use std::collections::VecDeque;
use std::sync::Mutex;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value as Json, json};
use tributary_core::Kind;
use tributary_core::sink::Unlimited;

use super::*;
use crate::dynamodb::stream::decode_record;
use crate::dynamodb::table::describe_table;

const ARN: &str = "arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2024-05-01T12:00:00.123";

/// DynamoDB with its answers written down beforehand; status 0 is a connection that fails.
#[derive(Clone, Debug, Default)]
struct Fake {
    answers: Arc<Mutex<VecDeque<(u16, Json)>>>,
    asked: Arc<Mutex<Vec<Json>>>,
}

impl HttpConnector for Fake {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        self.asked.lock().unwrap().push(serde_json::from_slice(body).unwrap());
        HttpConnectorFuture::ready(match self.answers.lock().unwrap().pop_front() {
            Some((0, _)) | None => Err(ConnectorError::io("connection refused".into())),
            Some((status, body)) => Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()))),
        })
    }
}

impl Fake {
    fn answering(answers: impl IntoIterator<Item = (u16, Json)>) -> (Fake, Client) {
        let fake = Fake { answers: Arc::new(Mutex::new(answers.into_iter().collect())), asked: Arc::default() };
        let connector = SharedHttpConnector::new(fake.clone());
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-2"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build();
        (fake, Client::from_conf(config))
    }

    fn asked(&self) -> Vec<Json> {
        self.asked.lock().unwrap().clone()
    }
}

fn failure(code: &str) -> (u16, Json) {
    (400, json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "no"}))
}

fn scan(client: Client, options: Options, units: f64) -> Scan {
    let table =
        Table { name: "users".into(), key: vec!["id".into()], stream: ARN.parse().unwrap(), items: 3, bytes: 300 };
    Scan::new(client, Arc::new(table), options, Arc::new(ReadRate::new(units))).unwrap()
}

fn page(ids: &[&str], last: Option<&str>, units: f64) -> (u16, Json) {
    let items: Vec<Json> =
        ids.iter().map(|id| json!({"id": {"S": id}, "n": {"N": "12345678901234567890123"}})).collect();
    let mut page = json!({
        "Items": items, "Count": ids.len(), "ScannedCount": ids.len(),
        "ConsumedCapacity": {"TableName": "users", "CapacityUnits": units},
    });
    if let Some(last) = last {
        page["LastEvaluatedKey"] = json!({"id": {"S": last}});
    }
    (200, page)
}

#[tokio::test(start_paused = true)]
async fn pages_follow_the_cursor_and_an_empty_page_is_not_the_end() {
    let (fake, client) =
        Fake::answering([page(&["a", "b"], Some("b"), 1.0), page(&[], Some("m"), 0.5), page(&["z"], None, 0.5)]);
    let mut scan = scan(client, Options { segment: 1, segments: 4, consistent: true }, 100.0);
    assert_eq!(scan.partition(), "backfill/2024-05-01T12:00:00.123/1-of-4");
    let (mut cursor, mut keys) = (None, Vec::new());
    loop {
        let page = scan.next(cursor.as_deref(), &Unlimited).await.unwrap();
        assert!(page.asked_at > 1_700_000_000_000_000);
        keys.extend(page.events.into_iter().map(|event| event.unwrap().origin.key));
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(keys, [r#"{"id":"a"}"#, r#"{"id":"b"}"#, r#"{"id":"z"}"#].map(Box::from));
    let asked = fake.asked();
    assert_eq!(asked[0]["ExclusiveStartKey"], Json::Null);
    assert_eq!(asked[1]["ExclusiveStartKey"], json!({"id": {"S": "b"}}));
    assert_eq!(asked[2]["ExclusiveStartKey"], json!({"id": {"S": "m"}}));
    for request in &asked {
        assert_eq!(request["Segment"], 1);
        assert_eq!(request["TotalSegments"], 4);
        assert_eq!(request["ConsistentRead"], true);
        assert_eq!(request["ReturnConsumedCapacity"], "TOTAL");
    }
    // A second's worth of a quarter of 100 units, at half a unit an item.
    assert_eq!((&asked[0]["Limit"], &asked[1]["Limit"]), (&json!(100), &json!(50)));
}

#[tokio::test(start_paused = true)]
async fn an_item_loses_to_any_event_and_its_payload_replays_to_itself() {
    let (_, client) = Fake::answering([page(&["a"], None, 1.0)]);
    let mut page = scan(client, Options::default(), 100.0).next(None, &Unlimited).await.unwrap();
    let event = page.events.remove(0).unwrap();
    assert_eq!(event.version, Version::start_of(1_714_564_800_123_000).unwrap());
    assert_eq!(&*event.origin.position, r#"backfill/2024-05-01T12:00:00.123/{"id":"a"}"#);
    let again = decode_record(event.origin.payload.clone()).decoded.unwrap();
    assert_eq!(format!("{event:?}"), format!("{again:?}"));
}

#[tokio::test(start_paused = true)]
async fn segments_together_keep_the_read_budget() {
    let (_, client) = Fake::answering([page(&["a"], Some("a"), 30.0), page(&["b"], None, 1.0)]);
    let mut scan = scan(client, Options::default(), 10.0);
    let start = tokio::time::Instant::now();
    scan.next(None, &Unlimited).await.unwrap();
    assert!((1.9..2.1).contains(&scan.ready_in().as_secs_f64()), "{:?}", scan.ready_in());

    struct Left(Duration);
    impl Budget for Left {
        fn remaining(&self) -> Option<Duration> {
            Some(self.0)
        }
    }
    let hurried = scan.next(Some(r#"{"id":{"S":"a"}}"#), &Left(Duration::from_secs(1))).await.unwrap_err();
    assert_eq!(hurried.kind(), Kind::Unavailable);
    scan.next(Some(r#"{"id":{"S":"a"}}"#), &Unlimited).await.unwrap();
    assert!((1.9..2.2).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_small_budget_does_not_make_pages_smaller_and_smaller() {
    let ids: Vec<String> = (0..100).map(|id| id.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    // Whatever their size, no page is cheaper than a unit.
    let (fake, client) =
        Fake::answering([page(&ids, Some("a"), 1.0), page(&ids, Some("b"), 1.0), page(&[], None, 1.0)]);
    let mut scan = scan(client, Options { segment: 0, segments: 4, consistent: true }, 2.0);
    for cursor in [None, Some("a"), Some("b")] {
        let cursor = cursor.map(|id| format!(r#"{{"id":{{"S":"{id}"}}}}"#));
        scan.next(cursor.as_deref(), &Unlimited).await.unwrap();
    }
    let limits: Vec<Json> = fake.asked().iter().map(|request| request["Limit"].clone()).collect();
    assert_eq!(limits, [json!(100), json!(100), json!(100)]);
}

#[tokio::test(start_paused = true)]
async fn throttling_and_lost_connections_are_tried_again() {
    let (fake, client) = Fake::answering([
        failure("ProvisionedThroughputExceededException"),
        failure("ThrottlingException"),
        (500, json!({"__type": "InternalServerError"})),
        (0, Json::Null),
        page(&["a"], None, 1.0),
    ]);
    let page = scan(client, Options::default(), 100.0).next(None, &Unlimited).await.unwrap();
    assert_eq!((page.events.len(), fake.asked().len()), (1, 5));

    let (fake, client) = Fake::answering([]);
    let error = scan(client, Options::default(), 100.0).next(None, &Unlimited).await.unwrap_err();
    assert_eq!((error.kind(), fake.asked().len()), (Kind::Unavailable, 11));
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_must_mend_is_not_tried_again() {
    for (code, kind, word) in [
        ("ResourceNotFoundException", Kind::Config, "region"),
        ("AccessDeniedException", Kind::Config, "dynamodb:Scan"),
        ("ValidationException", Kind::Config, "anew"),
        ("ExpiredTokenException", Kind::Auth, "sign in"),
    ] {
        let (fake, client) = Fake::answering([failure(code)]);
        let error = scan(client, Options::default(), 100.0).next(None, &Unlimited).await.unwrap_err();
        assert_eq!((error.kind(), fake.asked().len()), (kind, 1), "{code}");
        assert!(error.hint().unwrap().contains(word), "{code}: {:?}", error.hint());
    }
    let (_, client) = Fake::answering([]);
    let error = scan(client, Options::default(), 100.0).next(Some("rubbish"), &Unlimited).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
}

#[tokio::test(start_paused = true)]
async fn a_segment_beyond_the_last_is_refused() {
    let (_, client) = Fake::answering([]);
    let table = Arc::clone(&scan(client.clone(), Options::default(), 1.0).table);
    let options = Options { segment: 4, segments: 4, consistent: true };
    assert!(Scan::new(client, table, options, Arc::new(ReadRate::new(1.0))).is_err());
}

#[tokio::test]
async fn describes_the_table_or_says_what_to_do() {
    let description = |change: Json| {
        let mut table = json!({
            "TableName": "users", "ItemCount": 7, "TableSizeBytes": 900, "LatestStreamArn": ARN,
            "KeySchema": [{"AttributeName": "at", "KeyType": "RANGE"}, {"AttributeName": "id", "KeyType": "HASH"}],
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        });
        table.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        (200, json!({ "Table": table }))
    };
    let (_, client) = Fake::answering([description(json!({}))]);
    let table = describe_table(&client, "users").await.unwrap();
    assert_eq!((table.key, table.items, table.bytes), (vec!["id".to_owned(), "at".to_owned()], 7, 900));
    assert_eq!(table.stream.as_str(), ARN);

    for (answer, kind, hint) in [
        (description(json!({"StreamSpecification": null})), Kind::Config, "NEW_AND_OLD_IMAGES"),
        (description(json!({"StreamSpecification": {"StreamEnabled": false}})), Kind::Config, "NEW_AND_OLD_IMAGES"),
        (
            description(json!({"StreamSpecification": {"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}})),
            Kind::Config,
            "disable it",
        ),
        (failure("ResourceNotFoundException"), Kind::Config, "region"),
        (failure("AccessDeniedException"), Kind::Config, "dynamodb:DescribeTable"),
        ((0, Json::Null), Kind::Unavailable, "endpoint"),
    ] {
        let (_, client) = Fake::answering([answer]);
        let error = describe_table(&client, "users").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:#}");
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
    }
}
