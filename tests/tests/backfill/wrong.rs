//! What an operator has to mend is an error that says so, and nothing is written.

use std::sync::Arc;

use tributary_core::Kind;
use tributary_core::sink::Unlimited;
use tributary_runtime::backfill::Request;

use crate::fixture::*;

/// A backfill under this mapping fails with a message and a hint that say these.
async fn check(world: &World, text: &str, request: &Request, kind: Kind, message: &str, hint: &str) {
    let mut handler = handler(Arc::new(read(text)), world.database.url());
    let error = Box::pin(handler.backfill(request, &Unlimited, |_| {})).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:#}");
    assert!(error.to_string().contains(message), "{error}");
    assert!(error.hint().unwrap_or_default().contains(hint), "{:?}", error.hint());
    assert!(world.rows().await.is_empty());
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() {
    let (world, _) = World::with_users("wrong", 20).await;
    let good = world.text.as_str();

    let unknown = Request { pipeline: "user".into(), ..request() };
    check(&world, good, &unknown, Kind::Config, "no pipeline `user`", "it has users").await;

    let none = mapping_text(world.aws.endpoint(), "nowhere");
    check(&world, &none, &request(), Kind::Config, "no DynamoDB table `nowhere`", "check the table's name").await;

    world.aws.create_table_without_stream("streamless").await;
    let streamless = mapping_text(world.aws.endpoint(), "streamless");
    check(&world, &streamless, &request(), Kind::Config, "`streamless` has no stream", "NEW_AND_OLD_IMAGES").await;

    let key = good.replace("key: id }", "key: [id, name] }");
    assert_ne!(key, good);
    check(&world, &key, &request(), Kind::Config, "is id, and the mapping says id, name", "mend `key:`").await;

    let nobody = mapping_text("http://127.0.0.1:1", &world.table);
    check(&world, &nobody, &request(), Kind::Unavailable, "does not answer", "endpoint").await;

    let none = Request { segments: 0, ..request() };
    check(&world, good, &none, Kind::Data, "1 to 256 segments", "").await;
    let slow = Request { rcu: 0.0, ..request() };
    check(&world, good, &slow, Kind::Data, "at least 1 capacity unit", "").await;
}

#[tokio::test]
async fn a_cursor_of_another_table_is_refused_and_a_restart_forgets_it() {
    let (world, users) = World::with_users("cursor", 1_000).await;
    let pages = Pages::new(2);
    let done = Box::pin(world.handler().backfill(&slowly(), &pages, |_| pages.took_one())).await.unwrap();
    assert!(!done.done);
    world.database.execute("update tributary.checkpoint set position = 'rubbish' where position <> 'done'").await;
    check_cursor(&world).await;
    let anew = world.backfill(&Request { restart: true, ..request() }).await;
    assert_eq!((anew.done, anew.items), (true, 1_000));
    assert_eq!(world.rows().await, world.twin(&users, &[]).await);
}

async fn check_cursor(world: &World) {
    let error = Box::pin(world.handler().backfill(&request(), &Unlimited, |_| {})).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config, "{error:#}");
    assert!(error.hint().unwrap().contains("anew"), "{:?}", error.hint());
}
