//! What could not be applied: kept with its bytes, its key and the reason, in the transaction of its batch.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use tributary_core::Result;
use tributary_core::batch::{Batch, Rejected};

use crate::operate::asking;
use crate::session::Session;

/// How long a record whose trouble depends on the order of arrival waits before it is tried again.
const WAIT: Duration = Duration::from_secs(60);

/// Stores letters, once a position: a record that comes again counts as another attempt.
pub(crate) const STORE: &str = "insert into tributary.dead_letter as d \
       (pipeline, position, key, tables, error, payload, retry_at, received_at) \
     select $1, s.position, s.key, string_to_array(s.tables, ','), s.error, s.payload, \
       case when s.waits then now() + make_interval(secs => $8) end, \
       timestamptz 'epoch' + s.received * interval '1 microsecond' \
     from (select unnest($2::text[]) as position, unnest($3::text[]) as key, unnest($4::text[]) as tables, \
       unnest($5::text[]) as error, unnest($6::bytea[]) as payload, unnest($7::bool[]) as waits, \
       unnest($9::int8[]) as received) s \
     on conflict (pipeline, position) do update set tables = excluded.tables, error = excluded.error, \
       attempts = d.attempts + 1, last_at = now(), \
       retry_at = excluded.retry_at + make_interval(secs => least(3600, $8 * power(2, least(d.attempts, 10))))";

/// The types of [`STORE`]'s parameters.
pub(crate) const STORE_TYPES: [Type; 9] = [
    Type::TEXT,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::BYTEA_ARRAY,
    Type::BOOL_ARRAY,
    Type::FLOAT8,
    Type::INT8_ARRAY,
];

/// The dead letters of a batch, one an event, sorted by position so that concurrent batches lock in one order.
#[derive(Debug, Default)]
pub(crate) struct Letters<'a> {
    pipeline: &'a str,
    positions: Vec<&'a str>,
    keys: Vec<String>,
    tables: Vec<String>,
    errors: Vec<String>,
    payloads: Vec<&'a [u8]>,
    waits: Vec<bool>,
    received: Vec<Option<i64>>,
}

impl<'a> Letters<'a> {
    /// Letters for these rejections; `waits` are events that are worth another try by themselves.
    pub(crate) fn new(batch: &'a Batch<'_>, rejected: &[Rejected], waits: &[u32]) -> Self {
        let mut letters = Letters { pipeline: batch.pipeline, ..Letters::default() };
        let mut by_position: BTreeMap<&str, (u32, Vec<&Rejected>)> = BTreeMap::new();
        for rejection in rejected {
            let origin = &batch.origins[rejection.event as usize];
            by_position.entry(&origin.position).or_insert((rejection.event, Vec::new())).1.push(rejection);
        }
        for (position, (event, rejections)) in by_position {
            let origin = &batch.origins[event as usize];
            let mut tables: Vec<&str> = rejections.iter().filter_map(|r| r.table.as_deref()).collect();
            tables.dedup();
            let errors: Vec<String> = rejections
                .iter()
                .map(|r| r.table.as_ref().map_or_else(|| r.error.clone(), |table| format!("{table}: {}", r.error)))
                .collect();
            letters.positions.push(position);
            letters.keys.push(storable(&origin.key));
            letters.tables.push(tables.join(","));
            letters.errors.push(storable(&errors.join("; ")));
            letters.payloads.push(&origin.payload);
            letters.waits.push(rejections.iter().all(|r| waits.contains(&r.event)) && !waits.is_empty());
            letters.received.push(batch.received.get(event as usize).copied());
        }
        letters
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }

    pub(crate) async fn store(&self, session: &Session) -> Result<u64, tokio_postgres::Error> {
        if self.is_empty() {
            return Ok(0);
        }
        let wait = WAIT.as_secs_f64();
        let values: [&(dyn ToSql + Sync); 9] = [
            &self.pipeline,
            &self.positions,
            &self.keys,
            &self.tables,
            &self.errors,
            &self.payloads,
            &self.waits,
            &wait,
            &self.received,
        ];
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> = values.into_iter().zip(STORE_TYPES).collect();
        session.execute(STORE, &parameters).await
    }
}

/// Text that the table takes whatever it holds: a letter that cannot be stored would stop its whole batch.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Which dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// All of them.
    All,
    /// Those of a pipeline.
    Of(&'a str),
    /// Those of a pipeline whose time to be tried again has come.
    Due(&'a str),
    /// These.
    Ids(&'a [i64]),
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// Its number.
    pub id: i64,
    /// The pipeline.
    pub pipeline: String,
    /// Where the record stood in the source.
    pub position: String,
    /// The item's key as text, empty when unknown.
    pub key: String,
    /// The tables that refused it; none when the record as a whole is bad.
    pub tables: Vec<String>,
    /// Why.
    pub error: String,
    /// The record as it arrived.
    pub payload: Vec<u8>,
    /// How often it has been tried.
    pub attempts: i32,
    /// Seconds since 1970 of the first attempt.
    pub first_at: f64,
    /// Seconds since 1970 of the last attempt.
    pub last_at: f64,
    /// Seconds since 1970 at which it is tried again by itself.
    pub retry_at: Option<f64>,
    /// When it was received, in microseconds since 1970, where [`Batch::received`] said so.
    pub received: Option<i64>,
}

impl<'a> Which<'a> {
    /// The condition, on `$1` the pipeline and `$2` the numbers.
    fn condition(self) -> (&'static str, Option<&'a str>, &'a [i64]) {
        match self {
            Which::All => ("$1::text is null and $2::int8[] is not null", None, &[]),
            Which::Of(pipeline) => ("pipeline = $1 and $2::int8[] is not null", Some(pipeline), &[]),
            Which::Due(pipeline) => {
                ("pipeline = $1 and $2::int8[] is not null and retry_at <= now()", Some(pipeline), &[])
            }
            Which::Ids(ids) => ("$1::text is null and id = any($2)", None, ids),
        }
    }
}

/// Reads dead letters, the oldest first.
pub(crate) async fn read(client: &Client, which: Which<'_>, limit: u32) -> Result<Vec<Letter>> {
    let (condition, pipeline, ids) = which.condition();
    let query = format!(
        "select id, pipeline, position, key, tables, error, payload, attempts, extract(epoch from first_at)::float8, \
         extract(epoch from last_at)::float8, extract(epoch from retry_at)::float8, \
         (extract(epoch from received_at) * 1000000)::int8 \
         from tributary.dead_letter where {condition} order by id limit {limit}"
    );
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&pipeline, Type::TEXT), (&ids, Type::INT8_ARRAY)];
    let rows = client.query_typed(&query, &parameters).await.map_err(asking("read dead letters"))?;
    let letter = |row: &tokio_postgres::Row| Letter {
        id: row.get(0),
        pipeline: row.get(1),
        position: row.get(2),
        key: row.get(3),
        tables: row.get(4),
        error: row.get(5),
        payload: row.get(6),
        attempts: row.get(7),
        first_at: row.get(8),
        last_at: row.get(9),
        retry_at: row.get(10),
        received: row.get(11),
    };
    Ok(rows.iter().map(letter).collect())
}

/// Removes dead letters.
pub(crate) async fn remove(client: &Client, which: Which<'_>) -> Result<u64> {
    let (condition, pipeline, ids) = which.condition();
    let command = format!("delete from tributary.dead_letter where {condition}");
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&pipeline, Type::TEXT), (&ids, Type::INT8_ARRAY)];
    client.execute_typed(&command, &parameters).await.map_err(asking("remove dead letters"))
}
