//! A pipeline begun anew: its tables dropped and made again, and everything forgotten that says how far it is.
//!
//! All in one transaction. Dead letters stay: what they hold may be nowhere else. The leases of the pipeline are taken within
//! the transaction, so whoever wants to run it waits for the commit, and nobody stores a position that was read before.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tributary_core::Result;
use tributary_core::table::Table;
use tributary_core::view::Unified;

use crate::operate::asking;
use crate::session::Session;
use crate::sink::{Credentials, Postgres};
use crate::sql::relation;
use crate::{catalog, checkpoint, migrate, view};

/// As whom the leases are taken.
const HOLDER: &str = "tributary migrate --recreate";
/// Longer than the transaction; given back at its end.
const TERM: Duration = Duration::from_secs(600);
/// Rows are counted up to here.
pub const COUNTED: i64 = 1_000_000;

/// What a pipeline has in the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Its tables that are there.
    pub tables: Vec<Held>,
    /// Its views that are there, as statements name them.
    pub views: Vec<String>,
    /// What depends on them and would be broken: views, foreign keys.
    pub dependents: Vec<String>,
    /// What people have made on them and would be lost: indexes, triggers, rights.
    pub extras: Vec<String>,
    /// Dead letters, which stay.
    pub letters: i64,
}

/// A table of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The table.
    pub table: String,
    /// Its rows; [`COUNTED`] and one more where there are more than that.
    pub rows: i64,
    /// Columns that the mapping doesn't have.
    pub other_columns: Vec<String>,
    /// Whether it is no table, but a view or the like.
    pub is_no_table: bool,
}

/// What a pipeline is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Made<'t> {
    /// The tables that the mapping says: they are made anew.
    pub tables: &'t [Table],
    /// All tables that it has, those among them: they are dropped.
    pub known: &'t [Table],
    /// The views that the mapping says.
    pub views: &'t [Unified],
}

const DEPENDENTS: &str = "\
with t as (select to_regclass(n)::oid as oid from unnest($1::text[]) n) \
select distinct case c.relkind when 'm' then 'materialized view ' else 'view ' end || c.oid::regclass::text from pg_depend d \
  join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass join pg_class c on c.oid = r.ev_class \
  where d.refclassid = 'pg_class'::regclass and d.refobjid in (select oid from t) and c.oid not in (select oid from t) \
union select 'foreign key ' || conname || ' of ' || conrelid::regclass::text from pg_constraint \
  where contype = 'f' and confrelid in (select oid from t) and conrelid not in (select oid from t) order by 1";

const EXTRAS: &str = "\
with t as (select to_regclass(n)::oid as oid from unnest($1::text[]) n) \
select 'index ' || i.indexrelid::regclass::text from pg_index i where i.indrelid in (select oid from t) and not i.indisprimary \
  and not exists (select from pg_constraint k where k.conindid = i.indexrelid) \
union select 'constraint ' || conname || ' of ' || conrelid::regclass::text from pg_constraint \
  where conrelid in (select oid from t) and contype in ('u', 'f', 'x') \
union select 'trigger ' || tgname || ' of ' || tgrelid::regclass::text from pg_trigger \
  where tgrelid in (select oid from t) and not tgisinternal \
union select 'rights of ' || case a.grantee when 0 then 'public' else a.grantee::regrole::text end || ' on ' || c.oid::regclass::text \
  from pg_class c, aclexplode(c.relacl) a where c.oid in (select oid from t) and a.grantee <> c.relowner order by 1";

const FORGET: [&str; 4] = [
    "delete from tributary.ledger where relation = any($2) and $1 <> ''",
    "delete from tributary.checkpoint where pipeline = $1 and $2 is not null",
    "delete from tributary.receipt where pipeline = $1 and $2 is not null",
    "delete from tributary.tally where pipeline = $1 and $2 is not null",
];

