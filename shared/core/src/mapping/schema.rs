//! The grammar as a JSON Schema, for editors. It says what a file looks like; what its parts mean together only
//! [`super::load`] can say.

#![allow(
    dead_code,
    clippy::large_enum_variant,
    reason = "the schema is derived from these types; values of them are never made"
)]

mod datastore;
mod named;
mod odk;
mod source;
mod webhook;

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use datastore::Datastore;
use named::{Named, without_null};
use odk::{Attachments, Children};
use source::Source;

/// The JSON Schema of a mapping file (draft 2020-12).
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(without_null));
    settings.into_generator().into_root_schema_for::<Mapping>().to_value()
}

/// A mapping of Tributary: which sources flow into which tables.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Mapping {
    /// The systems that are read and written, by name.
    datastores: Named<Datastore>,
    /// From one source to the tables of one sink, by name.
    pipelines: Named<Pipeline>,
}

/// From one source to the tables of one sink.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Pipeline {
    /// What is read.
    source: Source,
    /// What is written; absent only where a hook's bodies hold no rows.
    sink: Option<Sink>,
}

/// What is written.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Sink {
    /// A datastore of type `postgres`.
    datastore: String,
    /// The schema of tables that name none; the datastore's by default.
    #[schemars(length(min = 1, max = 63))]
    schema: Option<String>,
    /// The delete policy of tables that have none.
    delete: Option<Delete>,
    /// Names of the columns that Tributary keeps.
    meta: Option<Meta>,
    /// The tables, by `name` or `schema.name`.
    tables: Named<Table>,
    /// For forms of ODK Central: where the files go that submissions name.
    attachments: Option<Attachments>,
}

/// Names of the columns that Tributary keeps.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Meta {
    /// The row's version; `_version` by default, `updated_idx` for a legacy Sequin.
    version: Option<String>,
    /// The type of that column in tables that are made: `numeric`, or `bigint`, which only a legacy Sequin's versions fit.
    version_type: Option<VersionType>,
    /// Whether the row is a tombstone; `_deleted` by default.
    deleted: Option<String>,
    /// When the row was last written; `_synced_at` by default.
    synced_at: Option<String>,
    /// When the source made the change; `_source_at` by default.
    source_at: Option<String>,
    /// Why a column is NULL or cut; `_errors` by default, only where a column has `on_error: null` or `truncate`.
    errors: Option<String>,
    /// The versions of columns that are older than their row; `_versions` by default, only where the source may send parts
    /// of items.
    versions: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum VersionType {
    Numeric,
    Bigint,
}

/// A table of the sink.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Table {
    /// The part of the item that is a row: a sub-document (`appearance`), or the elements of a list (`lines[]`).
    from: Option<String>,
    /// The columns that tell rows apart. Records have a default: `record_id` in Airtable, `upstream_id` in a legacy Sequin,
    /// `submission_id` or `entity_id` in ODK Central, with `repeat_id` for the elements of a list.
    key: Option<Named<Column>>,
    /// The other columns.
    columns: Option<Columns>,
    /// An expression; rows for which it doesn't hold are deleted.
    when: Option<String>,
    /// What becomes of a row when its item is deleted; `soft` by default, `hard` for the elements of a list.
    delete: Option<Delete>,
    /// For forms of ODK Central: the tables of the items' repeats.
    children: Option<Children>,
    /// For forms of ODK Central: a view, `name` or `schema.name`, of the items with each repeat as an array of objects.
    #[schemars(length(min = 1))]
    view: Option<String>,
}

/// Columns by name, `auto` for all fields of the source, or `"*": auto` among the names for all others.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Columns {
    Auto(Auto),
    Named(Named<Column>),
}

/// All fields, with the types that the source says. New fields become columns, removed ones stay.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Auto {
    Auto,
}

/// A column: its type alone, when it comes from the field of its name; or where it comes from and its type.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Column {
    /// A Postgres type.
    Type(String),
    /// Where it comes from, its type, and what happens when a value doesn't fit.
    Whole(WholeColumn),
}

/// Where a column comes from, its type, and what happens when a value doesn't fit.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub(super) struct WholeColumn {
    /// A path in the row's part of the item, `$root.` and a path from the top of it, `$index`, or `$value`, the part itself.
    /// Records have `$id` and `$created` at the top.
    from: Option<String>,
    /// A Jinja template or expression, instead of `from`.
    value: Option<String>,
    /// A Postgres type.
    #[schemars(rename = "type")]
    ty: String,
    /// What stands there when the source says nothing.
    default: Option<Literal>,
    /// What happens when a value doesn't fit the type; `dead_letter` by default, `null` for answers to a form of ODK Central.
    on_error: Option<OnError>,
}

/// Any value but null.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Literal {
    Boolean(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

/// `dead_letter`: the event goes to the dead letters. `null`: the column is NULL. `truncate`: text is cut.
pub(super) struct OnError;

impl JsonSchema for OnError {
    fn schema_name() -> Cow<'static, str> {
        "OnError".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // `on_error: null` without quotes is a null to YAML.
        json_schema!({ "enum": ["dead_letter", "null", "truncate", null] })
    }
}

/// What becomes of a row when its item is deleted.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Delete {
    Mode(Mode),
    Policy(Policy),
}

/// `soft`: it stays as a tombstone. `hard`: it is gone. `ignore`: it stays as it is.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Mode {
    Soft,
    Hard,
    Ignore,
}

/// What becomes of a row when its item is deleted.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Policy {
    mode: Mode,
    /// A boolean column that is true in a deleted row.
    column: Option<String>,
    /// A column for the time of the delete.
    at: Option<String>,
    /// A column for the reason: deleted, expired, absent or filtered.
    reason: Option<String>,
    /// Whether the last values stay; true by default.
    keep: Option<bool>,
    /// Whether deletes by expiry count; `apply` by default.
    ttl: Option<Ttl>,
    /// How long tombstones stay, at least `7d`; for ever by default.
    #[schemars(regex(pattern = "^[0-9]+[dhms]$"))]
    purge_after: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Ttl {
    Apply,
    Ignore,
}
