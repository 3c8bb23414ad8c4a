//! Dead letters of Sequin, replayed: with the mapping of today, to the pipeline that takes them today.

use std::process::Command;

use serde_json::json;
use tributary_tests::built;
use tributary_tests::sequin::{Dml, Table};

use crate::fixture::*;

const CARTS: &str = "
  carts:
    source: { datastore: cdc, consumer: shop, table: public.carts }
    sink:
      datastore: warehouse
      tables:
        carts: { key: { id: bigint }, columns: { size: smallint } }
";

#[tokio::test]
async fn a_letter_finds_the_pipeline_that_was_missing() {
    let mut stage = Stage::new("replay").await;
    {
        let mut world = stage.sequin.world();
        world.source.create("public.carts", Table { key: vec!["id".into()], full: true, ..Table::default() });
        let cart = |id: u64, size: u64| Dml::Insert("public.carts".into(), row(json!({"id": id, "size": size})));
        world.commit(vec![cart(1, 3), cart(2, 99_999), insert(1)]);
        // The letter of an update that moves its row.
        let item = json!({"order_id": 1, "line": 1, "sku": "a", "quantity": 1, "notes": null});
        world.commit(vec![Dml::Insert(ITEMS.into(), row(item))]);
        let moved = json!({"line": 2, "quantity": "many"});
        world.commit(vec![Dml::Update(ITEMS.into(), "1,1".into(), row(moved))]);
    }
    drained(&mut stage.shop).await;
    let letters = "select pipeline, key, error from tributary.dead_letter order by pipeline, key";
    assert_eq!(
        stage.database.rows(letters).await,
        [
            "items | 1,2 | items: column quantity: text that is not a number where integer is expected",
            "orders | 1 | no pipeline reads the table public.carts from this consumer",
            "orders | 2 | no pipeline reads the table public.carts from this consumer",
        ]
    );
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("tributary.yaml");
    let replay = |text: &str| {
        std::fs::write(&file, text.replace("URL'", &format!("{}'", stage.sequin.url()))).unwrap();
        let mut command = Command::new(built("tributary"));
        command.args(["dead-letters", "replay"]).env("TRIBUTARY_MAPPING", &file);
        let answer = command.env("DATABASE_URL", stage.database.url()).output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr))
    };
    // Nothing has changed: they stay.
    assert_eq!(replay(SHOP), "items: 0 applied, 1 still dead\norders: 0 applied, 2 still dead\n");
    assert_eq!(stage.database.rows("select count(*) from tributary.dead_letter").await, ["3"]);

    let text = format!("{}{CARTS}", SHOP.replace("quantity: int", "quantity: text"));
    stage.database.execute("alter table items alter quantity type text").await;
    let mapping = mapping_of(&text, &stage.sequin);
    let tables = mapping.pipelines.into_iter().flat_map(|pipeline| pipeline.tables).collect();
    let policy = tributary_postgres::connect::Policy::default();
    let target = tributary_postgres::connect::Target::from_url(stage.database.url(), &policy).unwrap();
    tributary_postgres::Postgres::new(target, tables, false).migrate().await.unwrap();
    let said = replay(&text);
    assert!(said.contains("items: 1 applied, 0 still dead\norders: 1 applied, 1 still dead\n"), "{said}");
    assert_eq!(stage.database.rows("select id, size from carts").await, ["1 | 3"]);
    let live = "select line, quantity from items where not _deleted";
    assert_eq!(stage.database.rows(live).await, ["2 | many"], "the row under the old key went with it");
    // The other is now a letter of the pipeline whose it is.
    assert_eq!(
        stage.database.rows(letters).await,
        ["carts | 2 | carts: column size: a number outside smallint takes from -32768 to 32767"]
    );
}
