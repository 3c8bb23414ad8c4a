//! `columns: auto`: columns made of what messages bring, and of what collections say.

use std::sync::Arc;

use serde_json::{Value, json};
use tributary_tests::Database;
use tributary_tests::sequin::{Collection, Dml, Sequin, TOKEN};

use crate::fixture::*;

/// Of `orders` come parts, of `items` whole rows; both follow their source.
const SHOP: &str = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  cdc: { type: sequin, base_url: 'URL', token: { env: SEQUIN_TOKEN } }
pipelines:
  orders:
    source: { datastore: cdc, consumer: shop, table: public.orders }
    sink: { datastore: warehouse, tables: { orders: { key: { id: bigint }, columns: { status: text, '*': auto } } } }
  items:
    source: { datastore: cdc, consumer: shop, table: public.items, replica_identity: full }
    sink: { datastore: warehouse, tables: { items: { key: { order_id: bigint, line: int }, columns: auto } } }
";

const MEMBERS: &str = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  old: { type: sequin, protocol: legacy, base_url: 'URL', token: { env: SEQUIN_TOKEN }, credential: b0064399-c0f5-43e7-96b0-74d6d8a5a2b3 }
pipelines:
  members:
    source: { datastore: old, consumer: 3f0b2f7e-5ad6-4d4b-9c63-0f4b1d3a7c21, collection: tblMembers }
    sink: { datastore: warehouse, tables: { members: { columns: auto } } }
";

async fn columns(database: &Database, table: &str) -> String {
    let sql = format!(
        "select string_agg(column_name || ' ' || data_type, ', ' order by ordinal_position) \
         from information_schema.columns where table_name = '{table}' and column_name not like '\\_%'"
    );
    database.rows(&sql).await.remove(0)
}

fn item(line: u64, values: Value) -> Dml {
    let mut values = row(values);
    values.insert("order_id".into(), json!(1));
    values.insert("line".into(), json!(line));
    Dml::Insert(ITEMS.to_owned(), values)
}

fn touch(line: u64, values: Value) -> Dml {
    Dml::Update(ITEMS.to_owned(), format!("1,{line}"), row(values))
}

#[tokio::test]
async fn a_field_gets_a_column_with_its_first_value() {
    let mut stage = Stage::of("auto_stream", SHOP).await;
    stage.commit(vec![insert(1)]);
    drained(&mut stage.shop).await;
    assert_eq!(columns(&stage.database, "orders").await, "id bigint, status text, notes text, tags jsonb, total text");
    stage.commit(vec![update(1, json!({"paid": null}))]);
    drained(&mut stage.shop).await;
    assert!(!columns(&stage.database, "orders").await.contains("paid"), "a null tells no type");
    let report = {
        stage.commit(vec![update(1, json!({"paid": true, "dueAt": "2026-01-02"})), insert(2)]);
        drained(&mut stage.shop).await
    };
    let said = report.pipelines()[0].notes.join("; ");
    assert!(said.contains("the new field `dueAt` has the column orders.due_at, text"), "{said}");
    let rows = "select id, total, tags->>1, paid, due_at from orders order by id";
    assert_eq!(stage.database.rows(rows).await, ["1 | 1.5 | a | t | 2026-01-02", "2 | 2.5 | a | ∅ | ∅"]);
    // A value of another type: NULL, a note, and no dead letter.
    stage.commit(vec![update(1, json!({"paid": "soon"}))]);
    let report = drained(&mut stage.shop).await;
    assert_eq!(report.pipelines().iter().map(|line| line.dead).sum::<u64>(), 0, "{report:?}");
    assert_eq!(stage.database.rows("select paid, _errors ? 'paid' from orders where id = 1").await, ["∅ | t"]);
    // Another environment knows the columns before any message comes.
    stage.shop = ticker(&stage.mapping, stage.database.url(), Token::new(TOKEN));
    stage.commit(vec![update(2, json!({"total": "9"}))]);
    let report = drained(&mut stage.shop).await;
    assert!(report.pipelines()[0].notes.is_empty(), "{report:?}");
    assert_eq!(stage.database.rows("select total, due_at from orders where id = 2").await, ["9 | ∅"]);
}

#[tokio::test]
async fn a_column_that_is_dropped_at_the_source_keeps_its_values() {
    let mut stage = Stage::of("auto_whole", SHOP).await;
    stage.commit(vec![item(1, json!({"sku": "a", "size": 1})), item(2, json!({"sku": "b", "size": 2}))]);
    drained(&mut stage.shop).await;
    let rows = "select line, sku, size from items order by line";
    // Before and after the drop, in one portion, and a new column too.
    stage.commit(vec![touch(1, json!({"size": 10}))]);
    stage.sequin.world().source.drop_column(ITEMS, "size");
    stage.commit(vec![touch(2, json!({"sku": "bbb"})), item(3, json!({"sku": "c", "colour": "red"}))]);
    drained(&mut stage.shop).await;
    assert_eq!(stage.database.rows(rows).await, ["1 | a | 10", "2 | bbb | 2", "3 | c | ∅"]);
    stage.commit(vec![touch(1, json!({"sku": "aa"}))]);
    drained(&mut stage.shop).await;
    assert_eq!(stage.database.rows(rows).await, ["1 | aa | 10", "2 | bbb | 2", "3 | c | ∅"]);
    assert_eq!(stage.database.rows("select colour from items order by line").await, ["∅", "∅", "red"]);
}

