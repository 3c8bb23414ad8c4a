//! Connecting to Postgres: where to, with which trust, and what a failure means.
//!
//! It opens one connection and says what is wrong when it cannot. It keeps none, retries nothing and fetches no secret:
//! the runtime resolves those and asks again when the error's kind says that a credential was refused.
//!
//! Called by the runtime, the command line and the tests.

mod cause;
mod failure;
mod target;
mod tls;
mod trust;
mod url;

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};
use tributary_core::{Error, Result};

pub use cause::Cause;
pub use failure::classify;
pub(crate) use failure::describe;
pub use target::{Parts, Policy, Target};

/// Opens a connection and spawns the task that drives it on the current tokio runtime. The task ends when the client is
/// dropped or the connection breaks; aborting it closes the socket at once.
///
/// # Errors
/// `Unavailable` when nobody answers in time, `Auth` when the credential is refused, `Config` when the address, the
/// database or the certificate is not what the settings say.
pub async fn connect(target: &Target) -> Result<(Client, JoinHandle<()>)> {
    let config = target.config();
    // The driver's own limit covers the TCP handshake alone; a server that accepts and then says nothing is as far away.
    let hosts = u32::try_from(config.get_hosts().len().max(1)).unwrap_or(1);
    let limit = target.connect_timeout() * hosts;
    let opened = timeout(limit, Box::pin(open(target, &config))).await;
    opened.unwrap_or_else(|_| Err(too_late(target, limit)))
}

async fn open(target: &Target, config: &tokio_postgres::Config) -> Result<(Client, JoinHandle<()>)> {
    let refused = |error| refused(target, error);
    match target.roots() {
        Some(roots) => {
            let (client, connection) = config.connect(tls::connector(roots)?).await.map_err(refused)?;
            Ok((client, tokio::spawn(drive(connection))))
        }
        None => {
            let (client, connection) = config.connect(NoTls).await.map_err(refused)?;
            Ok((client, tokio::spawn(drive(connection))))
        }
    }
}

/// Runs the connection. What the server says when it closes a connection by itself reaches only this task.
async fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        let error = classify(error, "keep the connection");
        tracing::warn!(error = error.chain(), "the postgres connection ended");
    }
}

fn refused(target: &Target, error: tokio_postgres::Error) -> Error {
    failure::classify_connecting(error, &format!("connect to postgres at {target}"))
}

fn too_late(target: &Target, limit: Duration) -> Error {
    Error::unavailable(format!("cannot connect to postgres at {target}: no answer within {} ms", limit.as_millis()))
        .with_hint("check the address, and that the function's subnet and security group may reach the database")
}
