//! How a sender proves who it is: the scheme as the mapping says it. No secret stands here.

use std::time::Duration;

use crate::error::{Error, Result};

/// What most senders document: a signature is good for five minutes.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// How many secrets a hook may have at once.
pub const MAX_SECRETS: usize = 8;

/// How a sender proves who it is. A hook may have several secrets, while they rotate.
///
/// A tolerance is how far the signed time may be from ours, to both sides. Schemes that sign no time cannot tell a replay
/// from a delivery; what settles it there is the sender's event id and the version of the row.
#[derive(Clone, Debug, PartialEq)]
pub enum Scheme {
    /// Standard Webhooks, also with the header names of Svix: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    ///
    /// Secrets: `whsec_…` for `v1` (HMAC-SHA256, base64 after the prefix), `whpk_…` for `v1a` (a public key of Ed25519).
    /// `whsk_…`, the private key, verifies too, and is what signs.
    Standard {
        /// The tolerance.
        tolerance: Duration,
    },
    /// Stripe: `Stripe-Signature: t=…,v1=…`. A secret is the whole text `whsec_…`, its prefix included.
    Stripe {
        /// The tolerance.
        tolerance: Duration,
    },
    /// GitHub: `X-Hub-Signature-256: sha256=…`. Signs no time.
    Github,
    /// Shopify: `X-Shopify-Hmac-SHA256`, base64. The secret is the app's client secret. Signs no time and no header.
    Shopify,
    /// Airtable: `X-Airtable-Content-MAC: hmac-sha256=…`. A secret is the hook's `macSecretBase64`. Signs no time.
    Airtable,
    /// Convoy.
    Convoy {
        /// The header that the endpoint is configured with, `X-Convoy-Signature` by default.
        header: Box<str>,
        /// SHA-256 or SHA-512.
        algorithm: Algorithm,
        /// How the signature is written.
        encoding: Encoding,
        /// The tolerance of an *advanced* signature, `t=…,v1=…` over `<t>,<body>`; `None`: a *simple* one, of the body alone.
        advanced: Option<Duration>,
    },
    /// Any HMAC.
    Hmac(Hmac),
    /// `Authorization: Bearer …`. Proves nothing about the body.
    Bearer,
    /// A secret in a header: `X-API-Key` of central-webhook, the static header of a Hasura trigger or a Supabase hook.
    /// Proves nothing about the body.
    Header {
        /// The header.
        header: Box<str>,
    },
    /// `Authorization: Basic …`; a secret is `user:password`. Proves nothing about the body.
    Basic,
    /// Anybody may send anything.
    None,
}

/// An HMAC of a sender that has no scheme of its own here.
#[derive(Clone, Debug, PartialEq)]
pub struct Hmac {
    /// The header with the signature.
    pub header: Box<str>,
    /// What stands before the signature there: `sha256=`, `v0=`.
    pub prefix: Box<str>,
    /// The hash.
    pub algorithm: Algorithm,
    /// How the signature is written.
    pub encoding: Encoding,
    /// How the secret is written.
    pub secret: SecretForm,
    /// What is signed.
    pub template: Template,
    /// Where the signed time stands; set if and only if the template has `{timestamp}`.
    pub timestamp: Option<Timestamp>,
    /// The header with the signed id; set if and only if the template has `{id}`.
    pub id: Option<Box<str>>,
}

/// The hash of an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-1; an HMAC of it is not broken, but nobody should begin with it.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How the bytes of a signature are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal digits, of one case.
    Hex,
    /// Base64 with padding.
    Base64,
}

/// How the bytes of a secret are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretForm {
    /// They are the text itself, in UTF-8.
    Text,
    /// Hexadecimal digits.
    Hex,
    /// Base64.
    Base64,
}

/// The header of a signed time.
#[derive(Clone, Debug, PartialEq)]
pub struct Timestamp {
    /// The header.
    pub header: Box<str>,
    /// How the time is written.
    pub unit: Unit,
    /// The tolerance.
    pub tolerance: Duration,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Whole seconds since 1970.
    Seconds,
    /// Whole milliseconds since 1970.
    Milliseconds,
    /// `2023-07-19T14:56:51.634Z`.
    Iso,
}

/// What an HMAC is of: text in which `{body}` stands for the body, `{timestamp}` and `{id}` for those headers as they were
/// sent. `{body}`, `{timestamp}.{body}`, `v0:{timestamp}:{body}`.
///
/// Whoever signs places without anything between them signs less than it thinks: `{timestamp}{body}` is the same for a
/// digit more in the one and less in the other. It is allowed because senders do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text that stands as it is.
    Text(Box<str>),
    /// The body.
    Body,
    /// The header of the time.
    Timestamp,
    /// The header of the id.
    Id,
}

impl Template {
    /// `{body}`.
    pub fn body() -> Self {
        Template(vec![Piece::Body])
    }

    /// Reads a template.
    ///
    /// # Errors
    /// `Config` when a brace is not closed, a place has another name, or `{body}` is not there exactly once.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |what: &str| {
            Error::config(format!("`{text}` is no template of what is signed: {what}"))
                .with_hint("the places are {body}, {timestamp} and {id}, such as in `{timestamp}.{body}`")
        };
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| bad("a brace is not closed"))?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            pieces.push(match name {
                "body" => Piece::Body,
                "timestamp" => Piece::Timestamp,
                "id" => Piece::Id,
                _ => return Err(bad(&format!("there is no place {{{name}}}"))),
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        if pieces.iter().filter(|piece| **piece == Piece::Body).count() != 1 {
            return Err(bad("{body} stands in it once, or the body would not be signed"));
        }
        Ok(Template(pieces))
    }

    /// The parts, in their order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Whether it has this place.
    pub fn has(&self, place: &Piece) -> bool {
        self.0.contains(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_templates_and_refuses_what_leaves_the_body_unsigned() {
        let template = Template::parse("v0:{timestamp}:{body}").unwrap();
        let text = |text: &str| Piece::Text(text.into());
        assert_eq!(template.pieces(), [text("v0:"), Piece::Timestamp, text(":"), Piece::Body]);
        assert_eq!(Template::parse("{body}").unwrap(), Template::body());
        for bad in ["", "{timestamp}", "{body}{body}", "{body", "{Body}", "{body}{", "{ts}.{body}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
