//! The benchmark of the write path: what a batch costs, against the limit and against what people write by hand.
//!
//! It starts a durable Postgres of its own, or takes the one of `--database-url`, prints tables in Markdown and, for each
//! goal, whether it is reached. All figures that count are ratios within one run. See `tests/README.md`.

mod arguments;
mod copy;
mod duel;
mod insert;
mod measure;
mod memory;
mod peer;
mod replay;
mod report;
mod rows;
mod server;
mod strategies;
mod update;
mod wire;
mod writers;

use arguments::{Options, Subject};
use server::Server;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let options = Options::read(std::env::args().skip(1))?;
    if let Subject::Peer(file) = &options.subject {
        let url = options.url.as_deref().ok_or("peer needs --database-url")?;
        return peer::run(file, url, options.batch).await;
    }
    let server = Server::start(options.url.clone()).await?;
    report::say(&format!("{}, {} repetitions", server.version().await?, options.repetitions));
    let mut goals = Vec::new();
    if options.asks_for(&Subject::Insert) {
        goals.extend(insert::run(&server, &options).await?);
    }
    if options.asks_for(&Subject::Update) {
        goals.extend(update::run(&server, &options).await?);
    }
    if options.asks_for(&Subject::Replay) {
        goals.extend(replay::run(&server, &options).await?);
    }
    if options.asks_for(&Subject::Writers) {
        goals.extend(writers::run(&server, &options).await?);
    }
    if options.asks_for(&Subject::Memory) {
        goals.extend(memory::run(&server, &options).await?);
    }
    server.clean().await?;
    report::goals(&goals)
}
