//! One runner a pipeline.

use std::time::Duration;

use tokio::sync::oneshot;
use tributary_core::sink::Unlimited;
use tributary_core::{Error, Kind};
use tributary_postgres::Postgres;
use tributary_runtime::backfill::{Progress, Request};

use crate::fixture::*;

async fn run(world: &World) -> Result<Progress, Error> {
    Box::pin(world.handler().backfill(&request(), &Unlimited, |_| {})).await
}

fn is_being_run(outcome: Result<Progress, Error>) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error:#}");
    assert!(error.to_string().contains("`users/backfill`"), "{error}");
    assert!(error.hint().unwrap().contains("tributary status"), "{:?}", error.hint());
}

#[tokio::test]
async fn of_two_runners_one_is_sent_away() {
    let (world, users) = World::with_users("two", 300).await;
    let (first_page, begun) = oneshot::channel();
    let mut first_page = Some(first_page);
    let tell = |_: &Progress| {
        if let Some(first_page) = first_page.take() {
            first_page.send(()).unwrap();
        }
    };
    let mut handler = world.handler();
    // A page of a hundred a second.
    let request = Request { rcu: 1.0, segments: 1, ..request() };
    let first = Box::pin(handler.backfill(&request, &Unlimited, tell));
    let second = async {
        begun.await.unwrap();
        run(&world).await
    };
    let (first, second) = tokio::join!(first, second);
    is_being_run(second);
    assert_eq!(first.unwrap().items, 300);
    assert_eq!(run(&world).await.unwrap().stale, 900, "the lease was given back");
    assert_eq!(world.rows().await, world.twin(&users, &[]).await);
}

#[tokio::test]
async fn the_lease_of_a_runner_that_died_expires() {
    let (world, _) = World::with_users("died", 30).await;
    let mut dead = Postgres::new(target(world.database.url()), world.pipeline().tables.clone(), false);
    dead.acquire("users/backfill", "somebody", Duration::from_secs(2)).await.unwrap();
    is_being_run(run(&world).await);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(run(&world).await.unwrap().items, 30);
}

#[tokio::test]
async fn who_lost_the_lease_commits_nothing_more() {
    let (world, users) = World::with_users("lost", 600).await;
    let url = world.database.url().to_owned();
    let mut first = true;
    let steal = |_: &Progress| {
        if std::mem::take(&mut first) {
            // Another process takes it over, as it may when we have been silent for too long.
            let url = url.clone();
            let thief = async move {
                let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
                tokio::spawn(connection);
                let steal = "update tributary.lease set holder = 'thief', fence = fence + 1";
                client.batch_execute(steal).await.unwrap();
            };
            let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            std::thread::spawn(move || runtime().block_on(thief)).join().unwrap();
        }
    };
    let error = Box::pin(world.handler().backfill(&slowly(), &Unlimited, steal)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error:#}");
    let rows = world.rows().await.len();
    assert!((1..=300).contains(&rows), "{rows} rows were committed before");
    is_being_run(run(&world).await);
    world.database.execute("update tributary.lease set expires_at = now()").await;
    assert!(run(&world).await.unwrap().done);
    assert_eq!(world.rows().await, world.twin(&users, &[]).await);
}
