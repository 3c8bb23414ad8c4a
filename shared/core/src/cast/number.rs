//! Integers, `numeric`, `real` and `double precision`.
//!
//! Only floats round, because that is what a float is; where even the nearest float is infinite, or zero for a number
//! that isn't, the number does not fit, as in Postgres.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use crate::cast::misfit::{Misfit, name};
use crate::cell::Cell;
use crate::column_type::Base;
use crate::decimal::Decimal;
use crate::value::Value;

/// What `numeric` holds left of the point (the documentation of Postgres, "Numeric Types").
pub(super) const NUMERIC_INTEGER_DIGITS: u32 = 131_072;
/// What `numeric` holds right of the point.
pub(super) const NUMERIC_DECIMALS: u32 = 16_383;

/// The powers of ten that are exact as an `f64`; the first eleven are as an `f32` too.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

pub(super) fn integer(value: &Value, base: &Base, range: RangeInclusive<i64>) -> Result<Cell, Misfit> {
    let number = decimal(value, base)?;
    if number.exponent() < 0 {
        return Err(decimals(&number, base));
    }
    let integer = small(&number).or_else(|| number.to_i128().and_then(|integer| i64::try_from(integer).ok()));
    integer.filter(|integer| range.contains(integer)).map(Cell::Int).ok_or_else(|| {
        Misfit::new(format!("a number outside {} takes from {} to {}", name(base), range.start(), range.end()))
    })
}

pub(super) fn numeric(value: &Value, base: &Base, limits: Option<(u32, u32)>) -> Result<Cell, Misfit> {
    let number = decimal(value, base)?;
    let (whole, fraction) = match limits {
        Some((precision, scale)) => (precision - scale, scale),
        None => (NUMERIC_INTEGER_DIGITS, NUMERIC_DECIMALS),
    };
    if number.scale() > fraction {
        return Err(decimals(&number, base));
    }
    if number.integer_digits() > whole {
        let digits = number.integer_digits();
        return Err(Misfit::new(format!(
            "a number with {digits} digit{} before the point does not fit {}",
            if digits == 1 { "" } else { "s" },
            name(base)
        )));
    }
    Ok(Cell::Numeric(number.into_owned()))
}

pub(super) fn float8(value: &Value) -> Result<Cell, Misfit> {
    float(value, &Base::Float8, |number| {
        // Two exact floats, one operation: the result is the nearest float. Reading the digits is the slow way.
        match (significand(number, 1 << 53), number.exponent()) {
            (Some(digits), exponent @ 0..=22) => digits as f64 * POWERS[exponent as usize],
            (Some(digits), exponent @ -22..0) => digits as f64 / POWERS[exponent.unsigned_abs() as usize],
            _ => number.to_f64().abs(),
        }
    })
}

pub(super) fn float4(value: &Value) -> Result<Cell, Misfit> {
    float(value, &Base::Float4, |number| {
        let magnitude = match (significand(number, 1 << 24), number.exponent()) {
            (Some(digits), exponent @ 0..=10) => digits as f32 * POWERS[exponent as usize] as f32,
            (Some(digits), exponent @ -10..0) => digits as f32 / POWERS[exponent.unsigned_abs() as usize] as f32,
            // By way of an f64 it would be rounded twice.
            _ => format!("{}e{}", number.digits(), number.exponent()).parse().unwrap_or(f32::INFINITY),
        };
        f64::from(magnitude)
    })
}

fn float(value: &Value, base: &Base, magnitude: impl Fn(&Decimal) -> f64) -> Result<Cell, Misfit> {
    if let Value::Text(text) = value
        && let Some(special) = special(text.trim_ascii())
    {
        return Ok(Cell::Float(special));
    }
    let number = decimal(value, base)?;
    if number.digits().is_empty() {
        return Ok(Cell::Float(0.0));
    }
    let magnitude = magnitude(&number);
    if magnitude == 0.0 || magnitude.is_infinite() {
        let what = if magnitude == 0.0 { "small" } else { "large" };
        return Err(Misfit::new(format!("a number too {what} for {}", name(base))));
    }
    Ok(Cell::Float(if number.is_negative() { -magnitude } else { magnitude }))
}

