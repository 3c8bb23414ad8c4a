//! Tombstones and statistics whose time is up.

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

/// Removes what is due. Nothing, while the pipeline has open dead letters.
pub(crate) async fn purge(client: &Client, pipeline: &str, tables: &[Table]) -> Result<u64> {
    let failed = asking("purge tombstones");
    let name: [(&(dyn ToSql + Sync), Type); 1] = [(&pipeline, Type::TEXT)];
    let mut gone = client.execute_typed(TALLY, &name).await.map_err(&failed)?;
    for table in tables {
        let Some((sql, seconds)) = statement(table) else { continue };
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&pipeline, Type::TEXT), (&seconds, Type::FLOAT8), (&AT_ONCE, Type::INT8)];
        gone += client.execute_typed(&sql, &parameters).await.map_err(&failed)?;
    }
    Ok(gone)
}

fn statement(table: &Table) -> Option<(String, f64)> {
    let no_letters = "not exists (select from tributary.dead_letter d where d.pipeline = $1)";
    if table.uses_ledger() {
        let seconds = table.delete.purge_after.map_or(LEDGER_DAYS * 86_400.0, |after| after.as_secs_f64());
        let relation = crate::sql::literal(&table.qualified_name());
        let sql = format!(
            "delete from tributary.ledger where (relation, key) in (select relation, key from tributary.ledger \
             where relation = {relation} and deleted and synced_at < now() - make_interval(secs => $2) \
             and {no_letters} limit $3 for update skip locked)"
        );
        return Some((sql, seconds));
    }
    if !matches!(table.delete.mode, DeleteMode::Soft { .. }) {
        return None;
    }
    let seconds = table.delete.purge_after?.as_secs_f64();
    let (t, deleted, synced) = (relation(table), quote(&table.meta.deleted), quote(&table.meta.synced_at));
    let sql = format!(
        "delete from {t} where ctid in (select ctid from {t} where {deleted} \
         and {synced} < now() - make_interval(secs => $2) and {no_letters} limit $3 for update skip locked)"
    );
    Some((sql, seconds))
}
