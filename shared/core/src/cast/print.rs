//! Cells as Postgres prints them: in array literals, as keys in the ledger and among the dead letters.

use std::fmt::Write;

use crate::cast::calendar;
use crate::cast::iso::DAY;
use crate::cell::Cell;
use crate::column_type::{Base, ColumnType};

/// The text that Postgres reads as this cell and, for most types, prints for it (with `TimeZone` UTC, `DateStyle` ISO);
/// `None` for NULL.
///
/// Some differ from what a column would print, though Postgres reads the same value: `numeric(p,s)` gets no zeros at its
/// end, `jsonb` keeps the order and spacing of the cell, and of a float's shortest digits Postgres prints one more when
/// they lie exactly between two floats.
pub fn cell_text(cell: &Cell, ty: &ColumnType) -> Option<String> {
    if cell.is_null() {
        return None;
    }
    let mut out = String::new();
    write(cell, &ty.base, &mut out);
    Some(out)
}

/// Appends the text of a cell; nothing for NULL.
pub(super) fn write(cell: &Cell, base: &Base, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = match cell {
        Cell::Null => Ok(()),
        Cell::Bool(value) => write!(out, "{value}"),
        Cell::Int(value) => write!(out, "{value}"),
        Cell::Float(value) => {
            float(*value, base, out);
            Ok(())
        }
        Cell::Numeric(value) => write!(out, "{value}"),
        Cell::Text(value) => out.write_str(value),
        Cell::Bytes(bytes) => {
            out.reserve(2 + 2 * bytes.len());
            out.push_str("\\x");
            bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
        }
        Cell::Uuid(bytes) => write!(out, "{}", uuid::Uuid::from_bytes(*bytes).hyphenated()),
        Cell::Date(i32::MAX) | Cell::Micros(i64::MAX) => out.write_str("infinity"),
        Cell::Date(i32::MIN) | Cell::Micros(i64::MIN) => out.write_str("-infinity"),
        Cell::Date(days) => {
            let era = day(i64::from(*days), out);
            out.write_str(era)
        }
        Cell::Micros(micros) if *base == Base::Time => {
            clock(*micros, out);
            Ok(())
        }
        Cell::Micros(micros) => {
            let era = day(micros.div_euclid(DAY), out);
            out.push(' ');
            clock(micros.rem_euclid(DAY), out);
            out.push_str(if *base == Base::Timestamptz { "+00" } else { "" });
            out.write_str(era)
        }
    };
}

/// Appends year, month and day; returns the era, which goes to the very end.
fn day(days: i64, out: &mut String) -> &'static str {
    let (year, month, day) = calendar::civil(days);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
    era
}

fn clock(micros: i64, out: &mut String) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if fraction > 0 {
        let _ = write!(out, ".{fraction:06}");
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// The shortest digits that read back as the same float, with an exponent where Postgres prints one: below 0.0001 and
/// from the digits on that the type keeps for sure (`FLT_DIG`, `DBL_DIG`).
fn float(value: f64, base: &Base, out: &mut String) {
    if value.is_nan() {
        out.push_str("NaN");
        return;
    }
    if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
        return;
    }
    let (scientific, plain, digits) = match base {
        Base::Float4 => (format!("{:e}", value as f32), format!("{}", value as f32), 6),
        _ => (format!("{value:e}"), value.to_string(), 15),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..digits).contains(&exponent) {
        out.push_str(&plain);
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
}

#[cfg(test)]
mod tests {
    use crate::cast::cell_text;
    use crate::cell::Cell;
    use crate::column_type::{Base, ColumnType};

    #[test]
    fn floats_print_as_in_postgres() {
        for (base, float, text) in [
            (Base::Float8, -0.0, "-0"),
            (Base::Float8, 1e14, "100000000000000"),
            (Base::Float8, 1e15, "1e+15"),
            (Base::Float8, 0.0001, "0.0001"),
            (Base::Float8, -0.00001, "-1e-05"),
            (Base::Float8, 1.7976931348623157e308, "1.7976931348623157e+308"),
            (Base::Float4, 0.1f32.into(), "0.1"),
            (Base::Float4, 123_456.0, "123456"),
            (Base::Float4, 1e6, "1e+06"),
            (Base::Float4, 1e-5f32.into(), "1e-05"),
        ] {
            assert_eq!(cell_text(&Cell::Float(float), &ColumnType::scalar(base)).as_deref(), Some(text));
        }
    }

    #[test]
    fn null_has_no_text() {
        assert_eq!(cell_text(&Cell::Null, &ColumnType::scalar(Base::Text)), None);
    }
}
