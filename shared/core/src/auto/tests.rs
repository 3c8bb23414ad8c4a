use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::column_type::Base;
use crate::mapping;

fn pipeline(table: &str) -> Pipeline {
    let text = format!(
        "datastores:\n  w: {{ type: postgres, url: {{ env: DATABASE_URL }} }}\n  a: {{ type: airtable, token: {{ env: T }} }}\n\
         pipelines:\n  homes:\n    source: {{ datastore: a, base: app00000000000001, table: Homes }}\n    \
         sink: {{ datastore: w, tables: {{ {table} }} }}\n"
    );
    let checked = mapping::load("t.yaml", &text);
    let findings: Vec<String> = checked.findings.iter().map(|finding| finding.render(&text)).collect();
    checked.mapping.unwrap_or_else(|| panic!("{}", findings.join("\n"))).pipelines.remove(0)
}

fn field(id: &str, name: &str, ty: &str) -> Field {
    Field { id: id.into(), list: None, name: name.into(), ty: ColumnType::parse(ty).ok() }
}

fn columns(pipeline: &Pipeline) -> Vec<String> {
    let (table, route) = (&pipeline.tables[0], &pipeline.routes[0]);
    let shown = |(column, binding): (&Column, &Binding)| match &binding.from {
        From::Row(path) => format!("{} {} {path}", column.name, column.ty),
        from => format!("{} {} {from:?}", column.name, column.ty),
    };
    table.columns.iter().zip(&route.columns).map(shown).collect()
}

/// One table, asked again and again.
struct Followed {
    pipeline: Pipeline,
    names: Names,
    existing: BTreeMap<String, Existing>,
}

impl Followed {
    fn new(table: &str) -> Self {
        Followed { pipeline: pipeline(table), names: Names::default(), existing: BTreeMap::new() }
    }

    /// The columns, and what was said.
    fn see(&mut self, known: Known<'_>) -> (Vec<String>, Vec<String>) {
        let expanded = expand(&self.pipeline, known, &self.names, &self.existing).unwrap();
        self.names = Names::parse(&expanded.names.to_text()).unwrap();
        assert_eq!(self.names, expanded.names);
        assert_eq!(columns(&remembered(&self.pipeline, &self.names).unwrap()), columns(&expanded.pipeline));
        (columns(&expanded.pipeline), expanded.news.iter().map(ToString::to_string).collect())
    }
}

#[test]
fn fields_become_columns_and_stay_the_same_columns() {
    let mut homes = Followed::new("homes: { columns: auto }");
    let mut check = |fields: &[Field], expect: &[&str], news: &[&str]| {
        let (columns, said) = homes.see(Known::All(fields));
        assert_eq!(columns, expect);
        assert_eq!(said, news);
        assert_eq!(homes.see(Known::All(fields)), (columns, Vec::new()), "the same again is no news");
    };
    let (name, rent) = (field("fldB", "Name", "text"), field("fldA", "Rent 💶", "numeric"));
    check(
        &[name.clone(), rent.clone()],
        &["name text fldB", "rent numeric fldA"],
        &["homes follows its source: 2 columns, name, rent"],
    );
    // Renamed, and the other has its name now.
    check(
        &[field("fldB", "Rent", "text"), field("fldA", "Name", "numeric")],
        &["name text fldB", "rent numeric fldA"],
        &[
            "the field `Name` is now called `Rent`; its column stays homes.name",
            "the field `Rent 💶` is now called `Name`; its column stays homes.rent",
        ],
    );
    let other = field("fldC", "Rent", "bigint");
    check(
        &[name.clone(), rent.clone(), other.clone()],
        &["name text fldB", "rent numeric fldA", "rent_2 bigint fldC"],
        &[
            "the field `Rent` is now called `Name`; its column stays homes.name",
            "the field `Name` is now called `Rent 💶`; its column stays homes.rent",
            "the new field `Rent` has the column homes.rent_2, bigint",
        ],
    );
    check(
        &[name.clone(), other.clone()],
        &["name text fldB", "rent_2 bigint fldC"],
        &["the field `Rent 💶` is gone; the column homes.rent keeps its values"],
    );
    // Its name stays its own.
    check(
        &[name.clone(), other.clone(), field("fldD", "Rent", "text")],
        &["name text fldB", "rent_2 bigint fldC", "rent_3 text fldD"],
        &["the new field `Rent` has the column homes.rent_3, text"],
    );
    check(
        &[name, rent, other],
        &["name text fldB", "rent numeric fldA", "rent_2 bigint fldC"],
        &[
            "the field `Rent 💶` is back in its column homes.rent",
            "the field `Rent` is gone; the column homes.rent_3 keeps its values",
        ],
    );
}