/// The names that Postgres gives to what is no number.
fn special(text: &str) -> Option<f64> {
    const SPECIAL: [(&str, f64); 7] = [
        ("nan", f64::NAN),
        ("infinity", f64::INFINITY),
        ("inf", f64::INFINITY),
        ("+infinity", f64::INFINITY),
        ("+inf", f64::INFINITY),
        ("-infinity", f64::NEG_INFINITY),
        ("-inf", f64::NEG_INFINITY),
    ];
    SPECIAL.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, float)| *float)
}

fn decimal<'a>(value: &'a Value, base: &Base) -> Result<Cow<'a, Decimal>, Misfit> {
    match value {
        Value::Number(number) => Ok(Cow::Borrowed(number)),
        Value::Text(text) => {
            Decimal::parse(text.trim_ascii()).map(Cow::Owned).map_err(|_| Misfit::form("a number", base))
        }
        _ => Err(Misfit::kind(value, base)),
    }
}

fn decimals(number: &Decimal, base: &Base) -> Misfit {
    let scale = number.scale();
    let plural = if scale == 1 { "" } else { "s" };
    Misfit::new(format!("a number with {scale} decimal{plural} does not fit {}", name(base)))
}

/// The significant digits as an integer, when it is at most `limit` and has at most 18 digits.
fn significand(number: &Decimal, limit: u64) -> Option<u64> {
    (number.digits().len() <= 18)
        .then(|| number.digits().bytes().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
        .filter(|digits| *digits <= limit)
}

/// An integer of at most 18 digits: nearly all of them.
fn small(number: &Decimal) -> Option<i64> {
    let digits = significand(number, u64::MAX)?;
    let shift = u32::try_from(number.exponent()).ok().filter(|_| number.integer_digits() <= 18)?;
    let magnitude = (digits * 10u64.pow(shift)) as i64;
    Some(if number.is_negative() { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::cast::cast;
    use crate::cast::samples::{check, misfit, number};
    use crate::cell::Cell;
    use crate::column_type::{Base, ColumnType};
    use crate::decimal::Decimal;
    use crate::value::Value;

    #[test]
    fn integers_are_exact_or_refused() {
        for (ty, low, high) in [
            ("smallint", "-32768", "32767"),
            ("integer", "-2147483648", "2147483647"),
            ("bigint", "-9223372036854775808", "9223372036854775807"),
        ] {
            for edge in [low, high, "0"] {
                check(ty, number(edge), edge);
                check(ty, edge, edge);
            }
            let reason = format!("a number outside {ty} takes from {low} to {high}");
            for beyond in [format!("{low}0"), "9223372036854775808".to_owned(), "-1e40".to_owned()] {
                misfit(ty, number(&beyond), &reason);
            }
        }
        check("integer", number("1e3"), "1000");
        check("integer", number("12.00"), "12");
        check("integer", " +5 ", "5");
        check("bigint", "9007199254740993", "9007199254740993");
        check("bigint", number("1e18"), "1000000000000000000");
        misfit("integer", number("1.25"), "a number with 2 decimals does not fit integer");
        misfit("integer", "0.5", "a number with 1 decimal does not fit integer");
        misfit("bigint", "12a", "text that is not a number where bigint is expected");
        misfit("bigint", "", "text that is not a number where bigint is expected");
        misfit("bigint", "NaN", "text that is not a number where bigint is expected");
        misfit("bigint", true, "a boolean where bigint is expected");
    }

    #[test]
    fn numeric_never_rounds() {
        check("numeric", number("12345678901234567890123456789012345678"), "12345678901234567890123456789012345678");
        check("numeric", number("-0.00000000000000000001"), "-0.00000000000000000001");
        check("numeric", "12.50", "12.5");
        check("numeric(14,2)", number("999999999999.99"), "999999999999.99");
        check("numeric(14,2)", number("1.500"), "1.5");
        check("numeric(3,3)", number("0.123"), "0.123");
        check("numeric(3)", number("-999"), "-999");
        misfit("numeric(14,2)", number("1.125"), "a number with 3 decimals does not fit numeric(14,2)");
        misfit("numeric(4,2)", number("100"), "a number with 3 digits before the point does not fit numeric(4,2)");
        misfit("numeric(3,3)", number("1"), "a number with 1 digit before the point does not fit numeric(3,3)");
        misfit("numeric", "NaN", "text that is not a number where numeric is expected");
        misfit("numeric", "Infinity", "text that is not a number where numeric is expected");
        misfit("numeric", Value::Bytes([1].into()), "binary where numeric is expected");
    }

    #[test]
    fn numeric_ends_where_that_of_postgres_ends() {
        let nines = |count| Value::Number(Decimal::parse(&"9".repeat(count)).unwrap());
        let fraction = |count| Value::Number(Decimal::parse(&format!("0.{}", "1".repeat(count))).unwrap());
        let numeric = ColumnType::scalar(Base::Numeric(None));
        assert!(cast(&nines(131_072), &numeric).is_ok());
        assert!(cast(&fraction(16_383), &numeric).is_ok());
        misfit("numeric", nines(131_073), "a number with 131073 digits before the point does not fit numeric");
        misfit("numeric", fraction(16_384), "a number with 16384 decimals does not fit numeric");
    }

    #[test]
    fn floats_are_the_nearest() {
        check("real", number("0.1"), "0.1");
        check("real", number("123456789"), "1.2345679e+08");
        check("real", number("3.4028235e38"), "3.4028235e+38");
        check("real", number("1e-45"), "1e-45");
        // Halfway between two floats, and a little more: rounding twice would fall to the even one.
        check("real", number("16777217.0000000001"), "1.6777218e+07");
        check("double precision", "-0.10", "-0.1");
        check("double precision", number("9007199254740993"), "9.007199254740992e+15");
        check("double precision", number("123456789012345680"), "1.2345678901234568e+17");
        check("double precision", number("1e22"), "1e+22");
        check("double precision", number("5e-324"), "5e-324");
        check("double precision", number("0"), "0");
        for (text, special) in
            [(" nan", "NaN"), ("Infinity", "Infinity"), ("+inf", "Infinity"), ("-INFINITY", "-Infinity")]
        {
            check("real", text, special);
            check("double precision", text, special);
        }
        misfit("real", number("3.4028236e38"), "a number too large for real");
        misfit("real", number("-1e-46"), "a number too small for real");
        misfit("double precision", number("-1.8e308"), "a number too large for double precision");
        misfit("double precision", number("1e-400"), "a number too small for double precision");
        misfit("real", "1,5", "text that is not a number where real is expected");
        misfit("real", true, "a boolean where real is expected");
    }

    proptest! {
        #[test]
        fn any_integer_is_itself(integer in any::<i64>()) {
            let bigint = ColumnType::scalar(Base::Int8);
            prop_assert_eq!(cast(&Value::from(integer), &bigint), Ok(Cell::Int(integer)));
            prop_assert_eq!(cast(&Value::text(integer.to_string()), &bigint), Ok(Cell::Int(integer)));
        }

        #[test]
        fn a_float_is_what_its_digits_read_as(digits in "[1-9][0-9]{0,19}", exponent in -30i32..30) {
            let text = format!("{digits}e{exponent}");
            let value = Value::Number(Decimal::parse(&text).unwrap());
            let double: f64 = text.parse().unwrap();
            let single: f32 = text.parse().unwrap();
            prop_assert_eq!(cast(&value, &ColumnType::scalar(Base::Float8)), Ok(Cell::Float(double)));
            let real = cast(&value, &ColumnType::scalar(Base::Float4)).ok();
            prop_assert_eq!(real, single.is_finite().then(|| Cell::Float(f64::from(single))));
        }
    }
}
