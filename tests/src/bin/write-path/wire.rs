//! Cells in Postgres's binary formats, written for the strategies that we are compared with: they share nothing with
//! the code under test.

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::Type;
use tributary_core::cell::Cell;
use tributary_core::change::{Change, Op};
use tributary_core::decimal::Decimal;

/// The columns of the table in the order in which they are sent, with their types.
pub(crate) const SENT: [(&str, Type); 17] = [
    ("id", Type::TEXT),
    ("name", Type::TEXT),
    ("email", Type::TEXT),
    ("city", Type::TEXT),
    ("status", Type::TEXT),
    ("note", Type::TEXT),
    ("amount", Type::NUMERIC),
    ("quantity", Type::INT4),
    ("score", Type::FLOAT8),
    ("active", Type::BOOL),
    ("created_at", Type::TIMESTAMPTZ),
    ("attributes", Type::JSONB),
    ("ref", Type::UUID),
    ("_version", Type::NUMERIC),
    ("_deleted", Type::BOOL),
    ("_source_at", Type::TIMESTAMPTZ),
    ("_synced_at", Type::TIMESTAMPTZ),
];
/// How many of them come before `_synced_at`, which a statement can fill by itself.
pub(crate) const WITHOUT_SYNCED_AT: usize = SENT.len() - 1;

/// The names of the first `count` columns, as a list.
pub(crate) fn names(count: usize) -> String {
    SENT[..count].iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// Writes the column at this place of [`SENT`], its length before it.
pub(crate) fn put(change: &Change, place: usize, now: i64, out: &mut BytesMut) {
    let start = out.len();
    out.put_i32(0);
    match place {
        0 => put_cell(&change.key[0], &SENT[0].1, out),
        1..=12 => match &change.op {
            Op::Upsert(row, _) | Op::Delete(row) => put_cell(&row[place - 1], &SENT[place].1, out),
            Op::Patch(_) | Op::Replace(_) => unreachable!("the benchmark has neither parts nor children"),
        },
        13 => {
            let (digits, count) = change.version.base_10000();
            put_numeric(&digits[..count], count as i16 - 1, 0, out);
        }
        14 => out.put_u8(u8::from(matches!(change.op, Op::Delete(_)))),
        15 => put_cell(&Cell::from_unix_micros(change.at.unwrap_or_default()), &Type::TIMESTAMPTZ, out),
        _ => put_cell(&Cell::from_unix_micros(now), &Type::TIMESTAMPTZ, out),
    }
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn put_cell(cell: &Cell, ty: &Type, out: &mut BytesMut) {
    match cell {
        Cell::Text(text) => {
            if *ty == Type::JSONB {
                out.put_u8(1);
            }
            out.put_slice(text.as_bytes());
        }
        Cell::Bool(value) => out.put_u8(u8::from(*value)),
        Cell::Int(number) => out.put_i32(*number as i32),
        Cell::Float(number) => out.put_f64(*number),
        Cell::Numeric(number) => put_decimal(number, out),
        Cell::Uuid(bytes) => out.put_slice(bytes),
        Cell::Micros(micros) => out.put_i64(*micros),
        Cell::Null | Cell::Bytes(_) | Cell::Date(_) => unreachable!("no column of the benchmark holds it"),
    }
}

fn put_decimal(number: &Decimal, out: &mut BytesMut) {
    let hundredths: u64 = number
        .digits()
        .parse::<u64>()
        .map(|digits| digits * 10_u64.pow((number.exponent() + 2) as u32))
        .unwrap_or_default();
    let (mut whole, fraction) = (hundredths / 100, (hundredths % 100) as u16 * 100);
    let mut digits = [0_u16; 6];
    digits[5] = fraction;
    let mut first = 5;
    while whole > 0 {
        first -= 1;
        digits[first] = (whole % 10_000) as u16;
        whole /= 10_000;
    }
    put_numeric(&digits[first..], 4 - first as i16, number.scale() as u16, out);
}

/// Digits in base 10 000, the power of the first, and how many decimals are shown.
fn put_numeric(digits: &[u16], weight: i16, scale: u16, out: &mut BytesMut) {
    let used = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
    out.put_i16(used as i16);
    out.put_i16(weight);
    out.put_u16(0);
    out.put_u16(scale);
    digits[..used].iter().for_each(|digit| out.put_u16(*digit));
}
