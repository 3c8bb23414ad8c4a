//! What a part of an item means for each kind of table.

use crate::batch::Rejected;
use crate::event::{Body, Event, Origin};
use crate::mapping::load;
use crate::value::Value;
use crate::version::Version;

use super::super::route;
use super::super::tests::line;

const MAPPING: &str = r#"
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  changes: { type: sequin, base_url: "https://sequin.example.org", token: { env: TOKEN } }
pipelines:
  orders:
    source: { datastore: changes, consumer: orders, table: public.orders, key: [id] }
    sink:
      datastore: warehouse
      tables:
        orders:
          key: { id: integer }
          columns:
            state: { from: state, type: text, default: open }
            city: { from: address.city, type: text }
            label: { value: "{{ id }} {{ name }} {{ state }}", type: text }
            due: { from: due, type: date, on_error: "null" }
            removed: boolean
          delete: { mode: soft, column: removed, at: removed_at }
        named:
          key: { id: integer }
          columns: { name: text }
          when: "name is not none and active"
        addresses:
          from: address
          key: { id: { from: $root.id, type: integer } }
          columns: { city: text, line: { value: "{{ street }} {{ number }}", type: text } }
        lines:
          from: lines[]
          key: { id: { from: $root.id, type: integer }, line: { from: $index, type: integer } }
          columns: { sku: text }
"#;

/// The changes and rejections of one part of the item 7, a line each; `?` is a column that stays as it is.
#[track_caller]
fn check(fields: &[(&str, Value)], expect: &[&str]) {
    let now = Value::Map(fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect());
    let checked = load("test.yaml", MAPPING);
    let findings: Vec<String> = checked.findings.iter().map(|finding| finding.render(MAPPING)).collect();
    let mapping = checked.mapping.unwrap_or_else(|| panic!("{}", findings.join("\n")));
    let pipeline = &mapping.pipelines[0];
    let origin = Origin { position: "1".into(), key: "".into(), payload: bytes::Bytes::new() };
    let (version, at) = (Version::from_u128(0, 3), Some(1_714_564_800_000_000));
    let event = Event { origin, version, at, body: Body::Part { now, before: None } };
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

const LACKS_ACTIVE: &str = "REJECTED named: `when` reads `active`, which this part of the item lacks: let the source send it in \
                          every part, or filter by fields that it does send";

#[test]
fn a_column_whose_field_is_absent_stays_as_it_is() {
    check(
        &[("id", Value::from(7)), ("state", Value::Null), ("due", Value::from("2026-02-03"))],
        &["orders 7: part ∅ ? ? 2026-02-03 ? ∅", LACKS_ACTIVE],
    );
}

#[test]
fn a_program_is_evaluated_when_all_that_it_reads_is_there() {
    let some = [("id", Value::from(7)), ("name", Value::from("n")), ("active", Value::from(true))];
    check(&some, &["orders 7: part ? ? ? ? ? ∅", "named 7: part n"]);
    let all: Vec<_> = some.into_iter().chain([("state", Value::from("new"))]).collect();
    check(&all, &["orders 7: part new ? 7 n new ? ? ∅", "named 7: part n"]);
}

#[test]
fn a_part_for_which_when_does_not_hold_is_deleted() {
    check(
        &[("id", Value::from(7)), ("name", Value::Null), ("active", Value::from(true))],
        &["orders 7: part ? ? ? ? ? ∅", "named 7: gone, ∅"],
    );
}

#[test]
fn what_does_not_fit_is_noted_and_the_application_s_flag_is_the_source_s() {
    check(
        &[("id", Value::from(7)), ("due", Value::from(true)), ("removed", Value::from(true))],
        &["orders 7: part ? ? ? ∅ true ∅ {\"due\":\"a boolean where date is expected\"}", LACKS_ACTIVE],
    );
}

#[test]
fn a_sub_document_is_left_alone_deleted_or_written() {
    let with = |address| {
        [("id", Value::from(7)), ("name", Value::from("n")), ("active", Value::from(true)), ("address", address)]
    };
    let city = Value::from([("city", Value::from("Ulm"))]);
    // Inside of a field all is known: an absent street is none.
    check(&with(city), &["orders 7: part ? Ulm ? ? ? ∅", "named 7: part n", "addresses 7: part Ulm  "]);
    check(&with(Value::Null), &["orders 7: part ? ∅ ? ? ? ∅", "named 7: part n", "addresses 7: gone, ∅ ∅"]);
}

#[test]
fn a_list_is_left_alone_or_replaced_as_a_whole() {
    let with =
        |lines| [("id", Value::from(7)), ("name", Value::from("n")), ("active", Value::from(true)), ("lines", lines)];
    let one = Value::List(vec![Value::from([("sku", Value::from("x"))])]);
    let rest = ["orders 7: part ? ? ? ? ? ∅", "named 7: part n"];
    check(&with(one), &[rest[0], rest[1], "lines 7: {[7 0: x]}"]);
    check(&with(Value::Null), &[rest[0], rest[1], "lines 7: {}"]);
}

#[test]
fn a_part_without_its_key_is_rejected_where_it_would_be_written() {
    let no_key = |table| {
        format!(
            "REJECTED {table}: key column id reads `id`, which this part of the item lacks: let the source send the fields \
             of the key in every part"
        )
    };
    let (orders, named) = (no_key("orders"), no_key("named"));
    check(&[("state", Value::from("new"))], &[&orders, &named]);
}
