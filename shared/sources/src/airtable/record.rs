//! Records of a listing as events: the whole record, at the version of the request that brought it.

use std::collections::BTreeSet;

use bytes::Bytes;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_core::event::{Body, Event, Origin, Undecodable};
use tributary_core::pipeline::{RECORD_CREATED, RECORD_ID};
use tributary_core::value::Value;
use tributary_core::version::Version;
use tributary_core::{Error, Result};

use super::cell::cell;
use super::payload::micros;
use super::schema::{Empty, MetaField, MetaTable};
use crate::json;

/// A page of a listing, its records unread.
#[derive(Debug)]
pub struct Records {
    /// The records, byte for byte.
    pub records: Vec<Bytes>,
    /// Where the next page begins; `None` after the last. It lives for some minutes.
    pub offset: Option<String>,
}

impl Records {
    /// Reads an answer. Records stay shares of its bytes.
    ///
    /// # Errors
    /// `Data` when it has another form.
    pub fn read(body: &Bytes) -> Result<Self> {
        #[derive(Deserialize)]
        struct Page<'b> {
            #[serde(borrow)]
            records: Vec<&'b RawValue>,
            offset: Option<String>,
        }
        let page: Page<'_> = serde_json::from_slice(body).map_err(|e| {
            let place = format!("line {}, column {}", e.line(), e.column());
            Error::data(format!("cannot read the records of an Airtable table: another form at {place}"))
        })?;
        let records = page.records.into_iter().map(|raw| body.slice_ref(raw.get().as_bytes())).collect();
        Ok(Records { records, offset: page.offset })
    }
}

/// Which fields a mapping uses, in its own spelling: ids or names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Any: something takes the record as a whole.
    All,
    /// These.
    These(BTreeSet<String>),
}

/// Reads records of one table, as its schema says.
#[derive(Debug)]
pub struct Decoder {
    fields: Vec<Field>,
    /// What is asked for when no field is wanted: a listing without any would bring all.
    primary: String,
}

#[derive(Debug)]
struct Field {
    id: String,
    empty: Empty,
    /// The names by which the mapping knows it.
    spellings: Vec<Box<str>>,
}

/// A record as an event, or why it is none.
#[derive(Debug)]
pub struct Read {
    /// The record's id; empty when it has none.
    pub id: Box<str>,
    /// The event.
    pub decoded: Result<Event, Undecodable>,
}

impl Decoder {
    /// A reader for these fields of a table.
    ///
    /// # Errors
    /// `Config` when the table has no such field: then no cell of it would come, and every row would lose its value.
    pub fn new(table: &MetaTable, wanted: &Wanted) -> Result<Self> {
        let mut fields: Vec<Field> = Vec::new();
        let mut add = |field: &MetaField, spelling: &str| match fields.iter_mut().find(|known| known.id == field.id) {
            Some(known) => known.spellings.push(spelling.into()),
            None => fields.push(Field { id: field.id.clone(), empty: field.empty(), spellings: vec![spelling.into()] }),
        };
        match wanted {
            Wanted::All => {
                for field in &table.fields {
                    add(field, &field.id);
                    // An id is no other field's name, and of two fields of a name the first has it.
                    if table.field(&field.name).is_some_and(|found| found.id == field.id) {
                        add(field, &field.name);
                    }
                }
            }
            Wanted::These(spellings) => {
                for spelling in spellings {
                    add(table.need_field(spelling)?, spelling);
                }
            }
        }
        Ok(Decoder { fields, primary: table.primary_field_id.clone() })
    }

    /// The ids of the fields to ask for. A field that isn't there any more makes Airtable refuse the listing, so that its
    /// absence is never taken for an empty cell.
    pub fn field_ids(&self) -> Vec<&str> {
        match self.fields.as_slice() {
            [] => vec![&self.primary],
            fields => fields.iter().map(|field| field.id.as_str()).collect(),
        }
    }

