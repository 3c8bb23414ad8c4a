//! How a webhook is found and made, how it dies, and what becomes of what it should have told.

use std::time::Duration;

use fastrand::Rng;
use serde_json::json;

use crate::fixture::*;

const DAY: u64 = 86_400;

/// A world with rows, whose feed is up to date.
async fn settled(test: &str, feed: &str) -> (World, Vec<String>) {
    let mut world = World::new(test, feed).await;
    let ids = world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(1), 40));
    world.tick().await;
    (world, ids)
}

/// As if the feed had last been read so long ago.
async fn idle_for(world: &World, days: u64) {
    world.airtable.age_hooks(Duration::from_secs(days * DAY));
    let micros = days * DAY * 1_000_000;
    let age = format!(
        "update tributary.checkpoint set position = jsonb_set(position::jsonb, '{{read_at}}', \
         to_jsonb((position::jsonb->>'read_at')::int8 - {micros}))::text where partition = 'feed'"
    );
    world.database.execute(&age).await;
}

#[tokio::test]
async fn a_feed_whose_state_is_lost_begins_anew_with_a_sweep() {
    let (mut world, ids) = settled("lost_state", "").await;
    world.airtable.edit_silently(HOMES, &ids[0], &json!({ NAME: "not told" }));
    world.airtable.destroy_silently(HOMES, &ids[1]);
    world.database.execute("update tributary.checkpoint set position = 'no state' where partition = 'feed'").await;
    world.tick().await;
    world.assert_same().await;
}

#[tokio::test]
async fn a_dead_hook_is_made_anew_and_a_sweep_finds_what_it_missed() {
    let (mut world, ids) = settled("dead_hook", "").await;
    let hook = world.airtable.hooks()[0].0.clone();
    world.airtable.edit(HOMES, &ids[0], &json!({ NAME: "told" }));
    world.airtable.kill_hook(&hook);
    world.airtable.edit(HOMES, &ids[1], &json!({ NAME: "not told" }));
    world.airtable.destroy(HOMES, &ids[2..4]);
    let healed = world.tick().await;
    notes(&healed, "told nothing any more (INVALID_HOOK) and is made anew");
    world.assert_same().await;
    let hooks = world.airtable.hooks();
    assert_eq!((hooks.len(), hooks[0].0 != hook), (1, true), "the dead one is gone: {hooks:?}");
    world.airtable.edit(HOMES, &ids[5], &json!({ NAME: "told by the new one" }));
    assert_eq!(world.tick().await.records, 1);
    world.assert_same().await;
}

#[tokio::test]
async fn lost_payloads_are_seen_by_the_gap_and_healed() {
    let (mut world, ids) = settled("gap", "").await;
    let hook = world.airtable.hooks()[0].0.clone();
    ids[..5].iter().for_each(|id| assert!(world.airtable.edit(HOMES, id, &json!({ NAME: "lost" }))));
    world.airtable.lose_payloads(&hook, 3);
    let healed = world.tick().await;
    notes(&healed, "3 payloads of the webhook are lost");
    world.assert_same().await;
    // All of them, so that nothing but the number shows it.
    ids[..5].iter().for_each(|id| assert!(world.airtable.edit(HOMES, id, &json!({ NAME: "lost again" }))));
    world.airtable.lose_payloads(&hook, 100);
    notes(&world.tick().await, "5 payloads of the webhook are lost");
    world.assert_same().await;
    assert_eq!(world.asked().await.len(), 1);
}

#[tokio::test]
async fn a_hook_that_expired_unread_is_made_anew() {
    for (days, why) in [(8, "it is disabled or has expired"), (30, "it isn't there any more")] {
        let (mut world, ids) = settled("expired_hook", "").await;
        idle_for(&world, days).await;
        world.airtable.edit(HOMES, &ids[1], &json!({ NAME: "not told" }));
        let healed = world.tick().await;
        notes(&healed, why);
        world.assert_same().await;
        assert!(world.airtable.hooks().iter().all(|(_, alive)| *alive));
    }
}

