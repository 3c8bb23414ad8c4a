//! What a mapping says about a webhook: who may send, what the bodies mean, and what becomes of them.
//!
//! Words of the mapping and nothing else: the sources verify and read by them, the runtime answers by them. No secret
//! stands here, only references.

pub mod envelope;
pub mod scheme;

pub use envelope::Envelope;
pub use scheme::Scheme;

use crate::pipeline::SecretRef;

/// What of a hook a pipeline takes. Pipelines of one hook share its deliveries: they have the same verification and mode,
/// each with an envelope of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookSource {
    /// The name in `POST /hooks/{hook}`.
    pub hook: String,
    /// Who may send.
    pub verification: Verification,
    /// What the bodies mean.
    pub envelope: Envelope,
    /// What becomes of a body that was verified.
    pub mode: Mode,
}

/// A hook whose bodies hold no rows: they say that pipelines shall run now.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// The name in the mapping, among those of the pipelines.
    pub name: String,
    /// The hook; its envelope is one of those that [`Envelope::is_hint`].
    pub source: WebhookSource,
    /// The pipelines that it may run, by name. A scheduled trigger of Hasura picks among them, all others run all.
    pub runs: Vec<String>,
}

/// Who may send.
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    /// How a sender proves who it is.
    pub scheme: Scheme,
    /// Where its secrets are kept; each is accepted. Empty with [`Scheme::None`] only.
    pub secrets: Vec<SecretRef>,
}

/// What becomes of a body that was verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is applied, then answered.
    #[default]
    Direct,
    /// It is put on a queue and answered; a worker applies it.
    Queue {
        /// What becomes of one that is larger than the queue takes.
        too_large: TooLarge,
    },
}

/// What becomes of a body that is larger than the queue takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TooLarge {
    /// It is answered 413.
    #[default]
    Refuse,
    /// It is put in a bucket, and a pointer to it on the queue.
    S3,
}