    /// Reads a record that was asked for by the request of this version. `at` is when it was changed, if somebody has
    /// said so.
    pub fn read(&self, record: Bytes, version: Version, at: Option<i64>) -> Read {
        match self.item(&record) {
            Ok((id, now)) => {
                let origin = Origin { position: id.clone(), key: id.clone(), payload: record };
                Read { id, decoded: Ok(Event { origin, version, at, body: Body::Image { now, before: None } }) }
            }
            Err((id, error)) => {
                // Without an id it cannot be told from others of its kind, and one letter shows them all.
                let position = if id.is_empty() { "a record without an id".into() } else { id.clone() };
                let origin = Origin { position, key: id.clone(), payload: record };
                Read { id, decoded: Err(Undecodable { origin, error }) }
            }
        }
    }

    fn item(&self, record: &[u8]) -> Result<(Box<str>, Value), (Box<str>, Error)> {
        let wrong = |text: &str| Error::data(text.to_owned());
        let text = std::str::from_utf8(record).map_err(|_| ("".into(), wrong("a record is not UTF-8")))?;
        let value = json::read(text).map_err(|error| ("".into(), error))?;
        let Value::Map(mut envelope) = value else { return Err(("".into(), wrong("a record is no JSON object"))) };
        let Some(Value::Text(id)) = envelope.shift_remove("id").filter(|id| *id != Value::from("")) else {
            return Err(("".into(), wrong("a record has no `id`")));
        };
        let Some(Value::Map(mut cells)) = envelope.shift_remove("fields") else {
            return Err((id, wrong("a record has no `fields`")));
        };
        let mut item = IndexMap::with_capacity(self.fields.len() + 2);
        item.insert(RECORD_ID.into(), Value::Text(id.clone()));
        if let Some(created) = envelope.shift_remove("createdTime") {
            item.insert(RECORD_CREATED.into(), created);
        }
        for Field { id, empty, spellings } in &self.fields {
            let value = match cells.shift_remove(id.as_str()).filter(|value| *value != Value::Null) {
                Some(value) => cell(value),
                None => match empty {
                    Empty::Null => continue,
                    Empty::False => Value::Bool(false),
                    Empty::List => Value::List(Vec::new()),
                },
            };
            let Some((last, others)) = spellings.split_last() else { continue };
            for spelling in others {
                // What is reserved is not to be had by a field of that name.
                item.entry(spelling.clone()).or_insert_with(|| value.clone());
            }
            item.entry(last.clone()).or_insert(value);
        }
        Ok((id, Value::Map(item)))
    }
}

/// The event of a record that isn't there any more, as the request of this version found it.
pub fn gone(id: &str, version: Version, at: Option<i64>) -> Event {
    let key = Value::from([(RECORD_ID, Value::from(id))]);
    let payload = Bytes::from(format!("{{\"id\":\"{id}\",\"deleted\":true}}"));
    Event {
        origin: Origin { position: id.into(), key: id.into(), payload },
        version,
        at,
        body: Body::Gone { key, before: None, expired: false },
    }
}

