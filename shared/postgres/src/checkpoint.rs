//! How far a source has been read; and the lease of its one runner.

use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tributary_core::batch::{Checkpoint, Fence};
use tributary_core::{Error, Kind, Result};

use crate::connect::classify;
use crate::session::Session;

/// Stores the position. `for share` makes a take-over of the lease wait until this transaction has ended; a lease that
/// was taken over before makes the constraint `lease_held` fail, and with it the transaction.
pub(crate) const STORE: &str = "insert into tributary.checkpoint as c (pipeline, partition, position, source_at, lease_held) \
     values ($1, $2, $3, to_timestamp($4::float8), \
       $5::text is null or coalesce((select l.fence = $6 from tributary.lease l where l.name = $5 for share), false)) \
     on conflict (pipeline, partition) do update set position = excluded.position, \
       source_at = greatest(c.source_at, excluded.source_at), committed_at = now(), lease_held = excluded.lease_held";

/// The types of [`STORE`]'s parameters.
pub(crate) const STORE_TYPES: [Type; 6] = [Type::TEXT, Type::TEXT, Type::TEXT, Type::FLOAT8, Type::TEXT, Type::INT8];

/// The name of the constraint that fails when the lease was lost.
pub(crate) const LEASE_HELD: &str = "lease_held";

/// The parameters of [`STORE`], owned.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pipeline: &'a str,
    checkpoint: &'a Checkpoint,
    seconds: Option<f64>,
    lease: Option<&'a str>,
    fence: Option<i64>,
}

impl<'a> Row<'a> {
    pub(crate) fn new(pipeline: &'a str, checkpoint: &'a Checkpoint) -> Self {
        Row {
            pipeline,
            checkpoint,
            seconds: checkpoint.at.map(|micros| micros as f64 / 1e6),
            lease: checkpoint.fence.as_ref().map(|fence| fence.lease.as_str()),
            fence: checkpoint.fence.as_ref().map(|fence| fence.number),
        }
    }

    pub(crate) async fn store(&self, session: &Session) -> Result<u64, tokio_postgres::Error> {
        let [pipeline, partition, position, seconds, lease, fence] = STORE_TYPES;
        let parameters: [(&(dyn ToSql + Sync), Type); 6] = [
            (&self.pipeline, pipeline),
            (&self.checkpoint.partition, partition),
            (&self.checkpoint.position, position),
            (&self.seconds, seconds),
            (&self.lease, lease),
            (&self.fence, fence),
        ];
        session.execute(STORE, &parameters).await
    }
}

/// Reads where a partition of a pipeline stands.
pub(crate) async fn load(session: &Session, pipeline: &str, partition: &str) -> Result<Option<String>> {
    let query = "select position from tributary.checkpoint where pipeline = $1 and partition = $2";
    let rows = session.client().query_typed(query, &[(&pipeline, Type::TEXT), (&partition, Type::TEXT)]).await;
    let rows = rows.map_err(|e| classify(e, "read a checkpoint"))?;
    Ok(rows.first().map(|row| row.get(0)))
}

/// Forgets where those partitions of a pipeline stand whose name begins so.
pub(crate) async fn forget(session: &Session, pipeline: &str, prefix: &str) -> Result<()> {
    let command = "delete from tributary.checkpoint where pipeline = $1 and starts_with(partition, $2)";
    let done = session.client().execute_typed(command, &[(&pipeline, Type::TEXT), (&prefix, Type::TEXT)]).await;
    done.map(drop).map_err(|e| classify(e, "forget a checkpoint"))
}

/// Takes the lease, or prolongs it for the holder that has it.
///
/// # Errors
/// `Conflict` when somebody else holds it, saying until when.
pub(crate) async fn acquire(session: &Session, name: &str, holder: &str, term: Duration) -> Result<Fence> {
    let take = "insert into tributary.lease as l (name, holder, fence, expires_at) \
         values ($1, $2, 1, now() + make_interval(secs => $3)) \
         on conflict (name) do update set holder = excluded.holder, expires_at = excluded.expires_at, \
           fence = l.fence + (l.holder <> excluded.holder or l.expires_at <= now())::int \
         where l.holder = excluded.holder or l.expires_at <= now() returning fence";
    let seconds = term.as_secs_f64();
    let rows = session
        .client()
        .query_typed(take, &[(&name, Type::TEXT), (&holder, Type::TEXT), (&seconds, Type::FLOAT8)])
        .await
        .map_err(|e| classify(e, "take a lease"))?;
    if let Some(row) = rows.first() {
        return Ok(Fence { lease: name.to_owned(), number: row.get(0) });
    }
    Err(Error::new(Kind::Conflict, format!("`{name}` is being run by somebody else"))
        .with_hint("wait until it ends or its lease expires; `tributary status` shows both"))
}

/// Gives the lease back, unless it was taken over.
pub(crate) async fn release(session: &Session, fence: &Fence) -> Result<()> {
    let give = "update tributary.lease set expires_at = now() where name = $1 and fence = $2";
    let done = session.client().execute_typed(give, &[(&fence.lease, Type::TEXT), (&fence.number, Type::INT8)]).await;
    done.map(drop).map_err(|e| classify(e, "give a lease back"))
}
