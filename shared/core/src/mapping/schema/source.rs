//! `source:` of the grammar, one shape a kind of datastore.

use schemars::JsonSchema;

use super::odk::Form;
use super::webhook::Webhook;

/// What is read. Which keys there are depends on the datastore.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(in crate::mapping) enum Source {
    Dynamodb(Dynamodb),
    Sequin(Sequin),
    Legacy(Legacy),
    Airtable(Airtable),
    Odk(Form),
    Webhook(Webhook),
}

/// A DynamoDB table by its stream.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub(in crate::mapping) struct Dynamodb {
    /// A datastore of type `dynamodb`.
    datastore: String,
    /// The table whose stream is read.
    #[schemars(regex(pattern = "^[A-Za-z0-9_.-]{3,255}$"))]
    table: String,
    /// The table's key attributes; then every key of the sink is checked against them.
    key: Option<Key>,
}

/// A Postgres table, by a Sequin Stream sink.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub(in crate::mapping) struct Sequin {
    /// A datastore of type `sequin`.
    datastore: String,
    /// The sink's name or id. Pipelines that name the same one share its messages, each those of its table.
    #[schemars(regex(pattern = "^[A-Za-z0-9._-]{1,200}$"))]
    consumer: String,
    /// The source table, `table` or `schema.table`; messages of all tables by default.
    table: Option<String>,
    /// The table's primary key; then every key of the sink is checked against it.
    key: Option<Key>,
    /// How long the pipeline rests between two runs; `0s` by default: every tick runs it.
    #[schemars(regex(pattern = "^[0-9]+[dhms]$"))]
    every: Option<String>,
    /// Raised by hand when the source database is another one, whose log counts anew; 0 by default.
    epoch: Option<u32>,
    /// The source table's replica identity; with `full` messages hold whole rows.
    replica_identity: Option<ReplicaIdentity>,
    /// Where the version stands in messages whose metadata a transform took away: an integer.
    version: Option<String>,
    /// After how long without an ack the server delivers again; `30s` by default, as on the server.
    #[schemars(regex(pattern = "^[0-9]+[dhms]$"))]
    ack_wait: Option<String>,
}

/// A collection, by an HTTP consumer of the former Sequin.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub(in crate::mapping) struct Legacy {
    /// A datastore of type `sequin` with `protocol: legacy`.
    datastore: String,
    /// The consumer's id. Pipelines that name the same one share its records, each those of its collection.
    #[schemars(regex(pattern = "^[A-Za-z0-9._-]{1,200}$"))]
    consumer: String,
    /// The collection by its id (`airtable:…`), its name, or its upstream id (`tbl…`).
    collection: String,
    /// How long the pipeline rests between two runs; `0s` by default: every tick runs it.
    #[schemars(regex(pattern = "^[0-9]+[dhms]$"))]
    every: Option<String>,
    /// Raised by hand when `updated_idx` counts anew; 0 by default.
    epoch: Option<u32>,
    /// After how long without an ack the server delivers again; `30s` by default, as on the server.
    #[schemars(regex(pattern = "^[0-9]+[dhms]$"))]
    ack_wait: Option<String>,
}

/// An Airtable table.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub(in crate::mapping) struct Airtable {
    /// A datastore of type `airtable`.
    datastore: String,
    /// The base by its id.
    #[schemars(regex(pattern = "^app[A-Za-z0-9]{14}$"))]
    base: String,
    /// The table by its id (`tbl…`), which survives a rename, or by its name.
    table: String,
    /// How long the pipeline rests between two runs; `0s` by default: every tick runs it.
    #[schemars(regex(pattern = "^[0-9]+[dhms]$"))]
    every: Option<String>,
    /// How changes are found between two sweeps; `webhook` by default.
    feed: Option<Feed>,
    /// How often the whole table is read; `24h` by default.
    #[schemars(regex(pattern = "^[0-9]+[dhms]$"))]
    sweep_every: Option<String>,
    /// The share of a table's rows that one sweep may delete, as `0.5` or `50%`; the default is half.
    mass_delete: Option<Share>,
}

/// A share of a whole.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(in crate::mapping) enum Share {
    Number(#[schemars(range(min = 0, max = 1))] f64),
    Percent(#[schemars(regex(pattern = "^[0-9.]+ *%$"))] String),
}

/// A name, or several.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(in crate::mapping) enum Key {
    One(String),
    Several(#[schemars(length(min = 1))] Vec<String>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum ReplicaIdentity {
    Default,
    Full,
}

/// How changes of an Airtable table are found.
#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub(in crate::mapping) enum Feed {
    /// By a webhook that the function makes, or not at all: every run is a sweep.
    Word(FeedWord),
    /// By a webhook that exists.
    Webhook {
        /// Its id.
        #[schemars(regex(pattern = "^ach[A-Za-z0-9]{14}$"))]
        webhook: String,
    },
    /// By a field of type `lastModifiedTime` that watches all fields.
    LastModified {
        /// The field by id or name.
        last_modified: String,
    },
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum FeedWord {
    Webhook,
    Sweep,
}
