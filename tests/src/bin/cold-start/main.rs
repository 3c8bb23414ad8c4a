//! The benchmark of the cold start: from the start of a process to its first `GET /next`.
//!
//! It runs two real functions, one with the AWS SDK and one without, built as they are deployed, and beside them one that
//! does nothing, and two that do the same in JavaScript and Python, at full speed and held to the share of a processor that Lambda gives to
//! 128 MB. Prints tables in Markdown and whether the goals are reached. See `tests/README.md`.

mod authority;
mod database;
mod measure;
mod program;
mod report;
mod runtime_api;
mod secrets_manager;
mod share;

use std::path::PathBuf;

use authority::Authority;
use database::Database;
use measure::{Start, Starter};
use program::Program;
use runtime_api::RuntimeApi;
use secrets_manager::SecretsManager;
use share::Share;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Starts at full speed that are counted.
const STARTS: usize = 15;
/// And at the share of 128 MB, where Python takes seconds.
const STARTS_OF_SHARE: usize = 7;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let target = target()?;
    let programs = Program::all(&target)?;
    let place = tempfile::tempdir()?;
    let authority = Authority::new(place.path())?;
    let database = Database::start(&authority).await?;
    let secrets = SecretsManager::start(&authority, database.secret()).await?;
    let runtime = RuntimeApi::start().await?;
    let mapping = place.path().join("tributary.yaml");
    let starter = Starter::new(&runtime, &secrets, &authority, &mapping)?;

    std::fs::write(&mapping, MAPPING.replace("STORE", ", auto_migrate: additive"))?;
    for ours in &programs[..2] {
        starter.start(ours, None).await?;
    }
    std::fs::write(&mapping, MAPPING.replace("STORE", ""))?;
    for program in &programs {
        // Fills the caches of files, and sees that each does what it is compared for.
        let asked = secrets.asked();
        database.settle().await?;
        let _running = starter.start(program, None).await?;
        let does = (secrets.asked() - asked, database.connections_by_tls().await?);
        let expected = if program.does_all() { (1, 1) } else { (0, 0) };
        if does != expected {
            let name = program.name;
            return Err(
                format!("{name}: reads of the secret and connections by TLS are {does:?}, not {expected:?}").into()
            );
        }
    }
    let full = series(&starter, &programs, None, STARTS).await?;
    report::table("At full speed", &programs, &full);
    match Share::new() {
        Ok(share) => {
            let held = series(&starter, &programs, Some(&share), STARTS_OF_SHARE).await?;
            report::table(&format!("Held to 7.2 % of a processor, {}", share.how()), &programs, &held);
        }
        Err(error) => report::say(&format!("\nNot held to a share of the processor: {error}")),
    }
    report::goals(&programs, &full)
}

/// The programs take turns, in an order that rotates.
async fn series(
    starter: &Starter<'_>,
    programs: &[Program],
    share: Option<&Share>,
    starts: usize,
) -> Result<Vec<Vec<Start>>, Failure> {
    let mut series = vec![Vec::new(); programs.len()];
    for turn in 0..starts {
        for position in 0..programs.len() {
            let which = (turn + position) % programs.len();
            series[which].push(starter.start(&programs[which], share).await?.start);
        }
    }
    Ok(series)
}

/// The target directory of this very program.
fn target() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("this program is in no target directory")?;
    Ok(target.to_owned())
}

/// A pipeline as of the README. The roots are those of RDS and the benchmark's own, so that as many are parsed.
const MAPPING: &str = "
datastores:
  warehouse: { type: postgres, secret: prod/warehouse, tls: { root: rds }STORE }
  app: { type: dynamodb }
  shop: { type: sequin, base_url: 'https://sequin.example.org', token: { env: TOKEN } }
pipelines:
  users:
    source: { datastore: app, table: users }
    sink:
      datastore: warehouse
      tables:
        profile:
          key: { id: { from: id, type: uuid } }
          columns:
            created_at: { from: createdAt, type: timestamptz }
            name: text
            greeting: { value: 'Hello {{ name }}', type: text }
            rep_score: { from: repScore, type: real }
          delete: { mode: soft, column: deleted, at: deleted_at }
        appearance_settings:
          from: appearance
          key: { profile_id: { from: $root.id, type: uuid } }
          columns: { mode: text, colorway: text, theme: text }
  orders:
    source: { datastore: shop, consumer: shop, table: public.orders, every: 1m }
    sink:
      datastore: warehouse
      tables:
        orders: { key: { id: bigint }, columns: { status: text, total: numeric, notes: text } }
";
