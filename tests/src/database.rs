//! An empty database for one test.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use tokio_postgres::{Client, NoTls};
use tributary_local::{Options, Postgres};

/// A database of its own, dropped at the end of the test.
///
/// The server is the one of `TEST_DATABASE_URL`, else one that all test processes of a run share (crate
/// `tributary-local`). It is busy with other tests: whoever measures the write-ahead log or times something wants
/// [`Database::alone`].
#[derive(Debug)]
pub struct Database {
    server: Arc<Postgres>,
    name: String,
    url: String,
}

impl Database {
    /// A database on the shared server. `test` becomes part of its name.
    pub async fn new(test: &str) -> Self {
        static SERVER: OnceLock<Arc<Postgres>> = OnceLock::new();
        let server = blocking(|| {
            let start = || Arc::new(started(&Options::for_tests().expect("TRIBUTARY_POSTGRES")));
            SERVER.get_or_init(start).clone()
        });
        Database::on(server.await, test).await
    }

    /// A database on a server that nobody else uses, with further settings (`name`, `value`). With `durable`, commits
    /// reach the disk, as a benchmark wants it. With `TEST_DATABASE_URL` there is only that server, settings or not.
    pub async fn alone(test: &str, durable: bool, settings: &[(&str, &str)]) -> Self {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let server = blocking(move || {
            let common = Options::for_tests().expect("TRIBUTARY_POSTGRES");
            Arc::new(started(&Options { durable, settings, shared: false, ..common }))
        });
        Database::on(server.await, test).await
    }

    async fn on(server: Arc<Postgres>, test: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let word = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
        let test: String = test.chars().map(word).take(40).collect();
        let name = format!("{test}_{}_{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        // Not template1, on which another test may be creating its database too.
        run(server.url(), &format!("create database \"{name}\" template template0")).await.expect("create a database");
        let url = server.url_for(&name);
        Database { server, name, url }
    }

    /// The URL of this database: a superuser on 127.0.0.1, without TLS.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new connection.
    pub async fn client(&self) -> Client {
        connected(&self.url).await.expect("connect to the test's database")
    }

    /// Runs statements on a connection of their own.
    pub async fn execute(&self, sql: &str) {
        run(&self.url, sql).await.expect(sql);
    }

    /// The rows of a query as text, `NULL` as `∅`, columns joined by ` | `: for snapshots and plain comparisons.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        let messages = self.client().await.simple_query(sql).await.expect(sql);
        let rows = messages.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| (0..row.len()).map(|at| row.get(at).unwrap_or("∅")).collect::<Vec<_>>().join(" | ")).collect()
    }

    /// Whether the server serves one connection at a time, so that tests of concurrency cannot run on it.
    pub fn single_connection(&self) -> bool {
        self.server.single_connection()
    }

    /// What the server has logged so far; empty for one that this process has not started.
    pub fn server_log(&self) -> String {
        self.server.log()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.single_connection() {
            // The test may still hold that connection. The server is ours alone and ends with us.
            return;
        }
        let url = self.server.url().to_owned();
        let sql = format!("drop database if exists \"{}\" with (force)", self.name);
        // A runtime of its own on a thread of its own: the test's is busy with dropping us.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(run(&url, &sql)))
        });
        // The server may be gone already, and that is as good.
        let _ = dropped.join();
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("start a postgres")
}

fn started(options: &Options) -> Postgres {
    Postgres::find_or_start(options)
        .unwrap_or_else(|error| panic!("no postgres: {error:#}; {}", error.hint().unwrap_or_default()))
}

async fn connected(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // A connection that breaks is seen by its client.
    tokio::spawn(connection);
    Ok(client)
}

async fn run(url: &str, sql: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let answer = client.batch_execute(sql).await;
    drop(client);
    // Until it is closed for good: a server with a single connection has no second one.
    let _ = connection.await;
    answer
}
