//! What messages mean for rows, and that nothing is acknowledged before it is committed.

use serde_json::json;
use tributary_tests::sequin::{Dml, Fault, Shape, Table};

use crate::fixture::*;

#[tokio::test]
async fn changes_become_rows_in_every_shape_of_a_message() {
    for shape in [Shape::Nested, Shape::Flat, Shape::Token] {
        let mut stage = Stage::new("shapes").await;
        stage.sequin.world().consumers.get_mut(CONSUMER).unwrap().shape = shape;
        stage.commit(vec![insert(1), insert(2), insert(3)]);
        stage.commit(vec![update(1, json!({"status": "paid"})), update(2, json!({"notes": "changed", "total": "5"}))]);
        stage.commit(vec![delete(3), insert(4), delete(4)]);
        let report = drained(&mut stage.shop).await;
        assert_eq!(
            stage.orders().await,
            [r#"1 | paid | 1.5 | note 1 | [1, "a"]"#, r#"2 | new | 5 | changed | [2, "a"]"#],
            "{shape:?}"
        );
        let figures = &report.pipelines()[0];
        assert_eq!((figures.records, figures.dead), (8, 0), "{figures:?}");
        let mut world = stage.sequin.world();
        assert!(world.store(CONSUMER).is_empty() && world.store(CONSUMER).acknowledged == 8);
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_committed() {
    let mut stage = Stage::new("before").await;
    // As many as a first answer has.
    stage.commit((1..=20).map(insert).collect());
    stage.sequin.fault("ack", Fault::Hold);
    let look = async {
        stage.sequin.held().await;
        let stored = stage.database.rows("select count(*) from orders").await;
        stage.sequin.release();
        stored
    };
    let (_, stored) = tokio::join!(drained(&mut stage.shop), look);
    assert_eq!(stored, ["20"]);
}

#[tokio::test]
async fn what_the_log_does_not_hold_stays_and_what_is_null_goes() {
    let mut stage = Stage::new("toast").await;
    stage.commit(vec![insert(1), insert(2)]);
    drained(&mut stage.shop).await;
    // `notes` is unchanged and out of line, so this message doesn't know it.
    stage.commit(vec![update(1, json!({"status": "paid"}))]);
    stage.commit(vec![update(2, json!({"notes": null, "tags": null}))]);
    drained(&mut stage.shop).await;
    assert_eq!(stage.orders().await, [r#"1 | paid | 1.5 | note 1 | [1, "a"]"#, "2 | new | 2.5 | ∅ | ∅"]);
    // With a full identity the word is a text like any other.
    let row_value = json!({"order_id": 1, "line": 1, "sku": "a", "quantity": 2, "notes": "unchanged_toast"});
    stage.commit(vec![Dml::Insert(ITEMS.into(), row(row_value))]);
    drained(&mut stage.shop).await;
    assert_eq!(stage.database.rows("select sku, notes from items").await, ["a | unchanged_toast"]);
}

#[tokio::test]
async fn a_changed_primary_key_deletes_the_old_row() {
    let mut stage = Stage::new("moved").await;
    let item =
        |line: u64, sku: &str| row(json!({"order_id": 1, "line": line, "sku": sku, "quantity": 1, "notes": "x"}));
    stage.commit(vec![Dml::Insert(ITEMS.into(), item(1, "a")), Dml::Insert(ITEMS.into(), item(2, "b"))]);
    // The second takes the place that the first has left, in the same transaction.
    stage.commit(vec![
        Dml::Update(ITEMS.into(), "1,1".into(), row(json!({"line": 3}))),
        Dml::Update(ITEMS.into(), "1,2".into(), row(json!({"line": 1}))),
    ]);
    drained(&mut stage.shop).await;
    let live = "select line, sku from items where not _deleted order by line";
    assert_eq!(stage.database.rows(live).await, ["1 | b", "3 | a"]);
    // An older change of the old key comes again, and brings nothing back.
    stage.sequin.world().restart();
    drained(&mut stage.shop).await;
    assert_eq!(stage.database.rows(live).await, ["1 | b", "3 | a"]);
}

#[tokio::test]
async fn a_backfill_fills_what_is_missing_and_nothing_else() {
    let mut stage = Stage::new("backfill").await;
    // The sink was made after the first orders.
    stage.commit(vec![insert(1), insert(2), insert(3)]);
    stage.sequin.world().consumer(CONSUMER, ACK_WAIT, &[]);
    stage.sequin.world().backfill(CONSUMER, ORDERS);
    // Of the first the change comes before the read, which is older; the third is gone meanwhile.
    stage.commit(vec![update(1, json!({"status": "paid"})), delete(3)]);
    drained(&mut stage.shop).await;
    // The backfill cannot read `tags`. Of the first order the change knows them, and the read knows the notes.
    assert_eq!(stage.orders().await, [r#"1 | paid | 1.5 | note 1 | [1, "a"]"#, "2 | new | 2.5 | note 2 | ∅"]);
    stage.sequin.world().backfill(CONSUMER, ORDERS);
    let report = drained(&mut stage.shop).await;
    assert_eq!(report.pipelines()[0].applied, 0, "{report:?}");
}

#[tokio::test]
async fn what_nobody_takes_and_what_is_bad_is_kept_and_stops_nobody() {
    let mut stage = Stage::new("poison").await;
    {
        let mut world = stage.sequin.world();
        world.source.create("public.carts", Table { key: vec!["id".into()], ..Table::default() });
        world.commit(vec![insert(1), Dml::Insert("public.carts".into(), row(json!({"id": 1, "secret": "hunter2"})))]);
        world.commit(vec![update(1, json!({"total": "many"}))]);
        world.commit(vec![insert(2)]);
        let broken = r#"{"ack_id":"ACK","data":{"record":{"id":9},"action":"truncate","metadata":{"table_schema":"public","table_name":"orders","idempotency_key":"x"}}}"#;
        world.store(CONSUMER).push(None, broken.to_owned(), false);
        world.store(CONSUMER).push(None, r#"{"ack_id":"ACK","data":{"id":7}}"#.to_owned(), false);
    }
    let report = drained(&mut stage.shop).await;
    assert_eq!(stage.orders().await.len(), 2);
    let letters = "select pipeline, key, error from tributary.dead_letter order by error";
    assert_eq!(
        stage.database.rows(letters).await,
        [
            "orders |  | action: is none of insert, update, delete, read",
            "orders | 1 | no pipeline reads the table public.carts from this consumer",
            "orders | 1 | orders: column total: text that is not a number where numeric is expected",
            "orders |  | the message has no metadata and so no version; let the sink's transform keep `action` and \
             `metadata`, or name a field of the row in `version:`",
        ]
    );
    assert_eq!(report.pipelines()[0].dead, 4);
    assert!(stage.sequin.world().store(CONSUMER).is_empty(), "all of it is acknowledged");
    // Everything once more, as after a restart of Sequin: no letter is doubled.
    stage.sequin.world().restart();
    drained(&mut stage.shop).await;
    assert_eq!(stage.database.rows("select count(*) from tributary.dead_letter").await, ["4"]);
}

#[tokio::test]
async fn a_hot_row_is_drained_in_as_many_rounds_as_it_takes() {
    let mut stage = Stage::new("hot").await;
    stage.commit(vec![insert(1)]);
    for number in 0..40 {
        stage.commit(vec![update(1, json!({"status": format!("state {number}")}))]);
    }
    let report = drained(&mut stage.shop).await;
    assert_eq!(report.pipelines()[0].applied, 41, "one change of a row is out at a time");
    assert_eq!(stage.database.rows("select status from orders").await, ["state 39"]);
}

#[tokio::test]
async fn without_groups_a_row_may_come_many_times_at_once() {
    let mut stage = Stage::new("ungrouped").await;
    stage.sequin.world().store(CONSUMER).grouping = false;
    stage.commit(vec![insert(1)]);
    for number in 0..40 {
        stage.commit(vec![update(1, json!({"status": format!("state {number}")}))]);
    }
    drained(&mut stage.shop).await;
    assert_eq!(stage.orders().await, [r#"1 | state 39 | 1.5 | note 1 | [1, "a"]"#]);
}

#[tokio::test]
async fn small_answers_become_large_transactions() {
    let mut stage = Stage::new("small").await;
    stage.sequin.world().store(CONSUMER).most = 20;
    stage.commit((1..=2_000).map(insert).collect());
    drained(&mut stage.shop).await;
    let requests = stage.sequin.world().requests.clone();
    assert!(requests["receive"] >= 100, "{requests:?}");
    assert!(requests["ack"] < requests["receive"] / 2, "{requests:?}");
}

#[tokio::test]
async fn a_message_without_metadata_needs_a_configured_version() {
    let text = SHOP.replace("table: public.orders }", "table: public.orders, version: rev }");
    let text = text.replace("replica_identity: full }", "replica_identity: full, version: rev }");
    let mut stage = Stage::of("configured", &text).await;
    let push = |id: u64, rev: u64, status: &str| {
        let json = format!(r#"{{"ack_id":"ACK","data":{{"id":{id},"rev":{rev},"status":"{status}"}}}}"#);
        stage.sequin.world().store(CONSUMER).push(None, json, false);
    };
    push(1, 7, "new");
    push(1, 6, "old");
    drained(&mut stage.shop).await;
    assert_eq!(stage.database.rows("select id, status, _version from orders").await, ["1 | new | 7"]);
}

#[tokio::test]
async fn a_server_too_old_to_order_a_transaction_is_refused() {
    let mut stage = Stage::new("old").await;
    stage.sequin.world().consumers.get_mut(CONSUMER).unwrap().shape = Shape::Old;
    stage.commit(vec![insert(1)]);
    drained(&mut stage.shop).await;
    let letters = stage.database.rows("select error from tributary.dead_letter").await;
    assert!(letters[0].contains("commit_idx: is missing") && letters[0].contains("v0.11"), "{letters:?}");
}

#[tokio::test]
async fn large_messages_are_asked_for_a_few_at_a_time() {
    let mut stage = Stage::new("large").await;
    let large = |id: u64| {
        let mut order = order(id, "new");
        order["notes"] = json!("x".repeat(1 << 20));
        Dml::Insert(ORDERS.into(), order)
    };
    stage.commit((1..=24).map(large).collect());
    // Twenty at once are more than an answer may have. What it leased stays away until the lease ends.
    let report = tick(&mut stage.shop).await;
    let orders = &report.pipelines()[0];
    assert_eq!((orders.state, orders.records), ("later", 4), "{report:?}");
    assert!(orders.notes.join("").contains("too long"), "{report:?}");
    stage.sequin.world().advance(ACK_WAIT);
    drained(&mut stage.shop).await;
    assert_eq!(stage.database.rows("select count(*), sum(length(notes)) from orders").await, ["24 | 25165824"]);
}
