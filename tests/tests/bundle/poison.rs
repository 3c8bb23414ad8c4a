//! Items that no column takes go to the dead letters, the others of their batch and of the shard are applied; the function
//! says so in the line that becomes metrics.

use serde_json::{Value, json};

use crate::fixture::*;

#[tokio::test]
async fn a_bad_item_is_a_dead_letter_and_the_shard_goes_on() {
    let world = World::shared().await;
    let (aws, warehouse) = (world.bundle.aws(), &world.warehouse);
    let letters = "select string_agg(array_to_string(tables, '+') || ': ' || error, E'\\n' order by position) from \
                   tributary.dead_letter where convert_from(payload, 'UTF8') like '%poison-%'";
    let named = |id: &str, name: &str, more: Value| {
        let mut user = user(id, name);
        user.extend(item(&more));
        user
    };
    put(aws, "users", named(&id(3, 0), "poison-a", json!({ "bio": "x".repeat(300) }))).await;
    put(aws, "users", user("no-uuid", "poison-b")).await;
    put(aws, "users", user(&id(3, 1), "Grace")).await;
    warehouse.awaits(&format!("select name from profile where id = '{}'", id(3, 1)), "Grace", SECONDS).await;
    let found = warehouse.database.rows(letters).await.remove(0);
    let [long, no_uuid] = [found.lines().next(), found.lines().nth(1)].map(Option::unwrap_or_default);
    assert!(long.contains("bio") && long.contains("210"), "{found}");
    assert!(no_uuid.contains("uuid"), "{found}");
    assert_eq!(found.lines().count(), 2, "{found}");

    // What the template's metric filter and dashboard read.
    let lines = world.bundle.log_lines(STREAM).await;
    let metrics: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let metrics =
        metrics.iter().filter(|line: &&Value| line["_aws"]["Timestamp"].is_u64() && line["pipeline"] == "users");
    let dead: u64 = metrics.clone().filter_map(|line| line["dead"].as_u64()).sum();
    assert_eq!(dead, 2, "{lines:#?}");
    let one = metrics.clone().next().unwrap();
    let directive = &one["_aws"]["CloudWatchMetrics"][0];
    assert_eq!((&directive["Namespace"], &directive["Dimensions"]), (&json!("Tributary"), &json!([["pipeline"]])));
    for metric in directive["Metrics"].as_array().unwrap() {
        assert!(one[metric["Name"].as_str().unwrap()].is_number(), "{one}");
    }
    let log = lines.join("\n");
    for value in ["poison-", "no-uuid", "Grace", "xxx"] {
        assert!(!log.contains(value), "a row's value is in the log: {log}");
    }
}
