//! A repair heals what lost events have left behind.

use tributary_core::sink::Unlimited;
use tributary_runtime::backfill::Request;
use tributary_sources::dynamodb::record::Change;

use crate::fixture::*;

fn repair() -> Request {
    Request { repair: true, ..request() }
}

/// Rows as an hour ago, so that it shows what has been written since.
async fn let_an_hour_pass(world: &World) {
    for table in &world.pipeline().tables {
        let sql = format!("update \"{}\" set _synced_at = _synced_at - interval '1 hour'", table.name);
        world.database.execute(&sql).await;
    }
    world.database.execute("update tributary.ledger set synced_at = synced_at - interval '1 hour'").await;
}

/// Forty users who came by the stream, and what was lost since then: two changes, two deletes and two inserts.
async fn with_losses(test: &str) -> (World, Vec<tributary_core::value::Value>, Vec<String>) {
    let (world, users) = World::with_users(test, 42).await;
    let records: Vec<String> =
        users.iter().take(40).zip(1..).map(|(user, at)| world.record(Change::Insert(user), at)).collect();
    world.deliver(&records).await;
    let_an_hour_pass(&world).await;
    let changed = [renamed(&users[0], "changed"), renamed(&users[1], "changed too")];
    world.put(&changed).await;
    world.delete(&users[2]).await;
    world.delete(&users[3]).await;
    let mut now = users;
    now.splice(0..4, changed);
    (world, now, records)
}

/// What people see: the live rows, without their versions.
async fn live(world: &World) -> Vec<String> {
    let rows = world.rows().await;
    let live = rows.into_iter().filter(|row| row.ends_with(" | f"));
    live.map(|row| row.rsplitn(3, " | ").last().unwrap_or_default().to_owned()).collect()
}

/// The live rows of a table with these items.
async fn expected(world: &World, items: &[tributary_core::value::Value]) -> Vec<String> {
    let rows = world.twin(items, &[]).await;
    let live = rows.into_iter().filter(|row| row.ends_with(" | f"));
    live.map(|row| row.rsplitn(3, " | ").last().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn what_was_lost_is_healed() {
    let (world, now, _) = with_losses("healed").await;
    let before = live(&world).await;
    let backfill = world.backfill(&request()).await;
    assert_eq!(backfill.items, 40);
    assert_ne!(live(&world).await, expected(&world, &now).await, "a mere backfill heals no stale row");
    assert_ne!(live(&world).await, before, "but inserts what is missing");

    let done = world.backfill(&repair()).await;
    assert!(done.done && done.spared.is_empty(), "{done:?}");
    assert_eq!(done.items, 40);
    assert_eq!(live(&world).await, expected(&world, &now).await);
    let gone = "select count(*) from profile where _deleted and deleted and deleted_at is not null";
    assert_eq!(world.database.rows(gone).await, ["2"]);
    assert_eq!(
        world.database.rows("select count(*) from tributary.checkpoint where partition like 'repair%'").await,
        ["0"]
    );

    let again = world.backfill(&repair()).await;
    assert_eq!((again.items, again.applied), (40, 0), "there is nothing left to heal");
}

#[tokio::test]
async fn events_still_win_after_a_repair_and_late_ones_still_lose() {
    let (world, now, records) = with_losses("win").await;
    world.backfill(&repair()).await;
    let healed = live(&world).await;
    world.deliver(&records).await;
    assert_eq!(live(&world).await, healed, "what comes again changes nothing");
    let next = renamed(&now[0], "next");
    world.deliver(&[world.record(Change::Modify(&now[0], &next), 1_000)]).await;
    let mut now = now;
    now[0] = next;
    assert_eq!(live(&world).await, expected(&world, &now).await);
}

#[tokio::test]
async fn what_is_written_while_it_reads_is_left_alone() {
    let (world, mut now, _) = with_losses("meanwhile").await;
    // After the beginning, before the first page: the stream says what the scan will not see, and what it sees no more.
    let began = std::cell::Cell::new(false);
    let newer = renamed(&now[5], "newer than the scan");
    let pages = Pages::new(0);
    let done = Box::pin(world.handler().backfill(&repair(), &pages, |_| began.set(true))).await.unwrap();
    assert!(!done.done && !began.get(), "it has begun and read nothing");
    world.deliver(&[world.record(Change::Modify(&now[5], &newer), 1_000)]).await;
    let unseen = with(&now[5], "id", "00000000-0000-4000-8000-000000000001");
    world.deliver(&[world.record(Change::Insert(&unseen), 1_001)]).await;
    let done = world.backfill(&repair()).await;
    assert!(done.done);
    now[5] = newer;
    now.push(unseen);
    assert_eq!(live(&world).await, expected(&world, &now).await);
}

#[tokio::test]
async fn an_interrupted_repair_goes_on_and_deletes_only_at_its_end() {
    let (world, users) = World::with_users("long", 1_000).await;
    let records: Vec<String> = users.iter().zip(1..).map(|(user, at)| world.record(Change::Insert(user), at)).collect();
    world.deliver(&records).await;
    let_an_hour_pass(&world).await;
    for user in &users[..50] {
        world.delete(user).await;
    }
    let changed: Vec<_> = users[50..250].iter().map(|user| renamed(user, "changed")).collect();
    world.put(&changed).await;
    let now = [&changed[..], &users[250..]].concat();
    let slowly = Request { repair: true, ..slowly() };
    let (mut items, mut runs) = (0, 0);
    loop {
        let pages = Pages::new(4);
        let done = Box::pin(world.handler().backfill(&slowly, &pages, |_| pages.took_one())).await.unwrap();
        (items, runs) = (items + done.items, runs + 1);
        assert!(runs < 20, "it begins anew again and again");
        if done.done {
            break;
        }
        let gone = world.database.rows("select count(*) from profile where _deleted").await;
        assert_eq!(gone, ["0"], "not everything has been read yet");
    }
    assert!(runs > 1);
    assert_eq!(items, 950, "each item is read once");
    assert_eq!(live(&world).await, expected(&world, &now).await);
}

#[tokio::test]
async fn an_empty_source_is_not_believed() {
    let (world, users) = World::with_users("mistake", 200).await;
    world.backfill(&request()).await;
    let_an_hour_pass(&world).await;
    for user in &users {
        world.delete(user).await;
    }
    let error = Box::pin(world.handler().backfill(&repair(), &Unlimited, |_| {})).await.unwrap_err();
    assert!(error.to_string().contains("200 of 200 rows"), "{error:#}");
    assert_eq!(live(&world).await, expected(&world, &users).await);
    let done = world.backfill(&Request { allow_mass_delete: true, ..repair() }).await;
    assert!(done.done);
    assert!(live(&world).await.is_empty());
}
