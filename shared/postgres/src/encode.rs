//! Rows to the binary arrays that a statement's `unnest` takes, straight from the cells: no vector per column.
//!
//! The formats are those of Postgres's `array_recv`, `numeric_recv`, `jsonb_recv` and of each type's binary input.

use std::error::Error as StdError;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tributary_core::cell::Cell;
use tributary_core::column_type::{Base, ColumnType};
use tributary_core::decimal::Decimal;
use tributary_core::version::Version;

/// One row on its way into a table: a change, or an element of a set of children.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) key: &'a [Cell],
    pub(crate) row: &'a [Cell],
    pub(crate) notes: Option<&'a str>,
    pub(crate) version: Version,
    pub(crate) at: Option<i64>,
    pub(crate) deleted: bool,
    /// The key as the ledger stores it; empty where no ledger is used.
    pub(crate) ledger_key: &'a str,
    /// The versions of columns that are older than the row, on a table that takes parts.
    pub(crate) versions: Option<&'a str>,
}

/// Which part of a [`Line`] an array holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Key(usize),
    Column(usize),
    Notes,
    Version,
    SourceAt,
    Deleted,
    LedgerKey,
    Versions,
}

/// A column of lines as one array parameter.
#[derive(Debug)]
pub(crate) struct Column<'a> {
    pub(crate) lines: &'a [Line<'a>],
    pub(crate) part: Part,
}

/// The type of the parameter that carries a column of this type: an array of what we encode. A type that the server
/// reads itself, and an array, travels as text.
pub(crate) fn parameter_type(ty: &ColumnType) -> Type {
    if ty.array {
        return Type::TEXT_ARRAY;
    }
    match ty.base {
        Base::Bool => Type::BOOL_ARRAY,
        Base::Int2 => Type::INT2_ARRAY,
        Base::Int4 => Type::INT4_ARRAY,
        Base::Int8 => Type::INT8_ARRAY,
        Base::Float4 => Type::FLOAT4_ARRAY,
        Base::Float8 => Type::FLOAT8_ARRAY,
        Base::Numeric(_) => Type::NUMERIC_ARRAY,
        Base::Text | Base::Varchar(_) | Base::Char(_) | Base::Other { .. } => Type::TEXT_ARRAY,
        Base::Bytea => Type::BYTEA_ARRAY,
        Base::Uuid => Type::UUID_ARRAY,
        Base::Date => Type::DATE_ARRAY,
        Base::Time => Type::TIME_ARRAY,
        Base::Timestamp => Type::TIMESTAMP_ARRAY,
        Base::Timestamptz => Type::TIMESTAMPTZ_ARRAY,
        Base::Json => Type::JSON_ARRAY,
        Base::Jsonb => Type::JSONB_ARRAY,
    }
}

/// The cast behind `unnest($n)` in the select list, where the parameter's elements are text of another type.
pub(crate) fn cast_of_text(ty: &ColumnType) -> Option<String> {
    (ty.array || ty.read_by_server()).then(|| ty.cast_name())
}

impl ToSql for Column<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let tokio_postgres::types::Kind::Array(element) = ty.kind() else {
            return Err(format!("parameter of type {ty} is no array").into());
        };
        out.put_i32(1); // dimensions
        let has_null = out.len();
        out.put_i32(0);
        out.put_u32(element.oid());
        out.put_i32(i32::try_from(self.lines.len())?);
        out.put_i32(1); // lower bound
        let mut nulls = false;
        for line in self.lines {
            let start = out.len();
            out.put_i32(-1);
            if put_part(line, self.part, element, out)? {
                let length = i32::try_from(out.len() - start - 4)?;
                out[start..start + 4].copy_from_slice(&length.to_be_bytes());
            } else {
                nulls = true;
            }
        }
        if nulls {
            out[has_null..has_null + 4].copy_from_slice(&1i32.to_be_bytes());
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(ty.kind(), tokio_postgres::types::Kind::Array(_))
    }

    to_sql_checked!();
}

type Put = Result<bool, Box<dyn StdError + Sync + Send>>;

/// Writes a part of a line; `false` for NULL.
fn put_part(line: &Line<'_>, part: Part, ty: &Type, out: &mut BytesMut) -> Put {
    match part {
        Part::Key(position) => return put_cell(&line.key[position], ty, out),
        Part::Column(position) => return put_cell(&line.row[position], ty, out),
        Part::Notes => return Ok(put_json(line.notes, out)),
        Part::Versions => return Ok(put_json(line.versions, out)),
        Part::Version => put_version(&line.version, out),
        Part::SourceAt => match line.at {
            Some(micros) => return put_cell(&Cell::from_unix_micros(micros), ty, out),
            None => return Ok(false),
        },
        Part::Deleted => out.put_u8(u8::from(line.deleted)),
        Part::LedgerKey => out.put_slice(line.ledger_key.as_bytes()),
    }
    Ok(true)
}