/// The time that a cell of this field shows, in microseconds since 1970, where it shows one.
pub fn time_of(record: &[u8], field: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Record<'b> {
        #[serde(borrow)]
        fields: std::collections::HashMap<std::borrow::Cow<'b, str>, &'b RawValue>,
    }
    let record: Record<'_> = serde_json::from_slice(record).ok()?;
    let text: String = serde_json::from_str(record.fields.get(field)?.get()).ok()?;
    micros(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"{"id":"tbl1","name":"Homes","primaryFieldId":"fldName","fields":[
        {"id":"fldName","name":"Name","type":"singleLineText"},
        {"id":"fldRent","name":"Rent","type":"currency"},
        {"id":"fldFree","name":"Free?","type":"checkbox"},
        {"id":"fldTags","name":"Tags","type":"multipleSelects"},
        {"id":"fldOdd","name":"$id","type":"singleLineText"},
        {"id":"fldTwin","name":"Name","type":"number"}]}"#;

    fn table() -> MetaTable {
        serde_json::from_str(TABLE).unwrap()
    }

    fn read(wanted: &Wanted, record: &str) -> Read {
        Decoder::new(&table(), wanted).unwrap().read(Bytes::from(record.to_owned()), Version::ZERO, None)
    }

    fn these(spellings: &[&str]) -> Wanted {
        Wanted::These(spellings.iter().map(|spelling| (*spelling).to_owned()).collect())
    }

    #[test]
    fn a_record_is_an_image_with_its_fields_as_the_mapping_spells_them() {
        let check = |wanted: Wanted, record: &str, expect: &str| {
            let event = read(&wanted, record).decoded.unwrap();
            let Body::Image { now, .. } = event.body else { panic!() };
            assert_eq!(now, json::read(expect).unwrap(), "{record}");
        };
        let record = r#"{"id":"rec1","createdTime":"2026-01-02T03:04:05.000Z","fields":{"fldName":"A","fldRent":12.10,"fldFree":true,"fldTags":["x"]}}"#;
        let head = r#""$id":"rec1","$created":"2026-01-02T03:04:05.000Z""#;
        check(these(&["Rent"]), record, &format!(r#"{{{head},"Rent":12.10}}"#));
        check(
            these(&["fldRent", "Rent", "Free?"]),
            record,
            &format!(r#"{{{head},"fldRent":12.1,"Rent":12.1,"Free?":true}}"#),
        );
        let empty = r#"{"id":"rec1","createdTime":"2026-01-02T03:04:05.000Z","fields":{}}"#;
        check(these(&["Rent", "fldFree", "Tags"]), empty, &format!(r#"{{{head},"fldFree":false,"Tags":[]}}"#));
        check(
            Wanted::All,
            r#"{"id":"rec1","fields":{"fldName":"A","fldOdd":"odd","fldTwin":7}}"#,
            r#"{"$id":"rec1","fldName":"A","Name":"A","fldFree":false,"Free?":false,"fldTags":[],"Tags":[],"fldOdd":"odd","fldTwin":7}"#,
        );
        check(these(&[]), record, &format!("{{{head}}}"));
    }

    #[test]
    fn a_field_that_is_not_there_is_no_empty_cell() {
        let error = Decoder::new(&table(), &these(&["Rentt"])).unwrap_err();
        assert_eq!(error.to_string(), "the Airtable table `Homes` has no field `Rentt`");
        let decoder = Decoder::new(&table(), &these(&["Rent", "fldName"])).unwrap();
        assert_eq!(decoder.field_ids(), ["fldRent", "fldName"]);
        assert_eq!(Decoder::new(&table(), &these(&[])).unwrap().field_ids(), ["fldName"]);
    }

    #[test]
    fn a_broken_record_takes_no_other_with_it() {
        let check = |record: &str, id: &str, reason: &str| {
            let read = read(&Wanted::All, record);
            let bad = read.decoded.unwrap_err();
            assert_eq!((&*read.id, bad.error.to_string().as_str()), (id, reason), "{record}");
            assert_eq!(bad.origin.payload, record.as_bytes());
        };
        check(r#"{"fields":{}}"#, "", "a record has no `id`");
        check(r#"{"id":"rec1"}"#, "rec1", "a record has no `fields`");
        check("[]", "", "a record is no JSON object");
    }

    #[test]
    fn a_page_shares_its_bytes() {
        let body = Bytes::from_static(
            br#"{"records":[{"id":"rec1","fields":{}}, {"id":"rec2","fields":{}}],"offset":"itr1/rec2"}"#,
        );
        let page = Records::read(&body).unwrap();
        assert_eq!((page.records.len(), page.offset.as_deref()), (2, Some("itr1/rec2")));
        assert_eq!(&page.records[1][..], br#"{"id":"rec2","fields":{}}"#);
        assert!(Records::read(&Bytes::from_static(b"{}")).is_err());
        assert_eq!(time_of(br#"{"id":"rec1","fields":{"fld1":"1970-01-01T00:00:01.500Z"}}"#, "fld1"), Some(1_500_000));
    }
}
