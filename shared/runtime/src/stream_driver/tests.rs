//! The rules, against functions that fail in every way.

use serde_json::json;

use super::*;

const ARN: &str = "arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2026-01-01T00:00:00.000";

fn record(number: u32, key: u32, at: i64) -> Record {
    Record::new(format!(
        r#"{{"eventSourceARN":"{ARN}","dynamodb":{{"ApproximateCreationDateTime":{at},"Keys":{{"id":{{"N":"{key}"}}}},"SequenceNumber":"{number}"}}}}"#
    ))
}

fn records(numbers: std::ops::RangeInclusive<u32>) -> Vec<Record> {
    numbers.map(|number| record(number, number % 7, 1_767_225_600)).collect()
}

/// The sequence numbers of an event.
fn numbers(event: &[u8]) -> Vec<u32> {
    let records = Record::of_event(event).unwrap();
    records.iter().map(|record| record.number().unwrap().parse().unwrap()).collect()
}

/// Drives the records 8 to 12 as one shard through this function; what each invocation got, and the report.
async fn driven(rules: Rules, mut function: impl FnMut(&[u32]) -> Result<String, String>) -> (Vec<Vec<u32>>, Report) {
    let calls = RefCell::new(Vec::new());
    let function = RefCell::new(&mut function);
    let report = drive(&rules, Shard::of_records(records(8..=12), 1), async |event: Bytes| {
        let got = numbers(&event);
        let answer = (function.borrow_mut())(&got).map(Bytes::from);
        calls.borrow_mut().push(got);
        tokio::task::yield_now().await;
        answer
    })
    .await;
    (calls.into_inner(), report)
}

fn failing(number: u32) -> String {
    json!({ "batchItemFailures": [{ "itemIdentifier": number.to_string() }] }).to_string()
}

#[tokio::test]
async fn what_a_response_means() {
    let all = vec![8, 9, 10, 11, 12];
    let check = async |response: &str, again: Option<Vec<u32>>| {
        let mut first = true;
        let (calls, report) = driven(Rules::default(), |_| {
            Ok(if std::mem::take(&mut first) { response.to_owned() } else { String::new() })
        })
        .await;
        let expect: Vec<Vec<u32>> = [Some(all.clone()), again].into_iter().flatten().collect();
        assert_eq!(calls, expect, "{response}");
        assert_eq!(report.checkpoints.values().collect::<Vec<_>>(), ["12"], "{response}");
        assert!(report.discarded.is_empty());
    };
    for done in ["", "null", "{}", r#"{"batchItemFailures":null}"#, r#"{"batchItemFailures":[]}"#] {
        check(done, None).await;
    }
    check(&failing(11), Some(vec![11, 12])).await;
    // The lowest by value, not by text.
    let several = r#"{"batchItemFailures":[{"itemIdentifier":"10"},{"itemIdentifier":"9"},{"itemIdentifier":"12"}]}"#;
    check(several, Some(vec![9, 10, 11, 12])).await;
    for whole in [
        "no json",
        "[]",
        "17",
        r#"{"batchItemFailures":7}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifer":"9"}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":"10"},{"itemIdentifier":""}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":"99"}]}"#,
    ] {
        check(whole, Some(all.clone())).await;
    }
}

#[tokio::test]
async fn batches_have_their_size_and_wait_for_each_other() {
    let mut tries = 0;
    let (calls, report) = driven(Rules { batch_size: 2, ..Rules::default() }, |got| {
        tries += 1;
        if got == [10, 11] && tries < 4 { Err("not yet".into()) } else { Ok(String::new()) }
    })
    .await;
    assert_eq!(calls, [vec![8, 9], vec![10, 11], vec![10, 11], vec![10, 11], vec![12]]);
    assert_eq!((report.failures(), report.records()), (2, 9));
    assert_eq!(report.deliveries[3].retry, 2);
    assert_eq!(report.deliveries[1].fate, Fate::Failed("not yet".into()));
}

#[tokio::test]
async fn attempts_run_out_and_the_batch_is_kept_whole() {
    let rules = Rules { batch_size: 2, retries: Some(1), ..Rules::default() };
    let (calls, report) = driven(rules, |got| if got.contains(&9) { Ok(failing(9)) } else { Ok(String::new()) }).await;
    assert_eq!(calls, [vec![8, 9], vec![9], vec![10, 11], vec![12]]);
    let [discarded] = report.discarded.as_slice() else { panic!("{report:?}") };
    assert_eq!((discarded.reason(), discarded.records()), (Reason::RetryAttemptsExhausted, 1));
    let whole = discarded.whole();
    assert_eq!(whole["DDBStreamBatchInfo"]["startSequenceNumber"], "9");
    assert_eq!(whole["DDBStreamBatchInfo"]["approximateArrivalOfFirstRecord"], "2026-01-01T00:00:00.000Z");
    assert_eq!(whole["requestContext"]["approximateInvokeCount"], 2);
    assert_eq!(numbers(whole["payload"].as_str().unwrap().as_bytes()), [9]);
    assert!(discarded.metadata().get("payload").is_none());
}