impl<C: Credentials> Postgres<C> {
    /// What a pipeline has in the database. `tables` are its tables with all columns that are known, `views` its views.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn holdings(&mut self, pipeline: &str, tables: &[Table], views: &[Unified]) -> Result<Holdings> {
        let session = self.open().await?;
        let failed = asking("look at the pipeline's tables");
        let found = catalog::read(&session, tables).await?;
        let mut holdings = Holdings::default();
        for (table, found) in tables.iter().zip(&found) {
            let Some(found) = found else { continue };
            let ours: BTreeSet<&str> = table
                .key
                .iter()
                .chain(&table.columns)
                .map(|column| column.name.as_str())
                .chain(migrate::own_columns(table).into_iter().map(|(name, _)| name))
                .collect();
            let others = found.columns.keys().filter(|name| !ours.contains(name.as_str()));
            let count = format!("select count(*) from (select 1 from {} limit {}) rows", relation(table), COUNTED + 1);
            let rows = session.client().query_typed(&count, &[]).await.map_err(&failed)?;
            holdings.tables.push(Held {
                table: table.qualified_name(),
                rows: rows.first().map_or(0, |row| row.get(0)),
                other_columns: others.cloned().collect(),
                is_no_table: !matches!(found.kind.as_str(), "r" | "p"),
            });
        }
        // What stands upon a view would be broken as well.
        let views = view::ours(&session, views).await?;
        let names: Vec<String> = tables.iter().map(relation).chain(views.iter().cloned()).collect();
        holdings.views = views;
        let names: [(&(dyn ToSql + Sync), Type); 1] = [(&names, Type::TEXT_ARRAY)];
        for (query, list) in [(DEPENDENTS, &mut holdings.dependents), (EXTRAS, &mut holdings.extras)] {
            let rows = session.client().query_typed(query, &names).await.map_err(&failed)?;
            list.extend(rows.iter().map(|row| row.get::<_, String>(0)));
        }
        if migrate::own_tables_exist(&session).await? {
            let query = "select count(*) from tributary.dead_letter where pipeline = $1";
            let rows = session.client().query_typed(query, &[(&pipeline, Type::TEXT)]).await.map_err(&failed)?;
            holdings.letters = rows.first().map_or(0, |row| row.get(0));
        }
        Ok(holdings)
    }

    /// Drops the tables of a pipeline with its views, forgets how far it is, and makes anew what the mapping says. `known` are
    /// all its tables, also those that lists were given, and `leases` the names under which somebody may run it.
    ///
    /// # Errors
    /// `Conflict` when one of the leases is held; `Config` when something depends on a table. Then nothing is changed.
    pub async fn recreate(&mut self, pipeline: &str, leases: &[String], made: Made<'_>) -> Result<()> {
        let session = self.open().await?;
        let failed = asking("recreate the pipeline");
        let client = session.client();
        // The tables of Tributary may not be there yet.
        migrate::run(&session, &[]).await?;
        client.batch_execute("begin").await.map_err(&failed)?;
        let done = Box::pin(within(&session, pipeline, leases, made)).await;
        let end = if done.is_ok() { "commit" } else { "rollback" };
        client.batch_execute(end).await.map_err(&failed)?;
        // What is prepared speaks of tables that are gone.
        self.session = None;
        done
    }
}

async fn within(session: &Session, pipeline: &str, leases: &[String], made: Made<'_>) -> Result<()> {
    let failed = asking("recreate the pipeline");
    let client = session.client();
    let mut fences = Vec::new();
    for lease in leases {
        fences.push(checkpoint::acquire(session, lease, HOLDER, TERM).await?);
    }
    migrate::lock(session).await?;
    let views = view::ours(session, made.views).await?;
    if !views.is_empty() {
        client.batch_execute(&format!("drop view if exists {}", views.join(", "))).await.map_err(&failed)?;
    }
    if !made.known.is_empty() {
        let names: Vec<String> = made.known.iter().map(relation).collect();
        // Without `cascade`: what depends on them makes it fail.
        let drop = format!("drop table if exists {}", names.join(", "));
        client.batch_execute(&drop).await.map_err(&failed)?;
    }
    let names: Vec<String> = made.known.iter().map(Table::qualified_name).collect();
    for command in FORGET {
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&pipeline, Type::TEXT), (&names, Type::TEXT_ARRAY)];
        client.execute_typed(command, &parameters).await.map_err(&failed)?;
    }
    migrate::add(session, made.tables).await?;
    migrate::add_views(session, made.views).await?;
    for fence in &fences {
        checkpoint::release(session, fence).await?;
    }
    Ok(())
}
