//! What somebody should know of fields that came, went, or are called otherwise.

use std::fmt;

/// What has changed since the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A table follows its source from now on, with these columns.
    First {
        /// The table.
        table: String,
        /// The columns.
        columns: Vec<String>,
    },
    /// A field has a column now.
    Added {
        /// The column with its table.
        column: String,
        /// Its type.
        ty: String,
        /// The field.
        field: String,
    },
    /// A field is called otherwise.
    Renamed {
        /// Its column.
        column: String,
        /// What it was called.
        from: String,
        /// What it is called now.
        to: String,
    },
    /// A field is gone.
    Removed {
        /// Its column.
        column: String,
        /// The field.
        field: String,
    },
    /// A field that was gone is there again.
    Restored {
        /// Its column.
        column: String,
        /// The field.
        field: String,
    },
    /// A field holds values of another type than its column.
    Retyped {
        /// Its column.
        column: String,
        /// The column's type.
        ty: String,
        /// The field.
        field: String,
        /// The type that would hold its values.
        wants: String,
    },
    /// A list of items is gone.
    ListRemoved {
        /// The list.
        list: String,
    },
    /// A list that was gone is there again.
    ListRestored {
        /// The list.
        list: String,
    },
    /// The mapping has given a field's column to something else.
    Moved {
        /// The column that the field had.
        from: String,
        /// The column that it has now.
        to: String,
        /// The field.
        field: String,
    },
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            News::First { table, columns } => {
                write!(f, "{table} follows its source: {} columns, {}", columns.len(), columns.join(", "))
            }
            News::Added { column, ty, field } => write!(f, "the new field `{field}` has the column {column}, {ty}"),
            News::Renamed { column, from, to } => {
                write!(f, "the field `{from}` is now called `{to}`; its column stays {column}")
            }
            News::Removed { column, field } => {
                write!(f, "the field `{field}` is gone; the column {column} keeps its values")
            }
            News::Restored { column, field } => write!(f, "the field `{field}` is back in its column {column}"),
            News::Retyped { column, ty, field, wants } => write!(
                f,
                "the field `{field}` holds {wants} now, and the column {column} stays {ty}: values that don't fit become \
                 NULL, with a note. To change it, `alter table … alter column … type {wants}`, and name the column in \
                 the mapping"
            ),
            News::ListRemoved { list } => write!(f, "the list `{list}` is gone; its table keeps its rows"),
            News::ListRestored { list } => write!(f, "the list `{list}` is back in its table"),
            News::Moved { from, to, field } => {
                write!(f, "the mapping uses the column {from} for something else; the field `{field}` has {to} now")
            }
        }
    }
}
