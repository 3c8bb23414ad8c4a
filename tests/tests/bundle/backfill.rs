//! What a table held before it had a stream comes by an invocation, as README.md shows it.

use serde_json::{Value, json};

use crate::fixture::*;

#[tokio::test]
async fn an_invocation_reads_what_was_there_before_the_stream() {
    let world = World::shared().await;
    let _turn = world.turn.lock().await;
    let early = "select count(*), count(*) filter (where name = 'Early') from profile where id::text like 'eeeeeeee-%'";
    // One of them changes while nothing has read it yet: the stream's event wins over what a scan sees, whichever comes first.
    let first = format!("select name from profile where id = '{}'", early_id(0));
    put(world.bundle.aws(), "users", user(&early_id(0), "Late")).await;
    world.warehouse.awaits(&first, "Late", SECONDS).await;
    assert_eq!(world.warehouse.database.rows(early).await, ["1 | 0"], "the stream knows no more of them");

    let backfill = async |payload: Value| {
        for _ in 0..10 {
            let answer = world.bundle.invoke(STREAM, payload.to_string()).await.json();
            if answer["done"] == true {
                return answer;
            }
        }
        panic!("it never ends");
    };
    let answer = backfill(json!({ "backfill": { "pipeline": "users" } })).await;
    assert!(answer["items"].as_u64().unwrap() >= EARLY as u64, "{answer}");
    assert_eq!(world.warehouse.database.rows(early).await, [format!("{EARLY} | {}", EARLY - 1)]);
    assert_eq!(world.warehouse.database.rows(&first).await, ["Late"]);
    let appearance = "select count(*) from appearance_settings where profile_id::text like 'eeeeeeee-%'";
    assert_eq!(world.warehouse.database.rows(appearance).await, [EARLY.to_string()]);

    let again = backfill(json!({ "backfill": { "pipeline": "users", "restart": true } })).await;
    assert_eq!(again["applied"], 0, "{again}");
}