fn put_json(text: Option<&str>, out: &mut BytesMut) -> bool {
    if let Some(text) = text {
        out.put_u8(1); // the version of the jsonb format
        out.put_slice(text.as_bytes());
    }
    text.is_some()
}

fn put_cell(cell: &Cell, ty: &Type, out: &mut BytesMut) -> Put {
    match cell {
        Cell::Null => return Ok(false),
        Cell::Text(text) => {
            if *ty == Type::JSONB {
                out.put_u8(1); // the version of the jsonb format
            }
            out.put_slice(text.as_bytes());
        }
        Cell::Bool(value) => out.put_u8(u8::from(*value)),
        Cell::Int(number) => match *ty {
            Type::INT2 => out.put_i16(i16::try_from(*number)?),
            Type::INT4 => out.put_i32(i32::try_from(*number)?),
            _ => out.put_i64(*number),
        },
        Cell::Float(number) if *ty == Type::FLOAT4 => out.put_f32(*number as f32),
        Cell::Float(number) => out.put_f64(*number),
        Cell::Numeric(number) => put_decimal(number, out)?,
        Cell::Bytes(bytes) => out.put_slice(bytes),
        Cell::Uuid(bytes) => out.put_slice(bytes),
        Cell::Date(days) => out.put_i32(*days),
        Cell::Micros(micros) => out.put_i64(*micros),
    }
    Ok(true)
}

/// `numeric_recv`: digit count, weight (power of 10 000 of the first digit), sign, display scale, digits.
fn put_version(version: &Version, out: &mut BytesMut) {
    let (digits, len) = version.base_10000();
    let used = len - digits[..len].iter().rev().take_while(|digit| **digit == 0).count();
    out.put_i16(used as i16);
    out.put_i16(len as i16 - 1);
    out.put_u16(0); // positive
    out.put_u16(0); // no decimals
    digits[..used].iter().for_each(|digit| out.put_u16(*digit));
}

fn put_decimal(number: &Decimal, out: &mut BytesMut) -> Result<(), Box<dyn StdError + Sync + Send>> {
    const NEGATIVE: u16 = 0x4000;
    let digits = number.digits().as_bytes();
    // Align the decimal point to a boundary of four digits: pad the last group on the right, the first on the left.
    let trailing = number.exponent().rem_euclid(4) as usize;
    let groups = (digits.len() + trailing).div_ceil(4);
    let leading = groups * 4 - digits.len() - trailing;
    let weight = number.exponent().div_euclid(4) + groups as i32 - 1;
    out.put_i16(i16::try_from(groups)?);
    out.put_i16(if groups == 0 { 0 } else { i16::try_from(weight)? });
    out.put_u16(if number.is_negative() { NEGATIVE } else { 0 });
    out.put_u16(u16::try_from(number.scale())?);
    let digit = |place: usize| match place.checked_sub(leading).and_then(|place| digits.get(place)) {
        Some(digit) => u16::from(digit - b'0'),
        None => 0,
    };
    for group in 0..groups {
        let base = group * 4;
        out.put_u16(digit(base) * 1000 + digit(base + 1) * 100 + digit(base + 2) * 10 + digit(base + 3));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(text: &str) -> Vec<i16> {
        let mut out = BytesMut::new();
        put_decimal(&Decimal::parse(text).unwrap(), &mut out).unwrap();
        out.chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect()
    }

    #[test]
    fn numerics_are_groups_of_four_digits_around_the_point() {
        assert_eq!(numeric("0"), [0, 0, 0, 0]);
        assert_eq!(numeric("1"), [1, 0, 0, 0, 1]);
        assert_eq!(numeric("10000"), [1, 1, 0, 0, 1]);
        assert_eq!(numeric("12345.678"), [3, 1, 0, 3, 1, 2345, 6780]);
        assert_eq!(numeric("-0.00012"), [2, -1, 0x4000, 5, 1, 2000]);
    }

    #[test]
    fn a_version_is_epoch_and_forty_digits() {
        let mut out = BytesMut::new();
        put_version(&Version::new(1, "5").unwrap(), &mut out);
        let words: Vec<i16> = out.chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect();
        assert_eq!(words, [11, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
    }
}
