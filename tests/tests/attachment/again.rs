//! Files that are looked at again: replaced, cleared, late, or stored by somebody who was killed.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use tributary_core::pipeline::Destination;
use tributary_runtime::odk_poll::attachment::Work;

use crate::bucket::Bucket;
use crate::fixture::*;

fn present(present: u64) -> Work {
    Work { present, ..Work::default() }
}

fn missing(missing: u64) -> Work {
    Work { missing, ..Work::default() }
}

#[tokio::test]
async fn a_file_that_is_replaced_under_its_name_is_found_when_the_mark_changes() {
    let bucket = Bucket::new().await;
    let mut site = Site::new("files_replaced", bucket.destination(Some("odk")), 2).await;
    site.submit_whole("a", 0, &["1.jpg"]).await;
    assert_eq!(site.fetch().await, stored(1));
    let location = format!("s3://{}/odk/survey/key-a/1.jpg", bucket.name);
    assert_eq!(site.states().await, [format!("1.jpg | stored | {location} | 0 | ∅")]);
    let row = site.database.rows("select md5, size, content_type, stored_at is not null from files").await;
    assert_eq!(row, ["f3ccdd27d2000e3f9255a7e3e2c48800 | 5 | image/jpeg | t"]);
    assert_eq!(bucket.object("odk/survey/key-a/1.jpg").await, (b"1.jpg".to_vec(), Some("image/jpeg".to_owned())));
    site.asked();
    // Nobody asks without a reason.
    assert_eq!((site.fetch().await, site.asked().len()), (stored(0), 0));
    // An edit that leaves the picture alone: one question, no download.
    site.rows("a", 0, "1", &["1.jpg"]).await;
    let before = site.database.rows("select stored_at from files").await;
    assert_eq!((site.fetch().await, site.asked().len()), (present(1), 1));
    assert_eq!(site.database.rows("select stored_at from files").await, before);
    // Another picture of the same name.
    site.upload("a", "1.jpg", "other");
    site.rows("a", 0, "2", &["1.jpg"]).await;
    assert_eq!(site.fetch().await, stored(1));
    assert_eq!(bucket.object("odk/survey/key-a/1.jpg").await.0, b"other");
    // As `md5sum` has it.
    assert_eq!(site.database.rows("select md5, checked from files").await, ["795f3202b17cb6bc3d4b771d8c6c9eaf | 2"]);
}

#[tokio::test]
async fn what_is_there_is_not_put_again() {
    let bucket = Bucket::new().await;
    let mut site = Site::new("files_there", bucket.destination(None), 2).await;
    let put = |body: &'static [u8]| {
        let put = bucket.client.put_object().bucket(&bucket.name).key("survey/key-a/1.jpg");
        put.metadata("whose", "mine").body(ByteStream::from_static(body))
    };
    let whose = async || {
        let head = bucket.client.head_object().bucket(&bucket.name).key("survey/key-a/1.jpg").send().await.unwrap();
        head.metadata().and_then(|kept| kept.get("whose").cloned())
    };
    put(b"1.jpg").send().await.unwrap();
    site.submit_whole("a", 0, &["1.jpg"]).await;
    assert_eq!(site.fetch().await, present(1));
    assert_eq!(whose().await.as_deref(), Some("mine"), "by its ETag");
    // Somebody else's file under that key gives way.
    put(b"2.jpg").send().await.unwrap();
    site.database.execute("update files set state = 'pending'").await;
    assert_eq!(site.fetch().await, stored(1));
    assert_eq!(whose().await, None);
}

