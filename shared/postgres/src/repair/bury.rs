//! The end of a repair: rows that it didn't see become tombstones.

use std::collections::HashSet;

use tokio_postgres::types::{ToSql, Type};
use tributary_core::batch::{Checkpoint, Fence};
use tributary_core::table::{DeleteMode, Table};
use tributary_core::{Error, Kind, Result};

use super::{BEGAN, PREFIX, UNREAD, failed};
use crate::checkpoint::Row;
use crate::flush::BEGIN;
use crate::session::Session;
use crate::sink::Writers;
use crate::sql::{Fallbacks, buried, literal, quote, relation};

/// So many rows may be buried whatever their share.
const FEW: i64 = 100;

/// A repair that has read the whole source.
#[derive(Clone, Copy, Debug)]
pub struct Unseen<'a> {
    /// The pipeline.
    pub pipeline: &'a str,
    /// Its tables.
    pub tables: &'a [Table],
    /// What [`crate::Postgres::begin_repair`] answered.
    pub began: &'a str,
    /// The lease under which it was read.
    pub fence: &'a Fence,
    /// Whether more than half of a table may be buried.
    pub allow_mass_delete: bool,
}

/// What was buried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Burial {
    /// How many rows.
    pub rows: u64,
    /// The tables in which nothing was buried, and why: it is not known what the source still has.
    pub spared: Vec<String>,
}

/// Buries in one transaction, under the lease.
pub(super) async fn bury(session: &Session, writers: &Writers, unseen: &Unseen<'_>) -> Result<Burial> {
    let say = failed("bury what the source no longer has");
    session.command(BEGIN).await.map_err(&say)?;
    // First, because it locks the lease: nobody takes it over until this has ended.
    let partition = BEGAN.to_owned();
    let fence = Some(unseen.fence.clone());
    let checkpoint = Checkpoint { partition, position: unseen.began.to_owned(), at: None, fence };
    Row::new(unseen.pipeline, &checkpoint).store(session).await.map_err(&say)?;

    let mut burial = Burial::default();
    let mut tables = Vec::new();
    let unread = unread(session, unseen.pipeline).await?;
    for table in unseen.tables.iter().filter(|table| table.delete.mode != DeleteMode::Ignore) {
        let name = table.qualified_name();
        if unread.contains(&name) {
            burial.spared.push(format!("{name}: items of it are dead letters, and whose rows they are is not known"));
        } else if !table.delete.ttl {
            burial.spared.push(format!("{name}: expired rows stay, and an expired item looks like a deleted one"));
        } else {
            tables.push(table);
        }
    }
    if !unseen.allow_mass_delete {
        for table in &tables {
            refuse_many(session, table, unseen.began).await?;
        }
    }
    let began: [(&(dyn ToSql + Sync), Type); 1] = [(&unseen.began, Type::TEXT)];
    for table in tables {
        let none = Fallbacks::new();
        let fallbacks = writers.get(&table.qualified_name()).map_or(&none, |writer| &writer.fallbacks);
        if table.uses_ledger() {
            // First, as everywhere: who writes such a row has its entry locked.
            session.execute(&ledger(table), &began).await.map_err(&say)?;
        }
        burial.rows += session.execute(&rows(table, fallbacks), &began).await.map_err(&say)?;
    }
    const FORGET: &str = "delete from tributary.checkpoint where pipeline = $1 and starts_with(partition, $2)";
    session.execute(FORGET, &[(&unseen.pipeline, Type::TEXT), (&PREFIX, Type::TEXT)]).await.map_err(&say)?;
    session.command("commit").await.map_err(&say)?;
    Ok(burial)
}

async fn unread(session: &Session, pipeline: &str) -> Result<HashSet<String>> {
    let query = "select substr(partition, length($2) + 1) from tributary.checkpoint \
         where pipeline = $1 and starts_with(partition, $2)";
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&pipeline, Type::TEXT), (&UNREAD, Type::TEXT)];
    let rows = session.client().query_typed(query, &values).await.map_err(failed("read what was left out"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// An empty scan of the wrong table would bury everything.
async fn refuse_many(session: &Session, table: &Table, began: &str) -> Result<()> {
    let query = format!(
        "select count(*) filter (where {}), count(*) from {} as t where not t.{}",
        unseen(table),
        relation(table),
        quote(&table.meta.deleted)
    );
    let rows = session.client().query_typed(&query, &[(&began, Type::TEXT)]).await;
    let rows = rows.map_err(failed("count what the source no longer has"))?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (gone, live): (i64, i64) = (row.get(0), row.get(1));
    if gone <= FEW || gone <= live - gone {
        return Ok(());
    }
    let name = table.qualified_name();
    Err(Error::new(Kind::Conflict, format!("the source has no item for {gone} of {live} rows of table {name}"))
        .with_hint(
            "check that the pipeline reads the right source, whole; then read it anew with `--restart`, or delete the \
             rows with `--allow-mass-delete`",
        ))
}

fn unseen(table: &Table) -> String {
    format!("coalesce(t.{}, '-infinity') < $1::text::timestamptz", quote(&table.meta.synced_at))
}

fn rows(table: &Table, fallbacks: &Fallbacks) -> String {
    if table.delete.mode == DeleteMode::Hard {
        return format!("delete from {} as t where {}", relation(table), unseen(table));
    }
    format!(
        "update {} as t set {} where not t.{} and {}",
        relation(table),
        buried(table, "null::timestamptz", "deleted", fallbacks).join(", "),
        quote(&table.meta.deleted),
        unseen(table)
    )
}

fn ledger(table: &Table) -> String {
    format!(
        "update tributary.ledger set deleted = true, synced_at = now() \
         where relation = {} and not deleted and synced_at < $1::text::timestamptz",
        literal(&table.qualified_name())
    )
}
