//! The whole table.

use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::json;
use tributary_core::sink::Unlimited;
use tributary_runtime::tick::Request;
use tributary_tests::airtable::Fault;

use crate::fixture::*;

#[tokio::test]
async fn a_second_sweep_writes_nothing() {
    let mut world = World::new("twice", "").await;
    world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(3), 350));
    world.tick().await;
    world.assert_same().await;
    let rows = "select xmin, ctid, record_id from home order by 3";
    let links = "select xmin, ctid, home, district from home_district order by 3, 4";
    let before = (world.database.rows(rows).await, world.database.rows(links).await);
    let again = world.sweep().await;
    assert_eq!((again.records, again.applied, again.stale), (350, 0, 0), "{again:?}");
    assert_eq!((world.database.rows(rows).await, world.database.rows(links).await), before);
}

#[tokio::test]
async fn drift_and_deletes_that_nobody_told_show_in_a_sweep() {
    let mut world = World::new("drift", "").await;
    let ids = world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(4), 120));
    world.tick().await;
    world.airtable.drift(HOMES, &ids[0], TOTAL, json!(4_711));
    world.airtable.drift(HOMES, &ids[1], TOTAL, json!({ "error": "#ERROR!" }));
    world.airtable.edit_silently(HOMES, &ids[2], &json!({ NAME: "nobody told" }));
    world.airtable.destroy_silently(HOMES, &ids[3]);
    world.tick().await;
    assert_eq!(world.differences().await.len(), 4);
    let swept = world.sweep().await;
    world.assert_same().await;
    assert!(swept.applied <= 8, "what is as it was is not written: {swept:?}");
}

#[tokio::test]
async fn what_was_restored_meanwhile_is_not_buried() {
    let mut world = World::new("restored", "").await;
    let ids = world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(5), 150));
    world.tick().await;
    // Not in the listing, because it was in the trash when that began, and there again before it ended.
    world.airtable.destroy_silently(HOMES, &ids[7]);
    let back = ids[7].clone();
    world.airtable.after("listRecords", 1, move |airtable| {
        airtable.restore(HOMES, &back);
    });
    let swept = world.sweep().await;
    assert_eq!(swept.notes, [""; 0]);
    assert_eq!(world.database.rows("select count(*) from home where _deleted").await, ["0"]);
    world.assert_same().await;
}

#[tokio::test]
async fn no_sweep_deletes_too_many_rows_unless_somebody_says_so() {
    let mut world = World::new("many", "mass_delete: 0.2").await;
    let ids = world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(6), 100));
    world.tick().await;
    let silently =
        |world: &World, some: &[String]| some.iter().for_each(|id| world.airtable.destroy_silently(HOMES, id));
    silently(&world, &ids[..15]);
    world.sweep().await;
    world.assert_same().await;

    silently(&world, &ids[15..60]);
    world.airtable.drift(HOMES, &ids[99], TOTAL, json!(1));
    let held = world.sweep().await;
    notes(&held, "45 of 85 rows have no record in Airtable any more");
    notes(&held, r#"{"tick": {"allow_mass_delete": ["homes"]}}"#);
    assert_eq!(held.applied, 1, "what is there is brought up to date all the same");
    assert_eq!(world.checkpoint("sweep").await["held"], 45);
    // A tick after it is none the wiser, and asks for nothing.
    assert_eq!(world.tick().await.notes, [""; 0]);

    let request = serde_json::from_str(r#"{"allow_mass_delete": ["homes"]}"#).unwrap();
    world.tick_within(&request, &Unlimited).await;
    world.assert_same().await;
    assert_eq!(world.checkpoint("sweep").await["held"], json!(null));
}

#[tokio::test]
async fn of_a_small_table_a_few_rows_may_always_go_unless_none_may() {
    for (feed, deleted) in [("mass_delete: 0.1", 8), ("mass_delete: 0", 0)] {
        let mut world = World::new("few", feed).await;
        let ids = world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(7), 12));
        world.tick().await;
        ids[..8].iter().for_each(|id| world.airtable.destroy_silently(HOMES, id));
        world.sweep().await;
        assert_eq!(world.database.rows("select count(*) from home where _deleted").await, [deleted.to_string()]);
    }
}

/// Ticks with time for about a page each.
async fn by_pages(world: &mut World, most: usize, between: impl Fn(&World, usize)) -> usize {
    for tick in 1..=most {
        world.airtable.fail("listRecords", [Fault::Late(Duration::from_millis(300))]);
        let budget = Millis(Instant::now() + Duration::from_millis(3_200));
        let report = world.tick_within(&Request::default(), &budget).await;
        match report.pipelines()[0].state {
            "drained" => return tick,
            "more" | "later" => between(world, tick),
            other => panic!("{other}: {report:?}"),
        }
    }
    panic!("{most} ticks were not enough")
}