#[tokio::test]
async fn reading_keeps_a_hook_alive() {
    let (mut world, _) = settled("alive", "").await;
    let hook = world.airtable.hooks()[0].0.clone();
    for _ in 0..5 {
        idle_for(&world, 5).await;
        world.tick().await;
    }
    assert_eq!(world.airtable.hooks(), [(hook, true)]);
}

#[tokio::test]
async fn a_hook_that_is_gone_is_made_anew() {
    let (mut world, ids) = settled("gone_hook", "").await;
    let hook = world.airtable.hooks()[0].0.clone();
    world.airtable.delete_hook(&hook);
    world.airtable.edit(HOMES, &ids[1], &json!({ NAME: "not told" }));
    notes(&world.tick().await, "it isn't there any more");
    world.assert_same().await;
}

#[tokio::test]
async fn a_hook_of_a_runner_that_forgot_it_is_used_again() {
    let (mut world, ids) = settled("forgotten", "").await;
    world.database.execute("delete from tributary.checkpoint").await;
    world.airtable.edit(HOMES, &ids[1], &json!({ NAME: "told to nobody" }));
    world.cool_down();
    world.tick().await;
    world.assert_same().await;
    assert_eq!(world.airtable.hooks().len(), 1);
}

#[tokio::test]
async fn a_hook_of_the_mapping_that_dies_is_told_of_until_somebody_names_another() {
    let mut world = World::new("named", "").await;
    let ids = world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(2), 20));
    let hook = world.airtable.add_hook(HOMES, &[TAGS]);
    world.remap(|url| mapping_text(url, &format!("feed: {{ webhook: {hook} }}"))).await;
    world.tick().await;
    world.airtable.edit(HOMES, &ids[0], &json!({ NAME: "told" }));
    assert_eq!(world.tick().await.records, 1);
    world.assert_same().await;
    assert_eq!(world.airtable.hooks().len(), 1, "none was made");

    world.airtable.kill_hook(&hook);
    world.airtable.edit(HOMES, &ids[1], &json!({ NAME: "not told" }));
    for tick in 0..2 {
        let failed = world.try_tick().await;
        assert_eq!(failed.state, "failed");
        let error = failed.error.unwrap();
        assert!(error.contains(&format!("the webhook {hook} tells nothing any more: INVALID_HOOK")), "{error}");
        assert!(failed.hint.unwrap().contains("feed: webhook"));
        world.assert_same().await;
        assert_eq!(failed.records > 0, tick == 0, "one sweep heals it");
    }
    let other = world.airtable.add_hook(HOMES, &[]);
    world.remap(|url| mapping_text(url, &format!("feed: {{ webhook: {other} }}"))).await;
    world.airtable.edit(HOMES, &ids[2], &json!({ NAME: "told by the other" }));
    world.tick().await;
    world.assert_same().await;
}

#[tokio::test]
async fn a_base_that_is_full_of_hooks_says_what_to_do() {
    let mut world = World::new("full", "").await;
    (0..10).for_each(|_| drop(world.airtable.add_hook("tblOTHER000000001", &[])));
    let failed = world.try_tick().await;
    assert_eq!(failed.state, "failed");
    assert!(failed.error.unwrap().contains("the base has its ten webhooks"));
    assert!(failed.hint.unwrap().contains("feed: { webhook: ach… }"));
    // One that suits is taken all the same.
    let (first, _) = world.airtable.hooks()[0].clone();
    world.airtable.delete_hook(&first);
    world.tick().await;
    assert_eq!(world.airtable.hooks().len(), 10);
}

#[tokio::test]
async fn a_hook_that_was_switched_off_is_found_by_the_next_sweep() {
    let (mut world, ids) = settled("off", "").await;
    let hook = world.airtable.hooks()[0].0.clone();
    world.airtable.disable_hook(&hook);
    world.airtable.edit(HOMES, &ids[1], &json!({ NAME: "not told" }));
    world.tick().await;
    assert_eq!(world.differences().await.len(), 1, "nothing shows that it is off");
    notes(&world.sweep().await, "it is disabled or has expired");
    world.assert_same().await;
    assert_eq!(world.airtable.hooks().len(), 1);
}
