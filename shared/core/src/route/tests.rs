//! One mapping with everything in it, and what each kind of event means for its tables.

use crate::batch::Rejected;
use crate::cast::cell_text;
use crate::cell::Cell;
use crate::change::{Change, Op};
use crate::event::{Body, Event, Origin};
use crate::mapping::load;
use crate::pipeline::Mapping;
use crate::table::{Column, Table};
use crate::value::Value;
use crate::version::Version;

use super::route;

const MAPPING: &str = r#"
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  app: { type: dynamodb }
pipelines:
  orders:
    source: { datastore: app, table: orders, key: [shop, number] }
    sink:
      datastore: warehouse
      tables:
        orders:
          key: { shop: text, number: integer }
          columns:
            label: { value: "{{ shop }}-{{ number }}", type: text }
            total: { value: "price * 2", type: numeric }
            city: { from: address.city, type: varchar(5), on_error: truncate }
            due: { from: due, type: date, on_error: "null" }
            state: { from: state, type: text, default: open }
            gone: boolean
          when: "not draft"
          delete: { mode: soft, column: gone, at: gone_at, reason: gone_why, ttl: ignore }
        addresses:
          from: address
          key: { shop: { from: $root.shop, type: text }, number: { from: $root.number, type: integer } }
          columns: { city: text, shop_again: { from: $root.shop, type: text } }
          delete: hard
        lines:
          from: lines[]
          key: { shop: { from: $root.shop, type: text }, number: { from: $root.number, type: integer }, line: { from: $index, type: integer } }
          columns: { sku: text, amount: integer }
          when: "amount > 0"
        archive:
          key: { shop: text, number: integer }
          columns: { note: text }
          delete: ignore
"#;

fn mapping(text: &str) -> Mapping {
    let checked = load("test.yaml", text);
    let findings: Vec<String> = checked.findings.iter().map(|finding| finding.render(text)).collect();
    checked.mapping.unwrap_or_else(|| panic!("{}", findings.join("\n")))
}

fn order(fields: &[(&str, Value)]) -> Value {
    let key = [("shop".into(), Value::from("a")), ("number".into(), Value::from(7))];
    Value::Map(key.into_iter().chain(fields.iter().map(|(name, value)| ((*name).into(), value.clone()))).collect())
}

fn shown(cells: &[Cell], columns: &[Column]) -> String {
    let texts: Vec<String> =
        cells.iter().zip(columns).map(|(cell, c)| cell_text(cell, &c.ty).unwrap_or("∅".into())).collect();
    texts.join(" ")
}

/// A change as a line.
pub(super) fn line(change: &Change, table: &Table) -> String {
    let name = &table.name;
    let parent: Vec<Column> = match &table.children {
        Some(children) => children.parent.iter().map(|position| table.key[*position].clone()).collect(),
        None => table.key.clone(),
    };
    let key = shown(&change.key, &parent);
    match &change.op {
        Op::Upsert(row, notes) => {
            let notes = notes.as_deref().map(|notes| format!(" {notes}")).unwrap_or_default();
            format!("{name} {key}: {}{notes}", shown(row, &table.columns))
        }
        Op::Patch(patch) => {
            let texts = patch.row.iter().zip(&patch.known).zip(&table.columns).map(|((cell, known), column)| {
                if *known { cell_text(cell, &column.ty).unwrap_or("∅".into()) } else { "?".into() }
            });
            let notes = patch.notes.as_deref().map(|notes| format!(" {notes}")).unwrap_or_default();
            format!("{name} {key}: part {}{notes}", texts.collect::<Vec<_>>().join(" "))
        }
        Op::Delete(row) => format!("{name} {key}: gone, {}", shown(row, &table.columns)),
        Op::Replace(elements) => {
            let rows: Vec<String> = elements
                .iter()
                .map(|e| format!("[{}: {}]", shown(&e.key, &table.key), shown(&e.row, &table.columns)))
                .collect();
            format!("{name} {key}: {{{}}}", rows.join(" "))
        }
    }
}

/// The changes and rejections of one event, a line each.
#[track_caller]
fn check(body: Body, expect: &[&str]) {
    check_with(MAPPING, body, expect);
}

#[track_caller]
fn check_with(text: &str, body: Body, expect: &[&str]) {
    let mapping = mapping(text);
    let pipeline = &mapping.pipelines[0];
    let origin = Origin { position: "1".into(), key: "".into(), payload: bytes::Bytes::new() };
    let event = Event { origin, version: Version::from_u128(0, 3), at: Some(1_714_564_800_000_000), body };
    let (mut changes, mut rejected) = (Vec::new(), Vec::new());
    route(pipeline, &event, 0, 0, &mut changes, &mut rejected);
    let mut lines: Vec<String> =
        changes.iter().map(|change| line(change, &pipeline.tables[usize::from(change.table)])).collect();
    lines.extend(
        rejected
            .iter()
            .map(|Rejected { table, error, .. }| format!("REJECTED {}: {error}", table.as_deref().unwrap_or("-"))),
    );
    assert_eq!(lines, expect);
}

