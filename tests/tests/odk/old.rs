//! Servers of older releases: what they don't know is found by other ways.

use std::time::Duration;

use tributary_tests::odk::Release;
use tributary_tests::odk::survey::{FORM, answers};

use crate::fixture::*;

async fn check(release: Release) {
    let mut world = World::new(&format!("old_{release:?}").to_lowercase()).await;
    world.odk.world().set_release(release);
    let ids = world.submit(600);
    world.tick().await;
    world.assert_same().await;
    world.wait();
    world.submit(3);
    {
        let mut central = world.odk.world();
        assert!(central.edit(FORM, &ids[3], &answers("edited", 2)));
        assert!(central.review(FORM, &ids[4], Some("approved")));
        assert!(release < Release::V2024_2 || central.delete(FORM, &ids[5]));
    }
    world.tick().await;
    world.assert_same().await;
    if release >= Release::V2024_2 {
        world.wait();
        assert!(world.odk.world().restore(FORM, &ids[5]));
        world.tick().await;
        world.assert_same().await;
        // One goes and another comes back between two ticks: their number is the same.
        assert!(world.odk.world().delete(FORM, &ids[7]));
        world.wait();
        world.tick().await;
        world.wait();
        assert!(world.odk.world().delete(FORM, &ids[8]) && world.odk.world().restore(FORM, &ids[7]));
        world.set_sweep(Duration::from_nanos(1)).await;
        world.tick().await;
        world.assert_same().await;
    }
    assert_eq!((world.odk.leaks(), world.odk.strays()), (0, 0));
}

#[tokio::test]
async fn servers_that_page_by_skip() {
    check(Release::V2023_3).await;
}

#[tokio::test]
async fn servers_of_2023() {
    check(Release::V2023_4).await;
}

#[tokio::test]
async fn servers_that_delete_and_do_not_tell() {
    check(Release::V2024_2).await;
}

#[tokio::test]
async fn servers_without_filters_by_id() {
    check(Release::V2024_3).await;
}

#[tokio::test]
async fn servers_without_marks() {
    check(Release::V2025_3).await;
}
