//! A table becomes rows, all of them, exactly.

use tributary_core::sink::Unlimited;
use tributary_runtime::backfill::Request;

use crate::fixture::*;

#[tokio::test]
async fn a_thousand_users_become_the_rows_of_three_tables() {
    let (world, users) = World::with_users("whole", 1_000).await;
    let mut reports = Vec::new();
    let report = |now: &tributary_runtime::backfill::Progress| reports.push(now.clone());
    let done = Box::pin(world.handler().backfill(&request(), &Unlimited, report)).await.unwrap();

    assert!(done.done);
    assert_eq!((done.items, done.applied, done.stale, done.dead), (1_000, 3_000, 0, 0));
    assert_eq!((done.segments, done.segments_done, done.expected), (4, 4, 1_000));
    let rows = world.rows().await;
    assert_eq!(rows.len(), 3_000);
    assert_eq!(rows, world.twin(&users, &[]).await);

    assert!(reports.len() >= 4, "a page each segment at least");
    assert!(reports.is_sorted_by_key(|now| (now.items, now.applied, now.segments_done)), "it goes forward");
    let last = reports.last().unwrap();
    assert_eq!((last.items, last.applied, last.segments_done), (1_000, 3_000, 4));
    assert!(reports.iter().all(|now| now.applied == now.items * 3), "a report comes after the commit");
}

#[tokio::test]
async fn a_backfill_that_is_done_has_nothing_to_do_until_it_is_restarted() {
    let (world, users) = World::with_users("again", 60).await;
    world.backfill(&request()).await;
    let again = world.backfill(&request()).await;
    assert_eq!((again.done, again.items, again.applied), (true, 0, 0));
    let anew = world.backfill(&Request { restart: true, ..request() }).await;
    assert_eq!((anew.done, anew.items, anew.applied, anew.stale), (true, 60, 0, 180), "the same rows are no news");
    assert_eq!(world.rows().await, world.twin(&users, &[]).await);
}

#[tokio::test]
async fn an_empty_table_is_done_at_once() {
    let world = World::new("empty").await;
    let done = world.backfill(&request()).await;
    assert_eq!((done.done, done.items, done.segments_done), (true, 0, 4));
    assert!(world.rows().await.is_empty());
}

#[tokio::test]
async fn an_item_that_fits_no_row_is_a_dead_letter_and_stops_nobody() {
    let (world, users) = World::with_users("misfit", 30).await;
    world.put(&[with(&users[0], "id", "not-a-uuid")]).await;
    let done = world.backfill(&request()).await;
    assert_eq!((done.done, done.items, done.applied, done.dead), (true, 31, 90, 1));
    let letters = world.database.rows("select pipeline, key, tables from tributary.dead_letter").await;
    let expect = "users | {\"id\":\"not-a-uuid\"} | {profile,appearance_settings,notification_settings}";
    assert_eq!(letters, [expect]);
    assert_eq!(world.rows().await, world.twin(&users, &[]).await);
}
