//! Logs: JSON lines in Lambda, plain lines in a terminal, always on stderr, so that stdout is free for results.
//!
//! `TRIBUTARY_LOG` or `RUST_LOG` says how much (`info` by default, or filters such as `tributary_postgres=debug`); without
//! them `AWS_LAMBDA_LOG_LEVEL`, which Lambda's own logging controls set. Other people's crates never go beyond `info`
//! whatever the filter says: at `trace` the Lambda client and the AWS SDK print bodies, and no payload may reach a log.

use std::io::{IsTerminal as _, stderr};

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tributary_core::{Error, Result};

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, the fields of the event and of its span, the request id among them, at the top.
    Json,
    /// For people.
    Plain,
}

/// Starts logging for a function: JSON, unless somebody runs it in a terminal.
///
/// # Errors
/// `Config` when the filter cannot be read, or logging was started before.
pub fn start() -> Result<()> {
    let in_lambda = std::env::var_os("AWS_LAMBDA_FUNCTION_NAME").is_some() && !stderr().is_terminal();
    start_with(if in_lambda { Format::Json } else { Format::Plain }, "info")
}

/// Starts logging in this format, at this level unless the environment says another.
///
/// # Errors
/// As [`start`].
pub fn start_with(format: Format, level: &str) -> Result<()> {
    let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let wanted = ["TRIBUTARY_LOG", "RUST_LOG", "AWS_LAMBDA_LOG_LEVEL"].into_iter().find_map(variable);
    let subscriber = subscriber(format, wanted.as_deref().unwrap_or(level), stderr)?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Error::config("logging was started before").with_source(error))
}

fn subscriber<W>(format: Format, wanted: &str, writer: W) -> Result<impl Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter: Targets = wanted.to_ascii_lowercase().parse().map_err(|error| {
        Error::config(format!("the log filter `{wanted}` cannot be read"))
            .with_source(error)
            .with_hint("write error, warn, info, debug or trace, or a list of target=level")
    })?;
    // The span of an invocation carries the request id, which also a warning should have.
    let filter = filter.with_target("lambda_runtime", Level::INFO);
    let (json, plain) = match format {
        Format::Json => {
            let layer = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
            (Some(layer.with_writer(writer)), None)
        }
        Format::Plain => (None, Some(fmt::layer().with_writer(writer))),
    };
    Ok(tracing_subscriber::registry().with(filter).with(filter_fn(holds_no_payload)).with(json).with(plain))
}

fn holds_no_payload(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("tributary") || *metadata.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, wanted: &str, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(format, wanted, move || writer.clone()).unwrap(), log);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_carries_the_request_id_and_the_fields() {
        let line = logged(Format::Json, "warn", || {
            let span =
                tracing::info_span!(target: "lambda_runtime::layers", "Lambda runtime invoke", requestId = "r-1");
            let _inside = span.enter();
            tracing::warn!(rows = 3, "batch applied late");
        });
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["span"]["requestId"], "r-1");
        assert_eq!((&line["rows"], &line["message"]), (&3.into(), &"batch applied late".into()));
        assert_eq!(line["level"], "WARN");
        assert!(line["timestamp"].is_string() && line["target"].is_string());
    }

    #[test]
    fn levels_are_obeyed_and_payloads_of_others_never_shown() {
        let check = |wanted: &str, expect: &[&str]| {
            let lines = logged(Format::Plain, wanted, || {
                tracing::trace!("own trace");
                tracing::info!("own info");
                tracing::info!(target: "aws_smithy_runtime", "their info");
                tracing::debug!(target: "aws_smithy_runtime", "their body");
                tracing::trace!(target: "lambda_runtime", "their body");
                tracing::error!(target: "hyper", "their error");
            });
            let shown: Vec<&str> = ["own trace", "own info", "their info", "their body", "their error"]
                .into_iter()
                .filter(|text| lines.contains(text))
                .collect();
            assert_eq!(shown, expect, "{wanted}");
        };
        check("info", &["own info", "their info", "their error"]);
        check("WARN", &["their error"]);
        check("trace", &["own trace", "own info", "their info", "their error"]);
        check(
            "trace,aws_smithy_runtime=trace,lambda_runtime=trace",
            &["own trace", "own info", "their info", "their error"],
        );
        check("warn,tributary=info", &["own info", "their error"]);
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_said() {
        let error = subscriber(Format::Plain, "a=b=c", stderr).err().unwrap();
        assert!(error.to_string().contains("`a=b=c`"), "{error}");
    }
}
