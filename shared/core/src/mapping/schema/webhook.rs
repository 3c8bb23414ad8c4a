//! `source:` of type `webhook`: who may send, and what the bodies mean.

use schemars::JsonSchema;

use super::datastore::Reference;
use super::source::{Key, ReplicaIdentity};

/// What a sender posts to `/hooks/{hook}`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub(in crate::mapping) struct Webhook {
    /// It has no datastore.
    #[schemars(rename = "type")]
    kind: WebhookWord,
    /// The name in the URL; the pipeline's by default. Pipelines that name the same one share its deliveries.
    #[schemars(regex(pattern = "^[A-Za-z0-9._-]{1,200}$"))]
    hook: Option<String>,
    /// Who may send. Pipelines of one hook say it once, or the same.
    verify: Option<Verification>,
    /// What stands around the rows.
    envelope: Envelope,
    /// Where the version stands, an integer or a time: in the row, beside it, or after `$root.` at the top of the body. Without
    /// it the last that arrives wins, unless the envelope has a time or a place of its own.
    version: Option<String>,
    /// Where the sender's event id stands, when not where this sender is known to put it.
    id: Option<Place>,
    /// `direct`: a body is applied, then answered. `queue`: it is put on a queue, then answered.
    mode: Option<HookMode>,
    /// With `mode: queue`: whether a body that is too large for the queue is refused, or goes by S3.
    too_large: Option<TooLarge>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum WebhookWord {
    Webhook,
}

/// `none`, or a scheme with its secrets.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(in crate::mapping) enum Verification {
    /// Anybody may send.
    None(NoneWord),
    /// How a sender proves who it is. Which keys there are depends on the scheme.
    Scheme(Box<WholeVerification>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum NoneWord {
    None,
}

/// How a sender proves who it is.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub(in crate::mapping) struct WholeVerification {
    scheme: Scheme,
    /// Where the secret is kept.
    secret: Option<Reference>,
    /// Where the secrets are kept, while they rotate: each is accepted.
    #[schemars(length(min = 1, max = 8))]
    secrets: Option<Vec<Reference>>,
    /// How far the signed time may be from ours; `5m` by default, at most `7d`.
    #[schemars(regex(pattern = "^[0-9]+[dhms]$"))]
    tolerance: Option<String>,
    /// The header of the signature, or of the secret itself.
    header: Option<String>,
    /// `hmac`: what stands before the signature, such as `sha256=`.
    prefix: Option<String>,
    /// `hmac` and `convoy`: the hash; `sha256` by default.
    algorithm: Option<Algorithm>,
    /// `hmac` and `convoy`: how the signature is written; `hex` by default.
    encoding: Option<Encoding>,
    /// `convoy`: `simple` by default.
    signature: Option<Signature>,
    /// `hmac`: how the secret is written; `text` by default.
    secret_encoding: Option<SecretEncoding>,
    /// `hmac`: what is signed; `{body}` by default. `{timestamp}` and `{id}` are headers as they were sent.
    signed: Option<String>,
    /// `hmac`: where the signed time stands.
    timestamp: Option<Timestamp>,
    /// `hmac`: the header of the signed id.
    id: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum Scheme {
    Standard,
    Stripe,
    Github,
    Shopify,
    Airtable,
    Convoy,
    Hmac,
    Bearer,
    Header,
    Basic,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum Algorithm {
    Sha256,
    Sha512,
    Sha1,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum Encoding {
    Hex,
    Base64,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum Signature {
    Simple,
    Advanced,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum SecretEncoding {
    Text,
    Hex,
    Base64,
}

/// Where a signed time stands.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::mapping) struct Timestamp {
    header: String,
    /// How it is written; `seconds` since 1970 by default.
    unit: Option<Unit>,
    /// How far it may be from ours; `5m` by default, at most `7d`.
    #[schemars(regex(pattern = "^[0-9]+[dhms]$"))]
    tolerance: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum Unit {
    Seconds,
    Milliseconds,
    Iso,
}

/// What stands around the rows: a word, or a map with its `type`.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(in crate::mapping) enum Envelope {
    Word(EnvelopeWord),
    Whole(WholeEnvelope),
}

/// Which keys there are depends on the type.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub(in crate::mapping) struct WholeEnvelope {
    #[schemars(rename = "type")]
    kind: EnvelopeWord,
    /// `sequin`, `hasura` and `supabase`: the table whose changes are taken, `table` or `schema.table`; any by default.
    table: Option<String>,
    /// `sequin`: the table's primary key. `mapped`: the path of the key of a row that is gone.
    key: Option<Key>,
    /// `sequin`: raised by hand when the source database is another one; 0 by default.
    epoch: Option<u32>,
    /// `sequin`: the source table's replica identity; with `full` messages hold whole rows.
    replica_identity: Option<ReplicaIdentity>,
    /// `stripe`: the types of objects that are taken; any by default.
    objects: Option<Words>,
    /// `github`: the events that are taken; any by default.
    events: Option<Words>,
    /// `mapped`: the list of records in the body; the body is one record by default.
    rows: Option<String>,
    /// `mapped`: the row in a record; the record is the row by default.
    row: Option<String>,
    /// `mapped`: the row as it was before.
    before: Option<String>,
    /// `mapped`: what happened; nothing is ever deleted by default.
    operation: Option<Operation>,
    /// `mapped`: when it happened. For people, not for order.
    time: Option<String>,
    /// `airtable`, `central` and `hasura_schedule`, whose bodies hold no rows: the pipelines that they run.
    runs: Option<Key>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(in crate::mapping) enum EnvelopeWord {
    Plain,
    Data,
    Sequin,
    Hasura,
    HasuraSchedule,
    Supabase,
    Stripe,
    Github,
    Airtable,
    Central,
    Mapped,
}

/// The words of a sender for what happened.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::mapping) struct Operation {
    /// Where the word stands.
    path: String,
    /// The row is gone.
    delete: Option<Words>,
    /// The row is as it is said; any other word by default.
    upsert: Option<Words>,
    /// The record is nothing to us.
    skip: Option<Words>,
}

/// A word, or several.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(in crate::mapping) enum Words {
    One(Word),
    Several(#[schemars(length(min = 1))] Vec<Word>),
}

/// Numbers and booleans are words too.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(in crate::mapping) enum Word {
    Text(String),
    Number(f64),
    Boolean(bool),
}

/// A path, or a header.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(in crate::mapping) enum Place {
    /// In each record, or after `$root.` at the top of the body.
    Path(String),
    /// In a header.
    Header(HeaderPlace),
}

/// In a header.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::mapping) struct HeaderPlace {
    /// Its name.
    header: String,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum HookMode {
    Direct,
    Queue,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(in crate::mapping) enum TooLarge {
    Refuse,
    S3,
}
