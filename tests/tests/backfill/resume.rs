//! A backfill that is interrupted goes on from what was committed.

use std::time::{Duration, Instant};

use tributary_core::Kind;
use tributary_core::sink::Unlimited;
use tributary_runtime::backfill::{Progress, Request};
use tributary_tests::Proxy;

use crate::fixture::*;

#[tokio::test]
async fn the_end_of_the_budget_is_no_error_and_the_next_run_goes_on() {
    let (world, users) = World::with_users("budget", 1_000).await;
    let mut items = 0;
    for run in 0.. {
        assert!(run < 20, "it begins anew again and again");
        let pages = Pages::new(3);
        let done = Box::pin(world.handler().backfill(&slowly(), &pages, |_| pages.took_one())).await.unwrap();
        assert_eq!(done.applied, done.items * 3, "run {run} read what was there already");
        items += done.items;
        if done.done {
            assert!(run > 1, "{run} interruptions");
            break;
        }
        assert!((1..=300).contains(&done.items), "three pages have {} items", done.items);
    }
    assert_eq!(items, 1_000, "each item is read once");
    assert_eq!(world.rows().await, world.twin(&users, &[]).await);
}

#[tokio::test]
async fn a_small_read_budget_doesnt_outlast_the_budget_of_time() {
    let (world, _) = World::with_users("deadline", 1_000).await;
    // The first page of each segment puts the read budget into debt, and the second ones wait for three seconds.
    let request = Request { rcu: 1.0, ..request() };
    let begin = Instant::now();
    // A page begins only while three seconds are left.
    let until = Until(begin + Duration::from_millis(3_500));
    let done = Box::pin(world.handler().backfill(&request, &until, |_| {})).await.unwrap();
    assert!(!done.done);
    assert!(begin.elapsed() < Duration::from_millis(2_000), "it waited for {:?}", begin.elapsed());
}

#[tokio::test]
async fn a_connection_that_is_cut_after_every_page_loses_nothing() {
    let (world, users) = World::with_users("cut", 1_000).await;
    let proxy = Proxy::start(world.database.url()).await;
    let done = Box::pin(world.handler_at(proxy.url()).backfill(&request(), &Unlimited, |_| proxy.cut())).await.unwrap();
    assert_eq!((done.done, done.items, done.applied), (true, 1_000, 3_000));
    assert!(proxy.connections() > 4, "{} connections", proxy.connections());
    assert_eq!(world.rows().await, world.twin(&users, &[]).await);
}

#[tokio::test]
async fn a_database_that_goes_away_ends_the_run_and_the_next_goes_on() {
    let (world, users) = World::with_users("away", 1_000).await;
    let proxy = Proxy::start(world.database.url()).await;
    let mut committed = Progress::default();
    let go_away = |now: &Progress| {
        committed = now.clone();
        if now.items >= 300 {
            proxy.refuse(true);
            proxy.cut();
        }
    };
    let until = Until(Instant::now() + Duration::from_secs(6));
    let error = Box::pin(world.handler_at(proxy.url()).backfill(&slowly(), &until, go_away)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error:#}");
    assert!((300..1_000).contains(&committed.items), "{committed:?}");
    assert_eq!(world.rows().await.len() as u64, committed.applied, "what was reported is what is there");

    // It could not give its lease back. Here two minutes pass.
    world.database.execute("update tributary.lease set expires_at = now()").await;
    proxy.refuse(false);
    let rest = world.backfill(&request()).await;
    assert!(rest.done);
    assert_eq!(rest.items + committed.items, 1_000, "each item is read once");
    assert_eq!(world.rows().await, world.twin(&users, &[]).await);
}
