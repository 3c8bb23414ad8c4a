//! Random histories of a shop, and how its copy differs from it.

use fastrand::Rng;
use serde_json::{Value, json};
use tributary_tests::Database;
use tributary_tests::sequin::{Dml, Row, World};

use crate::fixture::*;

const WORDS: &[&str] = &["", "new", "paid", "O'Neil", "李小龙", "line\nline", "back\\slash \"q\"", "🚀"];

/// A random transaction of one to four statements; those that cannot be done are not done.
pub(crate) fn transaction(dice: &mut Rng, keys: u64) -> Vec<Dml> {
    (0..dice.usize(1..5)).map(|_| statement(dice, keys)).collect()
}

fn statement(dice: &mut Rng, keys: u64) -> Dml {
    let (id, kind) = (dice.u64(..keys), dice.u8(..100));
    let (line, item) = (dice.u64(..3), format!("{id},{}", dice.u64(..3)));
    match (dice.bool(), kind) {
        (true, ..35) => Dml::Insert(ORDERS.into(), some_order(dice, id)),
        (true, ..80) => Dml::Update(ORDERS.into(), id.to_string(), some(dice, some_order)),
        (true, _) => Dml::Delete(ORDERS.into(), id.to_string()),
        (false, ..40) => Dml::Insert(ITEMS.into(), some_item(dice, id, line)),
        (false, ..60) => Dml::Update(ITEMS.into(), item, some(dice, |dice, id| some_item(dice, id, 0))),
        // To another key, unless it is taken.
        (false, ..80) => Dml::Update(ITEMS.into(), item, row(json!({"order_id": dice.u64(..keys), "line": line}))),
        (false, _) => Dml::Delete(ITEMS.into(), item),
    }
}

fn some_order(dice: &mut Rng, id: u64) -> Row {
    let word = |dice: &mut Rng| if dice.u8(..6) == 0 { Value::Null } else { json!(dice.choice(WORDS).unwrap()) };
    row(json!({
        "id": id, "status": word(dice), "total": format!("{}.{:02}", dice.i32(-500..500), dice.u8(..100)),
        "notes": word(dice), "tags": (0..dice.u8(..3)).collect::<Vec<_>>(),
    }))
}

fn some_item(dice: &mut Rng, id: u64, line: u64) -> Row {
    let sku = *dice.choice(WORDS).unwrap();
    row(json!({"order_id": id, "line": line, "sku": sku, "quantity": dice.u8(..9), "notes": "unchanged_toast"}))
}

/// Some columns of a row, the key not among them.
fn some(dice: &mut Rng, of: impl Fn(&mut Rng, u64) -> Row) -> Row {
    let mut row = of(dice, 0);
    row.retain(|column, _| !["id", "order_id", "line"].contains(&column.as_str()) && dice.bool());
    row
}

/// How the copy differs from the source, a few rows of each table; nothing if it doesn't.
pub(crate) async fn differences(database: &Database, world: impl Fn(&mut dyn FnMut(&World))) -> Vec<String> {
    let mut tables = Vec::new();
    world(&mut |world| {
        for name in [ORDERS, ITEMS] {
            let rows: Vec<Row> = world.source.table(name).rows.values().cloned().collect();
            tables.push((name, serde_json::to_string(&rows).unwrap()));
        }
    });
    let mut found = Vec::new();
    for (name, json) in tables {
        let (table, columns) = match name {
            ORDERS => ("orders", "id, status, total, notes, tags"),
            _ => ("items", "order_id, line, sku, quantity, notes"),
        };
        let sql = format!(
            "with expected as (select {columns} from jsonb_populate_recordset(null::{table}, $json${json}$json$)),
                  stored as (select {columns} from {table} where not _deleted)
             select '{table} stored: ' || x::text from (select * from stored except select * from expected) x union all
             select '{table} expected: ' || x::text from (select * from expected except select * from stored) x limit 8"
        );
        found.extend(database.rows(&sql).await);
    }
    found
}
