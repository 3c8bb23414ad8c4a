//! How the pipelines are doing, from what the batches left behind.

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use tributary_core::Result;
use tributary_core::table::Table;

use crate::catalog;
use crate::operate::asking;
use crate::session::Session;
use crate::sql::{quote, relation};

/// How a pipeline is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The pipeline.
    pub pipeline: String,
    /// Where its partitions stand, the latest first.
    pub checkpoints: Vec<Stand>,
    /// What became of changes in the last hour.
    pub hour: Tally,
    /// What became of changes in the last day.
    pub day: Tally,
    /// Dead letters that wait for somebody.
    pub open_letters: i64,
    /// Dead letters that are tried again by themselves.
    pub waiting_letters: i64,
    /// Seconds since 1970 of the last batch: also of pipelines without a checkpoint, whose sources send by themselves.
    pub last: Option<f64>,
    /// The lease, if the pipeline has ever had one.
    pub lease: Option<Lease>,
}

/// Where a partition stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stand {
    /// The partition.
    pub partition: String,
    /// The position, in the source's own words.
    pub position: String,
    /// Seconds since 1970 at which the batch was committed.
    pub committed_at: f64,
    /// Seconds between the newest change at the source and its commit here.
    pub lag: Option<f64>,
}

/// What became of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Written.
    pub applied: i64,
    /// Not newer than what was stored.
    pub stale: i64,
    /// Dead-lettered.
    pub dead: i64,
}

/// Who runs a pipeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lease {
    /// The holder.
    pub holder: String,
    /// Its number.
    pub fence: i64,
    /// Seconds until it expires; negative when it has.
    pub left: f64,
}

const LETTERS_AND_TALLIES: &str = "select n.name, \
    (select count(*) from tributary.dead_letter d where d.pipeline = n.name and d.retry_at is null), \
    (select count(*) from tributary.dead_letter d where d.pipeline = n.name and d.retry_at is not null), \
    coalesce(t.applied_hour, 0)::int8, coalesce(t.stale_hour, 0)::int8, coalesce(t.dead_hour, 0)::int8, \
    coalesce(t.applied, 0)::int8, coalesce(t.stale, 0)::int8, coalesce(t.dead, 0)::int8, \
    l.holder, l.fence, extract(epoch from l.expires_at - now())::float8, \
    extract(epoch from (select max(at) from tributary.tally t where t.pipeline = n.name))::float8 \
  from unnest($1::text[]) with ordinality n(name, place) \
  left join lateral (select sum(applied) as applied, sum(stale) as stale, sum(dead) as dead, \
      sum(applied) filter (where at > now() - interval '1 hour') as applied_hour, \
      sum(stale) filter (where at > now() - interval '1 hour') as stale_hour, \
      sum(dead) filter (where at > now() - interval '1 hour') as dead_hour \
    from tributary.tally where pipeline = n.name and at > now() - interval '1 day') t on true \
  left join lateral (select holder, fence, expires_at from tributary.lease \
    where name = n.name or starts_with(name, n.name || '/') order by expires_at desc limit 1) l on true order by n.place";

const CHECKPOINTS: &str = "select pipeline, partition, position, extract(epoch from committed_at)::float8, \
    extract(epoch from committed_at - source_at)::float8 \
  from tributary.checkpoint where pipeline = any($1) order by committed_at desc";

/// Reads the status of these pipelines, in their order.
pub(crate) async fn read(client: &Client, pipelines: &[&str]) -> Result<Vec<Status>> {
    let names: [(&(dyn ToSql + Sync), Type); 1] = [(&pipelines, Type::TEXT_ARRAY)];
    let (figures, stands) =
        tokio::try_join!(client.query_typed(LETTERS_AND_TALLIES, &names), client.query_typed(CHECKPOINTS, &names))
            .map_err(asking("read the status"))?;
    let tally = |row: &tokio_postgres::Row, at: usize| Tally {
        applied: row.get(at),
        stale: row.get(at + 1),
        dead: row.get(at + 2),
    };
    let mut all: Vec<Status> = figures
        .iter()
        .map(|row| Status {
            pipeline: row.get(0),
            checkpoints: Vec::new(),
            open_letters: row.get(1),
            waiting_letters: row.get(2),
            hour: tally(row, 3),
            day: tally(row, 6),
            last: row.get(12),
            lease: row.get::<_, Option<String>>(9).map(|holder| Lease {
                holder,
                fence: row.get(10),
                left: row.get(11),
            }),
        })
        .collect();
    for row in stands {
        let stand = Stand { partition: row.get(1), position: row.get(2), committed_at: row.get(3), lag: row.get(4) };
        let pipeline: &str = row.get(0);
        if let Some(status) = all.iter_mut().find(|status| status.pipeline == pipeline) {
            status.last = Some(status.last.map_or(stand.committed_at, |last| last.max(stand.committed_at)));
            status.checkpoints.push(stand);
        }
    }
    Ok(all)
}

/// How many files are in which state. The column stands beside the mapped ones, once somebody has queued files.
pub(crate) async fn files(session: &Session, table: &Table) -> Result<Vec<(String, i64)>> {
    let found = catalog::read(session, std::slice::from_ref(table)).await?.pop().flatten();
    if !found.is_some_and(|found| found.columns.contains_key("state")) {
        return Ok(Vec::new());
    }
    let query = format!(
        "select state, count(*) from {} where not {} group by 1 order by 1",
        relation(table),
        quote(&table.meta.deleted)
    );
    let rows = session.client().query_typed(&query, &[]).await.map_err(asking("count files"))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
