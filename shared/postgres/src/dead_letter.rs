//! What could not be applied: kept with its bytes, its key and the reason, in the transaction of its batch.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tributary_core::batch::{Batch, Rejected};

use crate::session::Session;

/// How long a record whose trouble depends on the order of arrival waits before it is tried again.
const WAIT: Duration = Duration::from_secs(60);

/// Stores letters, once a position: a record that comes again counts as another attempt.
pub(crate) const STORE: &str = "insert into tributary.dead_letter as d \
       (pipeline, position, key, tables, error, payload, retry_at) \
     select $1, s.position, s.key, string_to_array(s.tables, ','), s.error, s.payload, \
       case when s.waits then now() + make_interval(secs => $8) end \
     from (select unnest($2::text[]) as position, unnest($3::text[]) as key, unnest($4::text[]) as tables, \
       unnest($5::text[]) as error, unnest($6::bytea[]) as payload, unnest($7::bool[]) as waits) s \
     on conflict (pipeline, position) do update set tables = excluded.tables, error = excluded.error, \
       attempts = d.attempts + 1, last_at = now(), \
       retry_at = excluded.retry_at + make_interval(secs => least(3600, $8 * power(2, least(d.attempts, 10))))";

/// The types of [`STORE`]'s parameters.
pub(crate) const STORE_TYPES: [Type; 8] = [
    Type::TEXT,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::BYTEA_ARRAY,
    Type::BOOL_ARRAY,
    Type::FLOAT8,
];

/// The dead letters of a batch, one an event, sorted by position so that concurrent batches lock in one order.
#[derive(Debug, Default)]
pub(crate) struct Letters<'a> {
    pipeline: &'a str,
    positions: Vec<&'a str>,
    keys: Vec<&'a str>,
    tables: Vec<String>,
    errors: Vec<String>,
    payloads: Vec<&'a [u8]>,
    waits: Vec<bool>,
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
            letters.keys.push(&origin.key);
            letters.tables.push(tables.join(","));
            letters.errors.push(errors.join("; "));
            letters.payloads.push(&origin.payload);
            letters.waits.push(rejections.iter().all(|r| waits.contains(&r.event)) && !waits.is_empty());
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
        let values: [&(dyn ToSql + Sync); 8] = [
            &self.pipeline,
            &self.positions,
            &self.keys,
            &self.tables,
            &self.errors,
            &self.payloads,
            &self.waits,
            &wait,
        ];
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> = values.into_iter().zip(STORE_TYPES).collect();
        session.execute(STORE, &parameters).await
    }
}
