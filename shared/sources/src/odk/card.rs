//! What tells whether a form or a dataset is another one now.

use md5::{Digest, Md5};
use serde::Deserialize;
use tributary_core::{Error, Result};

/// A form as its server describes it, or a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The hash of a form's definition; of a dataset one of the names of its properties. Another one: other columns.
    pub hash: String,
    /// The version that its author gave it; empty where it has none.
    pub version: String,
    /// The key with which submissions are encrypted; `None` where they are not.
    pub key_id: Option<u64>,
    /// `open`, `closing` or `closed`; empty for a dataset.
    pub state: String,
    /// The title, for people.
    pub name: String,
}

impl Card {
    /// Reads the answer of `GET /v1/projects/{project}/forms/{form}`.
    pub(super) fn of_form(body: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Form {
            hash: Option<String>,
            #[serde(default)]
            version: Option<String>,
            #[serde(default)]
            key_id: Option<u64>,
            #[serde(default)]
            state: Option<String>,
            #[serde(default)]
            name: Option<String>,
        }
        let form: Form = serde_json::from_slice(body).map_err(|_| unreadable("a form"))?;
        // A form without a hash has never been published.
        let hash = form.hash.ok_or_else(|| {
            Error::config("the form of ODK Central has no published version")
                .with_hint("publish its draft; submissions to a draft are tests, which are not read")
        })?;
        let text = |text: Option<String>| text.unwrap_or_default();
        let (version, state, name) = (text(form.version), text(form.state), text(form.name));
        Ok(Card { hash, version, key_id: form.key_id, state, name })
    }

    /// Reads the answer of `GET /v1/projects/{project}/datasets/{dataset}`.
    pub(super) fn of_dataset(body: &[u8]) -> Result<Self> {
        let dataset = Dataset::read(body)?;
        let mut md5 = Md5::new();
        for property in &dataset.properties {
            md5.update(property.column().as_bytes());
            md5.update([0]);
        }
        let hash = hex(&md5.finalize());
        Ok(Card { hash, version: String::new(), key_id: None, state: String::new(), name: dataset.name })
    }
}

/// A dataset.
#[derive(Debug, Deserialize)]
pub(super) struct Dataset {
    name: String,
    pub(super) properties: Vec<Property>,
}

/// A property of its entities.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Property {
    name: String,
    /// Its name in the feed.
    #[serde(default)]
    odata_name: Option<String>,
}

impl Property {
    pub(super) fn column(&self) -> &str {
        self.odata_name.as_deref().unwrap_or(&self.name)
    }
}

impl Dataset {
    pub(super) fn read(body: &[u8]) -> Result<Self> {
        serde_json::from_slice(body).map_err(|_| unreadable("a dataset"))
    }
}

/// The body may quote anything, so its place is not told either.
pub(super) fn unreadable(what: &str) -> Error {
    Error::data(format!("cannot read what ODK Central says of {what}: another form"))
        .with_hint("check `base_url`; a newer server may answer otherwise, please report this")
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_told_by_its_hash() {
        let body = br#"{"projectId":1,"xmlFormId":"f","state":"open","keyId":7,"version":"1","hash":"0592","name":"Rental","publishedAt":null}"#;
        let card = Card::of_form(body).unwrap();
        assert_eq!(
            (card.hash.as_str(), card.version.as_str(), card.key_id, card.state.as_str()),
            ("0592", "1", Some(7), "open")
        );
        let error = Card::of_form(br#"{"hash":null,"version":null}"#).unwrap_err();
        assert!(error.to_string().contains("no published version"), "{error}");
        assert!(!Card::of_form(b"\"hunter2\"").unwrap_err().chain().contains("hunter2"));
    }

    #[test]
    fn a_dataset_is_told_by_its_properties() {
        let hash = |properties: &str| {
            Card::of_dataset(format!(r#"{{"name":"d","properties":{properties}}}"#).as_bytes()).unwrap().hash
        };
        let one = hash(r#"[{"name":"a.b","odataName":"a_b"},{"name":"c"}]"#);
        assert_eq!(one, hash(r#"[{"name":"a_b","odataName":"a_b"},{"name":"c","odataName":"c"}]"#));
        assert_ne!(one, hash(r#"[{"name":"a_bc"}]"#));
        assert_ne!(one, hash(r#"[{"name":"a_b"}]"#));
    }
}
