//! From a source's value to the cell of a column, exactly or not at all.
//!
//! A value that a column cannot hold as it is becomes a [`Misfit`]; it is never rounded, cut or guessed at, because
//! Postgres itself does some of that in silence (an assignment to `varchar(3)` drops trailing spaces, one to
//! `numeric(4,1)` rounds). What a misfit means for the row, the column's `on_error` says; that is not decided here.
//! The mapping's router calls [`cast`], the write path and the command line print cells with [`cell_text`].
//!
//! What each type takes:
//!
//! | type | takes |
//! |---|---|
//! | `text` | text; numbers in plain digits; `true`, `false`; maps, lists and sets as JSON |
//! | `varchar`, `char` | text, numbers and booleans, counted in characters |
//! | `boolean` | booleans; 0 and 1; text as Postgres reads it |
//! | integers | numbers and text without a fraction, in range |
//! | `numeric` | numbers and text; `numeric(p,s)` only what needs no rounding |
//! | floats | numbers and text, to the nearest float; `NaN` and `Infinity` as text |
//! | `bytea` | binary; text as `\x00ff` |
//! | `uuid` | text in every form that Postgres takes; 16 bytes |
//! | `date`, `time`, `timestamp`, `timestamptz` | see the module `time` |
//! | `json`, `jsonb` | everything; text is a JSON string, binary a base64 string |
//! | arrays | lists and sets; lists of lists are dimensions, except in `json[]` and `jsonb[]` |
//! | any other | text, numbers and booleans, which the server reads |

mod array;
mod binary;
mod boolean;
mod calendar;
mod geometry;
mod iso;
mod json;
mod misfit;
mod number;
mod print;
#[cfg(test)]
mod samples;
mod text;
mod time;

use crate::cell::Cell;
use crate::column_type::{Base, ColumnType};
use crate::value::Value;

pub use json::json_text;
pub use misfit::Misfit;
pub use print::cell_text;
pub use text::truncate;

/// Casts a value to a column's type. An explicit null is SQL NULL in every type, also in `json` and `jsonb`, and so is what
/// the source could not compute.
///
/// # Errors
/// A [`Misfit`] when the column cannot hold exactly this value.
pub fn cast(value: &Value, ty: &ColumnType) -> Result<Cell, Misfit> {
    match value {
        Value::Null | Value::Failed(_) => Ok(Cell::Null),
        _ if ty.array => array::array(value, &ty.base),
        _ => scalar(value, &ty.base),
    }
}

fn scalar(value: &Value, base: &Base) -> Result<Cell, Misfit> {
    match base {
        _ if matches!(value, Value::Null | Value::Failed(_)) => Ok(Cell::Null),
        Base::Text => text::text(value),
        Base::Varchar(length) => text::varying(value, base, *length),
        Base::Char(length) => text::varying(value, base, Some(*length)),
        Base::Bool => boolean::boolean(value),
        Base::Int2 => number::integer(value, base, i64::from(i16::MIN)..=i64::from(i16::MAX)),
        Base::Int4 => number::integer(value, base, i64::from(i32::MIN)..=i64::from(i32::MAX)),
        Base::Int8 => number::integer(value, base, i64::MIN..=i64::MAX),
        Base::Float4 => number::float4(value),
        Base::Float8 => number::float8(value),
        Base::Numeric(limits) => number::numeric(value, base, *limits),
        Base::Bytea => binary::bytea(value),
        Base::Uuid => binary::uuid(value),
        Base::Date => time::date(value),
        Base::Time => time::time(value),
        Base::Timestamp | Base::Timestamptz => time::timestamp(value, base),
        Base::Json | Base::Jsonb => json_text(value).map(|text| Cell::Text(text.into())),
        Base::Other { .. } if base.is_geometry() => geometry::geometry(value, base),
        Base::Other { .. } => text::literal(value, base),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};

    #[test]
    fn null_is_null_in_every_type() {
        for ty in [
            "text",
            "varchar(1)",
            "boolean",
            "bigint",
            "numeric(3,1)",
            "bytea",
            "uuid",
            "timestamptz",
            "jsonb",
            "inet",
            "text[]",
        ] {
            assert_eq!(cast(&Value::Null, &ColumnType::parse(ty).unwrap()), Ok(Cell::Null), "{ty}");
        }
    }

    #[test]
    fn a_misfit_is_an_error_of_the_data() {
        let error = Error::from(cast(&Value::from("x"), &ColumnType::scalar(Base::Uuid)).unwrap_err());
        assert_eq!(error.kind(), Kind::Data);
        assert_eq!(error.to_string(), "text that is not a uuid where uuid is expected");
    }
}