#[tokio::test]
async fn a_sweep_goes_on_in_the_next_tick_while_the_function_is_warm() {
    let mut world = World::new("goes_on", "").await;
    let mut dice = Rng::with_seed(8);
    let ids = world.airtable.create(HOMES, any_homes(&mut dice, 450));
    let made = any_home(&mut dice);
    let ticks = by_pages(&mut world, 20, |world, tick| {
        // Changes between its pages reach the feed, which comes first.
        if tick % 2 == 0 {
            return;
        }
        world.airtable.edit(HOMES, &ids[tick], &json!({ NAME: "changed between pages" }));
        world.airtable.edit(HOMES, &ids[449 - tick], &json!({ NAME: "changed between pages" }));
        world.airtable.destroy(HOMES, &ids[tick + 20..tick + 22]);
        if tick == 3 {
            world.airtable.create(HOMES, vec![made.clone()]);
        }
    })
    .await;
    assert!(ticks >= 4, "{ticks} ticks");
    world.tick().await;
    world.assert_same().await;
    let lists = world.airtable.requests().iter().filter(|request| request.ends_with("listRecords")).count();
    assert!(lists < 2 * ticks + 6, "{lists} listings: it began anew");
}

#[tokio::test]
async fn a_sweep_whose_place_expired_begins_anew() {
    let mut world = World::new("expired_place", "").await;
    world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(9), 350));
    world.airtable.after("listRecords", 2, |airtable| airtable.expire_listings());
    world.tick().await;
    world.assert_same().await;
    let lists = world.airtable.requests().iter().filter(|request| request.ends_with("listRecords")).count();
    assert_eq!(lists, 2 + 1 + 4, "two pages, one refusal, and all four");
}

#[tokio::test]
async fn a_field_that_goes_away_empties_no_column() {
    let mut world = World::new("field_gone", "").await;
    world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(10), 250));
    world.tick().await;
    let names = "select count(name), count(*) from home";
    let before = world.database.rows(names).await;
    world.airtable.after("listRecords", 1, |airtable| airtable.delete_field(HOMES, NAME));
    let request = Request { force: true, ..Request::default() };
    let report = world.tick_within(&request, &Unlimited).await;
    let failed = &report.pipelines()[0];
    assert_eq!(failed.error.as_deref(), Some("the Airtable table `Homes` has no field `fldNAME0000000001`"));
    let hint = failed.hint.as_deref().unwrap();
    assert!(hint.contains("`Rent (€)` (fldRENT0000000001), `Free?`"), "{hint}");
    assert_eq!(world.database.rows(names).await, before);
}

#[tokio::test]
async fn other_columns_are_filled_by_a_sweep_of_their_own() {
    let mut world = World::new("other_columns", "").await;
    world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(11), 30));
    world.tick().await;
    let more = |url: &str| {
        mapping_text(url, "").replace(
            "            tags:",
            "            changed: { from: Changed, type: timestamptz }\n            tags:",
        )
    };
    world.remap(more).await;
    world.tick().await;
    assert_eq!(world.database.rows("select count(*) from home where changed is null").await, ["0"]);
    assert_eq!(world.asked().await.len(), 1, "and then no more");
}

#[tokio::test]
async fn a_listing_that_lacks_records_buries_none() {
    let mut world = World::new("lacks", "mass_delete: 1").await;
    world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(12), 30));
    world.tick().await;
    let rows = "select xmin, record_id, _deleted from home order by 2";
    let before = world.database.rows(rows).await;

    // Empty, by mistake: each record is asked for once more.
    world.airtable.fail("listRecords", [Fault::Answer(200, r#"{"records":[]}"#)]);
    world.sweep().await;
    assert_eq!(world.database.rows(rows).await, before);

    // Whose the record without an id is, nobody knows.
    world.airtable.fail("listRecords", [Fault::Answer(200, r#"{"records":[{"fields":{}}]}"#)]);
    let swept = world.sweep().await;
    notes(&swept, "1 records came without an id; 30 rows that were not seen are left alone");
    assert_eq!(swept.dead, 1);
    assert_eq!(world.database.rows(rows).await, before);
    world.sweep().await;
    assert_eq!(world.database.rows("select count(*) from tributary.dead_letter").await, ["0"]);
}
