//! A durable Postgres, the function as it is deployed, and execution environments of it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};
use tributary_core::pipeline::Mapping;
use tributary_local::Options;
use tributary_postgres::Postgres;
use tributary_postgres::connect::{Policy, Target};
use tributary_tests::{Function, RuntimeApi};

use crate::deliveries::SECRET;
use crate::queue::Queue;
use crate::{Failure, Mode};

const MAPPING: &str = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
pipelines:
  orders:
    source:
      type: webhook
      verify: { scheme: standard, secret: { env: SECRET } }
      envelope: plain
      version: revision
      mode: MODE
    sink:
      datastore: warehouse
      tables:
        orders:
          key: { id: bigint }
          columns: { status: text, total: numeric, customer: text, notes: text, placed: timestamptz, revision: bigint }
";

/// How long an environment may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that all runs share.
pub(crate) struct Stage {
    pub(crate) observer: Client,
    url: String,
    program: PathBuf,
    place: tempfile::TempDir,
    _local: tributary_local::Postgres,
}

/// A running environment.
pub(crate) struct Environment {
    pub(crate) api: Arc<RuntimeApi>,
    function: Function,
}

impl Environment {
    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        format!("{}{}", self.function.stderr(), self.function.stdout())
    }
}

impl Stage {
    pub(crate) async fn start(url: Option<String>) -> Result<Self, Failure> {
        let program = tokio::task::spawn_blocking(build).await??;
        let settings = [("shared_buffers", "512MB"), ("max_wal_size", "8GB"), ("checkpoint_timeout", "30min")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let options = Options { url, durable: true, settings, ..Options::default() };
        let local = tokio::task::spawn_blocking(move || tributary_local::Postgres::find_or_start(&options)).await??;
        let url = local.url().to_owned();
        let (observer, connection) = tokio_postgres::connect(&url, NoTls).await?;
        // A connection that breaks is seen by its client.
        tokio::spawn(connection);
        observer.batch_execute("drop table if exists orders; drop schema if exists tributary cascade").await?;
        let tables = mapping(Mode::Direct)?.pipelines.into_iter().flat_map(|pipeline| pipeline.tables).collect();
        Postgres::new(Target::from_url(&url, &Policy::default())?, tables, false).migrate().await?;
        Ok(Stage { observer, url, program, place: tempfile::tempdir()?, _local: local })
    }

    pub(crate) async fn version(&self) -> Result<String, Failure> {
        let version: String = self.observer.query_one("select version()", &[]).await?.get(0);
        Ok(version.split(' ').take(2).collect::<Vec<_>>().join(" "))
    }

    /// Starts so many environments, and waits until each asks for work.
    pub(crate) async fn environments(
        &self,
        mode: Mode,
        many: usize,
        queue: &Queue,
    ) -> Result<Vec<Environment>, Failure> {
        let file = self.place.path().join(format!("{}.yaml", mode.word()));
        std::fs::write(&file, MAPPING.replace("MODE", mode.word()))?;
        let endpoint = queue.endpoint();
        let url = format!("{endpoint}/000000000000/webhook");
        let variables = [
            ("DATABASE_URL", &*self.url),
            ("TRIBUTARY_MAPPING", file.to_str().ok_or("a path that is no text")?),
            ("TRIBUTARY_WEBHOOK_QUEUE", &url),
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("SECRET", SECRET),
        ];
        let mut environments = Vec::with_capacity(many);
        for _ in 0..many {
            let api = Arc::new(RuntimeApi::start().await);
            let function = Function::of_program(&self.program, "webhook", &api.address(), &variables);
            environments.push(Environment { api, function });
        }
        let began = Instant::now();
        for environment in &environments {
            while environment.api.polls() == 0 {
                if began.elapsed() > PATIENCE {
                    return Err(format!("an environment doesn't start: {}", environment.log()).into());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(environments)
    }

    /// An empty database, as the first run finds it.
    pub(crate) async fn clear(&self) -> Result<(), Failure> {
        Ok(self.observer.batch_execute("truncate orders, tributary.receipt, tributary.dead_letter; checkpoint").await?)
    }

    /// The number of the next transaction that writes.
    pub(crate) async fn transaction(&self) -> Result<i64, Failure> {
        let query = "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
        Ok(self.observer.query_one(query, &[]).await?.get(0))
    }

    /// How many connections the environments have.
    pub(crate) async fn connections(&self) -> Result<i64, Failure> {
        let query = "select count(*) from pg_stat_activity where application_name like 'tributary%' and datname = current_database()";
        Ok(self.observer.query_one(query, &[]).await?.get(0))
    }
}

fn mapping(mode: Mode) -> Result<Mapping, Failure> {
    let text = MAPPING.replace("MODE", mode.word());
    Ok(tributary_core::mapping::load("posts.yaml", &text).mapping.ok_or("the mapping has findings")?)
}

/// Builds the function as for deployment: by itself, so that only its own features are on.
fn build() -> Result<PathBuf, Failure> {
    let place = std::env::current_exe()?;
    let (place, target) =
        place.parent().and_then(|place| Some((place, place.parent()?))).ok_or("no target directory")?;
    if place.file_name().is_none_or(|profile| profile != "release") {
        return Err("it measures what is deployed: run it with --release".into());
    }
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--quiet", "--package", "webhook", "--target-dir"]).arg(target);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    // Cargo's variables for this very package: build scripts watch them, and would run anew.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(place.join("webhook"))
}
