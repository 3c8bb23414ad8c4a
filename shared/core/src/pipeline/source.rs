//! What a pipeline reads: a variant a kind of source.

use std::time::Duration;

use crate::path::{Path, Step};
use crate::pipeline::odk::{self, OdkSet, OdkSource};
use crate::webhook::WebhookSource;

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
    /// Submissions of a form of ODK Central, or entities.
    Odk(OdkSource),
    /// What a sender posts to a hook.
    Webhook(Box<WebhookSource>),
}

impl SourceKind {
    /// Whether an event may hold a part of its item only. Then the sink keeps a version for each column.
    pub fn sends_parts(&self) -> bool {
        match self {
            SourceKind::Dynamodb { .. } | SourceKind::Airtable(_) | SourceKind::Odk(_) => false,
            SourceKind::Sequin(source) => !source.whole,
            SourceKind::SequinLegacy(_) => true,
            SourceKind::Webhook(source) => source.envelope.sends_parts(),
        }
    }

    /// Whether a field that was removed at the source is absent from all items from then on, also from those that had a value
    /// of it: then the columns of such fields are left alone.
    pub fn keeps_removed(&self) -> bool {
        matches!(self, SourceKind::Odk(_))
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
            SourceKind::Odk(_) => &[RECORD_ID, odk::RAW, odk::ATTACHMENTS, odk::MARK],
        }
    }

    /// The reserved fields that stand in an element of a list of an item.
    pub fn reserved_in_elements(&self) -> &'static [&'static str] {
        match self {
            SourceKind::Odk(_) => &[odk::POSITION, odk::PARENT, odk::SUBMISSION],
            _ => &[],
        }
    }

    /// The place of a field in a row's part of the item, by the field's id.
    pub fn path_of(&self, id: &str) -> Path {
        match self {
            SourceKind::Odk(_) => Path::fields(id.split('/')),
            _ => Path::field(id),
        }
    }

    /// The id of the field at a place: what [`SourceKind::path_of`] makes the place of. `None` where no field is.
    pub fn id_of(&self, path: &Path) -> Option<String> {
        match (self, path.steps()) {
            (SourceKind::Odk(_), steps) => {
                let name = |step: &Step| match step {
                    Step::Field(name) => Some(name.to_string()),
                    Step::Index(_) => None,
                };
                Some(steps.iter().map(name).collect::<Option<Vec<_>>>()?.join("/"))
            }
            (_, [Step::Field(name)]) => Some(name.to_string()),
            _ => None,
        }
    }

    /// What it is, as messages name it.
    pub fn noun(&self) -> &'static str {
        match self {
            SourceKind::Dynamodb { .. } => "a DynamoDB table",
            SourceKind::Sequin(_) => "a Sequin stream",
            SourceKind::SequinLegacy(_) => "a Sequin consumer",
            SourceKind::Airtable(_) => "an Airtable table",
            SourceKind::Odk(OdkSource { set: OdkSet::Form(_), .. }) => "an ODK form",
            SourceKind::Odk(OdkSource { set: OdkSet::Dataset(_), .. }) => "an ODK dataset",
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
