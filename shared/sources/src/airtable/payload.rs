//! What a webhook tells: which records of a table were made, changed or destroyed.
//!
//! Only ids are taken from payloads. Their cells are partial, and of another form ("V2") than those of a listing: the
//! two in one table would mix types. `GET /v0/bases/{base}/webhooks/{hook}/payloads`.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tributary_core::{Error, Result};

/// A page of payloads.
#[derive(Debug)]
pub struct Payloads {
    /// What they tell, in their order.
    pub told: Vec<Told>,
    /// The number of the next payload.
    pub cursor: u64,
    /// Whether there may be more at once.
    pub more: bool,
}

/// What one payload tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Records of the table that were made, changed or destroyed.
    pub records: Vec<Box<str>>,
    /// When, in microseconds since 1970.
    pub at: Option<i64>,
    /// An error instead: `INVALID_HOOK`, `INVALID_FILTERS`, `INTERNAL_ERROR`.
    pub error: Option<String>,
}

impl Told {
    /// Whether nothing will come from this hook any more, although it looks alive.
    pub fn is_end(&self) -> bool {
        matches!(self.error.as_deref(), Some("INVALID_HOOK" | "INVALID_FILTERS"))
    }
}

impl Payloads {
    /// Reads an answer; of the tables that it tells of only this one counts.
    ///
    /// # Errors
    /// `Data` when it has another form.
    pub fn read(body: &[u8], table: &str) -> Result<Self> {
        let page: Page = serde_json::from_slice(body).map_err(|e| {
            let place = format!("line {}, column {}", e.line(), e.column());
            Error::data(format!("cannot read the payloads of an Airtable webhook: another form at {place}"))
        })?;
        let told = page.payloads.into_iter().map(|payload| payload.told(table)).collect();
        Ok(Payloads { told, cursor: page.cursor, more: page.might_have_more })
    }

    /// The number of the first payload here. Greater than the one that was asked for: payloads are lost, since they are
    /// kept for a week and never numbered anew.
    pub fn first(&self) -> u64 {
        self.cursor.saturating_sub(self.told.len() as u64)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    payloads: Vec<Payload>,
    cursor: u64,
    #[serde(default)]
    might_have_more: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    error: Option<bool>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    changed_tables_by_id: HashMap<String, Table>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    #[serde(default)]
    created_records_by_id: HashMap<Box<str>, IgnoredAny>,
    #[serde(default)]
    changed_records_by_id: HashMap<Box<str>, IgnoredAny>,
    #[serde(default)]
    destroyed_record_ids: Vec<Box<str>>,
}

impl Payload {
    fn told(mut self, table: &str) -> Told {
        if self.error == Some(true) || self.code.is_some() {
            return Told { error: Some(self.code.unwrap_or_else(|| "INTERNAL_ERROR".to_owned())), ..Told::default() };
        }
        let at = self.timestamp.as_deref().and_then(micros);
        let Some(table) = self.changed_tables_by_id.remove(table) else { return Told { at, ..Told::default() } };
        let made = table.created_records_by_id.into_keys().chain(table.changed_records_by_id.into_keys());
        let mut records: Vec<Box<str>> = made.chain(table.destroyed_record_ids).collect();
        records.sort_unstable();
        records.dedup();
        Told { records, at, error: None }
    }
}

/// A time in microseconds since 1970.
pub(super) fn micros(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"{"payloads":[
      {"timestamp":"2026-02-01T21:25:05.663Z","baseTransactionNumber":4,"payloadFormat":"v0","actionMetadata":{"source":"client"},
       "changedTablesById":{
         "tbl1":{"createdRecordsById":{"recB":{"createdTime":"2026-02-01T21:25:05.000Z","cellValuesByFieldId":{"fld1":1e999}}},
                 "changedRecordsById":{"recA":{"current":{"cellValuesByFieldId":{"fld1":{"id":"sel1","name":"x"}}}}},
                 "destroyedRecordIds":["recC","recA"],"changedMetadata":{}},
         "tbl2":{"destroyedRecordIds":["recZ"]}}},
      {"timestamp":"2026-02-01T21:25:06.000Z","baseTransactionNumber":5,"createdTablesById":{"tbl9":{}},"destroyedTableIds":[]},
      {"error":true,"code":"INVALID_HOOK"}],
      "cursor":10,"mightHaveMore":true}"#;

    #[test]
    fn ids_of_one_table_are_taken_and_nothing_else() {
        // 1e999 is no number that an f64 holds; cells are skipped, not read.
        let page = Payloads::read(PAGE.as_bytes(), "tbl1").unwrap();
        assert_eq!((page.first(), page.cursor, page.more), (7, 10, true));
        let ids: Vec<&str> = page.told[0].records.iter().map(|id| &**id).collect();
        assert_eq!((ids, page.told[0].at), (vec!["recA", "recB", "recC"], Some(1_769_981_105_663_000)));
        assert!(page.told[1].records.is_empty() && page.told[1].error.is_none());
        assert!(page.told[2].is_end());
        assert!(Payloads::read(PAGE.as_bytes(), "tbl3").unwrap().told[0].records.is_empty());
    }

    #[test]
    fn another_form_is_refused_and_not_quoted() {
        for bad in ["", "[]", r#"{"payloads":"hunter2"}"#, &PAGE[..300]] {
            let error = Payloads::read(bad.as_bytes(), "tbl1").err().unwrap();
            assert!(!error.chain().contains("hunter2"), "{error}");
        }
    }
}
