//! The command line of `tributary hook`.

use std::path::PathBuf;

use clap::{Args as Arguments, Subcommand};

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Hook {
    /// Sign a file as the hook's sender would, and send it.
    ///
    /// To the URL of a deployed function, else to its handler, here; where the sink's URL is a variable that is not set,
    /// a Postgres is started for the time of the command. The secrets are those of the mapping, so they must be at hand.
    /// The file is a body, or a request in payload format 2.0 such as those of events/webhook, of which body and headers
    /// are taken and the signature is made anew. Prints the answer. Exit code 1 if the answer is no success.
    Test(HookTest),
}

#[derive(Clone, Debug, Arguments)]
pub(crate) struct HookTest {
    /// The hook, as in /hooks/NAME.
    pub(crate) name: String,
    /// The file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) event: PathBuf,
    /// The URL of the function or of its API; /hooks/NAME is put behind it unless it is there.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The id of the delivery, where the scheme signs one. The same id twice is a redelivery.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Further headers, such as `X-GitHub-Event: issues`.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("a name, a colon and a value".into()),
    }
}
