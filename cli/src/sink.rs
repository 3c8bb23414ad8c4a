//! The databases that a command works on.

use tributary_core::Error;
use tributary_core::pipeline::{Mapping, Pipeline};
use tributary_postgres::Postgres;
use tributary_postgres::connect::{Policy, Target};

use crate::args::Args;

/// A database with the pipelines that write it.
pub(crate) struct Sink<'m> {
    pub(crate) name: String,
    pub(crate) pipelines: Vec<&'m Pipeline>,
    pub(crate) postgres: Postgres<Target>,
}

pub(crate) async fn all<'m>(args: &Args, mapping: &'m Mapping) -> Result<Vec<Sink<'m>>, Error> {
    let url = args.database_url.clone().unwrap_or_default();
    let target = Target::from_url(&url, &Policy::default())?;
    let tables = mapping.pipelines.iter().flat_map(|p| p.tables.iter().cloned()).collect();
    Ok(vec![Sink {
        name: "given".into(),
        pipelines: mapping.pipelines.iter().collect(),
        postgres: Postgres::new(target, tables, false),
    }])
}
