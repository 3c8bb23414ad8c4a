//! Tables that became known at run time, because their columns follow what the source says about itself.

use std::collections::BTreeMap;

use tributary_core::auto::Existing;
use tributary_core::column_type::ColumnType;
use tributary_core::table::Table;
use tributary_core::{Error, Kind, Result};

use crate::catalog;
use crate::chunk::Writer;
use crate::connect::classify;
use crate::migrate;
use crate::session::Session;
use crate::sink::{Credentials, Postgres};

impl<C: Credentials> Postgres<C> {
    /// Makes these tables, as they are now defined, tables of the sink; each replaces the one of its name. Costs nothing
    /// where the definitions are those that the sink has. Else they are checked against the database, and what they lack is
    /// added under the migration's lock (with `migrate`, also whenever it connects anew) or is an error.
    ///
    /// # Errors
    /// `Config` with all that is wrong and what to do about it: then the sink's tables are as before. Else as
    /// [`tributary_core::sink::Sink::apply`].
    pub async fn adopt(&mut self, tables: &[Table], migrate: bool) -> Result<()> {
        let is_known = |table: &&Table| self.tables.contains(table);
        let new: Vec<Table> = tables.iter().filter(|table| !is_known(table)).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        self.session().await?;
        let Some(session) = &mut self.session else { return Ok(()) };
        let writers = match Box::pin(catalog::check(session, &new, migrate)).await {
            // The connection is in the middle of nothing: the migration has rolled back.
            Err(error) if migrate => return Err(Box::pin(not_added(session, &new, error)).await),
            other => other?,
        };
        let common: Vec<_> = writers.values().flat_map(Writer::common).map(|s| (s.sql.clone(), s.types())).collect();
        session.prepare(common).await.map_err(|e| classify(e, "prepare statements"))?;
        self.writers.extend(writers);
        self.know(new, migrate);
        Ok(())
    }

    /// As [`Postgres::adopt`], where nothing is written yet: the tables are checked with the next connection.
    pub fn know(&mut self, tables: Vec<Table>, migrate: bool) {
        let is_new = |name: &String| tables.iter().any(|new| new.qualified_name() == *name);
        self.follows.retain(|name| !is_new(name));
        if migrate {
            self.follows.extend(tables.iter().map(Table::qualified_name));
        }
        self.tables.retain(|table| !is_new(&table.qualified_name()));
        self.tables.extend(tables);
    }

    /// The columns of those of these tables that are there, by qualified name.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn existing(&mut self, tables: &[Table]) -> Result<BTreeMap<String, Existing>> {
        let found = catalog::read(self.session().await?, tables).await?;
        let there = tables.iter().zip(found).filter_map(|(table, found)| Some((table.qualified_name(), found?)));
        let columns = |found: catalog::Found| {
            found.columns.into_iter().map(|(name, column)| (name, ColumnType::parse(&column.ty).ok())).collect()
        };
        Ok(there.map(|(name, found)| (name, columns(found))).collect())
    }

    /// As [`Postgres::checkpoint`], whether or not the tables are as the mapping wants them; `None` also where the database
    /// has no tables of Tributary.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn stored(&mut self, pipeline: &str, partition: &str) -> Result<Option<String>> {
        let session = self.open().await?;
        if !migrate::own_tables_exist(&session).await? {
            return Ok(None);
        }
        crate::checkpoint::load(&session, pipeline, partition).await
    }
}

/// Where nothing but a right is missing: what somebody who has it must run.
async fn not_added(session: &Session, tables: &[Table], cause: Error) -> Error {
    let plan = match migrate::dry_run(session, tables).await {
        Ok(plan) if cause.kind() == Kind::Config && plan.refusals.is_empty() && !plan.steps.is_empty() => plan,
        _ => return cause,
    };
    let ddl: Vec<&str> = plan.steps.iter().map(|step| step.sql.as_str()).collect();
    Error::config("the database user may not add the columns that the source has")
        .with_hint(format!("run as the owner of the tables: {}; or let a role of this user own them", ddl.join("; ")))
        .with_source(cause)
}
