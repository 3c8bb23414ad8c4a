//! Whether a stored column would change.
//!
//! Called by repairs and by the statements of an only writer, which leave alone what is as it should be.

use tributary_core::column_type::{Base, ColumnType};
use tributary_core::table::Column;

use super::quote;

/// Whether a column would change. A new value is compared as the column would hold it (a cast to its own type rounds and
/// pads as storing it does), and text for text where a type's equality is loose, depends on a collation, or isn't there.
pub(crate) fn distinct(column: &Column, value: &str) -> String {
    let (c, ty) = (quote(&column.name), &column.ty);
    if compares_exactly(ty) {
        format!("t.{c} is distinct from ({value})::{ty}")
    } else {
        format!("t.{c}::text collate \"C\" is distinct from ({value})::{ty}::text collate \"C\"")
    }
}

fn compares_exactly(ty: &ColumnType) -> bool {
    let loose = matches!(
        ty.base,
        Base::Text | Base::Varchar(_) | Base::Char(_) | Base::Json | Base::Jsonb | Base::Other { .. }
    );
    !ty.array && !loose
}
