//! A Postgres for people and tests: finds one or starts one that leaves nothing behind.
//!
//! Called by the command line (`demo`, `dev`) and by the test harness. It speaks no SQL and knows no table: it hands out
//! a URL. It is no production tool: its servers trade durability for speed unless told otherwise.
//!
//! Where a Postgres comes from, in this order:
//!
//! 1. the URL in [`Options::url`];
//! 2. binaries on this machine (`TRIBUTARY_POSTGRES_BIN`, `PATH`, `pg_config`, the usual directories of packages,
//!    Homebrew and Postgres.app), with a cluster of its own in a private temporary directory;
//! 3. `pglite-proxy`, a Postgres compiled to WebAssembly that needs nothing from the system and serves one connection at
//!    a time;
//! 4. an installation: `apt-get` as root, `brew` on macOS, else `cargo install` of `pglite-proxy` into `target/tools`.
//!
//! `TRIBUTARY_POSTGRES` narrows this down: `system` allows step 2 only, `pglite` steps 3 and 4 with cargo, `install`
//! pretends that nothing is installed and goes to step 4.
//!
//! Everything here is synchronous; a server takes 0.2 to 1 s to start. In async code, call it inside `spawn_blocking`.

mod account;
mod binaries;
mod cluster;
mod directory;
mod install;
mod options;
mod pglite;
mod postgres;
mod server;
mod url;

pub use options::{Options, Route};
pub use postgres::{Origin, Postgres};
pub use server::Server;
pub use tributary_core::Error;
