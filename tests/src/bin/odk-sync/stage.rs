//! A durable Postgres, the server's process, and the processes of both ways.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use tokio_postgres::{Client, NoTls};
use tributary_local::Options;
use tributary_tests::odk::survey::FORM;
use tributary_tests::odk::{EMAIL, PASSWORD};

use crate::{Failure, Took};

/// Everything that both ways need.
pub(crate) struct Stage {
    observer: Client,
    url: String,
    server: Mutex<Process>,
    address: String,
    _local: tributary_local::Postgres,
}

impl Stage {
    pub(crate) async fn start(url: Option<String>, submissions: usize, persons: usize) -> Result<Self, Failure> {
        let settings = [("shared_buffers", "512MB"), ("max_wal_size", "8GB"), ("checkpoint_timeout", "30min")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let options = Options { url, durable: true, settings, ..Options::default() };
        let local = tokio::task::spawn_blocking(move || tributary_local::Postgres::find_or_start(&options)).await??;
        let url = local.url().to_owned();
        let observer = connect(&url).await?;
        let mut server = Process::start(&["serve", &submissions.to_string(), &persons.to_string()])?;
        let address = server.line()?;
        let server = Mutex::new(server);
        Ok(Stage { observer, url, server, address, _local: local })
    }

    pub(crate) async fn version(&self) -> Result<String, Failure> {
        let version: String = self.observer.query_one("select version()", &[]).await?.get(0);
        Ok(version.split(' ').take(2).collect::<Vec<_>>().join(" "))
    }

    /// Nothing is there of an earlier run.
    pub(crate) async fn clear(&self) -> Result<(), Failure> {
        let sql = "drop view if exists submission_unified;
            drop table if exists submission, submission_person_details, submission_person_details_income;
            drop schema if exists tributary cascade";
        Ok(self.observer.batch_execute(sql).await?)
    }

    /// The living rows of two tables.
    pub(crate) async fn rows(&self, submissions: &str, persons: &str) -> Result<(i64, i64), Failure> {
        let sql = format!("select (select count(*) from {submissions}), (select count(*) from {persons})");
        let row = self.observer.query_one(&sql, &[]).await?;
        Ok((row.get(0), row.get(1)))
    }

    /// Reads everything in our way; then the number of requests of a further tick.
    pub(crate) fn poll(&self) -> Result<(Took, usize), Failure> {
        let mut process = Process::start(&["poll", &self.address, &self.url])?;
        let took = serde_json::from_str(&process.line()?)?;
        let before = self.requests()?;
        process.say()?;
        process.line()?;
        Ok((took, self.requests()? - before))
    }

    /// Reads so many submissions by hand.
    pub(crate) fn by_hand(&self, submissions: usize) -> Result<Took, Failure> {
        let mut process = Process::start(&["by-hand", &self.address, &self.url, &submissions.to_string()])?;
        Ok(serde_json::from_str(&process.line()?)?)
    }

    /// Reads so many submissions by SQLAlchemy, whose packages come from the index the first time.
    pub(crate) fn by_orm(&self, submissions: usize) -> Result<Took, Failure> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/odk_orm.py");
        let mut command = Command::new("python3");
        command.arg(script).args(["--server", &self.address, "--database-url", &self.url, "--form", FORM]);
        command.args(["--email", EMAIL, "--password", PASSWORD, "--submissions", &submissions.to_string()]);
        let answer = command.stderr(Stdio::inherit()).output()?;
        if !answer.status.success() {
            return Err(format!("{script}: {}", answer.status).into());
        }
        Ok(serde_json::from_slice(&answer.stdout)?)
    }

    /// How many requests the server has answered so far.
    fn requests(&self) -> Result<usize, Failure> {
        let mut server = self.server.lock().map_err(|_| "a panic")?;
        server.say()?;
        Ok(server.line()?.parse()?)
    }
}

/// This program as another process, which answers line by line.
struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start(words: &[&str]) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().ok_or("no standard input")?;
        let stdout = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Process { child, stdin, stdout })
    }

    /// Lets it go on.
    fn say(&mut self) -> Result<(), Failure> {
        self.stdin.write_all(b"\n")?;
        Ok(self.stdin.flush()?)
    }

    /// Its next line.
    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            return Err(format!("a process ended: {}", self.child.wait()?).into());
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, and that is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) async fn connect(url: &str) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // A connection that breaks is seen by its client.
    tokio::spawn(connection);
    Ok(client)
}
