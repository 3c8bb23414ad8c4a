//! Webhooks: what anybody can POST, verified and decoded into events. Bytes and headers in, events out.
//!
//! Pure: no network, no clock, no environment. The time and the secrets are handed in by the runtime, which answers the
//! request; [`verify`] says whether the sender is who it should be, [`envelope`] what the body means. A body is decoded
//! after it was verified, never before: the signature is over the bytes as they arrived.

pub mod envelope;
mod headers;
pub mod verify;

pub use headers::Headers;
pub use tributary_core::webhook::scheme;
