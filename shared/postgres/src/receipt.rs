//! What was delivered under an id of the sender's: a redelivery is left out of its batch, and nothing of it is written.
//!
//! It is decided within the transaction, before any row: of two that take the same id at once, the second waits on the
//! first's entry. When the first commits the second finds a duplicate, when it rolls back the second is the first. That
//! costs a round trip, and only batches with receipts pay it.

use std::borrow::Cow;
use std::collections::HashSet;

use futures_util::future::join;
use tokio_postgres::types::{ToSql, Type};
use tributary_core::Result;
use tributary_core::batch::{Batch, Receipt};

use crate::connect::classify;
use crate::session::Session;

/// The transaction's start. `deferrable` is the mark that [`TAKE`] looks for: at this level it means nothing to Postgres, and
/// costs no statement, which behind a proxy could pin the connection.
const BEGIN: &str = "begin isolation level read committed read write deferrable";

/// Takes ids, and says which of them nobody had taken. Sorted, so that concurrent batches wait for each other in one order.
///
/// It is sent before the answer to [`BEGIN`] is there. Had that failed (somebody cancels what is running, a pooler takes no
/// transactions), the ids would be committed at once and alone, and every later delivery of these rows would be a
/// duplicate. So it takes none where the mark isn't.
pub(crate) const TAKE: &str = "insert into tributary.receipt (pipeline, sender_id) \
     select $1, id from unnest($2::text[]) id where current_setting('transaction_deferrable') = 'on' \
     on conflict (pipeline, sender_id) do nothing returning sender_id";

/// The types of [`TAKE`]'s parameters.
pub(crate) const TAKE_TYPES: [Type; 2] = [Type::TEXT, Type::TEXT_ARRAY];

/// A batch without what was delivered before, within a transaction that has been begun.
pub(crate) struct Fresh<'b, 'p> {
    /// What is left to apply.
    pub(crate) batch: Cow<'b, Batch<'p>>,
    /// How many receipts were there already.
    pub(crate) duplicates: u64,
}

/// Begins the transaction of a batch that has receipts and takes them.
///
/// # Errors
/// Nothing is stored then, and the connection is in the middle of a transaction.
pub(crate) async fn begin<'b, 'p>(session: &Session, batch: &'b Batch<'p>) -> Result<Fresh<'b, 'p>> {
    let mut ids: Vec<&str> = batch.receipts.iter().map(|receipt| &*receipt.sender).collect();
    ids.sort_unstable();
    ids.dedup();
    let [pipeline, senders] = TAKE_TYPES;
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&batch.pipeline, pipeline), (&ids, senders)];
    // The order of the first polls is the order on the wire, so both are one flush.
    let (begun, taken) = join(session.command(BEGIN), session.query(TAKE, &parameters)).await;
    begun.map_err(|e| classify(e, "begin"))?;
    let taken = taken.map_err(|e| classify(e, "take receipts"))?;
    let mut taken: HashSet<&str> = taken.iter().map(|row| row.get(0)).collect();
    // A delivery that comes twice in one batch is new once.
    let known: Vec<&Receipt> = batch.receipts.iter().filter(|receipt| !taken.remove(&*receipt.sender)).collect();
    let duplicates = known.len() as u64;
    if known.is_empty() {
        return Ok(Fresh { batch: Cow::Borrowed(batch), duplicates });
    }
    let is_known = |event: u32| known.iter().any(|receipt| receipt.events.contains(&event));
    let mut fresh = batch.clone();
    fresh.changes.retain(|change| !is_known(change.event));
    fresh.rejected.retain(|rejected| !is_known(rejected.event));
    Ok(Fresh { batch: Cow::Owned(fresh), duplicates })
}
