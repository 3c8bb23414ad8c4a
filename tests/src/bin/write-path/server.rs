//! The Postgres under test: one of our own with the settings of a server in production, or a given one.

use tokio_postgres::{Client, NoTls};
use tributary_core::pipeline::Tls;
use tributary_core::table::Table;
use tributary_local::Options;
use tributary_postgres::Postgres;
use tributary_postgres::connect::{Policy, Target};

use crate::{Failure, rows};

/// Autovacuum would take a processor at moments of its own choosing.
const UNATTENDED: &str = "set (autovacuum_enabled = off)";

/// A running Postgres, with a connection that watches it.
pub(crate) struct Server {
    pub(crate) observer: Client,
    url: String,
    _local: tributary_local::Postgres,
}

impl Server {
    /// Starts a durable server, or takes the one at this URL, and makes an empty schema there.
    pub(crate) async fn start(url: Option<String>) -> Result<Self, Failure> {
        let settings = [
            ("shared_buffers", "1GB"),
            ("max_wal_size", "8GB"),
            ("checkpoint_timeout", "30min"),
            ("min_wal_size", "2GB"),
        ];
        let options = Options {
            url,
            durable: true,
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..Options::default()
        };
        let local = tokio::task::spawn_blocking(move || tributary_local::Postgres::find_or_start(&options)).await??;
        let url = local.url().to_owned();
        let server = Server { observer: connect(&url).await?, url, _local: local };
        let empty = format!("drop schema if exists {s} cascade; create schema {s}", s = rows::SCHEMA);
        server.observer.batch_execute(&empty).await?;
        server.recycle_log().await?;
        Ok(server)
    }

    /// Fills files of the log and gives them back for reuse: a server that has run for a while doesn't make new ones, and
    /// whoever needs a new one waits until its 16 MB are written.
    pub(crate) async fn recycle_log(&self) -> Result<(), Failure> {
        for _ in 0..100 {
            self.observer
                .batch_execute("select pg_logical_emit_message(false, '', ''); select pg_switch_wal()")
                .await?;
        }
        Ok(self.observer.batch_execute("checkpoint").await?)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Another connection.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        connect(&self.url).await
    }

    /// A warm sink for these tables, which it makes, with the process number of its backend.
    pub(crate) async fn sink(&self, tables: Vec<Table>, who: &str) -> Result<(Postgres<Target>, i32), Failure> {
        let relations: Vec<String> = tables.iter().map(Table::qualified_name).collect();
        let sink = sink(&self.url, tables, who).await?;
        for relation in relations {
            self.observer.batch_execute(&format!("alter table {relation} {UNATTENDED}")).await?;
        }
        let query = "select pid from pg_stat_activity where application_name = $1 order by backend_start desc limit 1";
        let backend = self.observer.query_one(query, &[&format!("tributary/{who}")]).await?.get(0);
        Ok((sink, backend))
    }

    /// Makes a table of the definition that Tributary gives its own.
    pub(crate) async fn like_tributary(&self, table: &str) -> Result<(), Failure> {
        self.sink(vec![rows::table("model")], "model").await?;
        let make = format!(
            "drop table if exists {table}; create table {table} (like {}.model including all) with (fillfactor = 90); \
             alter table {table} {UNATTENDED}",
            rows::SCHEMA
        );
        Ok(self.observer.batch_execute(&make).await?)
    }

    pub(crate) async fn version(&self) -> Result<String, Failure> {
        Ok(self.observer.query_one("select 'Postgres ' || current_setting('server_version')", &[]).await?.get(0))
    }

    /// Drops what the benchmark has made. The schema `tributary` stays: a given database may have had it before.
    pub(crate) async fn clean(&self) -> Result<(), Failure> {
        Ok(self.observer.batch_execute(&format!("drop schema if exists {} cascade", rows::SCHEMA)).await?)
    }

    /// A figure that one query returns.
    pub(crate) async fn figure(&self, query: &str) -> Result<i64, Failure> {
        Ok(self.observer.query_one(query, &[]).await?.get(0))
    }
}

/// A warm sink, without TLS: the limit and the strategies by hand have none either.
pub(crate) async fn sink(url: &str, tables: Vec<Table>, who: &str) -> Result<Postgres<Target>, Failure> {
    let policy = Policy { tls: Tls::Off, ..Policy::default() };
    let target = Target::from_url(url, &policy)?.with_application(who);
    let mut sink = Postgres::new(target, tables, true);
    sink.warm_up().await?;
    Ok(sink)
}

async fn connect(url: &str) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
