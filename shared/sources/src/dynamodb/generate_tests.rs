use std::collections::HashMap;

use bytes::Bytes;
use tributary_core::event::Body;

use super::*;
use crate::dynamodb::record::{keys_of, record_json};
use crate::dynamodb::stream::decode_record;

const ARN: &str = "arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2024-05-01T12:00:00.123";
const NOON: i64 = 1_714_564_800_000_000;

#[test]
fn the_same_seed_tells_the_same_story() {
    let tell = |seed| {
        let mut users = Users::new(seed);
        (0..200).map(|_| users.next(NOON)).collect::<Vec<Operation>>()
    };
    assert_eq!(tell(7), tell(7));
    assert_ne!(tell(7), tell(8));
}

#[test]
fn operations_fit_what_was_before_and_all_kinds_occur() {
    let mut users = Users::new(1);
    let mut table: HashMap<String, Value> = HashMap::new();
    let mut counts = [0; 3];
    let id = |item: &Value| format!("{:?}", keys_of(item, &KEY).unwrap());
    for _ in 0..2_000 {
        match users.next(NOON) {
            Operation::Put(now) => {
                counts[0] += 1;
                assert!(table.insert(id(&now), now).is_none());
            }
            Operation::Update(before, now) => {
                counts[1] += 1;
                assert_ne!(before, now);
                assert_eq!(table.insert(id(&now), now), Some(before));
            }
            Operation::Delete(before) => {
                counts[2] += 1;
                assert_eq!(table.remove(&id(&before)), Some(before));
            }
        }
    }
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
}

#[test]
fn text_fits_the_columns_of_the_sample_mapping() {
    assert!(BIOS.iter().all(|bio| bio.chars().count() <= 210));
    assert!(LOCATIONS.iter().all(|place| place.chars().count() <= 48));
}

#[test]
fn records_decode_to_what_was_written() {
    let arn = ARN.parse().unwrap();
    let mut users = Users::new(3);
    let mut last = None;
    for step in 0..300 {
        let at = NOON + step * 1_500_000;
        let operation = users.next(at);
        let number = users.sequence_number();
        assert!(number.len() >= 21, "{number}");
        let json = record_json(operation.change(), &KEY, &arn, &number, Some(at)).unwrap();
        let event = decode_record(Bytes::from(json)).decoded.unwrap();
        assert!(last < Some(event.version), "{number}");
        last = Some(event.version);
        assert_eq!(event.at, Some(at / 1_000_000 * 1_000_000));
        match (operation, event.body) {
            (Operation::Put(item), Body::Image { now, before: None }) => assert_eq!(item, now),
            (Operation::Update(old, item), Body::Image { now, before }) => {
                assert_eq!((item, Some(old)), (now, before));
            }
            (Operation::Delete(old), Body::Gone { before, expired: false, .. }) => assert_eq!(Some(old), before),
            (operation, body) => panic!("{operation:?} became {body:?}"),
        }
    }
}

#[test]
fn the_first_user_looks_like_this() {
    let mut users = Users::new(42);
    let arn = ARN.parse().unwrap();
    let number = users.sequence_number();
    let operation = users.next(NOON);
    insta::assert_snapshot!(record_json(operation.change(), &KEY, &arn, &number, Some(NOON)).unwrap());
}
