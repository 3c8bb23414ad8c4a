//! Tombstones, receipts and statistics whose time is up.

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use tributary_core::Result;
use tributary_core::table::{DeleteMode, Table};

use crate::operate::asking;
use crate::sql::{quote, relation};

/// How many rows one call removes from a table: short transactions, few locks.
const AT_ONCE: i64 = 5_000;

/// How long the ledger of hard deletes remembers, where the mapping gives no time: DynamoDB keeps a stream for a day,
/// and a week leaves room for a dead letter to be found.
const LEDGER_DAYS: f64 = 7.0;

/// Statistics are kept for a week.
const TALLY: &str = "delete from tributary.tally where pipeline = $1 and at < now() - interval '7 days'";

/// The longest time for which a sender that we know of sends again is about three days (Stripe, Standard Webhooks). Later
/// the version of the row settles it.
const RECEIPTS: &str = "delete from tributary.receipt where (pipeline, sender_id) in (select pipeline, sender_id \
     from tributary.receipt where pipeline = $1 and received_at < now() - interval '7 days' \
     limit $2 for update skip locked)";

/// How many receipts one call forgets: senders that burst leave many, and each is small.
const RECEIPTS_AT_ONCE: i64 = 50_000;

/// Removes what is due. No tombstones, while the pipeline has open dead letters.
pub(crate) async fn purge(client: &Client, pipeline: &str, tables: &[Table]) -> Result<u64> {
    let failed = asking("purge tombstones");
    let name: [(&(dyn ToSql + Sync), Type); 1] = [(&pipeline, Type::TEXT)];
    let mut gone = client.execute_typed(TALLY, &name).await.map_err(&failed)?;
    let receipts: [(&(dyn ToSql + Sync), Type); 2] = [(&pipeline, Type::TEXT), (&RECEIPTS_AT_ONCE, Type::INT8)];
    gone += client.execute_typed(RECEIPTS, &receipts).await.map_err(&failed)?;
    for (sql, seconds) in tables.iter().flat_map(|table| ledger(table).into_iter().chain(tombstones(table))) {
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&pipeline, Type::TEXT), (&seconds, Type::FLOAT8), (&AT_ONCE, Type::INT8)];
        gone += client.execute_typed(&sql, &parameters).await.map_err(&failed)?;
    }
    Ok(gone)
}

const NO_LETTERS: &str = "not exists (select from tributary.dead_letter d where d.pipeline = $1)";

/// Forgets keys of the ledger whose row, or whose whole set of children, is gone; and for how many seconds they must
/// have been.
fn ledger(table: &Table) -> Option<(String, f64)> {
    let seconds = table.delete.purge_after.map_or(LEDGER_DAYS * 86_400.0, |after| after.as_secs_f64());
    let relation = crate::sql::literal(&table.qualified_name());
    let sql = format!(
        "delete from tributary.ledger where (relation, key) in (select relation, key from tributary.ledger \
         where relation = {relation} and deleted and synced_at < now() - make_interval(secs => $2) \
         and {NO_LETTERS} limit $3 for update skip locked)"
    );
    table.uses_ledger().then_some((sql, seconds))
}

/// Removes tombstones of the table itself, where the mapping says after how long.
fn tombstones(table: &Table) -> Option<(String, f64)> {
    let after = table.delete.purge_after.filter(|_| matches!(table.delete.mode, DeleteMode::Soft { .. }))?;
    let (t, deleted, synced) = (relation(table), quote(&table.meta.deleted), quote(&table.meta.synced_at));
    // Both conditions twice: a `ctid` names a row of one partition only.
    let due = format!("{deleted} and {synced} < now() - make_interval(secs => $2)");
    let sql = format!(
        "delete from {t} where {due} and ctid in (select ctid from {t} where {due} \
         and {NO_LETTERS} limit $3 for update skip locked)"
    );
    Some((sql, after.as_secs_f64()))
}
