//! What is written to DynamoDB stands in Postgres seconds later.

use serde_json::json;

use crate::fixture::*;

#[tokio::test]
async fn items_put_changed_and_deleted_appear_in_all_tables() {
    let world = World::shared().await;
    let (aws, warehouse) = (world.bundle.aws(), &world.warehouse);
    let rows = "select p.name, p.website, p.deleted, a.theme, a._deleted, n.push_likes, n._deleted from profile p \
                join appearance_settings a on a.profile_id = p.id join notification_settings n on n.profile_id = p.id \
                where p.id = ";
    let rows = format!("{rows} '{}'", id(1, 0));
    let mut ada = user(&id(1, 0), "Ada");
    ada.extend(item(&json!({ "website": "https://ada.example" })));
    put(aws, "users", ada).await;
    let first = warehouse.awaits(&rows, "Ada | https://ada.example | f | night | f | t | f", SECONDS).await;
    let mut ada = user(&id(1, 0), "Ada Lovelace");
    ada.remove("appearance");
    put(aws, "users", ada).await;
    let changed = warehouse.awaits(&rows, "Ada Lovelace | ∅ | f | night | t | t | f", SECONDS).await;
    delete(aws, "users", &id(1, 0)).await;
    let gone = warehouse.awaits(&rows, "Ada Lovelace | ∅ | t | night | t | t | t", SECONDS).await;
    println!("put after {first:.1?}, changed after {changed:.1?}, deleted after {gone:.1?}");
}

#[tokio::test]
async fn a_second_stream_feeds_its_own_pipeline() {
    let world = World::shared().await;
    let (aws, warehouse) = (world.bundle.aws(), &world.warehouse);
    let rows = "select string_agg(sku || '*' || amount, ' ' order by position) from order_line where order_id = 'o-1'";
    let order = |lines| item(&json!({ "id": "o-1", "lines": lines }));
    put(aws, "orders", order(json!([{ "sku": "a", "amount": 1 }, { "sku": "b", "amount": 0.25 }]))).await;
    warehouse.awaits(rows, "a*1 b*0.25", SECONDS).await;
    put(aws, "orders", order(json!([{ "sku": "b", "amount": 0.5 }]))).await;
    warehouse.awaits(rows, "b*0.5", SECONDS).await;
    delete(aws, "orders", "o-1").await;
    warehouse.awaits(rows, "∅", SECONDS).await;
}
