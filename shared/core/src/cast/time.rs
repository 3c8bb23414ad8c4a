//! `date`, `time`, `timestamp` and `timestamptz`. Nothing here asks a clock, or the server for its time zone.
//!
//! - Text is ISO 8601 or RFC 3339, with `T` or a space, a fraction of any length, `Z` or an offset, `BC`, or `infinity`.
//!   The 60th second and 24:00:00 are the start of the next minute and day.
//! - `timestamptz` and `timestamp` without an offset are UTC; with one they are converted to UTC. (Postgres would read
//!   the first in the zone of the session, and drop the offset of the second.)
//! - `date` is the day as it is written, whatever the time and offset beside it. (As in Postgres.)
//! - `time` is a time of day, without an offset other than UTC and without a date.
//! - Numbers are the time since 1970 in UTC. Below 10¹¹ they are seconds, below 10¹⁴ milliseconds, below 10¹⁷
//!   microseconds, below 10²⁰ nanoseconds, of either sign. So seconds reach to the year 5138, and milliseconds begin in
//!   March 1973. Text of digits is such a number too if it has nine or more; shorter ones look like a year. Fourteen are
//!   refused, because they may be `20240131123456`, and eight are a day, `20240131`.
//! - What is finer than a microsecond is rounded to the nearest, halves to even: Postgres has nothing finer.

use crate::cast::iso::{self, DAY, Fault, Moment};
use crate::cast::misfit::{Misfit, name};
use crate::cell::{Cell, POSTGRES_EPOCH_MICROS};
use crate::column_type::Base;
use crate::decimal::Decimal;
use crate::value::Value;

/// 4714-11-24 BC, day 0 of the Julian count, where `date` and timestamps begin.
const FIRST_DAY: i64 = -2_451_545;
/// 5874897-12-31, the last `date`.
const LAST_DAY: i64 = 2_145_031_948;
/// 294277-01-01, the first microsecond that is no timestamp (`END_TIMESTAMP` in `timestamp.h`).
const END: i64 = 9_223_371_331_200_000_000;

pub(super) fn timestamp(value: &Value, base: &Base) -> Result<Cell, Misfit> {
    match value {
        Value::Number(number) => micros(number, base).map(Cell::Micros),
        Value::Text(text) => match (infinity(text), epoch(text)) {
            (Some(true), _) => Ok(Cell::Micros(i64::MAX)),
            (Some(false), _) => Ok(Cell::Micros(i64::MIN)),
            (None, Some(number)) => micros(&number, base).map(Cell::Micros),
            (None, None) => {
                let Moment { days, micros, offset } = iso::moment(text).map_err(|fault| unread(fault, base))?;
                days.checked_mul(DAY)
                    .and_then(|midnight| midnight.checked_add(micros - offset.unwrap_or(0) * 1_000_000))
                    .filter(|micros| (FIRST_DAY * DAY..END).contains(micros))
                    .map(Cell::Micros)
                    .ok_or_else(|| unread(Fault::Range, base))
            }
        },
        _ => Err(Misfit::kind(value, base)),
    }
}

pub(super) fn date(value: &Value) -> Result<Cell, Misfit> {
    let days = match value {
        Value::Number(number) => micros(number, &Base::Date)?.div_euclid(DAY),
        Value::Text(text) => match (infinity(text), epoch(text)) {
            (Some(true), _) => return Ok(Cell::Date(i32::MAX)),
            (Some(false), _) => return Ok(Cell::Date(i32::MIN)),
            (None, Some(number)) => micros(&number, &Base::Date)?.div_euclid(DAY),
            (None, None) => iso::moment(text).map_err(|fault| unread(fault, &Base::Date))?.days,
        },
        _ => return Err(Misfit::kind(value, &Base::Date)),
    };
    i32::try_from(days)
        .ok()
        .filter(|_| (FIRST_DAY..=LAST_DAY).contains(&days))
        .map(Cell::Date)
        .ok_or_else(|| unread(Fault::Range, &Base::Date))
}

pub(super) fn time(value: &Value) -> Result<Cell, Misfit> {
    match value {
        Value::Text(text) => match iso::time_of_day(text) {
            Ok((micros, None | Some(0))) => Ok(Cell::Micros(micros)),
            Ok(_) => Err(Misfit::new("a time with an offset where time without one is expected")),
            Err(Fault::Form) => Err(Misfit::form("a time of day", &Base::Time)),
            Err(Fault::Range) => Err(Misfit::new("a time of day that does not exist")),
        },
        _ => Err(Misfit::kind(value, &Base::Time)),
    }
}

