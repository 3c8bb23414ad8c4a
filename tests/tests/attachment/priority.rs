//! Who comes first, how many at once, and what the end of the time leaves.

use std::time::Duration;

use tributary_core::pipeline::Destination;

use crate::bucket::Bucket;
use crate::fixture::*;

fn directory(place: &tempfile::TempDir) -> Destination {
    Destination::Directory(place.path().join("pictures").to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_new_submission_comes_before_those_that_wait_since_an_earlier_tick() {
    let place = tempfile::tempdir().unwrap();
    let mut site = Site::new("files_first", directory(&place), 1).await;
    for (id, day) in [("old", 0), ("older", -1), ("oldest", -2)] {
        site.submit_whole(id, day, &["1.jpg", "2.jpg"]).await;
    }
    site.odk.world().set_latency(Duration::from_millis(400));
    // There is time to begin one or two.
    let (report, work) = site.tick(&Until::seconds(6.0)).await;
    assert_eq!(report.pipelines()[0].state, "later");
    assert!(work.more && (1..=3).contains(&work.stored), "{work:?}");
    site.odk.world().set_latency(Duration::ZERO);
    let mut asked = site.asked();
    assert_eq!(asked[0], "old/1.jpg");
    site.submit_whole("new", 1, &["1.jpg", "2.jpg"]).await;
    assert_eq!(site.fetch().await, stored(8 - work.stored));
    let later = site.asked();
    assert_eq!(later[..2], ["new/1.jpg", "new/2.jpg"]);
    asked.extend(later[2..].iter().cloned());
    assert_eq!(asked, ["old/1.jpg", "old/2.jpg", "older/1.jpg", "older/2.jpg", "oldest/1.jpg", "oldest/2.jpg"]);
    assert!(site.fetch().await == stored(0) && site.asked().is_empty(), "what is there is not asked for again");
}

#[tokio::test]
async fn so_many_are_on_their_way_at_once() {
    for at_once in [1, 3] {
        let place = tempfile::tempdir().unwrap();
        let mut site = Site::new("files_at_once", directory(&place), at_once).await;
        for id in ["i", "j", "k", "l"] {
            site.submit_whole(id, 0, &["1.jpg", "2.jpg", "3.jpg"]).await;
        }
        site.odk.world().set_latency(Duration::from_millis(30));
        assert_eq!(site.fetch().await, stored(12));
        assert_eq!(site.odk.peak(), at_once);
    }
}

#[tokio::test]
async fn more_than_are_taken_at_once_are_all_fetched_once() {
    let place = tempfile::tempdir().unwrap();
    let mut site = Site::new("files_many", directory(&place), 4).await;
    for number in 0..50 {
        site.submit_whole(&format!("s{number:02}"), number, &["1.jpg", "2.jpg", "3.jpg"]).await;
    }
    assert_eq!(site.fetch().await, stored(150));
    let asked = site.asked();
    let order = (0..50).rev().flat_map(|number| (1..=3).map(move |file| format!("s{number:02}/{file}.jpg")));
    let order: Vec<String> = order.collect();
    let mut once = asked.clone();
    once.sort_unstable();
    assert!(once.iter().eq(order.iter().collect::<std::collections::BTreeSet<_>>()), "{asked:?}");
    // One is begun when all before it were, and all but three of those were answered.
    for (turn, name) in order.iter().enumerate() {
        let place = asked.iter().position(|asked| asked == name).unwrap();
        assert!(place + 3 >= turn, "{name} came at {place}, its turn was {turn}: {asked:?}");
    }
}

#[tokio::test]
async fn a_file_that_takes_all_the_time_waits_and_others_get_theirs() {
    let place = tempfile::tempdir().unwrap();
    let mut site = Site::new("files_slow", directory(&place), 1).await;
    site.submit_whole("new", 1, &["huge.mp4"]).await;
    site.submit_whole("old", 0, &["1.jpg"]).await;
    site.odk.fail("attachment", tributary_stand_in::odk::Fault::Late(Duration::from_secs(60)));
    let (report, work) = site.tick(&Until::seconds(6.0)).await;
    assert_eq!((work.failed, work.stored, work.more), (1, 0, true));
    assert!(report.pipelines()[0].notes[0].contains("give the function more time"), "{:?}", report.pipelines());
    assert!(site.states().await[0].starts_with("huge.mp4 | failed | ∅ | 1 | the file did not come"));
    assert_eq!(site.fetch().await, stored(1));
    assert_eq!(site.asked(), ["new/huge.mp4", "old/1.jpg"]);
    site.pass().await;
    assert_eq!(site.fetch().await, stored(1));
}

/// Kilobytes of memory that this process held at most.
fn held() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn a_file_of_any_size_needs_little_memory() {
    let bucket = Bucket::new().await;
    let place = tempfile::tempdir().unwrap();
    for to in [bucket.destination(None), directory(&place)] {
        let mut site = Site::new("files_large", to, 4).await;
        site.submit("a", 0, &["1.mp4", "2.mp4"]).await;
        let large = bytes::Bytes::from(vec![7; 48 * 1024 * 1024]);
        for name in ["1.mp4", "2.mp4"] {
            assert!(site.odk.world().upload(FORM, "a", name, large.clone(), "video/mp4"));
        }
        let before = held();
        assert_eq!(site.fetch().await, stored(2));
        let grown = held() - before;
        assert!(grown < 25_000, "{grown} kB");
        assert_eq!(site.database.rows("select distinct size, content_type from files").await, ["50331648 | video/mp4"]);
    }
    let objects = bucket.client.list_objects_v2().bucket(&bucket.name).send().await.unwrap();
    let sizes: Vec<_> = objects.contents.unwrap().iter().map(|object| object.size).collect();
    assert_eq!(sizes, [Some(50_331_648); 2]);
}