#[tokio::test]
async fn halving_finds_the_one_and_costs_no_attempt() {
    let rules = Rules { bisect: true, retries: Some(1), ..Rules::default() };
    let (calls, report) = driven(rules, |got| if got.contains(&11) { Err("11".into()) } else { Ok("{}".into()) }).await;
    assert_eq!(
        calls,
        [vec![8, 9, 10, 11, 12], vec![8, 9], vec![10, 11, 12], vec![10], vec![11, 12], vec![11], vec![11], vec![12]]
    );
    assert_eq!(report.discarded.len(), 1);
    assert_eq!(report.discarded[0].whole()["DDBStreamBatchInfo"]["endSequenceNumber"], "11");
}

#[tokio::test]
async fn what_is_too_old_is_given_up_unseen() {
    let now = unix_micros() / 1_000_000;
    let mixed = vec![record(1, 1, now - 500), record(2, 2, now), record(3, 3, now - 500)];
    let rules = Rules { record_age: Some(Duration::from_secs(100)), ..Rules::default() };
    let calls = RefCell::new(Vec::new());
    let report = drive(&rules, Shard::of_records(mixed, 1), async |event: Bytes| {
        calls.borrow_mut().push(numbers(&event));
        Ok::<_, String>(Bytes::new())
    })
    .await;
    assert_eq!(calls.into_inner(), [vec![2]]);
    assert_eq!((report.discarded[0].reason(), report.discarded[0].records()), (Reason::RecordAgeExceeded, 2));
}

#[tokio::test]
async fn shards_go_on_side_by_side_each_in_its_order_and_children_after_their_parents() {
    let mut shards = Shard::of_records(records(1..=60), 3);
    assert_eq!(shards.len(), 3);
    shards.push(Shard { id: "child".into(), parent: Some(shards[0].id.clone()), records: records(61..=63) });
    let (seen, most) = (RefCell::new(Vec::new()), RefCell::new((0, 0)));
    drive(&Rules { batch_size: 2, ..Rules::default() }, shards, async |event: Bytes| {
        {
            let mut at_once = most.borrow_mut();
            at_once.0 += 1;
            at_once.1 = at_once.0.max(at_once.1);
        }
        tokio::task::yield_now().await;
        seen.borrow_mut().extend(numbers(&event));
        most.borrow_mut().0 -= 1;
        Ok::<_, String>(Bytes::new())
    })
    .await;
    let (seen, (_, at_once)) = (seen.into_inner(), most.into_inner());
    assert_eq!(at_once, 3);
    assert_eq!(seen[60..], [61, 62, 63]);
    assert!(!seen.is_sorted());
    for key in 0..7 {
        let of_key: Vec<u32> = seen.iter().copied().filter(|number| number % 7 == key).collect();
        assert!(of_key.is_sorted() && of_key.len() >= 9, "{of_key:?}");
    }
}

#[tokio::test]
async fn disorder_follows_from_its_seed_and_loses_nothing() {
    let driven = async |disorder: Disorder| {
        let calls = RefCell::new(Vec::new());
        let rules = Rules { batch_size: 8, disorder: Some(disorder), ..Rules::default() };
        drive(&rules, Shard::of_records(records(1..=200), 1), async |event: Bytes| {
            calls.borrow_mut().push(numbers(&event));
            Ok::<_, String>(Bytes::new())
        })
        .await;
        calls.into_inner()
    };
    let check = async |disorder: Disorder, sorted: bool, doubled: bool, sizes: bool| {
        let calls = driven(disorder.clone()).await;
        assert_eq!(calls, driven(disorder.clone()).await, "{disorder:?}");
        let mut all = calls.concat();
        assert_eq!(all.is_sorted(), sorted, "{disorder:?}");
        assert_eq!(all.len() > 200, doubled, "{disorder:?}");
        assert_eq!(calls.iter().any(|call| call.len() < 8), sizes, "{disorder:?}");
        all.sort_unstable();
        all.dedup();
        assert_eq!(all, (1..=200).collect::<Vec<u32>>(), "{disorder:?}");
    };
    let none = Disorder { seed: 3, ..Disorder::default() };
    check(none.clone(), true, false, false).await;
    check(Disorder { split: true, ..none.clone() }, true, false, true).await;
    check(Disorder { shuffle: true, ..none.clone() }, false, false, false).await;
    check(Disorder { replay: 0.3, ..none.clone() }, false, true, false).await;
    check(Disorder { duplicate: 0.1, split: true, ..none.clone() }, false, true, true).await;
    assert_ne!(
        driven(Disorder { shuffle: true, ..none.clone() }).await,
        driven(Disorder { seed: 4, shuffle: true, ..none }).await
    );
}

#[test]
fn a_payload_is_never_too_large() {
    let large = |number: u32| {
        Record::new(format!(r#"{{"dynamodb":{{"SequenceNumber":"{number}","x":"{}"}}}}"#, "x".repeat(1 << 20)))
    };
    let batches = cut((0..14).map(large).collect(), |_| 1_000);
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5, 4]);
    assert!(batches.iter().all(|batch| record::event(batch).len() <= LARGEST_PAYLOAD));
}

#[test]
fn a_broken_record_goes_with_its_event_and_is_never_before_anything() {
    let event = format!(r#"{{"Records":[7,{{"dynamodb":{{"SequenceNumber":"x"}}}},{}]}}"#, record(5, 1, 0).json());
    let records = Record::of_event(event.as_bytes()).unwrap();
    assert!(records.iter().all(|record| record.stream() == Some(ARN)));
    assert_eq!(records.iter().map(|record| record.is_before("6")).collect::<Vec<_>>(), [false, false, true]);
    assert!(Record::of_event(b"{}").unwrap_err().hint().is_some());
}
