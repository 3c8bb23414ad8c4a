//! The harness of the black-box tests: a database, a local AWS, the whole bundle deployed there, a Lambda environment, a
//! program's binary, a bad network.
//!
//! Called by the files in `tests/tests`, each of which is a subject. It holds no assertion about Tributary itself, only
//! what such assertions need. Everything runs on 127.0.0.1, ends with the test, and panics when it cannot go on.
//!
//! ```no_run
//! # async fn example() {
//! use std::time::Duration;
//! use tributary_tests::{Database, Function, Proxy, RuntimeApi};
//!
//! let database = Database::new("users").await;
//! let proxy = Proxy::start(database.url()).await;
//! let api = RuntimeApi::start().await;
//! let function = Function::spawn("dynamodb-stream", &api, &[("DATABASE_URL", proxy.url())]);
//! let answer = api.invoke("{}", Duration::from_secs(10)).await;
//! assert!(answer.response().is_some(), "{}", function.stderr());
//! assert_eq!(proxy.round_trips(), 1);
//! # }
//! ```

mod aws;
mod bundle;
mod database;
mod frames;
mod function;
pub mod gateway;
mod proxy;
mod python;
mod runtime_api;
mod tools;
mod watch;

pub use aws::{Answer, Aws};
pub use bundle::Bundle;
pub use database::Database;
pub use function::{Function, built};
pub use gateway::Gateway;
pub use proxy::Proxy;
pub use runtime_api::{Invocation, RuntimeApi};
pub use tributary_stand_in::{airtable, odk, sequin};
pub use watch::Watch;
