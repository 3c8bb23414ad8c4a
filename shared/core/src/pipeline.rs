//! A mapping file after it was checked: what the rest of the program works with.

mod attachment;
mod odk;
mod source;
mod view;

use indexmap::IndexMap;

use crate::expr::Program;
use crate::path::Path;
use crate::table::Table;
use crate::webhook::Trigger;

pub use attachment::{Attachments, Destination, KeyTemplate, Placeholder};
pub use odk::{
    ATTACHMENTS, ELEMENT_ID, Geo, MARK, OdkEmail, OdkSet, OdkSource, OdkStore, PARENT, POSITION, RAW, RAW_COLUMN,
    SUBMISSION, SYSTEM, SYSTEM_COLUMN,
};
pub use source::{
    AirtableFeed, AirtableSource, RECORD_CREATED, RECORD_ID, RECORD_UPDATED, SequinLegacySource, SequinSource, Source,
    SourceKind,
};
pub use view::{Lists, View};

/// A checked mapping.
#[derive(Debug)]
pub struct Mapping {
    /// The datastores by name.
    pub datastores: IndexMap<String, Datastore>,
    /// The pipelines in the order of the file.
    pub pipelines: Vec<Pipeline>,
    /// The hooks that only say that pipelines shall run.
    pub triggers: Vec<Trigger>,
}

impl Mapping {
    /// The pipeline of this name.
    pub fn pipeline(&self, name: &str) -> Option<&Pipeline> {
        self.pipelines.iter().find(|pipeline| pipeline.name == name)
    }
}

/// A system that a pipeline reads from or writes to.
#[derive(Clone, Debug)]
pub enum Datastore {
    /// A Postgres database: the sink.
    Postgres(PostgresStore),
    /// DynamoDB in one region: a source.
    Dynamodb(DynamodbStore),
    /// A Sequin server: a source.
    Sequin(SequinStore),
    /// Airtable: a source.
    Airtable(AirtableStore),
    /// ODK Central: a source.
    Odk(OdkStore),
}

impl Datastore {
    /// What it is, as messages name it.
    pub fn noun(&self) -> &'static str {
        match self {
            Datastore::Postgres(_) => "a postgres datastore",
            Datastore::Dynamodb(_) => "a dynamodb datastore",
            Datastore::Sequin(_) => "a sequin datastore",
            Datastore::Airtable(_) => "an airtable datastore",
            Datastore::Odk(_) => "an odk datastore",
        }
    }
}

/// How to reach a Postgres database. Either `url` or `secret` or `host` is set.
#[derive(Clone, Debug, Default)]
pub struct PostgresStore {
    /// A reference to a whole connection URL.
    pub url: Option<SecretRef>,
    /// The name or ARN of a Secrets Manager secret in the form that RDS keeps: JSON with `username`, `password`, and
    /// mostly `host`, `port`, `dbname`.
    pub secret: Option<String>,
    /// The host; with `secret` it takes precedence over the secret's (RDS Proxy).
    pub host: Option<String>,
    /// The port, 5432 by default.
    pub port: Option<u16>,
    /// The user.
    pub user: Option<String>,
    /// The database, the user's name by default.
    pub dbname: Option<String>,
    /// How the user proves who it is, where neither `url` nor `secret` says so.
    pub auth: Option<PostgresAuth>,
    /// The region of the database for IAM authentication; the function's own by default.
    pub region: Option<String>,
    /// Transport security.
    pub tls: Tls,
    /// The schema of tables that name none; the connection's `search_path` by default.
    pub schema: Option<String>,
    /// Whether the connection goes through a proxy that pins sessions with prepared statements (RDS Proxy, PgBouncer).
    pub proxy: bool,
    /// Whether missing tables and columns are added when a function starts.
    pub auto_migrate: bool,
}

/// How a Postgres user proves who it is.
#[derive(Clone, Debug)]
pub enum PostgresAuth {
    /// An IAM authentication token, made for each connection.
    Iam,
    /// A password.
    Password(SecretRef),
}

/// Transport security of a Postgres connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Verify certificate and host name against these roots.
    Verify(Roots),
    /// As `Verify`, with the RDS roots for Amazon's host names and the system's for others, unless the host is this machine
    /// (a Unix socket, `localhost`, a loopback address), where it is off.
    #[default]
    Auto,
    /// No TLS.
    Off,
}

