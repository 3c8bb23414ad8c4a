//! What goes wrong with one file stops no other, and what goes wrong with all of them is tried with few.

use std::time::Duration;

use tributary_core::pipeline::Destination;
use tributary_core::sink::Unlimited;
use tributary_stand_in::odk::Fault;

use crate::bucket::Bucket;
use crate::fixture::*;

fn directory(place: &tempfile::TempDir) -> Destination {
    Destination::Directory(place.path().join("pictures").to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_file_that_fails_is_told_and_waits_and_the_others_are_stored() {
    let faults = [
        (Fault::Problem(500, 500.1), "status 500"),
        (Fault::CutClean(50), "came short"),
        (Fault::Cut(50), "cut short"),
        (Fault::Lost, "cut short"),
    ];
    for (fault, problem) in faults {
        let place = tempfile::tempdir().unwrap();
        let mut site = Site::new("files_fail", directory(&place), 1).await;
        site.submit_whole("a", 0, &["1.jpg", "2.jpg", "3.jpg"]).await;
        site.odk.fail("attachment", fault.clone());
        let work = site.fetch().await;
        assert_eq!((work.stored, work.failed, work.more), (2, 1, false), "{fault:?}");
        let states = site.states().await;
        assert!(states[0].starts_with("1.jpg | failed | ∅ | 1 | "), "{states:?}");
        assert!(states[0].contains(problem), "{states:?}");
        assert!(!place.path().join("pictures/survey/key-a/1.jpg").exists(), "half a file is none");
        assert_eq!(site.fetch().await, stored(0), "it waits");
        site.pass().await;
        assert_eq!(site.fetch().await, stored(1));
        assert_eq!(std::fs::read(place.path().join("pictures/survey/key-a/1.jpg")).unwrap(), b"1.jpg");
        assert!(site.states().await[0].ends_with("| 0 | ∅"));
        let all = std::fs::read_dir(place.path().join("pictures")).unwrap().count();
        assert_eq!(all, 1, "nothing unfinished is left");
    }
}

#[tokio::test]
async fn the_report_tells_of_the_first_and_how_many() {
    let place = tempfile::tempdir().unwrap();
    let mut site = Site::new("files_report", directory(&place), 1).await;
    site.submit_whole("a", 0, &["1.jpg", "2.jpg", "3.jpg"]).await;
    site.odk.fail("attachment", Fault::Problem(500, 500.1));
    site.odk.fail("attachment", Fault::Problem(400, 400.1));
    let (report, _) = site.tick(&Unlimited).await;
    let notes = &report.pipelines()[0].notes;
    assert_eq!(notes.len(), 1);
    assert!(notes[0].starts_with("2 attachments failed; `problem` in files tells why, of the first: "), "{notes:?}");
    assert!(notes[0].contains("status 500"), "{notes:?}");
}

#[tokio::test]
async fn a_server_that_is_broken_is_not_asked_for_all() {
    let place = tempfile::tempdir().unwrap();
    let mut site = Site::new("files_broken", directory(&place), 2).await;
    for number in 0..10 {
        site.submit_whole(&format!("s{number}"), number, &["1.jpg", "2.jpg"]).await;
    }
    for _ in 0..30 {
        site.odk.fail("attachment", Fault::Problem(503, 503.1));
    }
    let work = site.fetch().await;
    assert!((8..=9).contains(&work.failed), "{work:?}");
    site.odk.recover();
    assert_eq!(site.fetch().await, stored(20 - work.failed), "the others");
    site.pass().await;
    assert_eq!(site.fetch().await, stored(work.failed));
}

#[tokio::test]
async fn a_place_that_is_not_there_is_tried_with_few() {
    let bucket = Bucket::new().await;
    let Destination::S3 { prefix, region, endpoint, .. } = bucket.destination(None) else { unreachable!() };
    let to = Destination::S3 { bucket: "nobody-has-this".into(), prefix, region, endpoint };
    let mut site = Site::new("files_nowhere", to, 2).await;
    site.submit_whole("a", 0, &["1.jpg", "2.jpg", "3.jpg"]).await;
    site.submit_whole("b", -1, &["1.jpg", "2.jpg", "3.jpg"]).await;
    let (report, work) = site.tick(&Unlimited).await;
    assert_eq!(report.pipelines()[0].state, "drained");
    assert_eq!(work.failed, 2);
    let note = &report.pipelines()[0].notes[0];
    assert!(
        note.contains("there is no bucket nobody-has-this") && note.contains("make it, or check its name"),
        "{note}"
    );
    site.move_to(bucket.destination(None));
    assert_eq!(site.fetch().await, stored(4));
    site.pass().await;
    assert_eq!(site.fetch().await, stored(2));
}

#[tokio::test]
async fn a_tick_by_hand_waits_for_nobody() {
    let place = tempfile::tempdir().unwrap();
    let mut site = Site::new("files_forced", directory(&place), 1).await;
    site.submit_whole("a", 0, &["1.jpg", "2.jpg"]).await;
    for _ in 0..2 {
        site.odk.fail("attachment", Fault::Problem(500, 500.1));
        site.odk.fail("attachment", Fault::Problem(500, 500.1));
        assert_eq!(site.fetch().await.failed, 2);
        site.pass().await;
    }
    site.database.execute("update files set next_try = now() + interval '1 day'").await;
    assert_eq!(site.fetch().await, stored(0));
    site.forced = true;
    site.odk.fail("attachment", Fault::Problem(500, 500.1));
    let work = site.fetch().await;
    assert_eq!((work.stored, work.failed), (1, 1));
    assert!(site.states().await[0].starts_with("1.jpg | failed | ∅ | 1 | "), "it begins to wait anew");
    assert_eq!(site.fetch().await, stored(0), "and is not tried again and again");
}

#[tokio::test]
async fn who_loses_the_lease_writes_nothing_down() {
    let place = tempfile::tempdir().unwrap();
    let mut site = Site::new("files_fenced", directory(&place), 1).await;
    site.submit_whole("a", 0, &["1.jpg", "2.jpg"]).await;
    site.odk.fail("attachment", Fault::Late(Duration::from_millis(800)));
    let other = site.database.client().await;
    let take = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let taken = other.execute("update tributary.lease set fence = fence + 1, holder = 'other'", &[]).await.unwrap();
        assert_eq!(taken, 1);
    };
    let ((report, _), ()) = tokio::join!(site.tick(&Unlimited), take);
    let progress = &report.pipelines()[0];
    assert_eq!(progress.state, "failed");
    assert!(progress.error.as_deref().unwrap().contains("was taken over"), "{progress:?}");
    assert!(site.states().await.iter().all(|state| state.ends_with("| pending | ∅ | 0 | ∅")));
}

#[tokio::test]
async fn a_refused_login_ends_the_run_and_blames_no_file() {
    let place = tempfile::tempdir().unwrap();
    let mut site = Site::new("files_login", directory(&place), 2).await;
    site.submit_whole("a", 0, &["1.jpg", "2.jpg", "3.jpg"]).await;
    site.odk.world().set_user(tributary_stand_in::odk::EMAIL, "another", tributary_stand_in::odk::Right::Viewer);
    let (report, _) = site.tick(&Unlimited).await;
    assert_eq!(report.pipelines()[0].state, "failed");
    assert!(report.pipelines()[0].error.as_deref().unwrap().contains("refuses the email and password"));
    assert!(site.states().await.iter().all(|state| state.ends_with("| pending | ∅ | 0 | ∅")));
}

#[tokio::test]
async fn names_lead_nowhere_but_into_the_directory() {
    let place = tempfile::tempdir().unwrap();
    let mut site = Site::new("files_names", directory(&place), 2).await;
    let names = ["../../x.jpg", "a b%2F\u{e9}.jpg", ".."];
    site.submit_whole("uuid:1", 0, &names).await;
    assert_eq!(site.fetch().await, stored(3), "{:?}", site.states().await);
    let folder = place.path().join("pictures/survey/key-uuid:1");
    let mut found: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, ["..=2F..=2Fx.jpg", "=2E=2E", "a=20b=252F=C3=A9.jpg"]);
    assert!(!place.path().join("x.jpg").exists());
}
