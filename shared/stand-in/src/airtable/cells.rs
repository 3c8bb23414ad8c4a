//! The two forms of a cell: that of listings ("V1") and that of payloads ("V2").

use serde_json::{Value as Json, json};

use super::world::{Field, Record};

impl Field {
    /// The cell as a listing has it, `None` when it is empty. Attachments get an address that this number makes another
    /// one each time.
    pub(super) fn listed(&self, record: &Record, reading: Option<u64>) -> Option<Json> {
        let cell = match self.kind.as_str() {
            "lastModifiedTime" => json!(rfc3339(record.modified)),
            "createdTime" => json!(rfc3339(record.created)),
            _ => record.cells.get(&self.id)?.clone(),
        };
        let is_empty = match &cell {
            Json::Null | Json::Bool(false) => true,
            Json::String(text) => text.is_empty(),
            Json::Array(items) => items.is_empty(),
            _ => false,
        };
        (!is_empty).then(|| reading.map_or(cell.clone(), |reading| with_addresses(cell, reading)))
    }

    /// The cell as a payload has it.
    pub(super) fn told(&self, cell: &Json) -> Json {
        let choice = |name: &Json| json!({ "id": "selTEST00000000001", "name": name, "color": "blueLight2" });
        match (self.kind.as_str(), cell) {
            ("checkbox", Json::Bool(true)) => json!(true),
            ("checkbox", _) => Json::Null,
            ("singleSelect", name @ Json::String(_)) => choice(name),
            ("multipleSelects", Json::Array(names)) => names.iter().map(choice).collect(),
            ("multipleRecordLinks", Json::Array(ids)) => {
                ids.iter().map(|id| json!({ "id": id, "name": "a name" })).collect()
            }
            ("multipleLookupValues", Json::Array(values)) => {
                json!({ "linkedRecordIds": ["recTEST0000000001"], "valuesByLinkedRecordId": { "recTEST0000000001": values } })
            }
            _ => cell.clone(),
        }
    }
}

/// Attachments with addresses, which live for hours only.
fn with_addresses(cell: Json, reading: u64) -> Json {
    match cell {
        Json::Array(items) => items.into_iter().map(|item| with_addresses(item, reading)).collect(),
        Json::Object(mut fields) if fields.get("id").and_then(Json::as_str).is_some_and(|id| id.starts_with("att")) => {
            let url = |size: &str| json!(format!("https://v5.airtableusercontent.com/v3/u/{reading}/{size}"));
            fields.insert("url".into(), url("full"));
            fields.insert("thumbnails".into(), json!({ "small": { "url": url("small"), "width": 36, "height": 36 } }));
            Json::Object(fields)
        }
        other => other,
    }
}

pub(super) fn rfc3339(milliseconds: i64) -> String {
    let (days, rest) = (milliseconds.div_euclid(86_400_000), milliseconds.rem_euclid(86_400_000));
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_part = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_part + 2) / 5 + 1;
    let month = if month_part < 10 { month_part + 3 } else { month_part - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second, milli) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_written_as_airtable_does() {
        let check = |milliseconds, expect: &str| assert_eq!(super::rfc3339(milliseconds), expect);
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_123, "2000-02-29T00:00:00.123Z");
        check(1_769_981_105_663, "2026-02-01T21:25:05.663Z");
    }
}
