//! A sink table as the write path sees it: names, types, keys and what a delete does. Where its values come from is the
//! business of [`crate::route`].

use std::time::Duration;

use crate::cell::Cell;
use crate::column_type::ColumnType;

/// A table of the sink.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The schema; `None` leaves it to the connection's `search_path`.
    pub schema: Option<String>,
    /// The name, unquoted.
    pub name: String,
    /// The key columns, in order. Never empty.
    pub key: Vec<Column>,
    /// All other mapped columns, in order; the delete policy's columns are among them.
    pub columns: Vec<Column>,
    /// What a delete at the source does here.
    pub delete: DeletePolicy,
    /// Names of the columns that Tributary keeps for itself.
    pub meta: MetaColumns,
    /// Set when the rows are the elements of a list in the item.
    pub children: Option<Children>,
}

/// A column of a sink table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The name, unquoted.
    pub name: String,
    /// The type.
    pub ty: ColumnType,
    /// What it is for.
    pub role: Role,
    /// What stands there when the source says nothing, also in a tombstone.
    pub default: Option<Cell>,
}

impl Column {
    /// What an insert puts there while nothing is known: the default, or NULL; false in the application's deleted flag.
    pub fn unknown(&self) -> Cell {
        match (&self.default, self.role) {
            (Some(default), _) => default.clone(),
            (None, Role::DeletedFlag) => Cell::Bool(false),
            (None, _) => Cell::Null,
        }
    }
}

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A value of the source.
    Data,
    /// The application's own deleted flag: true in a tombstone; in a live row what the source says, else false.
    DeletedFlag,
    /// When the row was deleted.
    DeletedAt,
    /// Why the row was deleted: see [`crate::change::Reason`].
    DeletedReason,
}

/// What a delete at the source does.
#[derive(Clone, Debug, PartialEq)]
pub struct DeletePolicy {
    /// How a deleted row is kept.
    pub mode: DeleteMode,
    /// Whether deletes by expiry (DynamoDB TTL) count; if not, expired rows stay as they are.
    pub ttl: bool,
    /// Tombstones older than this are removed. `None` keeps them for ever.
    pub purge_after: Option<Duration>,
}

/// How a deleted row is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteMode {
    /// The row stays as a tombstone. With `keep`, it keeps its last values; without, all but its key is cleared.
    Soft {
        /// Whether the last values stay.
        keep: bool,
    },
    /// The row is gone at once; its version lives on in the ledger, so that a late change cannot bring it back.
    Hard,
    /// Deletes are not applied.
    Ignore,
}

/// Names of the columns that Tributary keeps for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaColumns {
    /// `numeric not null`, or `bigint not null`: the row's version.
    pub version: String,
    /// Which of the two.
    pub version_type: VersionType,
    /// `boolean not null`: whether the row is a tombstone. Only ours marks one, never the application's flag.
    pub deleted: String,
    /// `timestamptz`: when the row was last written.
    pub synced_at: String,
    /// `timestamptz`: when the source made the change.
    pub source_at: String,
    /// `jsonb`: why a column is NULL although the source had a value. Only where a column has `on_error: null`
    /// or `truncate`, or the source may say that it could not compute a value.
    pub errors: Option<String>,
    /// `jsonb`: the versions of columns that are older than the row's, as text by column name, `-1` for a column that was
    /// never known; NULL when there are none. Only where the source may send parts of items.
    pub versions: Option<String>,
    /// Whether each row is a file that is to be fetched. Then what became of it stands beside the mapped columns: `state`,
    /// `location`, `md5`, `size`, `content_type`, `checked`, `attempts`, `next_try`, `stored_at`, `problem`.
    pub files: bool,
}

/// The type of the version column in a table that is made. In one that exists either serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionType {
    /// `numeric`: holds every version.
    #[default]
    Numeric,
    /// `bigint`: half the bytes, for a source that counts in such numbers, while its epoch is 0.
    Bigint,
}

impl Default for MetaColumns {
    fn default() -> Self {
        MetaColumns {
            version: "_version".into(),
            version_type: VersionType::Numeric,
            deleted: "_deleted".into(),
            synced_at: "_synced_at".into(),
            source_at: "_source_at".into(),
            errors: None,
            versions: None,
            files: false,
        }
    }
}

/// Rows that are the elements of a list: they come and go with their parent, as a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Children {
    /// Which of the key columns name the parent (positions in [`Table::key`], ascending).
    pub parent: Vec<usize>,
}

impl Table {
    /// Whether the row's version is settled in the ledger, because the row itself may be gone: hard deletes and children.
    pub fn uses_ledger(&self) -> bool {
        self.children.is_some() || self.delete.mode == DeleteMode::Hard
    }

    /// Whether its columns have versions of their own, because the source may send parts of items.
    pub fn takes_parts(&self) -> bool {
        self.meta.versions.is_some()
    }

    /// The name as messages show it and as the ledger, dead letters and statistics store it.
    pub fn qualified_name(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.name),
            None => self.name.clone(),
        }
    }
}
