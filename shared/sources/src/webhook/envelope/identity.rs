//! What tells a delivery from a redelivery: the sender's id of the event, or the bytes.

use bytes::Bytes;
use ring::digest::{SHA256, digest as hash};
use tributary_core::path::{Path, Step};
use tributary_core::{Error, Result};

use super::pick::{find, pick, whole, word};
use super::{Context, Delivery, Envelope, Place, Shape};
use crate::webhook::verify::to_hex;

/// How a path begins that starts at the top of the body.
pub(super) const ROOT: &str = "$root";

/// How long an id may be that is kept as it is. Longer ones are kept as a digest.
const LONGEST: usize = 200;

/// What tells a delivery from a redelivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dedupe {
    /// The sender's id of the delivery: the same for every redelivery, and of no other.
    Sender(Box<str>),
    /// The sender says no id, so this is a digest of the body. The same bytes may be a redelivery, or the same state come
    /// again after another one: where the version is the time of receipt, dropping it may drop a change.
    Digest(Box<str>),
    /// Each event by its position: the sender batches anew when it sends again.
    Events,
}

/// The id of a delivery, and what it is worth.
pub(super) fn of(envelope: &Envelope, delivery: &Delivery<'_>, body: &Bytes) -> (Box<str>, Dedupe) {
    match said(envelope, delivery, body) {
        Some(id) => (id.clone(), Dedupe::Sender(id)),
        None => {
            let id = digest(body);
            (id.clone(), Dedupe::Digest(id))
        }
    }
}

fn said(envelope: &Envelope, delivery: &Delivery<'_>, body: &Bytes) -> Option<Box<str>> {
    let json = std::str::from_utf8(body).ok()?;
    let header = |name: &str| delivery.headers.get(name).and_then(kept);
    match &envelope.id {
        Some(Place::Header(name)) => return header(name),
        Some(Place::Path(path)) => {
            return word(find(whole(json).ok()?, from_root(path).unwrap_or(path.steps())).ok()?)
                .and_then(|id| kept(&id));
        }
        None => {}
    }
    let signed = delivery.id.and_then(kept);
    let own = || match &envelope.shape {
        Shape::Stripe { .. } | Shape::Hasura { .. } | Shape::HasuraSchedule => {
            word(pick(json, ["id"]).ok()?[0]).and_then(|id| kept(&id))
        }
        Shape::Github { .. } => header("x-github-delivery"),
        _ => None,
    };
    let known = || ["webhook-id", "svix-id", "x-shopify-webhook-id"].into_iter().find_map(header);
    signed.or_else(own).or_else(known)
}

/// The id that a record says by itself, where the mapping says that it does.
///
/// # Errors
/// `Data` when it doesn't.
pub(super) fn of_record(context: &Context<'_>, record: &str) -> Result<Option<Box<str>>> {
    let Some(Place::Path(path)) = &context.envelope.id else { return Ok(None) };
    if from_root(path).is_some() {
        return Ok(None);
    }
    let id = word(find(whole(record)?, path.steps())?).and_then(|id| kept(&id));
    id.map(Some).ok_or_else(|| Error::data(format!("id: `{path}` is not in the record")))
}

/// The path from the top of the body, where it is one.
pub(super) fn from_root(path: &Path) -> Option<&[Step]> {
    let (first, rest) = path.steps().split_first()?;
    match first {
        Step::Field(name) if **name == *ROOT && !rest.is_empty() => Some(rest),
        Step::Field(_) | Step::Index(_) => None,
    }
}

/// An id as it is kept: Postgres has no U+0000, and an index no room for a long one. An empty one is none.
pub(super) fn kept(id: &str) -> Option<Box<str>> {
    match id {
        "" => None,
        id if id.len() > LONGEST || id.chars().any(char::is_control) => Some(digest(id.as_bytes())),
        id => Some(id.into()),
    }
}

/// `sha256:` and the digest.
pub(super) fn digest(bytes: &[u8]) -> Box<str> {
    format!("sha256:{}", to_hex(hash(&SHA256, bytes).as_ref())).into()
}
