//! Files: from what a submission expects to what lies in a directory or a bucket.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::CreateBucketConfiguration;
use tributary_core::pipeline::DynamodbStore;
use tributary_tests::Aws;
use tributary_tests::odk::survey::{FORM, answers};
use tributary_tests::odk::{Fault, Release};

use crate::fixture::*;

/// State, MD5 and size of the one file of a submission.
async fn state(world: &World, id: &str) -> String {
    world.one(&format!("select state, md5, size from submission_attachment where submission_id = '{id}'")).await
}

/// What lies at a file's place.
async fn content(world: &World, id: &str) -> Vec<u8> {
    let place = world.one(&format!("select location from submission_attachment where submission_id = '{id}'")).await;
    std::fs::read(&place).unwrap_or_else(|error| panic!("{place}: {error}"))
}

fn upload(world: &World, id: &str, text: &str) {
    assert!(world.odk.world().upload(FORM, id, "building.jpg", text.to_owned(), "image/jpeg"));
}

#[tokio::test]
async fn a_file_comes_late_is_replaced_and_goes() {
    let mut world = World::with_files("file_life").await;
    let id = world.odk.world().create(FORM, &answers("n", 0));
    world.tick().await;
    assert_eq!(state(&world, &id).await, "missing | ∅ | ∅");
    // Nobody has uploaded it, so the row is looked at again, and no more.
    world.wait();
    upload(&world, &id, "abc");
    world.tick().await;
    assert_eq!(state(&world, &id).await, "stored | 900150983cd24fb0d6963f7d28e17f72 | 3");
    assert_eq!(content(&world, &id).await, b"abc");
    let kind = "select content_type, field from submission_attachment";
    assert_eq!(world.one(kind).await, "image/jpeg | property_description.building_image");
    // It was replaced, which nothing tells until somebody touches the submission.
    world.wait();
    upload(&world, &id, "hello");
    world.odk.world().review(FORM, &id, Some("approved"));
    world.tick().await;
    assert_eq!(state(&world, &id).await, "stored | 5d41402abc4b2a76b9719d911017c592 | 5");
    assert_eq!(content(&world, &id).await, b"hello");
    // An edit carries it over: it is looked at, and not fetched again.
    world.wait();
    world.odk.world().edit(FORM, &id, &answers("edited", 1));
    world.tick().await;
    assert_eq!(state(&world, &id).await, "stored | 5d41402abc4b2a76b9719d911017c592 | 5");
    // It was taken away.
    world.wait();
    assert!(world.odk.world().clear(FORM, &id, "building.jpg"));
    world.set_sweep(Duration::from_nanos(1)).await;
    world.tick().await;
    assert!(state(&world, &id).await.starts_with("cleared"), "{}", state(&world, &id).await);
    world.assert_same().await;
}

#[tokio::test]
async fn files_of_new_submissions_come_first() {
    let mut world = World::with_files("file_order").await;
    let ids = world.submit(40);
    ids.iter().for_each(|id| upload(&world, id, id));
    world.odk.world().set_latency(Duration::from_millis(5));
    world.tick().await;
    world.assert_same().await;
    let all = world.odk.requests();
    let fetched = all.iter().filter(|line| line.contains("/attachments/"));
    let order: Vec<usize> = fetched.map(|line| ids.iter().position(|id| line.contains(id.as_str())).unwrap()).collect();
    assert_eq!(order.len(), 40);
    // Four at once may overtake each other, and no more.
    for (place, number) in order.iter().enumerate() {
        assert!((39 - number).abs_diff(place) < 4, "{order:?}");
    }
    assert!((2..=4).contains(&world.odk.peak()), "{} at once", world.odk.peak());
}

#[tokio::test]
async fn files_of_another_host_are_fetched_without_the_token() {
    let mut world = World::with_files("file_s3").await;
    world.odk.world().set_files_in_s3(true);
    let ids = world.submit(5);
    ids.iter().for_each(|id| upload(&world, id, id));
    world.tick().await;
    world.assert_same().await;
    assert_eq!(content(&world, &ids[0]).await, ids[0].as_bytes());
    assert_eq!((world.odk.files_fetched(), world.odk.leaks(), world.odk.strays()), (5, 0, 0));
}

#[tokio::test]
async fn a_file_that_fails_stops_nobody() {
    let mut world = World::with_files("file_failure").await;
    let ids = world.submit(6);
    ids.iter().for_each(|id| upload(&world, id, id));
    for fault in [Fault::Cut(50), Fault::Problem(404, 404.1), Fault::Html(500), Fault::Problem(500, 500.1)] {
        world.odk.fail("attachment", fault);
    }
    let progress = world.force().await;
    assert_eq!(progress.error, None, "{progress:?}");
    assert_eq!(world.one("select count(*) from submission where not _deleted").await, "6");
    assert_eq!(world.one("select count(*) >= 2 from submission_attachment where state = 'stored'").await, "t");
    world.odk.recover();
    world.database.execute("update submission_attachment set next_try = now() where state <> 'stored'").await;
    world.force().await;
    world.assert_same().await;
}

#[tokio::test]
async fn files_go_into_a_bucket() {
    let aws = Aws::alone().await;
    let store = DynamodbStore { region: Some(Aws::REGION.to_owned()), endpoint: Some(aws.endpoint().to_owned()) };
    let config = tributary_runtime::aws::config_of(&store).await.into_builder().endpoint_url(aws.endpoint()).build();
    let client = Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
    let place = CreateBucketConfiguration::builder().location_constraint(Aws::REGION.into()).build();
    client.create_bucket().bucket("pictures").create_bucket_configuration(place).send().await.unwrap();
    let mut world = World::with_files("file_bucket").await;
    let to = format!("{{ s3: pictures, prefix: odk, region: {}, endpoint: '{}' }}", Aws::REGION, aws.endpoint());
    world.send_files_to(&to).await;
    let ids = world.submit(3);
    ids.iter().for_each(|id| upload(&world, id, id));
    world.tick().await;
    world.assert_same().await;
    let place =
        world.one(&format!("select location from submission_attachment where submission_id = '{}'", ids[0])).await;
    let key = place.strip_prefix("s3://pictures/").unwrap();
    assert!(key.starts_with("odk/GRARentalDataCollection/uuid"), "{key}");
    let object = client.get_object().bucket("pictures").key(key).send().await.unwrap();
    assert_eq!(object.content_type.as_deref(), Some("image/jpeg"));
    assert_eq!(object.body.collect().await.unwrap().to_vec(), ids[0].as_bytes());
}

#[tokio::test]
async fn a_server_of_2023_has_files_too() {
    let mut world = World::with_files("file_old").await;
    world.odk.world().set_release(Release::V2023_4);
    let ids = world.submit(3);
    upload(&world, &ids[2], "abc");
    world.tick().await;
    world.wait();
    upload(&world, &ids[0], "late");
    world.tick().await;
    world.assert_same().await;
}
