//! A verified delivery on its way through the queue, as JSON.
//!
//! It is verified once, at the edge, and says when it came in: whatever is ordered by the time of receipt is so by that.
//! Headers that decide what a body means travel along; credentials and signatures don't.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tributary_core::webhook::Envelope;
use tributary_core::webhook::envelope::Place;
use tributary_core::{Error, Result};
use tributary_sources::webhook::Headers;

use super::delivery::Delivery;

/// The largest message that SQS takes, in bytes.
///
/// Amazon SQS developer guide, "Amazon SQS message quotas": 1 MiB, since August 2025.
pub(super) const MAX_MESSAGE: usize = 1 << 20;

/// The headers that an envelope may read.
const HEADERS: [&str; 7] = [
    "content-type",
    "content-encoding",
    "x-github-event",
    "x-github-delivery",
    "webhook-id",
    "svix-id",
    "x-shopify-webhook-id",
];

/// A delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) hook: String,
    /// When it was received, in microseconds since 1970.
    pub(super) received: i64,
    /// The id that the signature covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Box<str>>,
    pub(super) headers: BTreeMap<String, String>,
    #[serde(flatten)]
    pub(super) content: Content,
}

/// The body, or where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Content {
    /// As text.
    Text(String),
    /// In base64.
    Base64(String),
    /// In a bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// The object.
        key: String,
    },
}

impl Content {
    /// A body: as text where a message may hold it, else in base64.
    pub(super) fn of(body: &[u8]) -> Self {
        // SQS takes the characters of XML 1.0; JSON escapes the control characters, which leaves these two.
        let fits = |text: &&str| !text.contains(['\u{fffe}', '\u{ffff}']);
        match std::str::from_utf8(body).ok().filter(fits) {
            Some(text) => Content::Text(text.to_owned()),
            None => Content::Base64(STANDARD.encode(body)),
        }
    }

    /// The body, where it is here; else the bucket and the object.
    ///
    /// # Errors
    /// `Data` when it is no base64.
    pub(super) fn into_body(self) -> Result<Result<Bytes, (String, String)>> {
        match self {
            Content::Text(text) => Ok(Ok(text.into())),
            Content::Base64(text) => {
                let bytes = STANDARD.decode(text).map_err(|_| Error::data("the body of a message is not base64"))?;
                Ok(Ok(bytes.into()))
            }
            Content::S3 { bucket, key } => Ok(Err((bucket, key))),
        }
    }
}

impl Message {
    /// A delivery to a hook whose pipelines have these envelopes.
    pub(super) fn of<'e>(hook: &str, delivery: &Delivery, envelopes: impl Iterator<Item = &'e Envelope>) -> Self {
        let Delivery { headers, body, id, received } = delivery;
        let (headers, content) = (Message::headers(headers, envelopes), Content::of(body));
        Message { hook: hook.to_owned(), received: *received, id: id.clone(), headers, content }
    }

    /// Those of a request's headers that these envelopes read.
    fn headers<'e>(headers: &Headers, envelopes: impl Iterator<Item = &'e Envelope>) -> BTreeMap<String, String> {
        let own = envelopes.filter_map(|envelope| match &envelope.id {
            Some(Place::Header(name)) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        let names = HEADERS.into_iter().map(str::to_owned).chain(own);
        names.filter_map(|name| headers.get(&name).map(str::to_owned).map(|value| (name, value))).collect()
    }

    /// As a message holds it.
    ///
    /// # Errors
    /// `Bug` when it is no JSON.
    pub(super) fn to_text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|e| Error::new(tributary_core::Kind::Bug, "a message is no JSON").with_source(e))
    }

    /// Reads a message.
    ///
    /// # Errors
    /// `Data` when it is none of ours.
    pub(super) fn of_text(text: &str) -> Result<Message> {
        // The parser's own error may quote the body.
        serde_json::from_str(text).map_err(|_| {
            Error::data("a message in the queue is no delivery of a webhook")
                .with_hint("nobody but the function itself may send to its queue")
        })
    }
}

#[cfg(test)]
mod tests {
    use tributary_core::webhook::envelope::Shape;

    use super::*;

    #[test]
    fn a_delivery_comes_out_of_the_queue_as_it_went_in() {
        let check = |body: &[u8], expect: &str| {
            let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
            let content = Content::of(body);
            let message = Message { hook: "a".into(), received: 7, id: Some("m\"1".into()), headers, content };
            let text = message.to_text().unwrap();
            assert!(text.contains(expect), "{text}");
            let back = Message::of_text(&text).unwrap();
            assert_eq!(back, message);
            assert_eq!(back.content.into_body().unwrap().unwrap(), body);
        };
        check(br#"{"a": "b"}"#, r#""text":"{\"a\": \"b\"}""#);
        check(b"\x00\x0b", r#""text":"\u0000\u000b""#);
        check("\u{ffff}".as_bytes(), r#""base64":"77+/""#);
        check(&[0x1f, 0x8b], r#""base64":"H4s=""#);
    }

    #[test]
    fn credentials_stay_at_the_edge() {
        let headers = Headers::new([
            ("Authorization", "Bearer hunter2"),
            ("Stripe-Signature", "t=1,v1=aa"),
            ("Cookie", "hunter2"),
            ("X-GitHub-Event", "push"),
            ("X-Own-Id", "7"),
        ]);
        let own = Envelope { id: Some(Place::Header("X-Own-Id".into())), ..Envelope::new(Shape::Plain) };
        let kept = Message::headers(&headers, [&own].into_iter());
        let kept: Vec<(&str, &str)> = kept.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(kept, [("x-github-event", "push"), ("x-own-id", "7")]);
    }

    #[test]
    fn a_message_of_somebody_else_is_refused_without_its_content() {
        for text in ["", "hunter2", "{}", r#"{"hook": "a", "received": "hunter2", "headers": {}, "text": ""}"#] {
            let error = Message::of_text(text).unwrap_err();
            assert!(!error.chain().contains("hunter2"), "{error:?}");
        }
    }
}
