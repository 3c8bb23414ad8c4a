//! A repair: what a lost event has left stale, healed from a scan of the source.
//!
//! A backfill's rows lose to every stream event, so a row that a lost event left stale stays so. But an item that was
//! read, consistently, after the repair began is newer than whatever was applied before it began. So a stored row whose
//! `_synced_at` is before the beginning (or null), and whose content differs, gets what was read. Its version stays, so
//! that every later event still wins; a row that was written since is left alone. The check and the write are one
//! statement, on the locked row: it compares and sets.
//!
//! Rows that were seen are touched (`_synced_at`). What is older than the beginning when all has been read is what the
//! source no longer has: it becomes a tombstone. Where a ledger settles the versions, its `synced_at` is the clock of a
//! key or a parent.
//!
//! The pages of a repair are batches like any other, with a few more statements; those are in `heal`. It ends with
//! `bury`. The beginning is by the database's clock, the one that `_synced_at` shows, and part of the checkpoints, so
//! that a resumed repair keeps it.

mod bury;
mod heal;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tributary_core::batch::{Batch, Fence, Outcome, Rejected};
use tributary_core::sink::Budget;
use tributary_core::{Error, Kind, Result};

use crate::bisect::lost_lease;
use crate::connect::classify;
use crate::session::Session;
use crate::sink::{Credentials, Postgres, Writers};

pub use bury::{Burial, Unseen};
pub(crate) use heal::Healing;

/// Where the beginning is kept, beside the checkpoints of what has been read.
const BEGAN: &str = "repair/began";
/// What all checkpoints of a repair begin with.
const PREFIX: &str = "repair/";
/// Followed by a table's name: an item was read that could not become a row of it.
const UNREAD: &str = "repair/unread/";

/// Without a deadline, a burial takes as long as it must: it reads whole tables.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Keeps a beginning that is there already. The form of the text doesn't depend on any setting.
const BEGIN: &str = "insert into tributary.checkpoint as c (pipeline, partition, position, lease_held) \
     values ($1, $2, to_char(now() at time zone 'utc', 'yyyy-mm-dd hh24:mi:ss.us+00'), \
       coalesce((select l.fence = $4 from tributary.lease l where l.name = $3 for share), false)) \
     on conflict (pipeline, partition) do update set committed_at = now(), lease_held = excluded.lease_held \
     returning position";

const STORE_UNREAD: &str = "insert into tributary.checkpoint (pipeline, partition, position, lease_held) \
     select $1, $2 || t, '', true from unnest($3::text[]) t on conflict do nothing";

impl<C: Credentials> Postgres<C> {
    /// When the pipeline's repair began, by the database's clock: now, or as it was when an interrupted one began.
    /// To be called before the first item is read.
    ///
    /// # Errors
    /// `Conflict` when the lease was lost, else as [`tributary_core::sink::Sink::apply`].
    pub async fn begin_repair(&mut self, pipeline: &str, fence: &Fence) -> Result<String> {
        let values: [(&(dyn ToSql + Sync), Type); 4] =
            [(&pipeline, Type::TEXT), (&BEGAN, Type::TEXT), (&fence.lease, Type::TEXT), (&fence.number, Type::INT8)];
        let rows =
            self.session().await?.client().query_typed(BEGIN, &values).await.map_err(failed("begin a repair"))?;
        let began = rows.first().map(|row| row.get(0));
        began.ok_or_else(|| Error::new(Kind::Bug, "the beginning of a repair was not stored"))
    }

    /// Applies items that were read, consistently, after the repair began: inserts what is missing, heals what is stale
    /// and touches the rest, in one transaction with dead letters and the checkpoint.
    ///
    /// `applied` counts what was inserted or healed (of children: rows), `stale` what was right already or is newer.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`]; then nothing is stored.
    pub async fn repair(&mut self, batch: &Batch<'_>, began: &str, budget: &impl Budget) -> Result<Outcome> {
        self.apply_within(batch, Some(began), budget).await
    }

    /// Ends a repair that has read all: what it didn't see becomes a tombstone, and its checkpoints are forgotten, in one
    /// transaction. Rows that were written since it began stay.
    ///
    /// # Errors
    /// `Conflict` when the lease was lost, or when more than half of a table (and more than 100 rows) would be buried;
    /// else as [`tributary_core::sink::Sink::apply`]. Nothing is changed then.
    pub async fn bury_unseen(&mut self, unseen: &Unseen<'_>, budget: &impl Budget) -> Result<Burial> {
        let bury =
            async |session: &mut Session, writers: &Writers, _suspect: bool| bury::bury(session, writers, unseen).await;
        Box::pin(self.persist(unseen.pipeline, budget, PATIENCE, bury)).await
    }
}

fn failed(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> Error {
    move |error| lost_lease(&error).unwrap_or_else(|| classify(error, doing))
}

/// The tables in which a batch of a repair left items out, because they are dead letters now. Whose rows they are isn't
/// known, so nothing unseen can be buried there.
#[derive(Debug, Default)]
pub(crate) struct Unread<'a> {
    pipeline: &'a str,
    tables: Vec<String>,
}

impl<'a> Unread<'a> {
    pub(crate) fn new(batch: &'a Batch<'_>, rejected: &[Rejected]) -> Self {
        let mut tables = BTreeSet::new();
        for rejection in rejected {
            match &rejection.table {
                Some(table) => drop(tables.insert(table.clone())),
                None => tables.extend(batch.tables.iter().map(|table| table.qualified_name())),
            }
        }
        Unread { pipeline: batch.pipeline, tables: tables.into_iter().collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub(crate) async fn store(&self, session: &Session) -> Result<u64, tokio_postgres::Error> {
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&self.pipeline, Type::TEXT), (&UNREAD, Type::TEXT), (&self.tables, Type::TEXT_ARRAY)];
        session.execute(STORE_UNREAD, &values).await
    }
}