#[tokio::test]
async fn what_was_received_comes_again_where_columns_cannot_be_added() {
    let mut stage = Stage::of("auto_refused", SHOP).await;
    stage.database.execute("alter table orders add column total date").await;
    stage.commit(vec![insert(1)]);
    // Adopted with its type; the value doesn't fit, which is a note.
    drained(&mut stage.shop).await;
    assert_eq!(stage.database.rows("select total, _errors ? 'total', tags->>1 from orders").await, ["∅ | t | a"]);
    stage.database.execute("alter table orders rename column tags to labels").await;
    stage.database.execute("alter table orders add column tags integer generated always as (1) stored").await;
    stage.shop = ticker(&stage.mapping, stage.database.url(), Token::new(TOKEN));
    stage.commit(vec![update(1, json!({"status": "paid"}))]);
    let report = tick(&mut stage.shop).await;
    let error = report.pipelines()[0].error.clone().unwrap();
    assert!(error.contains("column tags is computed by the database"), "{error}");
    stage
        .database
        .execute("alter table orders drop column tags; alter table orders rename column labels to tags")
        .await;
    drained(&mut stage.shop).await;
    assert_eq!(stage.database.rows("select status, tags->>1 from orders").await, ["paid | a"]);
}

struct Base {
    sequin: Sequin,
    database: Database,
    mapping: Arc<tributary_core::pipeline::Mapping>,
    shop: Shop,
}

const COLLECTION: &str = "airtable:97GJsnvkaOhooMCsDgBBYUd7";

impl Base {
    async fn new(test: &str) -> Self {
        let sequin = Sequin::start().await;
        let fields = vec![("fldName".into(), "Name".into(), "string"), ("fldScore".into(), "Score".into(), "number")];
        let members = Collection { name: "Members".into(), upstream_id: "tblMembers".into(), fields };
        sequin.world().legacy.collections.insert(COLLECTION.into(), members);
        let mapping = Arc::new(mapping_of(MEMBERS, &sequin));
        let database = database_of(test, &mapping).await;
        let shop = ticker(&mapping, database.url(), Token::new(TOKEN));
        Base { sequin, database, mapping, shop }
    }

    fn put(&self, id: &str, cells: Value) {
        self.sequin.world().legacy.put(id, COLLECTION, row(cells));
    }

    fn fields(&self, change: impl FnOnce(&mut Vec<(String, String, &'static str)>)) {
        change(&mut self.sequin.world().legacy.collections.get_mut(COLLECTION).unwrap().fields);
    }
}

#[tokio::test]
async fn a_collection_tells_its_fields_and_renames_move_nothing() {
    let mut base = Base::new("auto_legacy").await;
    base.put("rec1", json!({"fldName": "Ada", "fldScore": 1.5}));
    drained(&mut base.shop).await;
    let all = "select upstream_id, name, score from members order by 1";
    assert_eq!(base.database.rows(all).await, ["rec1 | Ada | 1.5"]);
    base.sequin.world().legacy.rename(COLLECTION, "fldScore", "Points");
    base.fields(|fields| fields.push(("fldClub".into(), "Score".into(), "string")));
    base.put("rec1", json!({"fldName": "Ada", "fldScore": 2.5, "fldClub": "chess"}));
    base.put("rec2", json!({"fldName": "Bob"}));
    drained(&mut base.shop).await;
    let with_club = "select upstream_id, name, score, score_2 from members order by 1";
    assert_eq!(base.database.rows(with_club).await, ["rec1 | Ada | 2.5 | chess", "rec2 | Bob | ∅ | ∅"]);
    // Removed: a further change of the record leaves its column alone.
    base.fields(|fields| fields.retain(|(id, _, _)| id != "fldScore"));
    base.put("rec1", json!({"fldName": "Ada L.", "fldClub": "chess"}));
    base.shop = ticker(&base.mapping, base.database.url(), Token::new(TOKEN));
    drained(&mut base.shop).await;
    assert_eq!(base.database.rows(with_club).await, ["rec1 | Ada L. | 2.5 | chess", "rec2 | Bob | ∅ | ∅"]);
}

#[tokio::test]
async fn a_dead_letter_is_replayed_with_the_columns_of_today() {
    let mut base = Base::new("auto_letter").await;
    base.put("rec1", json!({"fldName": "Ada"}));
    drained(&mut base.shop).await;
    base.database.execute("alter table members add constraint no_bob check (name <> 'Bob')").await;
    base.put("rec2", json!({"fldName": "Bob", "fldScore": 7}));
    let report = tick(&mut base.shop).await;
    assert_eq!(report.pipelines()[0].dead, 1, "{report:?}");
    base.database.execute("alter table members drop constraint no_bob").await;
    let tables = base.mapping.pipelines[0].tables.clone();
    let target = tributary_postgres::connect::Target::from_url(base.database.url(), &Default::default()).unwrap();
    let mut sink = tributary_postgres::Postgres::new(target, tables, false);
    let letters = sink.letters(tributary_postgres::Which::Of("members"), 10).await.unwrap();
    let done = tributary_runtime::replay::replay(
        &base.mapping,
        &mut sink,
        "members",
        letters,
        &tributary_core::sink::Unlimited,
    );
    assert_eq!(done.await.unwrap().applied, 1);
    let all = "select upstream_id, name, score from members order by 1";
    assert_eq!(base.database.rows(all).await, ["rec1 | Ada | ∅", "rec2 | Bob | 7"]);
}
