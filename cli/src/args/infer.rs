//! What `tributary infer` is told: which source, and how to reach it.

use clap::{Args as Arguments, Subcommand, ValueEnum};

#[derive(Clone, Debug, Arguments)]
pub(crate) struct Infer {
    #[command(subcommand)]
    pub(crate) source: Inferred,
    /// Print a mapping, also where there is one.
    #[arg(long, global = true)]
    pub(crate) draft: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Inferred {
    /// The tables of an Airtable base, by its schema.
    Airtable(InferAirtable),
    /// The collections of the former Sequin, or the tables that the first messages of a Sequin Stream sink are about.
    ///
    /// Messages are received and given back at once.
    Sequin(InferSequin),
    /// A DynamoDB table, by a sample of its items.
    Dynamodb(InferDynamodb),
    /// Forms and datasets of an ODK Central, by their fields.
    Odk(InferOdk),
}

#[derive(Clone, Debug, Arguments)]
pub(crate) struct InferAirtable {
    /// The base, `app…`.
    #[arg(long, value_name = "ID")]
    pub(crate) base: String,
    /// Only these tables, by id or name; all of the base otherwise.
    #[arg(long = "table", value_name = "TABLE")]
    pub(crate) tables: Vec<String>,
    /// The environment variable that holds a token with the scope schema.bases:read.
    #[arg(long, value_name = "NAME", default_value = "AIRTABLE_TOKEN")]
    pub(crate) token_env: String,
    /// Another address than that of Airtable itself.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
}

#[derive(Clone, Debug, Arguments)]
pub(crate) struct InferSequin {
    /// The server's address.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: String,
    /// The sink or consumer, by name or id.
    #[arg(long, value_name = "NAME")]
    pub(crate) consumer: String,
    /// Which of the two products answers there.
    #[arg(long, value_enum, default_value_t = Protocol::Stream)]
    pub(crate) protocol: Protocol,
    /// The credential whose collections are listed, with --protocol legacy.
    #[arg(long, value_name = "ID")]
    pub(crate) credential: Option<String>,
    /// The environment variable that holds the API token.
    #[arg(long, value_name = "NAME", default_value = "SEQUIN_TOKEN")]
    pub(crate) token_env: String,
    /// How many messages are looked at, with --protocol stream.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) messages: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// Sequin Stream, self-hosted.
    Stream,
    /// The API syncs of 2023 and 2024.
    Legacy,
}

#[derive(Clone, Debug, Arguments)]
pub(crate) struct InferOdk {
    /// The server's address.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: String,
    /// The project's number, as in the address of its page.
    #[arg(long, value_name = "N")]
    pub(crate) project: u64,
    /// A form, by its id.
    #[arg(long = "form", value_name = "ID")]
    pub(crate) forms: Vec<String>,
    /// A dataset (entity list), by its name.
    #[arg(long = "dataset", value_name = "NAME")]
    pub(crate) datasets: Vec<String>,
    /// The environment variable that holds the email of a web user with the role Project Viewer.
    #[arg(long, value_name = "NAME", default_value = "ODK_EMAIL")]
    pub(crate) email_env: String,
    /// The environment variable that holds the user's password.
    #[arg(long, value_name = "NAME", default_value = "ODK_PASSWORD")]
    pub(crate) password_env: String,
}

#[derive(Clone, Debug, Arguments)]
pub(crate) struct InferDynamodb {
    /// The table.
    #[arg(long, value_name = "NAME")]
    pub(crate) table: String,
    /// How many items are looked at.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) sample: u32,
    /// The table's region; the environment's by default.
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// The endpoint of a local DynamoDB.
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
}
