//! ODK Central: how to reach a server, what of it a pipeline reads, and what stands in an item of it.

use std::time::Duration;

use crate::path::Path;
use crate::pipeline::SecretRef;

/// How to reach a server of ODK Central.
#[derive(Clone, Debug)]
pub struct OdkStore {
    /// The address, without a path.
    pub base_url: String,
    /// The email address of a web user; the role Project Viewer suffices.
    pub email: OdkEmail,
    /// The user's password.
    pub password: SecretRef,
    /// Whether each request carries both (HTTP Basic) instead of the token of a session.
    pub basic: bool,
}

/// The email address of a web user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OdkEmail {
    /// It stands in the mapping.
    Plain(String),
    /// It stands beside the password.
    Secret(SecretRef),
}

/// Which rows of ODK Central a pipeline takes.
///
/// # The item
/// An item is the row as the server writes it: groups are maps, a choice of several a list of text. Beside its fields stand
/// [`crate::pipeline::RECORD_ID`], [`RAW`], [`ATTACHMENTS`] and [`MARK`], and every list at the top by its path below the
/// item: `person_details`, `person_details.income`, `children.child`. So the lists of all depths are lists of the item, and
/// their elements hold no lists. An element has [`ELEMENT_ID`], [`POSITION`], [`PARENT`] and [`SUBMISSION`].
///
/// A delete brings the item as it was; of one that was purged nothing is left but `$id` and `__id`.
#[derive(Clone, Debug)]
pub struct OdkSource {
    /// The project's number.
    pub project: u64,
    /// What of it.
    pub set: OdkSet,
    /// Where an item's id comes from: the first of these places that isn't empty. Never empty; `[__id]` by default.
    pub key: Vec<Path>,
    /// How far before the last pass the next one begins to look for changes: longer than the server's longest transaction.
    pub overlap: Duration,
    /// How long between two reads of all ids, which find what moved no timestamp.
    pub sweep_every: Duration,
    /// The share of the rows that may vanish in one pass before another pass must agree, from 0 to 1.
    pub mass_delete: f64,
    /// What `columns: auto` makes of places on a map.
    pub geo: Geo,
    /// How long after its submission a row with missing attachments is read again.
    pub retry_attachments_for: Duration,
}

impl OdkSource {
    /// Whether an item's id is its `__id` and nothing else.
    pub fn is_keyed_by_id(&self) -> bool {
        self.key.as_slice() == [Path::field(ELEMENT_ID)]
    }
}

/// A set of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OdkSet {
    /// The submissions of a form, by its `xmlFormId`.
    Form(String),
    /// The entities of a dataset, by its name.
    Dataset(String),
}

/// What places on a map become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Geo {
    /// GeoJSON in a `jsonb` column.
    #[default]
    Jsonb,
    /// A `geometry` column of PostGIS, which reads GeoJSON.
    Geometry,
}

/// The field of an item and of a list's element that the server tells rows apart by.
pub const ELEMENT_ID: &str = "__id";

/// The field of what the server itself knows of an item.
pub const SYSTEM: &str = "__system";

/// The reserved field of the row as the server sent it.
pub const RAW: &str = "$raw";

/// The reserved field of the files that an item names: a list of maps with `name`, `field` and `position`.
pub const ATTACHMENTS: &str = "$attachments";

/// The reserved field of what changes whenever an item's files may have.
pub const MARK: &str = "$mark";

/// The reserved field of an element's position in its list, from 0.
pub const POSITION: &str = "$position";

/// The reserved field of the id of the element whose list an element stands in; absent at the first level.
pub const PARENT: &str = "$parent";

/// The reserved field of the `__id` of the submission that an element belongs to.
pub const SUBMISSION: &str = "$submission";

/// The column of [`SYSTEM`], which every table of whole items has: the poller compares it.
pub const SYSTEM_COLUMN: &str = "_system";

/// The column of [`RAW`] in a table whose columns follow the form.
pub const RAW_COLUMN: &str = "_raw";
