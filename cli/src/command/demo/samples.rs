//! The sample mapping and the sample events, held in the program so that it shows them wherever it is installed.

/// The sample mapping.
pub(super) const MAPPING: &str = include_str!("../../../../tributary.yaml");

/// A delivery of sample events.
pub(super) struct Delivery {
    /// The file in `events/dynamodb-stream`.
    pub(super) file: &'static str,
    /// What it tells, where that needs words.
    pub(super) remark: &'static str,
    /// The event as Lambda gets it.
    pub(super) event: &'static str,
}

macro_rules! delivery {
    ($file:literal, $remark:literal) => {
        Delivery {
            file: $file,
            remark: $remark,
            event: include_str!(concat!("../../../../events/dynamodb-stream/", $file)),
        }
    };
}

/// The deliveries, in an order in which they were not made.
pub(super) const DELIVERIES: [Delivery; 5] = [
    delivery!("modify.json", "updates of users nobody has seen yet"),
    delivery!("remove.json", "two of them leave"),
    delivery!("insert.json", "only now they sign up"),
    delivery!("out-of-order.json", "newest first, one record twice"),
    delivery!("poison.json", "bad records among good ones"),
];

/// What of a table is shown.
pub(super) const SHOWN: [(&str, &[&str]); 3] = [
    ("profile", &["id", "name", "handle", "location", "rep_score", "deleted", "deleted_at"]),
    ("appearance_settings", &["profile_id", "mode", "colorway", "theme", "deleted"]),
    ("notification_settings", &["profile_id", "push_follows", "push_likes", "app_follows", "app_likes", "deleted"]),
];
