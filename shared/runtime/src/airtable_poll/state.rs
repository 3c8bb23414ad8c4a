//! What a pipeline remembers between two ticks, in its checkpoints.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How far changes have been heard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Feed {
    /// What is listened to; another feed in the mapping begins anew.
    pub(super) of: String,
    /// The table's id.
    pub(super) table: String,
    /// How often changes may have been missed: a new feed, lost payloads, a dead hook. A sweep heals all that were before it.
    pub(super) breaks: u64,
    /// The webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hook: Option<String>,
    /// Why nothing comes from a webhook that the mapping names any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dead: Option<String>,
    /// The number of the payload that is next, and how many of its records are done already.
    #[serde(default)]
    pub(super) cursor: u64,
    #[serde(default)]
    pub(super) skip: usize,
    /// When the feed was last read, in microseconds since 1970, give or take an hour.
    #[serde(default)]
    pub(super) read_at: i64,
    /// Up to when changes have been read, by the source's clock, in microseconds since 1970.
    #[serde(default)]
    pub(super) until: i64,
}

/// The last sweep that was complete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Swept {
    /// When it began, in microseconds since 1970.
    pub(super) began: i64,
    /// Which breaks of the feed it has healed.
    pub(super) healed: u64,
    /// What the tables were made of.
    pub(super) shape: String,
    /// How many records it saw.
    pub(super) records: u64,
    /// How many rows it found missing and didn't delete, because that were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) held: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Feed {
    /// The name of the checkpoint.
    pub(super) const PARTITION: &str = "feed";
}

impl Swept {
    /// The name of the checkpoint.
    pub(super) const PARTITION: &str = "sweep";
    /// The name of the checkpoint of one that goes on.
    pub(super) const UNDER_WAY: &str = "sweeping";
}

/// Reads a state back. One that cannot be read is none: then all begins anew, which costs a sweep.
pub(super) fn parse<T: DeserializeOwned>(stored: Option<&str>) -> Option<T> {
    serde_json::from_str(stored?).ok()
}

pub(super) fn text(state: &impl Serialize) -> String {
    serde_json::to_string(state).unwrap_or_default()
}
