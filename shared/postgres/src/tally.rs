//! Statistics: what became of the changes of each batch. `tributary status` sums them up.
//!
//! The figures of a batch are known only after its commit, so they are stored with the next one.

use tokio_postgres::types::{ToSql, Type};

use crate::session::Session;

/// What became of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Tallied {
    pub(crate) pipeline: String,
    pub(crate) applied: u64,
    pub(crate) stale: u64,
    pub(crate) dead: u64,
}

/// Stores the figures of some batches.
pub(crate) const STORE: &str = "insert into tributary.tally (pipeline, applied, stale, dead) \
     select unnest($1::text[]), unnest($2::int8[]), unnest($3::int8[]), unnest($4::int8[])";

/// The types of [`STORE`]'s parameters.
pub(crate) const STORE_TYPES: [Type; 4] = [Type::TEXT_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY];

/// The parameters of [`STORE`], owned.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    pipelines: Vec<&'a str>,
    figures: [Vec<i64>; 3],
}

impl<'a> Rows<'a> {
    pub(crate) fn new(tallies: &'a [Tallied]) -> Self {
        let column = |figure: fn(&Tallied) -> u64| {
            tallies.iter().map(|tally| i64::try_from(figure(tally)).unwrap_or(i64::MAX)).collect()
        };
        Rows {
            pipelines: tallies.iter().map(|tally| tally.pipeline.as_str()).collect(),
            figures: [column(|tally| tally.applied), column(|tally| tally.stale), column(|tally| tally.dead)],
        }
    }

    pub(crate) fn parameters(&self) -> [(&(dyn ToSql + Sync), Type); 4] {
        let [pipeline, applied, stale, dead] = STORE_TYPES;
        let figures = &self.figures;
        [(&self.pipelines, pipeline), (&figures[0], applied), (&figures[1], stale), (&figures[2], dead)]
    }

    pub(crate) async fn store(&self, session: &Session) -> Result<u64, tokio_postgres::Error> {
        session.execute(STORE, &self.parameters()).await
    }
}