#[test]
fn a_column_keeps_its_type() {
    let mut homes = Followed::new("homes: { columns: auto }");
    homes.see(Known::All(&[field("fldA", "Rent", "numeric")]));
    let text = [field("fldA", "Rent", "text")];
    let (columns, news) = homes.see(Known::All(&text));
    assert_eq!(columns, ["rent numeric fldA"]);
    assert!(
        news[0].starts_with("the field `Rent` holds text now, and the column homes.rent stays numeric"),
        "{news:?}"
    );
    assert!(homes.see(Known::All(&text)).1.is_empty());
    let (_, route) = (0, expand(&homes.pipeline, Known::All(&text), &homes.names, &homes.existing).unwrap());
    assert_eq!(route.pipeline.routes[0].columns[0].on_error, OnError::Null);
}

#[test]
fn fields_that_the_mapping_names_are_its_own() {
    let fields = [field("fldA", "Name", "text"), field("fldB", "fldA", "text"), field("fldC", "Rent", "numeric")];
    let check = |table: &str, expect: &[&str]| {
        assert_eq!(Followed::new(table).see(Known::All(&fields)).0, expect, "{table}");
    };
    check(
        "homes: { columns: { title: { from: fldA, type: text }, '*': auto } }",
        &["title text fldA", "fld_a text fldB", "rent numeric fldC"],
    );
    check("homes: { columns: { Name: text, '*': auto } }", &["Name text Name", "fld_a text fldB", "rent numeric fldC"]);
    check(
        "homes: { columns: { x: { from: fldC.inside, type: text }, '*': auto } }",
        &["x text fldC.inside", "name text fldA", "fld_a text fldB", "rent numeric fldC"],
    );
    // Names that are used already: of the key, of a column, and of what Tributary keeps.
    let mut homes = Followed::new(
        "homes: { columns: { rent: { from: $created, type: timestamptz }, '*': auto }, delete: { mode: soft, column: gone } }",
    );
    let fields = [
        field("fld1", "Record ID", "text"),
        field("fld2", "RENT", "text"),
        field("fld3", "Gone?", "boolean"),
        field("fld4", "xmin", "text"),
        field("fld5", "", "text"),
    ];
    assert_eq!(
        homes.see(Known::All(&fields)).0[1..],
        [
            "gone boolean Nothing",
            "record_id_2 text fld1",
            "rent_2 text fld2",
            "gone_2 boolean fld3",
            "xmin_2 text fld4",
            "field text fld5"
        ]
    );
}

#[test]
fn the_mapping_may_take_a_column_back() {
    let mut homes = Followed::new("homes: { columns: auto }");
    let fields = [field("fldA", "Name", "text"), field("fldB", "Rent", "numeric")];
    homes.see(Known::All(&fields));
    // For the same field: it is the mapping's now.
    homes.pipeline = pipeline("homes: { columns: { name: { from: fldA, type: varchar }, '*': auto } }");
    assert_eq!(homes.see(Known::All(&fields)), (vec!["name varchar fldA".into(), "rent numeric fldB".into()], vec![]));
    // For another one: the field moves.
    homes.pipeline = pipeline("homes: { columns: { rent: { from: fldA, type: text }, '*': auto } }");
    let (columns, news) = homes.see(Known::All(&fields));
    assert_eq!(columns, ["rent text fldA", "rent_2 numeric fldB"]);
    assert_eq!(
        news,
        ["the mapping uses the column homes.rent for something else; the field `Rent` has homes.rent_2 now"]
    );
}

#[test]
fn a_table_that_is_there_is_adopted_once() {
    let mut homes = Followed::new("homes: { columns: auto }");
    let existing: Existing = [("rent".into(), ColumnType::parse("text").ok()), ("mine".into(), None)].into();
    homes.existing = [("homes".into(), existing)].into();
    let rent = field("fldA", "Rent", "numeric");
    assert_eq!(homes.see(Known::All(std::slice::from_ref(&rent))).0, ["rent text fldA"]);
    // What comes later doesn't take a column that somebody else has added.
    assert_eq!(homes.see(Known::All(&[rent, field("fldB", "Mine", "text")])).0, ["rent text fldA", "mine_2 text fldB"]);
}

