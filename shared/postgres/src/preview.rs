//! What a demonstration needs of a database: one of its own, and a look at its rows.
//!
//! Called by the command line. No function has a use for it.

use tributary_core::Result;
use tributary_core::table::Table;

use crate::connect::{Target, classify, connect};
use crate::operate::asking;
use crate::sink::{Credentials, Postgres};
use crate::sql::{quote, relation};

/// Makes a database on the server of this target, in place of an older one of that name.
///
/// # Errors
/// As [`connect`], and `Config` when the user may not create databases.
pub async fn create_database(target: &Target, name: &str) -> Result<()> {
    drop_database(target, name).await?;
    command(target, &format!("create database {}", quote(name))).await
}

/// Drops a database, connections to it included. No error when there is none.
///
/// # Errors
/// As [`connect`], and `Config` when it is somebody else's.
pub async fn drop_database(target: &Target, name: &str) -> Result<()> {
    command(target, &format!("drop database if exists {} with (force)", quote(name))).await
}

async fn command(target: &Target, sql: &str) -> Result<()> {
    let (client, _task) = connect(target).await?;
    client.batch_execute(sql).await.map_err(|e| classify(e, "make a database of its own"))
}

impl<C: Credentials> Postgres<C> {
    /// Rows of a table as text, in the order of its key, at most this many. `None` is NULL.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn preview(&mut self, table: &Table, columns: &[&str], limit: u32) -> Result<Vec<Vec<Option<String>>>> {
        let texts: Vec<String> = columns.iter().map(|column| format!("{}::text", quote(column))).collect();
        let key: Vec<String> = table.key.iter().map(|column| quote(&column.name)).collect();
        let query =
            format!("select {} from {} order by {} limit {limit}", texts.join(", "), relation(table), key.join(", "));
        let session = self.open().await?;
        let rows = session.client().query_typed(&query, &[]).await.map_err(asking("read rows"))?;
        Ok(rows.iter().map(|row| (0..columns.len()).map(|column| row.get(column)).collect()).collect())
    }
}