fn image(fields: &[(&str, Value)]) -> Body {
    Body::Image { now: order(fields), before: None }
}

#[test]
fn an_item_becomes_a_row_in_each_table() {
    let lines = Value::List(vec![
        Value::from([("sku", Value::from("x")), ("amount", Value::from(2))]),
        Value::from([("sku", Value::from("none")), ("amount", Value::from(0))]),
        Value::from([("sku", Value::from("y")), ("amount", Value::from(1))]),
    ]);
    let address = Value::from([("city", Value::from("Köln"))]);
    check(
        image(&[
            ("price", Value::from(21)),
            ("due", Value::from("2026-02-03")),
            ("address", address),
            ("lines", lines),
            ("note", Value::from("n")),
        ]),
        &[
            "orders a 7: a-7 42 Köln 2026-02-03 open false ∅ ∅",
            "addresses a 7: Köln a",
            "lines a 7: {[a 7 0: x 2] [a 7 2: y 1]}",
            "archive a 7: n",
        ],
    );
}

#[test]
fn an_absent_field_is_null_or_its_default_and_a_null_is_null() {
    check(
        image(&[
            ("price", Value::from(1)),
            ("state", Value::Null),
            ("gone", Value::from(true)),
            ("address", Value::Null),
        ]),
        &["orders a 7: a-7 2 ∅ ∅ ∅ true ∅ ∅", "addresses a 7: gone, ∅ a", "lines a 7: {}", "archive a 7: ∅"],
    );
}

#[test]
fn what_does_not_fit_is_noted_cut_or_rejected_as_the_column_says() {
    let address = Value::from([("city", Value::from("Wuppertal"))]);
    check(
        image(&[
            ("price", Value::from(1)),
            ("due", Value::from("soon")),
            ("address", address),
            ("lines", Value::from("none")),
            ("note", Value::Bytes([1].into())),
        ]),
        &[
            "orders a 7: a-7 2 Wuppe ∅ open false ∅ ∅ {\"city\":\"cut: text of 9 characters does not fit varchar(5)\",\"due\":\"text that is not an iso 8601 date or time, or the time since 1970 in nine or more digits, where date is expected\"}",
            "addresses a 7: Wuppertal a",
            "REJECTED lines: `lines` is text, where a list is expected",
            "REJECTED archive: column note: binary where text is expected",
        ],
    );
}

#[test]
fn a_row_for_which_when_stops_holding_is_deleted() {
    check(
        image(&[("price", Value::from(1)), ("draft", Value::from(true))]),
        &[
            "orders a 7: gone, a-7 2 ∅ ∅ open true 2024-05-01 12:00:00+00 filtered",
            "addresses a 7: gone, ∅ a",
            "lines a 7: {}",
            "archive a 7: ∅",
        ],
    );
}

#[test]
fn a_deleted_item_is_gone_everywhere_but_where_deletes_are_ignored() {
    let before = Some(order(&[("price", Value::from(1)), ("address", Value::from([("city", Value::from("Ulm"))]))]));
    check(
        Body::Gone { key: order(&[]), before, expired: false },
        &[
            "orders a 7: gone, a-7 2 Ulm ∅ open true 2024-05-01 12:00:00+00 deleted",
            "addresses a 7: gone, Ulm a",
            "lines a 7: {}",
        ],
    );
    // Keys alone: what follows from them is still known, and a tombstone never fails.
    check(
        Body::Gone { key: order(&[]), before: None, expired: false },
        &[
            "orders a 7: gone, a-7 ∅ ∅ ∅ open true 2024-05-01 12:00:00+00 deleted",
            "addresses a 7: gone, ∅ a",
            "lines a 7: {}",
        ],
    );
}

#[test]
fn a_tombstone_that_keeps_nothing_is_empty_also_where_the_last_image_is_known() {
    let cleared = MAPPING.replace("delete: hard", "delete: { mode: soft, keep: false }");
    let before = Some(order(&[("price", Value::from(1)), ("address", Value::from([("city", Value::from("Ulm"))]))]));
    check_with(
        &cleared,
        Body::Gone { key: order(&[]), before, expired: false },
        &[
            "orders a 7: gone, a-7 2 Ulm ∅ open true 2024-05-01 12:00:00+00 deleted",
            "addresses a 7: gone, ∅ ∅",
            "lines a 7: {}",
        ],
    );
}

#[test]
fn an_expired_item_stays_where_expiry_does_not_count() {
    check(Body::Gone { key: order(&[]), before: None, expired: true }, &["addresses a 7: gone, ∅ a", "lines a 7: {}"]);
}

#[test]
fn a_record_without_its_key_is_rejected_by_every_table() {
    check(
        Body::Image { now: Value::from([("shop", Value::from("a")), ("price", Value::from(1))]), before: None },
        &[
            "REJECTED orders: key column number: the source has no value for it",
            "REJECTED addresses: key column number: the source has no value for it",
            "REJECTED lines: key column number: the source has no value for it",
            "REJECTED archive: key column number: the source has no value for it",
        ],
    );
}