#[tokio::test]
async fn who_is_killed_between_storing_and_writing_it_down_stores_it_once() {
    let bucket = Bucket::new().await;
    let mut site = Site::new("files_killed", bucket.destination(None), 1).await;
    site.submit_whole("a", 0, &["1.jpg"]).await;
    // The row is locked, so that the worker comes as far as writing it down and no further.
    let lock = site.database.client().await;
    lock.batch_execute("begin; select from files for update").await.unwrap();
    let written = |client: aws_sdk_s3::Client, name: String| async move {
        loop {
            let head = client.head_object().bucket(&name).key("survey/key-a/1.jpg").send().await;
            if let Ok(head) = head {
                return head.last_modified.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let first = written(bucket.client.clone(), bucket.name.clone());
    let first = tokio::select! {
        _ = site.fetch() => panic!("it was not held up"),
        first = async { let first = first.await; tokio::time::sleep(Duration::from_millis(300)).await; first } => first,
    };
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
        where datname = current_database() and pid <> pg_backend_pid()";
    lock.batch_execute(kill).await.unwrap();
    lock.batch_execute("rollback").await.unwrap();
    assert_eq!(site.states().await, ["1.jpg | pending | ∅ | 0 | ∅"]);
    // Objects tell their age by the second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    site.database.execute("update tributary.lease set expires_at = now()").await;
    assert_eq!(site.fetch().await, present(1));
    assert_eq!(written(bucket.client.clone(), bucket.name.clone()).await, first);
    assert!(site.states().await[0].starts_with("1.jpg | stored | s3://"));
}

#[tokio::test]
async fn one_that_is_late_is_missing_and_one_that_was_cleared_keeps_its_place() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("pictures");
    let to = Destination::Directory(root.to_str().unwrap().to_owned());
    let mut site = Site::new("files_cleared", to, 2).await;
    site.submit("a", 0, &["1.jpg"]).await;
    assert_eq!(site.fetch().await, missing(1));
    assert_eq!(site.states().await, ["1.jpg | missing | ∅ | 1 | ∅"]);
    assert_eq!(site.fetch().await, missing(0), "it waits");
    site.pass().await;
    assert_eq!(site.fetch().await, missing(1));
    // It comes; whoever reads the row anew sees another mark, wait or not.
    site.upload("a", "1.jpg", "late");
    site.rows("a", 0, "1", &["1.jpg"]).await;
    assert_eq!(site.fetch().await, stored(1));
    let location = root.join("survey/key-a/1.jpg");
    let location = location.to_str().unwrap();
    assert_eq!(site.states().await, [format!("1.jpg | stored | {location} | 0 | ∅")]);
    site.odk.world().clear(FORM, "a", "1.jpg");
    site.rows("a", 0, "2", &["1.jpg"]).await;
    assert_eq!(site.fetch().await, missing(1));
    assert_eq!(site.states().await, [format!("1.jpg | cleared | {location} | 1 | ∅")]);
    assert_eq!(std::fs::read(location).unwrap(), b"late", "what was stored stays");
    // The same picture comes back.
    site.upload("a", "1.jpg", "late");
    site.pass().await;
    assert_eq!(site.fetch().await, present(1));
    assert_eq!(site.states().await, [format!("1.jpg | stored | {location} | 0 | ∅")]);
}

#[tokio::test]
async fn a_server_that_keeps_its_files_in_s3_tells_no_token_to_it() {
    let place = tempfile::tempdir().unwrap();
    let to = Destination::Directory(place.path().to_str().unwrap().to_owned());
    let mut site = Site::new("files_elsewhere", to, 2).await;
    site.odk.world().set_files_in_s3(true);
    site.submit_whole("a", 0, &["1.jpg", "2.jpg"]).await;
    assert_eq!(site.fetch().await, stored(2));
    site.rows("a", 0, "1", &["1.jpg", "2.jpg"]).await;
    assert_eq!(site.fetch().await, present(2));
    assert_eq!((site.odk.leaks(), site.odk.strays()), (0, 0));
    assert_eq!(std::fs::read(place.path().join("survey/key-a/2.jpg")).unwrap(), b"2.jpg");
    let columns = site.database.rows("select string_agg(concat(location, problem), ' ') from files").await;
    assert!(!columns[0].contains("http"), "no address that expires is kept: {columns:?}");
}

#[tokio::test]
async fn a_destination_that_the_mapping_changed_gets_what_somebody_wants_there() {
    let place = tempfile::tempdir().unwrap();
    let to = |name: &str| Destination::Directory(place.path().join(name).to_str().unwrap().to_owned());
    let mut site = Site::new("files_moved", to("one"), 2).await;
    site.submit_whole("a", 0, &["1.jpg"]).await;
    assert_eq!(site.fetch().await, stored(1));
    site.move_to(to("two"));
    // What is stored is stored; a look at it for another reason finds the new place empty.
    assert_eq!(site.fetch().await, stored(0));
    site.rows("a", 0, "1", &["1.jpg"]).await;
    assert_eq!(site.fetch().await, stored(1));
    assert!(place.path().join("two/survey/key-a/1.jpg").exists());
}