/// Whether this is Postgres's infinity, and if so, the positive one.
fn infinity(text: &str) -> Option<bool> {
    let text = text.trim_ascii();
    let positive = !text.starts_with('-');
    text[usize::from(!positive)..].eq_ignore_ascii_case("infinity").then_some(positive)
}

/// The number of a text that is one and has so many digits that it can only be the time since 1970.
fn epoch(text: &str) -> Option<Decimal> {
    let text = text.trim_ascii();
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    // Every other form has something else among its first ten characters.
    if unsigned.len() < 9 || !unsigned.as_bytes()[..9].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let whole = unsigned.split_once('.').map_or(unsigned, |(whole, _)| whole);
    if whole.len() == 14 || !unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    Decimal::parse(text).ok()
}

/// The time since 1970, in the unit that its magnitude tells, as microseconds since 2000.
fn micros(number: &Decimal, base: &Base) -> Result<i64, Misfit> {
    let shift = match number.integer_digits() {
        0..=11 => 6,
        12..=14 => 3,
        15..=17 => 0,
        18..=20 => -3,
        _ => return Err(Misfit::new(format!("a number too large to be the time since 1970 of {}", name(base)))),
    };
    let exponent = number.exponent() + shift;
    let digits = number.digits();
    // At most seventeen digits stay before the point, so nothing overflows.
    let parse = |digits: &str| digits.bytes().fold(0i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let magnitude = match usize::try_from(exponent) {
        Ok(zeros) => parse(digits) * 10i64.pow(if digits.is_empty() { 0 } else { zeros as u32 }),
        Err(_) => {
            let cut = exponent.unsigned_abs() as usize;
            let (kept, rest) = digits.split_at(digits.len().saturating_sub(cut));
            let kept = parse(kept);
            // Digits end with no zero, so a rest of 5 alone is exactly a half.
            let up = cut <= digits.len() && (rest > "5" || rest == "5" && kept % 2 == 1);
            kept + i64::from(up)
        }
    };
    Ok(if number.is_negative() { -magnitude } else { magnitude } - POSTGRES_EPOCH_MICROS)
}

fn unread(fault: Fault, base: &Base) -> Misfit {
    match fault {
        Fault::Form => Misfit::form("an iso 8601 date or time, or the time since 1970 in nine or more digits,", base),
        Fault::Range => Misfit::new(format!("a day or time that does not exist, or is beyond {}", name(base))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{END, FIRST_DAY, LAST_DAY};
    use crate::cast::iso::DAY;
    use crate::cast::samples::{check, misfit, number};
    use crate::cast::{cast, cell_text};
    use crate::cell::Cell;
    use crate::column_type::{Base, ColumnType};
    use crate::value::Value;

    #[test]
    fn timestamptz_is_the_moment() {
        for (text, moment) in [
            ("2024-02-29T12:34:56Z", "2024-02-29 12:34:56+00"),
            ("2024-02-29T12:34:56.5z", "2024-02-29 12:34:56.5+00"),
            ("2024-02-29 12:34:56.123456", "2024-02-29 12:34:56.123456+00"),
            (" 2024-02-29t12:34 ", "2024-02-29 12:34:00+00"),
            ("2024-1-1T5:4:3", "2024-01-01 05:04:03+00"),
            ("2024-01-01", "2024-01-01 00:00:00+00"),
            ("20240101", "2024-01-01 00:00:00+00"),
            ("20240101T123456.5+0200", "2024-01-01 10:34:56.5+00"),
            ("20240101 1234", "2024-01-01 12:34:00+00"),
            ("2024-01-01Z", "2024-01-01 00:00:00+00"),
            ("2024-01-01 +02", "2023-12-31 22:00:00+00"),
            ("2024-01-01T12:34:56+2", "2024-01-01 10:34:56+00"),
            ("2024-01-01T12:34:56-0230", "2024-01-01 15:04:56+00"),
            ("2024-01-01T12:34:56 +02:30", "2024-01-01 10:04:56+00"),
            ("2024-01-01T12:34:56+02:30:15", "2024-01-01 10:04:41+00"),
            ("2024-01-01T12:34:56+15:59", "2023-12-31 20:35:56+00"),
            ("2024-01-01 12:34:56 UTC", "2024-01-01 12:34:56+00"),
            ("2024-01-01 12:34:56,25 gmt", "2024-01-01 12:34:56.25+00"),
            ("2024-01-01T24:00:00Z", "2024-01-02 00:00:00+00"),
            ("2016-12-31T23:59:60Z", "2017-01-01 00:00:00+00"),
            ("2024-01-01T12:34:60.5Z", "2024-01-01 12:35:00.5+00"),
            ("0044-03-15 12:00:00+00 BC", "0044-03-15 12:00:00+00 BC"),
            ("+012024-01-01T00:00:00.000Z", "12024-01-01 00:00:00+00"),
            ("-000001-01-01T00:00:00Z", "0002-01-01 00:00:00+00 BC"),
            ("+000000-01-01", "0001-01-01 00:00:00+00 BC"),
            ("4714-11-24 00:00:00+00 BC", "4714-11-24 00:00:00+00 BC"),
            ("4714-11-23 23:00:00-02 BC", "4714-11-24 01:00:00+00 BC"),
            ("294276-12-31T23:59:59.999999Z", "294276-12-31 23:59:59.999999+00"),
            ("294277-01-01 01:00:00+02", "294276-12-31 23:00:00+00"),
            ("Infinity", "infinity"),
            (" -infinity", "-infinity"),
        ] {
            check("timestamptz", text, moment);
            let without_zone = moment.replace("+00", "");
            check("timestamp", text, &without_zone);
        }
    }

    #[test]
    fn what_is_finer_than_a_microsecond_is_rounded_as_postgres_does() {
        for (fraction, micros) in [
            ("1234564", "123456"),
            ("1234565", "123456"),
            ("1234575", "123458"),
            ("99999949", "999999"),
            ("123456789012345678901234567890", "123457"),
        ] {
            check(
                "timestamp",
                format!("2024-01-01T00:00:00.{fraction}Z").as_str(),
                &format!("2024-01-01 00:00:00.{micros}"),
            );
        }
        check("timestamp", "2024-12-31T23:59:59.9999995", "2025-01-01 00:00:00");
        check("timestamp", number("0.0000005"), "1970-01-01 00:00:00");
        check("timestamp", number("0.0000015"), "1970-01-01 00:00:00.000002");
        check("timestamp", number("0.00000051"), "1970-01-01 00:00:00.000001");
        check("timestamp", number("1e-30"), "1970-01-01 00:00:00");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let form = |ty: &str| {
            format!(
                "text that is not an iso 8601 date or time, or the time since 1970 in nine or more digits, where {ty} is expected"
            )
        };
        let range = |ty: &str| format!("a day or time that does not exist, or is beyond {ty}");
        for bad in [
            "",
            "now",
            "epoch",
            "1/2/2024",
            "2024-01",
            "2024",
            "12345678a",
            "2024-01-01T",
            "2024-01-01T12",
            "2024-01-01 12",
            "2024-01-01-05",
            "2024-01-01T12:34:56.",
            "2024-01-01T12:34:56 Europe/Berlin",
            "2024-01-01T12:34:56−02",
            "2024-01-01T12:34:56ZZ",
            "2024-W01-1",
            "2024-001",
            "-0001-01-01",
            "99-01-01",
            "20240131123456",
            "+infinity",
            "12345678",
            "99999999999-01-01",
            "1705000000.1.2",
            "2024-01-01T12:34:56+023015",
            "ää",
            "2024-01-01T12:34:5ä",
        ] {
            let reason = if bad == "12345678" { range("timestamptz") } else { form("timestamptz") };
            misfit("timestamptz", bad, &reason);
        }
        for bad in [
            "2024-02-30",
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "0000-01-01",
            "-000000-01-01",
            "2024-01-01T24:00:00.1",
            "2024-01-01T24:00:01",
            "2024-01-01T23:59:60.5",
            "2024-01-01T23:59:61",
            "2024-01-01T12:00:61",
            "2024-01-01T25:00",
            "2024-01-01T12:60",
            "2024-01-01T12:34:56+16:00",
            "2024-01-01T12:34:56+15:60",
            "4714-11-23 BC",
            "4714-11-24 00:00:00+02 BC",
            "294277-01-01",
            "294276-12-31T23:59:59.9999999Z",
            "9999999-01-01",
            "-000001-01-01 BC",
        ] {
            misfit("timestamp", bad, &range("timestamp"));
        }
        misfit("timestamptz", true, "a boolean where timestamptz is expected");
        misfit("date", Value::Bytes([1].into()), "binary where date is expected");
    }

    #[test]
    fn a_number_is_the_time_since_1970() {
        for (digits, moment) in [
            ("0", "1970-01-01 00:00:00"),
            ("-1.5", "1969-12-31 23:59:58.5"),
            ("1705000000", "2024-01-11 19:06:40"),
            ("1705000000.123456", "2024-01-11 19:06:40.123456"),
            ("1705000000123", "2024-01-11 19:06:40.123"),
            ("1705000000123.456", "2024-01-11 19:06:40.123456"),
            ("1705000000123456", "2024-01-11 19:06:40.123456"),
            ("1705000000123456789", "2024-01-11 19:06:40.123457"),
            ("99999999999", "5138-11-16 09:46:39"),
            ("100000000000", "1973-03-03 09:46:40"),
            ("100000000", "1973-03-03 09:46:40"),
            ("-1705000000123", "1915-12-22 04:53:19.877"),
        ] {
            check("timestamp", number(digits), moment);
            check("timestamptz", number(digits), &format!("{moment}+00"));
            check("date", number(digits), &moment[..10]);
            if digits.len() >= 9 {
                check("timestamp", digits, moment);
            }
        }
        misfit("timestamp", number("1e20"), "a number too large to be the time since 1970 of timestamp");
        misfit("date", number("-1e99"), "a number too large to be the time since 1970 of date");
    }

    #[test]
    fn a_date_is_the_day_as_written() {
        for (text, day) in [
            ("2024-02-29", "2024-02-29"),
            ("20240229", "2024-02-29"),
            ("2024-01-01T23:34:56-05:00", "2024-01-01"),
            ("2024-01-01T23:59:60Z", "2024-01-01"),
            ("0044-03-15 BC", "0044-03-15 BC"),
            ("4714-11-24 BC", "4714-11-24 BC"),
            ("5874897-12-31", "5874897-12-31"),
            ("infinity", "infinity"),
            ("-Infinity", "-infinity"),
        ] {
            check("date", text, day);
        }
        for bad in ["2024-02-30", "4714-11-23 BC", "5874898-01-01", "9999999-12-31"] {
            misfit("date", bad, "a day or time that does not exist, or is beyond date");
        }
    }

    #[test]
    fn a_time_is_of_no_day_and_no_zone() {
        for (text, time) in [
            ("12:34", "12:34:00"),
            ("T12:34:56.500", "12:34:56.5"),
            ("123456", "12:34:56"),
            ("5:4", "05:04:00"),
            ("12:34:56Z", "12:34:56"),
            ("24:00:00", "24:00:00"),
            ("23:59:60", "24:00:00"),
            ("23:59:59.9999999", "24:00:00"),
        ] {
            check("time", text, time);
        }
        for bad in ["", "12", "2024-01-01T12:34:56", "infinity", "12:34:56 pm"] {
            misfit("time", bad, "text that is not a time of day where time is expected");
        }
        for bad in ["24:00:01", "25:00", "12:60", "23:59:60.1"] {
            misfit("time", bad, "a time of day that does not exist");
        }
        misfit("time", "12:34:56+02", "a time with an offset where time without one is expected");
        misfit("time", number("1705000000"), "a number where time is expected");
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(
            micros in FIRST_DAY * DAY..END, near in -4_000_000_000_000_000i64..4_000_000_000_000_000,
            days in FIRST_DAY..=LAST_DAY, time in 0..=DAY,
        ) {
            for (cell, base) in [
                (Cell::Micros(micros), Base::Timestamptz),
                (Cell::Micros(micros), Base::Timestamp),
                (Cell::Micros(near), Base::Timestamptz),
                (Cell::Date(days as i32), Base::Date),
                (Cell::Micros(time), Base::Time),
            ] {
                let ty = ColumnType::scalar(base);
                let text = cell_text(&cell, &ty).unwrap();
                prop_assert_eq!(cast(&Value::text(text.as_str()), &ty), Ok(cell), "{}", text);
            }
        }

        #[test]
        fn every_unit_of_the_epoch_says_the_same(micros in 100_000_000_000_000i64..99_999_999_999_999_999) {
            let ty = ColumnType::scalar(Base::Timestamp);
            let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
            for digits in [
                format!("{micros}000"),
                format!("{micros}"),
                format!("{}.{:03}", micros / 1_000, micros % 1_000),
                format!("{seconds}.{rest:06}"),
            ] {
                prop_assert_eq!(cast(&number(&digits), &ty), Ok(Cell::from_unix_micros(micros)), "{}", digits);
            }
        }

        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,30}", near in "[0-9TZ:. +BCé-]{0,34}") {
            for base in [Base::Date, Base::Time, Base::Timestamp, Base::Timestamptz, Base::Uuid, Base::Bool, Base::Float4] {
                let ty = ColumnType::scalar(base);
                let _ = cast(&Value::text(text.as_str()), &ty);
                let _ = cast(&Value::text(near.as_str()), &ty);
            }
        }
    }
}
