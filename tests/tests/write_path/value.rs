//! Values of every type, from a source's value to the column and back, with Postgres itself as the oracle: what it reads
//! from the value's text is what must stand in the column, which got the value in binary.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tributary_core::cast::{cast, cell_text};
use tributary_core::cell::Cell;
use tributary_core::change::Op;
use tributary_core::column_type::ColumnType;
use tributary_core::decimal::Decimal;
use tributary_core::value::Value;
use tributary_tests::Database;

use crate::fixture::*;

const TYPES: [&str; 26] = [
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "real",
    "double precision",
    "numeric",
    "numeric(38,10)",
    "text",
    "varchar(40)",
    "char(20)",
    "bytea",
    "uuid",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "json",
    "jsonb",
    "text[]",
    "numeric[]",
    "timestamptz[]",
    "bytea[]",
    "jsonb[]",
    "interval",
    "inet",
];

fn number() -> impl Strategy<Value = Value> {
    let digits = prop_oneof![
        any::<i16>().prop_map(|n| n.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        "-?[1-9][0-9]{0,37}",
        "-?[0-9]{1,20}\\.[0-9]{1,18}",
        "-?[1-9]e-?[0-9]{1,2}",
    ];
    digits.prop_map(|digits| Value::Number(Decimal::parse(&digits).unwrap()))
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![
        "\\PC{0,30}",
        "[ \"{}\\\\,;'\n\t]{0,6}(NULL|null|)[a-z ]{0,4}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "(1|19|20)[0-9]{2}-0[1-9]-[012][1-8]",
        "20[0-9]{2}-1[0-2]-2[0-8]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]0[0-9]:30)?",
        "[01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?",
        "(infinity|-infinity|NaN)",
        "[1-9][0-9]? (days|hours) [1-9] minutes",
        "10\\.[0-9]\\.[0-9]\\.[0-9]/32",
    ]
    .prop_map(Value::text)
}

fn any_value() -> impl Strategy<Value = Value> {
    let bytes = vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Bytes(bytes.into()));
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Bool), number(), text(), bytes];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            vec(text(), 1..4).prop_map(Value::List),
            vec(number(), 1..4).prop_map(Value::Set),
            vec(("[a-z\"\\\\é]{0,4}", inner), 0..4)
                .prop_map(|fields| Value::Map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())),
        ]
    })
}

#[tokio::test]
async fn what_postgres_reads_from_the_text_is_what_stands_in_the_column() {
    let database = Database::new("values").await;
    let mut runner = TestRunner::deterministic();
    let values: Vec<Value> = (0..6000).map(|_| any_value().new_tree(&mut runner).unwrap().current()).collect();
    for name in TYPES {
        let ty = ColumnType::parse(name).unwrap();
        let mut sample = table("t", KEEP);
        sample.columns = vec![
            tributary_core::table::Column { ty: ty.clone(), ..column("value", "text") },
            column("expected", "text"),
        ];
        database.execute("drop table if exists t").await;
        let tables = [sample];
        let mut sink = sink(&database, &tables);
        let cells: Vec<Cell> = values.iter().filter_map(|value| cast(value, &ty).ok()).collect();
        assert!(cells.iter().filter(|cell| !cell.is_null()).count() > 5, "{name}: hardly a value fits");
        let change = |(id, cell): (usize, Cell)| {
            let expected = cell_text(&cell, &ty).map_or(Cell::Null, |text| Cell::Text(text.into()));
            change(0, id as i64, 1, Op::Upsert(Box::new([cell, expected]), None))
        };
        let sent = cells.len() as u64;
        let outcome = apply(&mut sink, &tables, cells.into_iter().enumerate().map(change).collect()).await;
        // What only the server can read it may refuse; nothing else.
        assert!(ty.read_by_server() || outcome.applied == sent, "{name}: {:?}", outcome.refused.first());
        let (value, expected) = match name {
            "json" => ("value::text".to_owned(), "expected".to_owned()),
            "char(20)" => ("value::text".to_owned(), "rtrim(expected)".to_owned()),
            _ => ("value".to_owned(), format!("expected::{name}")),
        };
        let wrong = database
            .rows(&format!("select value, expected from t where {value} is distinct from {expected} limit 5"))
            .await;
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
        assert!(database.rows("select 1 from t where value is not null limit 1").await.len() == 1, "{name}");
    }
}
