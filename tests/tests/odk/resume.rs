//! Large forms in small ticks: each goes on where the last one ended.

use tributary_tests::odk::survey::{FORM, answers};

use crate::fixture::*;

#[tokio::test]
async fn a_first_pass_goes_on_over_many_ticks() {
    let mut world = World::new("resume").await;
    let ids = world.submit(1_500);
    world.odk.world().set_latency(std::time::Duration::from_millis(12));
    let (mut ticks, mut stored, mut time) = (0, Vec::new(), std::time::Duration::from_millis(100));
    loop {
        world.cool_down();
        let progress = world.short_tick(time).await;
        assert_eq!(progress.error, None, "{progress:?}");
        ticks += 1;
        stored.push(world.one("select count(*) from submission").await.parse::<usize>().unwrap());
        if stored.len() > 1 && stored[stored.len() - 2..][0] == stored[stored.len() - 1] {
            // The machine is too slow for a page in this time.
            time += time / 2;
        }
        if progress.state == "drained" {
            break;
        }
        assert!(ticks < 200, "it gets nowhere: {stored:?}");
        // What happens meanwhile, to rows that were read and to others.
        let mut central = world.odk.world();
        central.advance(std::time::Duration::from_secs(2));
        central.edit(FORM, &ids[ticks % 700], &answers("edited", 1));
        central.edit(FORM, &ids[1_499 - ticks % 700], &answers("edited", 2));
    }
    println!("{ticks} ticks: {stored:?}");
    assert!(ticks > 3 && stored.is_sorted(), "{stored:?}");
    world.wait();
    world.tick().await;
    world.assert_same().await;
    // Each page once, and some overhead a tick.
    let pages = world.odk.kinds()["page"];
    println!("{pages} pages in {ticks} ticks");
    assert!(pages <= 6 + 2 * ticks, "{pages} pages in {ticks} ticks");
}

#[tokio::test]
async fn requests_of_a_tick_without_news() {
    let mut world = World::with_files("requests").await;
    let ids = world.submit(300);
    for id in &ids {
        world.odk.world().upload(FORM, id, "building.jpg", "x", "image/jpeg");
    }
    world.tick().await;
    world.tick().await;
    let asked = world.asked().await;
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].ends_with(FORM) && asked[1].contains("$select=__id"), "{asked:?}");
}