/// Which certificate authorities are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// Amazon's for RDS and RDS Proxy.
    #[default]
    Rds,
    /// The operating system's.
    System,
    /// A PEM file.
    File(String),
}

/// A reference to a secret; the mapping never holds one itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A Secrets Manager secret by name or ARN, and a field of its JSON.
    Secret {
        /// Name or ARN.
        name: String,
        /// The field; the whole string when absent.
        field: Option<String>,
    },
    /// A file; a newline at its end is dropped.
    File(String),
}

/// How to reach DynamoDB.
#[derive(Clone, Debug, Default)]
pub struct DynamodbStore {
    /// The region; the function's own by default. A stream of another region is not this datastore's.
    pub region: Option<String>,
    /// Another endpoint, for local emulators.
    pub endpoint: Option<String>,
}

/// How to reach a Sequin server.
#[derive(Clone, Debug)]
pub struct SequinStore {
    /// The address, without a path: `https://sequin.example.org:7376`.
    pub base_url: String,
    /// The API token, sent as a bearer.
    pub token: SecretRef,
    /// Which of the two products answers there.
    pub protocol: SequinProtocol,
}

/// The two products of that name, whose APIs have little in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequinProtocol {
    /// Sequin Stream, self-hosted: changes of Postgres tables, `/api/sequin_streams/…`.
    Stream,
    /// The API syncs of 2023 and 2024, Airtable's among them: `/v1/http-consumers/…`.
    Legacy {
        /// The credential whose collections `/v1/collections/{credential}` lists: the fields that records may have. A
        /// field that is absent from a record is empty if it is listed there, else it was renamed or removed.
        credential: String,
    },
}

/// How to reach Airtable.
#[derive(Clone, Debug)]
pub struct AirtableStore {
    /// The address, `https://api.airtable.com` by default.
    pub base_url: String,
    /// A personal access token.
    pub token: SecretRef,
}

/// From one source to the tables of one sink.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The name.
    pub name: String,
    /// What is read.
    pub source: Source,
    /// The datastore that is written.
    pub sink: String,
    /// The tables that are written.
    pub tables: Vec<Table>,
    /// Where the tables' values come from, one a table, in the same order.
    pub routes: Vec<Route>,
    /// Where the files that belong to items go, where the source has such and the mapping wants them.
    pub attachments: Option<Attachments>,
    /// Views over a table of items and the tables of their lists.
    pub views: Vec<View>,
}

/// Where a table's values come from.
#[derive(Clone, Debug)]
pub struct Route {
    /// Which part of the item is a row.
    pub scope: Scope,
    /// Rows for which this doesn't hold are deleted.
    pub when: Option<Program>,
    /// Where the key columns' values come from, parallel to [`Table::key`].
    pub key: Vec<Binding>,
    /// Where the other columns' values come from, parallel to [`Table::columns`].
    pub columns: Vec<Binding>,
    /// Whether fields of the source that no column names become columns too, by the source's own schema.
    pub auto: bool,
    /// What becomes of lists of the item that no table is made from (`children: auto`); `None`: nothing.
    pub lists: Option<Lists>,
    /// The source has no such list any more: an item that is there says nothing of it, so that its rows stay; an item that is
    /// gone takes them along.
    pub retired: bool,
}

/// Which part of the item is a row.
#[derive(Clone, Debug)]
pub enum Scope {
    /// The item.
    Root,
    /// A map inside of it; when it is absent or null, the row is deleted.
    Document(Path),
    /// The elements of a list inside of it, one row each.
    Elements(Path),
}

/// Where a column's value comes from.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The place.
    pub from: From,
    /// What happens when the value doesn't fit the column's type.
    pub on_error: OnError,
}

/// The place of a value.
#[derive(Clone, Debug)]
pub enum From {
    /// A path within the row's part of the item.
    Row(Path),
    /// `$root.…`: a path from the top of the item.
    Root(Path),
    /// `$index`: the element's position in its list, from 0.
    Index,
    /// `$value`: the row's part of the item itself, such as an element that is no map.
    Whole,
    /// `value:`, a template or an expression.
    Program(Program),
    /// Nowhere: a column of the delete policy that the source has no field for.
    Nothing,
}

/// What happens when a value doesn't fit its column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnError {
    /// The event goes to the dead letters; the table's row stays as it was.
    #[default]
    DeadLetter,
    /// The column becomes NULL, and `_errors` says why.
    Null,
    /// Text is cut to the column's length, and `_errors` says so.
    Truncate,
}
