//! What the tests of the casts share: one way to check a cast, and values of every kind.

use proptest::prelude::*;

use crate::cast::{cast, cell_text};
use crate::column_type::ColumnType;
use crate::decimal::Decimal;
use crate::value::Value;

/// The value casts to a cell that prints as `expect`.
pub(super) fn check(ty: &str, value: impl Into<Value>, expect: &str) {
    let (ty, value) = (ColumnType::parse(ty).unwrap(), value.into());
    let cell = cast(&value, &ty);
    assert_eq!(
        cell.as_ref().map(|cell| cell_text(cell, &ty)),
        Ok(Some(expect.to_owned())),
        "{value:?} as {ty}: {cell:?}"
    );
}

/// The value does not fit, for this reason.
pub(super) fn misfit(ty: &str, value: impl Into<Value>, reason: &str) {
    let (ty, value) = (ColumnType::parse(ty).unwrap(), value.into());
    match cast(&value, &ty) {
        Ok(cell) => panic!("{value:?} as {ty} is {cell:?}"),
        Err(misfit) => assert_eq!(misfit.reason(), reason, "{value:?} as {ty}"),
    }
}

pub(super) fn number(text: &str) -> Value {
    Value::Number(Decimal::parse(text).unwrap())
}

/// Any value without U+0000, three levels deep.
pub(super) fn any_value() -> impl Strategy<Value = Value> {
    let text = || "[^\0]{0,8}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        "-?[0-9]{1,38}(\\.[0-9]{1,10})?".prop_map(|digits| number(&digits)),
        text().prop_map(Value::text),
        proptest::collection::vec(any::<u8>(), 0..8).prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Set),
            proptest::collection::vec((text(), inner), 0..4)
                .prop_map(|fields| Value::Map(fields.into_iter().map(|(name, field)| (name.into(), field)).collect())),
        ]
    })
}
