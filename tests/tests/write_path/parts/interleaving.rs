//! Two writers of parts in each other's way: whoever commits first, each column ends at its newest value.

use super::*;
use crate::interleaving::race;

async fn check(before: &[Change], pair: [Change; 2], expect: &str) {
    for mode in [KEEP, CLEAR] {
        for swap in [false, true] {
            let [first, second] = pair.clone();
            let (first, second) = if swap { (second, first) } else { (first, second) };
            let query = "select id, a, b, c, _version, _deleted, _versions from t order by id";
            let rows = race("parts_race", parts(mode), before.to_vec(), first, second, query).await;
            assert_eq!(rows, [expect], "{mode:?}, swapped: {swap}");
        }
    }
}

#[tokio::test]
async fn two_parts_of_a_new_row_make_one_row() {
    check(&[], [only_a(1, 4, "a4"), only_b(1, 5, 5)], r#"1 | a4 | 5 | default | 5 | f | {"a": "4", "c": "-1"}"#).await;
}

#[tokio::test]
async fn two_parts_of_a_stored_row_both_count() {
    let before = [whole(1, 3, "a3", 3)];
    check(&before, [only_a(1, 5, "a5"), only_b(1, 4, 4)], r#"1 | a5 | 4 | c | 5 | f | {"b": "4", "c": "3"}"#).await;
}

#[tokio::test]
async fn an_image_in_flight_fills_what_a_newer_part_does_not_know() {
    check(&[], [whole(1, 3, "a3", 3), only_a(1, 5, "a5")], r#"1 | a5 | 3 | c | 5 | f | {"b": "3", "c": "3"}"#).await;
}

#[tokio::test]
async fn a_part_in_flight_does_not_wake_a_newer_tombstone() {
    let known = [part(1, 4, &[("a", text("a4")), ("b", Cell::Int(4)), ("c", text("c4"))]), deleted(1, 5)];
    for mode in [KEEP, CLEAR] {
        let query = "select _version, _deleted, gone from t";
        let [older, newer] = known.clone();
        assert_eq!(race("woken", parts(mode), vec![], older.clone(), newer.clone(), query).await, ["5 | t | t"]);
        assert_eq!(race("woken", parts(mode), vec![], newer, older, query).await, ["5 | t | t"]);
    }
}
