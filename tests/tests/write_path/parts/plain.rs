//! What a part does to a row, case by case.

use tributary_core::cell::Cell;
use tributary_core::change::{Change, Op};
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::table::{DeleteMode, VersionType};
use tributary_tests::Database;

use super::*;
use crate::fenced::{fenced, runner};

/// Applies batches one after another; what stands there then.
async fn check(mode: DeleteMode, batches: &[&[Change]], expect: &[&str]) {
    let database = Database::new("part").await;
    let tables = [parts(mode)];
    let mut sink = sink(&database, &tables);
    for changes in batches {
        apply(&mut sink, &tables, changes.to_vec()).await;
    }
    assert_eq!(stored(&database).await, expect, "{batches:#?}");
}

#[tokio::test]
async fn a_part_leaves_what_it_does_not_know() {
    let row = || whole(1, 3, "a3", 3);
    check(KEEP, &[&[row()], &[only_a(1, 4, "a4")]], &[r#"1 | a4 | 3 | c | 4 | f | {"b": "3", "c": "3"}"#]).await;
    // The same in one batch, and in the other order.
    check(KEEP, &[&[only_a(1, 4, "a4"), row()]], &[r#"1 | a4 | 3 | c | 4 | f | {"b": "3", "c": "3"}"#]).await;
    check(KEEP, &[&[only_a(1, 4, "a4")], &[row()]], &[r#"1 | a4 | 3 | c | 4 | f | {"b": "3", "c": "3"}"#]).await;
}

#[tokio::test]
async fn a_null_is_known_and_a_column_that_nobody_knows_has_its_default() {
    let null = part(1, 4, &[("a", Cell::Null)]);
    check(KEEP, &[std::slice::from_ref(&null)], &[r#"1 | ∅ | ∅ | default | 4 | f | {"b": "-1", "c": "-1"}"#]).await;
    check(KEEP, &[&[whole(1, 3, "a", 3)], &[null]], &[r#"1 | ∅ | 3 | c | 4 | f | {"b": "3", "c": "3"}"#]).await;
}

#[tokio::test]
async fn an_older_part_fills_the_column_that_it_alone_knew() {
    let batches: &[&[Change]] = &[&[whole(1, 3, "a3", 3)], &[only_a(1, 5, "a5")], &[only_b(1, 4, 4)]];
    check(KEEP, batches, &[r#"1 | a5 | 4 | c | 5 | f | {"b": "4", "c": "3"}"#]).await;
}

#[tokio::test]
async fn a_whole_image_settles_all_columns() {
    let whole_again: &[&[Change]] = &[&[only_a(1, 4, "a4")], &[whole(1, 5, "a5", 5)]];
    check(KEEP, whole_again, &["1 | a5 | 5 | c | 5 | f | ∅"]).await;
    let between: &[&[Change]] = &[&[whole(1, 1, "a1", 1)], &[only_a(1, 4, "a4")], &[whole(1, 3, "a3", 3)]];
    check(KEEP, between, &[r#"1 | a4 | 3 | c | 4 | f | {"b": "3", "c": "3"}"#]).await;
}

#[tokio::test]
async fn a_part_revives_a_tombstone_and_the_insert_between_fills_it() {
    let batches = |mode, batches: &'static [&'static str]| async move {
        let of = |name: &&str| match *name {
            "row" => whole(1, 3, "a3", 3),
            "gone" => deleted(1, 5),
            "insert" => whole(1, 6, "a6", 6),
            _ => only_a(1, 7, "a7"),
        };
        let database = Database::new("revived").await;
        let tables = [parts(mode)];
        let mut sink = sink(&database, &tables);
        for name in batches {
            apply(&mut sink, &tables, vec![of(name)]).await;
        }
        stored(&database).await
    };
    // With `keep` a tombstone says nothing of values; without, it says that there are none.
    let kept = [r#"1 | a7 | 3 | c | 7 | f | {"b": "3", "c": "3"}"#];
    assert_eq!(batches(KEEP, &["row", "gone", "part"]).await, kept);
    assert_eq!(batches(KEEP, &["gone", "part", "row"]).await, kept);
    let cleared = [r#"1 | a7 | ∅ | default | 7 | f | {"b": "5", "c": "5"}"#];
    assert_eq!(batches(CLEAR, &["row", "gone", "part"]).await, cleared);
    assert_eq!(batches(CLEAR, &["part", "gone", "row"]).await, cleared);
    let filled = [r#"1 | a7 | 6 | c | 7 | f | {"b": "6", "c": "6"}"#];
    for mode in [KEEP, CLEAR] {
        assert_eq!(batches(mode, &["gone", "part", "insert"]).await, filled);
        assert_eq!(batches(mode, &["insert", "part", "row", "gone"]).await, filled);
    }
}

#[tokio::test]
async fn an_older_part_does_not_wake_a_tombstone() {
    let batches: &[&[Change]] = &[&[deleted(1, 5)], &[only_a(1, 4, "late")]];
    check(KEEP, batches, &[r#"1 | late | ∅ | default | 5 | t | {"a": "4", "b": "-1", "c": "-1"}"#]).await;
    check(CLEAR, batches, &["1 | ∅ | ∅ | default | 5 | t | ∅"]).await;
}

#[tokio::test]
async fn the_delete_columns_follow_the_tombstone() {
    let database = Database::new("flags").await;
    let tables = [parts(KEEP)];
    let mut sink = sink(&database, &tables);
    let shown = "select gone, gone_at is null, _deleted from t";
    for (changes, expect) in [
        (vec![deleted(1, 5)], "t | f | t"),
        (vec![only_a(1, 7, "alive")], "f | t | f"),
        // Older than the part: the row lives, whatever the tombstone said of when it went.
        (vec![deleted(1, 6)], "f | t | f"),
        (vec![deleted(1, 8)], "t | f | t"),
    ] {
        apply(&mut sink, &tables, changes).await;
        assert_eq!(database.rows(shown).await, [expect]);
    }
}

#[tokio::test]
async fn a_replay_of_parts_writes_nothing() {
    let database = Database::new("part_replay").await;
    let tables = [parts(KEEP)];
    let mut sink = sink(&database, &tables);
    let changes = || {
        let rows = (0..50).flat_map(|id| [whole(id, 3, "a", 3), only_a(id, 5, "a5"), only_b(id, 4, 4)]);
        rows.chain([deleted(7, 6), only_a(7, 8, "back")]).collect::<Vec<_>>()
    };
    assert_eq!(apply(&mut sink, &tables, changes()).await.applied, 50);
    let written = "select id, ctid, xmin from t order by id";
    let before = database.rows(written).await;
    for replay in [false, true] {
        for one_by_one in [false, true] {
            for some in changes().chunks(if one_by_one { 1 } else { 1000 }) {
                let mut batch = batch(&tables, some.to_vec());
                batch.replay = replay;
                assert_eq!(sink.apply(&batch, &Unlimited).await.unwrap().applied, 0);
            }
        }
    }
    assert_eq!(database.rows(written).await, before);
}

#[tokio::test]
async fn versions_of_columns_are_exact_at_any_length() {
    let database = Database::new("part_digits").await;
    let tables = [parts(KEEP)];
    let mut sink = sink(&database, &tables);
    let at = |seq: &str, change: Change| Change {
        version: tributary_core::version::Version::new(1_714_000_000_000_000, seq).unwrap(),
        ..change
    };
    let (older, newer, newest) = ("999999999999999999999", "1000000000000000000000", "1000000000000000000001");
    apply(&mut sink, &tables, vec![at(newer, whole(1, 0, "a", 1))]).await;
    apply(&mut sink, &tables, vec![at(newest, only_a(1, 0, "newest"))]).await;
    apply(&mut sink, &tables, vec![at(older, only_b(1, 0, 9))]).await;
    assert_eq!(
        database.rows("select a, b, _versions->>'b' from t").await,
        ["newest | 1 | 17140000000000000000000000000000001000000000000000000000"]
    );
}

#[tokio::test]
async fn notes_stay_with_the_value_that_they_are_about() {
    let database = Database::new("part_notes").await;
    let tables = [parts(KEEP)];
    let mut sink = sink(&database, &tables);
    let noted = |change: Change, note: &str| {
        let notes = Some(note.into());
        let op = match change.op {
            Op::Upsert(row, _) => Op::Upsert(row, notes),
            Op::Patch(patch) => Op::Patch(Patch { notes, ..patch }),
            other => other,
        };
        Change { op, ..change }
    };
    for (change, expect) in [
        (noted(whole(1, 3, "a", 3), r#"{"a":"bad","b":"cut"}"#), r#"{"a": "bad", "b": "cut"}"#),
        (only_a(1, 5, "good"), r#"{"b": "cut"}"#),
        (noted(only_b(1, 4, 4), r#"{"b":"still cut"}"#), r#"{"b": "still cut"}"#),
        (noted(only_a(1, 2, "late"), r#"{"a":"late"}"#), r#"{"b": "still cut"}"#),
        (only_b(1, 6, 6), "∅"),
    ] {
        apply(&mut sink, &tables, vec![change]).await;
        assert_eq!(database.rows("select _errors from t").await, [expect]);
    }
}

#[tokio::test]
async fn rows_from_before_the_adoption_are_older_than_any_part() {
    let database = Database::new("part_adopted").await;
    database.execute("create table t (id integer primary key, a text, b integer)").await;
    database.execute("insert into t values (1, 'mine', 7)").await;
    let tables = [parts(KEEP)];
    let mut sink = sink(&database, &tables);
    apply(&mut sink, &tables, vec![only_a(1, 0, "theirs")]).await;
    assert_eq!(stored(&database).await, [r#"1 | theirs | 7 | ∅ | 0 | f | {"b": "-1", "c": "-1"}"#]);
}

#[tokio::test]
async fn a_version_column_of_bigint_takes_parts_too() {
    let database = Database::new("part_bigint").await;
    let mut table = parts(KEEP);
    table.meta.version_type = VersionType::Bigint;
    let tables = [table];
    let (mut sink, fence) = runner(&database, &tables).await;
    apply(&mut sink, &tables, vec![whole(1, 3, "a3", 3)]).await;
    apply(&mut sink, &tables, vec![only_a(1, 5, "a5")]).await;
    let mut late = batch(&tables, vec![only_b(1, 4, 4)]);
    late.replay = true;
    sink.apply(&late, &Unlimited).await.unwrap();
    let observed = fenced(&tables, &fence, vec![part(1, 6, &[("c", text("c6"))]), only_a(1, 7, "a5")]);
    assert_eq!(sink.apply(&observed, &Unlimited).await.unwrap().applied, 1);
    assert_eq!(stored(&database).await, [r#"1 | a5 | 4 | c6 | 7 | f | {"b": "4", "c": "6"}"#]);
    assert_eq!(database.rows("select pg_typeof(_version) from t").await, ["bigint"]);
}

#[tokio::test]
async fn a_repair_settles_all_columns_and_a_part_in_it_settles_none() {
    let database = Database::new("part_repair").await;
    let tables = [parts(KEEP)];
    let (mut sink, fence) = runner(&database, &tables).await;
    apply(&mut sink, &tables, vec![whole(1, 3, "a3", 3), only_a(1, 5, "a5"), whole(2, 3, "b3", 3)]).await;
    let began = sink.begin_repair("test", &fence).await.unwrap();
    let page = batch(&tables, vec![whole(1, 0, "read", 9), only_a(2, 0, "hint")]);
    sink.repair(&page, &began, &Unlimited).await.unwrap();
    // What comes late is older than what was read, whatever column it speaks of.
    apply(&mut sink, &tables, vec![only_b(1, 4, 4)]).await;
    assert_eq!(stored(&database).await, ["1 | read | 9 | c | 5 | f | ∅", "2 | b3 | 3 | c | 3 | f | ∅"]);
}
