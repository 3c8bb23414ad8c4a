//! Rows of a backfill lose to every event of the stream, whichever comes first.

use tributary_runtime::backfill::Request;
use tributary_sources::dynamodb::record::Change;

use crate::fixture::*;

/// What happens to the first eight users while the table is being read: the scan sees all of them as they were.
fn events(world: &World, users: &[tributary_core::value::Value]) -> [Vec<String>; 2] {
    let newer = |at: usize, sequence| {
        world.record(Change::Modify(&users[at], &renamed(&users[at], &format!("newer {sequence}"))), sequence)
    };
    let gone = |at: usize, sequence| world.record(Change::Remove(&users[at], false), sequence);
    // Before the scan, and after it; users 2 and 3 change in both.
    let before = vec![newer(0, 10), gone(1, 11), newer(2, 12), gone(3, 13)];
    let after =
        vec![newer(2, 20), world.record(Change::Insert(&renamed(&users[3], "back")), 21), newer(4, 22), gone(5, 23)];
    [before, after]
}

#[tokio::test]
async fn events_before_and_after_win() {
    let (world, users) = World::with_users("precedence", 40).await;
    let [before, after] = events(&world, &users);
    world.deliver(&before).await;
    let done = world.backfill(&request()).await;
    // Two users changed, with a row in each of three tables; two are tombstones in each of them.
    assert_eq!((done.done, done.items, done.applied, done.stale), (true, 40, 108, 12));
    assert_eq!(world.rows().await, world.twin(&users, &before).await);
    let names = "select name, _deleted from profile where name like 'newer%' or _deleted order by _deleted, name";
    let tombstone = |user| format!("{} | t", name(user));
    let mut expect = vec!["newer 10 | f".to_owned(), "newer 12 | f".to_owned()];
    let mut tombstones = [tombstone(&users[1]), tombstone(&users[3])];
    tombstones.sort();
    expect.extend(tombstones);
    let mut found = world.database.rows(names).await;
    found[2..].sort();
    assert_eq!(found, expect);

    world.deliver(&after).await;
    let all = [before, after].concat();
    let expect = world.twin(&users, &all).await;
    assert_eq!(world.rows().await, expect);

    let again = world.backfill(&Request { restart: true, ..request() }).await;
    assert_eq!((again.items, again.applied, again.stale), (40, 0, 120));
    assert_eq!(world.rows().await, expect);
}

#[tokio::test]
async fn the_tables_own_stream_wins_over_a_scan_of_an_older_state() {
    let (world, users) = World::with_users("events", 10).await;
    let records: Vec<String> = users.iter().zip(1..).map(|(user, at)| world.record(Change::Insert(user), at)).collect();
    world.deliver(&records).await;
    // What the scan reads differs, and yet it is the older one by its version.
    let changed: Vec<_> = users.iter().map(|user| renamed(user, "as scanned")).collect();
    world.put(&changed).await;
    let done = world.backfill(&request()).await;
    assert_eq!((done.items, done.applied, done.stale), (10, 0, 30));
    assert_eq!(world.rows().await, world.twin(&[], &records).await);
}

#[tokio::test]
async fn a_new_stream_of_the_table_wins_over_the_old_ones_rows() {
    let (world, users) = World::with_users("recreated", 10).await;
    let old = "arn:aws:dynamodb:us-east-2:000000000000:table/users/stream/2024-05-01T12:00:00.123";
    let old = World { arn: old.replace("users", &world.table).parse().unwrap(), ..world };
    let stale: Vec<String> =
        users.iter().zip(1..).map(|(user, at)| old.record(Change::Insert(&renamed(user, "old")), at)).collect();
    old.deliver(&stale).await;
    let arn = old.aws.dynamodb().await.describe_table().table_name(&old.table).send().await.unwrap();
    let arn = arn.table.unwrap().latest_stream_arn.unwrap().parse().unwrap();
    let world = World { arn, ..old };
    let done = world.backfill(&request()).await;
    assert_eq!((done.items, done.applied, done.stale), (10, 30, 0));
    assert_eq!(world.rows().await, world.twin(&users, &[]).await);
}

fn name(user: &tributary_core::value::Value) -> String {
    match user.get("name") {
        Some(tributary_core::value::Value::Text(name)) => name.to_string(),
        other => panic!("{other:?} is no name"),
    }
}
