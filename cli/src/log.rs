//! Logs of the command line: lines on stderr, quiet unless something is wrong. Functions log otherwise (JSON, runtime).

use tracing_subscriber::EnvFilter;

/// Starts logging. `RUST_LOG` says how much.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}
