//! A mapping file after it was checked: what the rest of the program works with.

use std::time::Duration;

use indexmap::IndexMap;

use crate::expr::Program;
use crate::path::Path;
use crate::table::Table;
use crate::webhook::{Trigger, WebhookSource};

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
}

impl Datastore {
    /// What it is, as messages name it.
    pub fn noun(&self) -> &'static str {
        match self {
            Datastore::Postgres(_) => "a postgres datastore",
            Datastore::Dynamodb(_) => "a dynamodb datastore",
            Datastore::Sequin(_) => "a sequin datastore",
            Datastore::Airtable(_) => "an airtable datastore",
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
}

/// What a pipeline reads.
#[derive(Clone, Debug)]
pub struct Source {
    /// The datastore; empty where there is none: a webhook comes by itself.
    pub datastore: String,
    /// What of it.
    pub kind: SourceKind,
    /// For sources that are polled: how long a pipeline rests between two runs. Zero: every tick runs it.
    pub every: Duration,
}

/// What of a datastore is read.
#[derive(Clone, Debug)]
pub enum SourceKind {
    /// A DynamoDB table by its stream.
    Dynamodb {
        /// The table's name.
        table: String,
        /// The table's key attributes, where the mapping says them: then every sink key is checked against them.
        key: Option<Vec<String>>,
    },
    /// Changes of a Postgres table, from a Sequin Stream sink.
    Sequin(SequinSource),
    /// Records of a collection, from an HTTP consumer of the former Sequin.
    SequinLegacy(SequinLegacySource),
    /// Records of an Airtable table.
    Airtable(AirtableSource),
    /// What a sender posts to a hook.
    Webhook(Box<WebhookSource>),
}

impl SourceKind {
    /// Whether an event may hold a part of its item only. Then the sink keeps a version for each column.
    pub fn sends_parts(&self) -> bool {
        match self {
            SourceKind::Dynamodb { .. } | SourceKind::Airtable(_) => false,
            SourceKind::Sequin(source) => !source.whole,
            SourceKind::SequinLegacy(_) => true,
            SourceKind::Webhook(source) => source.envelope.sends_parts(),
        }
    }

    /// Whether its items are records with an id of their own, which a delete carries and nothing else.
    pub fn has_record_ids(&self) -> bool {
        matches!(self, SourceKind::SequinLegacy(_) | SourceKind::Airtable(_))
    }

    /// The reserved fields that stand in an item beside those of the source's own.
    pub fn reserved_fields(&self) -> &'static [&'static str] {
        match self {
            SourceKind::Dynamodb { .. } | SourceKind::Sequin(_) | SourceKind::Webhook(_) => &[],
            SourceKind::SequinLegacy(_) => &[RECORD_ID, RECORD_CREATED, RECORD_UPDATED],
            SourceKind::Airtable(_) => &[RECORD_ID, RECORD_CREATED],
        }
    }

    /// What it is, as messages name it.
    pub fn noun(&self) -> &'static str {
        match self {
            SourceKind::Dynamodb { .. } => "a DynamoDB table",
            SourceKind::Sequin(_) => "a Sequin stream",
            SourceKind::SequinLegacy(_) => "a Sequin consumer",
            SourceKind::Airtable(_) => "an Airtable table",
            SourceKind::Webhook(_) => "a webhook",
        }
    }
}

/// What of a Sequin Stream sink a pipeline takes.
#[derive(Clone, Debug)]
pub struct SequinSource {
    /// The sink's name or id. Pipelines that name the same one share its messages.
    pub consumer: String,
    /// The source table, `schema.table` or `table` of any schema; `None` takes messages of every table.
    pub table: Option<String>,
    /// The columns of the source table's primary key, where the mapping says them: a delete carries these and no others,
    /// so every sink key is checked against them. Never set together with `whole`.
    pub key: Option<Vec<String>>,
    /// The epoch of versions: raised by hand when the source database is another one, whose log counts anew.
    pub epoch: u32,
    /// Whether messages are whole: the source table has `replica identity full`, so no column is ever unknown.
    pub whole: bool,
    /// Where the version stands in a message that has no metadata (a transform took it away): an integer.
    pub version: Option<Path>,
    /// After how long without an ack the server delivers a message again (`ack_wait_ms` of the sink, 30 s by default).
    pub ack_wait: Duration,
}

