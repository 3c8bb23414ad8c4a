//! Secrets that sign, ready to use.

use ring::hmac;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use subtle::{Choice, ConstantTimeEq};
use tributary_core::{Error, Result};

use super::claim::{Claim, Part, Signature};
use super::encoding::{base64_secret, hex};
use crate::webhook::scheme::{Algorithm, Scheme, SecretForm};

/// The keys of a scheme that signs.
pub(super) struct Keys(Vec<Key>);

/// One key.
pub(super) enum Key {
    /// Of an HMAC.
    Mac(hmac::Key),
    /// Of Ed25519, which verifies.
    Public(Vec<u8>),
    /// Of Ed25519, which signs too.
    Pair(Ed25519KeyPair),
}

impl Keys {
    pub(super) fn new<S: AsRef<str>>(scheme: &Scheme, secrets: &[S]) -> Result<Self> {
        secrets.iter().map(|secret| Key::new(scheme, secret.as_ref())).collect::<Result<_>>().map(Keys)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    /// Whether any signature is of any key. All are tried.
    pub(super) fn match_any(&self, claim: &Claim<'_>, body: &[u8]) -> bool {
        let mut whole = None;
        let mut found = Choice::from(0);
        for key in &self.0 {
            found |= match key {
                Key::Mac(key) => {
                    let tag = tag(key, &claim.signed, body);
                    claim.signatures.iter().fold(Choice::from(0), |found, signature| match signature {
                        Signature::Mac(bytes) => found | tag.as_ref().ct_eq(bytes),
                        Signature::Ed25519(_) => found,
                    })
                }
                Key::Public(public) => signed_by(public, claim, whole.get_or_insert_with(|| join(&claim.signed, body))),
                Key::Pair(pair) => {
                    let public = pair.public_key().as_ref();
                    signed_by(public, claim, whole.get_or_insert_with(|| join(&claim.signed, body)))
                }
            };
        }
        found.into()
    }
}

fn signed_by(public: &[u8], claim: &Claim<'_>, message: &[u8]) -> Choice {
    let key = UnparsedPublicKey::new(&ED25519, public);
    claim.signatures.iter().fold(Choice::from(0), |found, signature| match signature {
        // Nothing here is secret, so its time may tell what it likes.
        Signature::Ed25519(bytes) => found | Choice::from(u8::from(key.verify(message, bytes).is_ok())),
        Signature::Mac(_) => found,
    })
}

/// The MAC of what was signed, without joining it.
pub(super) fn tag(key: &hmac::Key, signed: &[Part<'_>], body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in signed {
        context.update(part.bytes(body));
    }
    context.sign()
}

/// What was signed, in one piece.
pub(super) fn join(signed: &[Part<'_>], body: &[u8]) -> Vec<u8> {
    signed.iter().flat_map(|part| part.bytes(body)).copied().collect()
}

impl Part<'_> {
    fn bytes<'b>(&'b self, body: &'b [u8]) -> &'b [u8] {
        match self {
            Part::Text(text) => text.as_bytes(),
            Part::Body => body,
        }
    }
}

impl Key {
    fn new(scheme: &Scheme, secret: &str) -> Result<Self> {
        let mac = |algorithm, bytes: &[u8]| Ok(Key::Mac(hmac::Key::new(algorithm, bytes)));
        match scheme {
            Scheme::Standard { .. } => standard(secret),
            Scheme::Airtable => mac(hmac::HMAC_SHA256, &bytes_of(SecretForm::Base64, secret)?),
            Scheme::Convoy { algorithm, .. } => mac(of_ring(*algorithm), secret.as_bytes()),
            Scheme::Hmac(generic) => mac(of_ring(generic.algorithm), &bytes_of(generic.secret, secret)?),
            _ => mac(hmac::HMAC_SHA256, secret.as_bytes()),
        }
    }
}

fn of_ring(algorithm: Algorithm) -> hmac::Algorithm {
    match algorithm {
        Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::Sha256 => hmac::HMAC_SHA256,
        Algorithm::Sha512 => hmac::HMAC_SHA512,
    }
}

fn bytes_of(form: SecretForm, secret: &str) -> Result<Vec<u8>> {
    let (bytes, name) = match form {
        SecretForm::Text => (Some(secret.as_bytes().to_vec()), "text"),
        SecretForm::Hex => (hex(secret), "hexadecimal digits"),
        SecretForm::Base64 => (base64_secret(secret), "base64"),
    };
    let bytes = bytes.filter(|bytes| !bytes.is_empty());
    bytes.ok_or_else(|| Error::config(format!("a secret of a hook is not in {name}")))
}

/// A secret of Standard Webhooks, by its prefix.
fn standard(secret: &str) -> Result<Key> {
    let bad = |what: &str| {
        Error::config(format!("a secret of Standard Webhooks {what}"))
            .with_hint("it is `whsec_` and base64, or `whpk_` and base64 for signatures of the version v1a")
    };
    let bytes = |text: &str| base64_secret(text).filter(|b| !b.is_empty()).ok_or_else(|| bad("is not base64"));
    if let Some(public) = secret.strip_prefix("whpk_") {
        let public = bytes(public)?;
        return if public.len() == 32 {
            Ok(Key::Public(public))
        } else {
            Err(bad("is a public key of the wrong length"))
        };
    }
    if let Some(private) = secret.strip_prefix("whsk_") {
        let private = bytes(private)?;
        let (seed, public) = private.split_at_checked(32).ok_or_else(|| bad("is a private key of the wrong length"))?;
        let pair = if public.is_empty() {
            Ed25519KeyPair::from_seed_unchecked(seed)
        } else {
            Ed25519KeyPair::from_seed_and_public_key(seed, public)
        };
        return pair.map(Key::Pair).map_err(|_| bad("is a private key whose public half is another's"));
    }
    Ok(Key::Mac(hmac::Key::new(hmac::HMAC_SHA256, &bytes(secret.strip_prefix("whsec_").unwrap_or(secret))?)))
}
