//! The rows that are there: what a sweep of a source compares with what it has seen.
//!
//! Read as a stream, so that the memory it takes doesn't depend on the table. Called by the runtime for sources that say
//! nothing of what they have deleted.

use std::error::Error as StdError;
use std::pin::pin;

use futures_util::TryStreamExt;
use tokio_postgres::Row as Answer;
use tokio_postgres::types::{FromSql, Type};
use tributary_core::cell::{Cell, Key, Row};
use tributary_core::column_type::{Base, ColumnType};
use tributary_core::decimal::Decimal;
use tributary_core::table::{Column, Table};
use tributary_core::version::Version;
use tributary_core::{Error, Kind, Result};

use crate::operate::asking;
use crate::sink::{Credentials, Postgres};
use crate::sql::{quote, relation};

impl<C: Credentials> Postgres<C> {
    /// Visits the key and the version of each row that is no tombstone, in no order. A key's cells are equal to what a cast
    /// of the source's value gives, except in types that the server reads itself, where they are the text that it prints.
    /// The version is `None` for a row that was there before the table was adopted.
    ///
    /// What is visited is the table at one moment. Ends with the first error of `visit`.
    ///
    /// # Errors
    /// Those of `visit`; else as [`tributary_core::sink::Sink::apply`]. Some rows may have been visited by then.
    pub async fn live(
        &mut self,
        table: &Table,
        mut visit: impl FnMut(Key, Option<Version>) -> Result<()>,
    ) -> Result<()> {
        self.live_with(table, &[], |key, version, _| visit(key, version)).await
    }

    /// As [`Postgres::live`], with the values of some of the table's columns.
    ///
    /// # Errors
    /// As [`Postgres::live`], and `Bug` for a name that is none of the table's.
    pub async fn live_with(
        &mut self,
        table: &Table,
        columns: &[&str],
        mut visit: impl FnMut(Key, Option<Version>, Row) -> Result<()>,
    ) -> Result<()> {
        self.read_rows(table, columns, false, |key, version, _, row| visit(key, version, row)).await
    }

    /// As [`Postgres::live_with`], tombstones too: `visit` is told whether a row is one. A tombstone holds the values that
    /// its table's delete policy keeps.
    ///
    /// # Errors
    /// As [`Postgres::live_with`].
    pub async fn stored_with(
        &mut self,
        table: &Table,
        columns: &[&str],
        visit: impl FnMut(Key, Option<Version>, bool, Row) -> Result<()>,
    ) -> Result<()> {
        self.read_rows(table, columns, true, visit).await
    }

    async fn read_rows(
        &mut self,
        table: &Table,
        columns: &[&str],
        tombstones: bool,
        mut visit: impl FnMut(Key, Option<Version>, bool, Row) -> Result<()>,
    ) -> Result<()> {
        let find = |name: &&str| {
            let column = table.columns.iter().find(|column| column.name == *name);
            column.ok_or_else(|| Error::new(Kind::Bug, format!("`{name}` is no column of {}", table.qualified_name())))
        };
        let columns: Vec<&Column> = columns.iter().map(find).collect::<Result<_>>()?;
        let read: Vec<&Column> = table.key.iter().chain(columns).collect();
        let mut list: Vec<String> = read.iter().map(|column| sent(column)).collect();
        list.push(format!("{}::text", quote(&table.meta.version)));
        let deleted = quote(&table.meta.deleted);
        list.push(deleted.clone());
        let which = if tombstones { String::new() } else { format!(" where not {deleted}") };
        let query = format!("select {} from {}{which}", list.join(", "), relation(table));
        let failed = asking("read the rows that are there");
        let none = std::iter::empty::<(&str, Type)>();
        let session = self.session().await?;
        let mut answers = pin!(session.client().query_typed_raw(&query, none).await.map_err(&failed)?);
        while let Some(answer) = answers.try_next().await.map_err(&failed)? {
            let cells: Vec<Cell> =
                read.iter().enumerate().map(|(at, column)| cell(&answer, at, &column.ty)).collect::<Result<_>>()?;
            let version = Version::from_sql(answer.try_get(read.len()).map_err(&failed)?)?;
            let is_tombstone: bool = answer.try_get(read.len() + 1).map_err(&failed)?;
            let (key, row) = cells.split_at(table.key.len());
            visit(key.into(), version, is_tombstone, row.into())?;
        }
        Ok(())
    }
}

/// A column as it is sent: in the mapping's type, which the table's may be wider than, or as text.
fn sent(column: &Column) -> String {
    let (c, ty) = (quote(&column.name), &column.ty);
    match ty.base {
        // As the type prints itself, which for some is not what a cast gives.
        _ if ty.array => format!("case when {c} is not null then concat({c}) end"),
        Base::Other { .. } => format!("case when {c} is not null then concat({c}) end"),
        Base::Text | Base::Varchar(_) | Base::Char(_) | Base::Numeric(_) | Base::Json | Base::Jsonb => {
            format!("{c}::text")
        }
        _ => format!("{c}::{}", ty.cast_name()),
    }
}

/// The bytes of a value as they were sent.
struct Sent<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Sent<'a> {
    fn from_sql(_: &Type, sent: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Sent(sent))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The formats are those of each type's binary output.
fn cell(answer: &Answer, at: usize, ty: &ColumnType) -> Result<Cell> {
    let sent: Option<Sent<'_>> = answer.try_get(at).map_err(asking("read a value"))?;
    let Some(Sent(bytes)) = sent else { return Ok(Cell::Null) };
    read(bytes, ty).ok_or_else(|| Error::new(Kind::Bug, format!("a stored {ty} cannot be read")))
}

fn read(bytes: &[u8], ty: &ColumnType) -> Option<Cell> {
    let text = || std::str::from_utf8(bytes).ok();
    if ty.array {
        return Some(Cell::Text(text()?.into()));
    }
    let wide = || bytes.try_into().ok().map(i64::from_be_bytes);
    let middle = || bytes.try_into().ok().map(i32::from_be_bytes);
    Some(match ty.base {
        Base::Bool => Cell::Bool(bytes != [0]),
        Base::Int2 => Cell::Int(i16::from_be_bytes(bytes.try_into().ok()?).into()),
        Base::Int4 => Cell::Int(middle()?.into()),
        Base::Int8 => Cell::Int(wide()?),
        Base::Float4 => Cell::Float(f32::from_be_bytes(bytes.try_into().ok()?).into()),
        Base::Float8 => Cell::Float(f64::from_be_bytes(bytes.try_into().ok()?)),
        Base::Numeric(_) => Cell::Numeric(Decimal::parse(text()?).ok()?),
        Base::Bytea => Cell::Bytes(bytes.into()),
        Base::Uuid => Cell::Uuid(bytes.try_into().ok()?),
        Base::Date => Cell::Date(middle()?),
        Base::Time | Base::Timestamp | Base::Timestamptz => Cell::Micros(wide()?),
        Base::Text | Base::Varchar(_) | Base::Char(_) | Base::Json | Base::Jsonb | Base::Other { .. } => {
            Cell::Text(text()?.into())
        }
    })
}