#[test]
fn what_a_message_lacks_is_still_there() {
    let mut homes = Followed::new("homes: { columns: auto }");
    homes.see(Known::Some(&[field("a", "a", "text")]));
    let (columns, news) = homes.see(Known::Some(&[field("b", "b", "numeric")]));
    assert_eq!(columns, ["a text a", "b numeric b"]);
    assert_eq!(news, ["the new field `b` has the column homes.b, numeric"]);
    // A null says nothing of its type.
    let null = Field { ty: None, ..field("c", "c", "text") };
    assert_eq!(homes.see(Known::Some(&[null])), (columns, vec![]));
    let nulls = [Field { ty: None, ..field("a", "a", "text") }];
    assert_eq!(homes.see(Known::All(&nulls)).0, ["a text a"]);
    assert!(Names::parse("{\"tables\":7}").is_err());
}

#[test]
fn an_item_without_ids_gets_them() {
    let mut homes = Followed::new("homes: { columns: auto }");
    homes.see(Known::All(&[field("fldA", "Rent", "numeric"), field("fldB", "Name", "text")]));
    let mut item = Value::from([("Rent", Value::from(7)), ("fldB", "b".into()), ("Name", "n".into())]);
    homes.names.add_ids(&mut item);
    assert_eq!((item.get("fldA"), item.get("fldB")), (Some(&Value::from(7)), Some(&Value::from("b"))));
}

/// What people do to a table: the field's number, and its name from then on; none when they remove it.
fn histories() -> impl Strategy<Value = Vec<Vec<(u8, Option<u8>)>>> {
    let act = (0u8..8, proptest::option::weighted(0.7, 0u8..5));
    proptest::collection::vec(proptest::collection::vec(act, 0..4), 1..20)
}

proptest! {
    #[test]
    fn a_field_has_one_column_for_ever_and_shares_it_with_nobody(history in histories(), turned in any::<bool>()) {
        const NAMES: [&str; 5] = ["Name", "name", "Näme!", "Rent", "record id"];
        let mut homes = Followed::new("homes: { columns: auto }");
        let mut fields: BTreeMap<u8, u8> = BTreeMap::new();
        let mut columns_of: BTreeMap<String, String> = BTreeMap::new();
        for acts in history {
            for (number, name) in acts {
                match name {
                    Some(name) => drop(fields.insert(number, name)),
                    None => drop(fields.remove(&number)),
                }
            }
            let mut now: Vec<Field> = fields.iter().map(|(number, name)| Field {
                list: None,
                id: format!("fld{number}"),
                name: NAMES[usize::from(*name)].to_owned(),
                ty: Some(ColumnType::scalar(Base::Text)),
            }).collect();
            if turned {
                now.reverse();
            }
            let (columns, _) = homes.see(Known::All(&now));
            prop_assert_eq!(columns.len(), now.len());
            for column in columns {
                let (column, id) = column.split_once(" text ").unwrap();
                let known = columns_of.entry(id.to_owned()).or_insert_with(|| column.to_owned());
                prop_assert_eq!(&*known, column);
            }
            let distinct: HashSet<&String> = columns_of.values().collect();
            prop_assert_eq!(distinct.len(), columns_of.len());
        }
    }

    #[test]
    fn the_order_of_a_listing_gives_no_other_names(mut names in proptest::collection::vec(0usize..4, 1..7), seed in any::<u64>()) {
        const NAMES: [&str; 4] = ["A b", "a B", "a_b 2", "c"];
        let mut fields: Vec<Field> = names.drain(..).enumerate().map(|(number, name)| field(&format!("fld{number}"), NAMES[name], "text")).collect();
        let sorted = |mut columns: Vec<String>| { columns.sort(); columns };
        let one = sorted(Followed::new("homes: { columns: auto }").see(Known::All(&fields)).0);
        let count = fields.len();
        fields.rotate_left((seed % count as u64) as usize);
        fields.reverse();
        prop_assert_eq!(one, sorted(Followed::new("homes: { columns: auto }").see(Known::All(&fields)).0));
    }
}
