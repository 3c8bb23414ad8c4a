//! ODK Central in the grammar: the server, what of it is read, the tables of lists, and where files go.

use schemars::JsonSchema;

use super::datastore::Reference;
use super::named::Named;
use super::source::{Key, Share};
use super::{Auto, Column, Columns, Delete};

/// How to reach a server of ODK Central.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::mapping) struct Odk {
    /// The address, without a path; `http` only on this machine or in a private network.
    #[schemars(regex(pattern = "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+/?$"))]
    base_url: String,
    /// A web user; the role Project Viewer suffices.
    auth: OdkAuth,
}

/// Who we are at a server of ODK Central.
#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub(in crate::mapping) enum OdkAuth {
    /// Both are in Secrets Manager.
    Secret {
        /// Name or ARN of a secret that is JSON with `email` and `password`.
        #[schemars(length(min = 1))]
        secret: String,
        /// Whether each request carries both (HTTP Basic) instead of the token of a session; false by default.
        basic: Option<bool>,
    },
    /// The password is kept elsewhere.
    User {
        /// The user's email address.
        email: Email,
        /// Where the password is kept.
        password: Reference,
        /// Whether each request carries both (HTTP Basic) instead of the token of a session; false by default.
        basic: Option<bool>,
    },
}

/// An email address, or where it is kept.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(in crate::mapping) enum Email {
    Plain(#[schemars(regex(pattern = "@"))] String),
    Reference(Reference),
}

/// A form of ODK Central, or with `dataset` its entities.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub(in crate::mapping) struct Form {
    /// A datastore of type `odk`.
    datastore: String,
    /// The project's number.
    #[schemars(range(min = 1))]
    project: u64,
    /// The form by its id.
    #[schemars(length(min = 1))]
    form: Option<String>,
    /// Instead of `form`: the dataset (entity list) by its name.
    #[schemars(length(min = 1))]
    dataset: Option<String>,
    /// How long the pipeline rests between two runs; `0s` by default: every tick runs it.
    #[schemars(regex(pattern = "^[0-9]+[dhms]$"))]
    every: Option<String>,
    /// Where an item's id comes from: the first of these fields that isn't empty; `__id` by default.
    key: Option<Key>,
    /// What `columns: auto` makes of places on a map; `jsonb` by default.
    geo: Option<Geo>,
    /// How far before the last pass the next one begins to look for changes; `15m` by default.
    #[schemars(regex(pattern = "^[0-9]+[dhms]$"))]
    overlap: Option<String>,
    /// How often all rows are compared; `1d` by default.
    #[schemars(regex(pattern = "^[0-9]+[dhms]$"))]
    sweep_every: Option<String>,
    /// The share of the rows (and more than 50) that may vanish in one pass before another must agree; `0.2` by default.
    mass_delete: Option<Share>,
    /// How long after its submission a row with missing attachments is read again; `30d` by default.
    #[schemars(regex(pattern = "^[0-9]+[dhms]$"))]
    retry_attachments_for: Option<String>,
}

/// `jsonb`: GeoJSON. `geometry`: of PostGIS.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum Geo {
    Jsonb,
    Geometry,
}

/// The tables of an item's lists: `auto` for all that there are, or by the list, with `"*": auto` for all others.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(in crate::mapping) enum Children {
    Auto(Auto),
    Named(Named<Child>),
}

/// The table of a list: `auto`, or what it is made of.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(in crate::mapping) enum Child {
    /// All fields of the elements.
    Auto(Auto),
    /// The table.
    Table(ChildTable),
}

/// The table of a list.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub(in crate::mapping) struct ChildTable {
    /// The table, by `name` or `schema.name`; the items' table and the list, joined by `_`, by default.
    table: Option<String>,
    /// The columns that tell rows apart; `submission_id` and `repeat_id` by default.
    key: Option<Named<Column>>,
    /// The other columns.
    columns: Option<Columns>,
    /// An expression; rows for which it doesn't hold are deleted.
    when: Option<String>,
    /// What becomes of a row when it is no more in its list; `hard` by default.
    delete: Option<Delete>,
}

/// Where the files go that submissions name.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::mapping) struct Attachments {
    /// Where they are put.
    to: Destination,
    /// By which name: `{form}/{submission}/{name}` by default; also `{pipeline}`, `{project}`, `{field}`.
    path: Option<String>,
    /// The table with a row a file; the items' table and `_attachment` by default.
    table: Option<String>,
    /// How many files are on their way at once; 4 by default.
    #[schemars(range(min = 1, max = 4))]
    max_workers: Option<u8>,
}

/// Where files are put.
#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub(in crate::mapping) enum Destination {
    /// In a bucket.
    S3 {
        /// The bucket, or the ARN of an access point.
        #[schemars(length(min = 3))]
        s3: String,
        /// What every key begins with.
        prefix: Option<String>,
        /// The bucket's region; the function's own by default.
        region: Option<String>,
        /// Another endpoint.
        #[schemars(regex(pattern = "^https?://"))]
        endpoint: Option<String>,
    },
    /// In a directory of this machine.
    Directory {
        /// Its path.
        #[schemars(length(min = 1))]
        directory: String,
    },
}