/// What of a consumer of the former Sequin a pipeline takes.
///
/// # The item
/// As an item of [`AirtableSource`], whatever the provider: the fields of `data.fields` (of `data` where there is no
/// `fields`) by id or name, and the reserved fields [`RECORD_ID`] (`upstream_id`), [`RECORD_CREATED`]
/// (`upstream_created_at`) and [`RECORD_UPDATED`] (`upstream_updated_at`). A delete carries [`RECORD_ID`] only. A table without
/// `key:` gets `upstream_id text` from it, and its version column is `updated_idx bigint` unless the mapping says otherwise.
#[derive(Clone, Debug)]
pub struct SequinLegacySource {
    /// The consumer's id. Pipelines that name the same one share its messages.
    pub consumer: String,
    /// The collection by its id (`airtable:97GJ…`), its name, or its upstream id (`tbl…`).
    pub collection: String,
    /// The epoch of versions: raised by hand when `updated_idx` counts anew.
    pub epoch: u32,
    /// After how long without an ack the server delivers a message again (`ack_wait_ms`, 30 s by default).
    pub ack_wait: Duration,
}

/// The reserved field of a record's id (`rec…`) in the items of [`AirtableSource`] and [`SequinLegacySource`].
pub const RECORD_ID: &str = "$id";

/// The reserved field of the time at which a record was made: text as the source writes it.
pub const RECORD_CREATED: &str = "$created";

/// The reserved field of the time at which a record was last changed: text as the source writes it. Only the former
/// Sequin tells it; Airtable has a field type for it.
pub const RECORD_UPDATED: &str = "$updated";

/// Which records of Airtable a pipeline takes and how it hears of changes.
///
/// # The item
/// An item is one map. Its fields are the record's cells, each by the spelling that the mapping uses for it: the field's
/// id (`fld…`) or its name. Beside them stand the reserved fields [`RECORD_ID`] and [`RECORD_CREATED`], so that paths reach
/// them like cells: `$id` in a table of whole items, `$root.$id` in a table `from:` something inside, and `row['$id']`
/// in a program. A cell in a field named `id` is `id`, another place. A field that is really named `$id` is reached by its
/// `fld…` id: the reserved one wins. The checker refuses an unquoted path that begins with another `$word`.
///
/// A delete is [`crate::event::Body::Gone`] with a `key` that has [`RECORD_ID`] and nothing else, so every sink key is made of
/// it, which the checker demands. A table without `key:` gets `record_id text` from it.
///
/// An empty cell, which Airtable leaves out, is absent from the item: an image is whole, so its column becomes NULL.
#[derive(Clone, Debug)]
pub struct AirtableSource {
    /// The base, `app…`.
    pub base: String,
    /// The table by its id (`tbl…`), which survives a rename, or by its name.
    pub table: String,
    /// How changes are found between two sweeps.
    pub feed: AirtableFeed,
    /// How often the whole table is read: that finds computed cells that drifted, and deletes that no feed told.
    pub sweep_every: Duration,
    /// The share of a table's live rows that one sweep may delete, 0 to 1. More needs somebody's word.
    pub mass_delete: f64,
}

/// How changes of an Airtable table are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AirtableFeed {
    /// From the payloads of a webhook of the base, by a cursor. It tells deletes too.
    Webhook {
        /// The hook, `ach…`; `None`: the function makes one and keeps its id, for which the token needs `webhook:manage`.
        id: Option<String>,
    },
    /// By a field of type `lastModifiedTime` that watches all fields. Deletes and computed cells show in a sweep.
    LastModified {
        /// The field by id or name.
        field: String,
    },
    /// Not at all: every run is a sweep.
    Sweep,
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
