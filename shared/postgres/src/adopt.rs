//! Tables that became known at run time, because their columns follow what the source says about itself.

use tributary_core::Result;
use tributary_core::table::Table;

use crate::catalog;
use crate::chunk::Writer;
use crate::connect::classify;
use crate::sink::{Credentials, Postgres};

impl<C: Credentials> Postgres<C> {
    /// Makes these tables, as they are now defined, tables of the sink; each replaces the one of its name. Costs nothing
    /// where the definitions are those that the sink has. Else they are checked against the database, and what they lack is
    /// added under the migration's lock (with `migrate`) or is an error.
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
        let writers = Box::pin(catalog::check(session, &new, migrate)).await?;
        let common: Vec<_> = writers.values().flat_map(Writer::common).map(|s| (s.sql.clone(), s.types())).collect();
        session.prepare(common).await.map_err(|e| classify(e, "prepare statements"))?;
        self.writers.extend(writers);
        self.tables.retain(|table| new.iter().all(|new| new.qualified_name() != table.qualified_name()));
        self.tables.extend(new);
        Ok(())
    }
}
