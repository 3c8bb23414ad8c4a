//! What is posted: the same for the same number, but for when it was signed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::json;
use tributary_core::webhook::Scheme;
use tributary_sources::webhook::verify::{Outgoing, sign};
use tributary_tests::gateway;

/// Of Standard Webhooks.
pub(crate) const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// How many rows the deliveries are about.
const ROWS: usize = 500;

/// A post before it is signed.
pub(crate) struct Post {
    id: String,
    body: String,
}

/// Posts, and what must come of them.
pub(crate) struct Deliveries {
    pub(crate) posts: Vec<Post>,
    /// How many of them have an id of their own.
    pub(crate) different: usize,
    /// The newest revision of each row.
    pub(crate) newest: BTreeMap<usize, usize>,
}

/// So many deliveries, of which a tenth come twice, in an order in which they were not made.
pub(crate) fn make(different: usize) -> Deliveries {
    let mut newest = BTreeMap::new();
    let mut posts = Vec::new();
    for number in 1..=different {
        let row = number % ROWS;
        newest.insert(row, number);
        for _ in 0..=usize::from(number % 10 == 0) {
            let body = json!({
                "id": row, "status": format!("state {number}"), "total": format!("{}.25", number % 1_000), "revision": number,
                "customer": format!("customer {}", number % 5_000), "notes": "a note ".repeat(20), "placed": "2026-01-01T12:00:00Z",
            });
            posts.push(Post { id: format!("msg_{number}"), body: body.to_string() });
        }
    }
    fastrand::Rng::with_seed(7).shuffle(&mut posts);
    Deliveries { posts, different, newest }
}

impl Post {
    /// As a function URL hands it on, signed now.
    pub(crate) fn event(&self) -> Result<Bytes, crate::Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let scheme = Scheme::Standard { tolerance: Duration::from_secs(300) };
        let outgoing = Outgoing { body: self.body.as_bytes(), id: &self.id, now: i64::try_from(now)? };
        let signed = sign(&scheme, &[SECRET], &outgoing)?;
        let headers = signed.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers = headers.chain([("content-type", "application/json"), ("user-agent", "sender/1.0")]);
        Ok(gateway::event("POST", "/hooks/orders", headers, self.body.as_bytes()).to_string().into())
    }
}
