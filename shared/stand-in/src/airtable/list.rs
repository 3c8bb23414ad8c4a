//! Listings: their order is that of the first page, their cells are those of the moment.

use serde_json::{Map, Value as Json, json};

use super::cells::rfc3339;
use super::formula::Formula;
use super::http::Answer;
use super::world::World;

/// How long a place in a listing is kept, in milliseconds.
const PLACE_LIVES: i64 = 5 * 60 * 1_000;

/// A listing under way.
#[derive(Debug)]
pub(super) struct Listing {
    table: String,
    /// The records that are left, in their order.
    rest: Vec<String>,
    /// What was asked for, less the place.
    query: Json,
    used: i64,
}

impl World {
    /// A page. `body` is what `listRecords` takes.
    pub(super) fn list(&mut self, table: &str, body: &Json) -> Answer {
        let now = self.now();
        self.number += 1;
        let reading = self.number;
        let mut query = body.clone();
        let place = query.as_object_mut().and_then(|query| query.remove("offset"));
        let size = usize::try_from(body["pageSize"].as_u64().unwrap_or(100)).unwrap_or(101);
        if size == 0 || size > 100 {
            return Answer::invalid("INVALID_REQUEST_UNKNOWN");
        }
        let Some(found) = self.find(table) else { return Answer::missing() };
        let id = found.id.clone();
        let fields: Vec<String> = match body["fields"].as_array() {
            None => found.fields.iter().map(|field| field.id.clone()).collect(),
            Some(names) => {
                let known = names.iter().map(|name| Some(found.field(name.as_str()?)?.id.clone()));
                match known.collect::<Option<Vec<String>>>() {
                    Some(fields) => fields,
                    None => return Answer::invalid("UNKNOWN_FIELD_NAME"),
                }
            }
        };
        let (key, mut ids) = match place.as_ref().and_then(Json::as_str) {
            None => match self.first(&id, body) {
                Ok(ids) => (self.fresh("itr"), ids),
                Err(code) => return Answer::invalid(code),
            },
            Some(place) => {
                let Some((key, _)) = place.split_once('/') else { return Answer::invalid("INVALID_OFFSET_VALUE") };
                match self.listings.remove(key) {
                    Some(listing) if listing.table != id || listing.query != query => {
                        return Answer::invalid("INVALID_OFFSET_VALUE");
                    }
                    Some(listing) if now - listing.used <= PLACE_LIVES => (key.to_owned(), listing.rest),
                    _ => return Answer::invalid("LIST_RECORDS_ITERATOR_NOT_AVAILABLE"),
                }
            }
        };
        let rest = ids.split_off(ids.len().min(size));
        let by_id = body["returnFieldsByFieldId"].as_bool() == Some(true);
        let table = self.table(&id);
        let mut records = Vec::new();
        for record_id in ids {
            // One that was destroyed meanwhile is just not there.
            let Some(record) = table.records.get(&record_id) else { continue };
            let mut cells = Map::new();
            for field in table.fields.iter().filter(|field| fields.contains(&field.id)) {
                if let Some(cell) = field.listed(record, Some(reading)) {
                    cells.insert(if by_id { field.id.clone() } else { field.name.clone() }, cell);
                }
            }
            records.push(json!({ "id": record_id, "createdTime": rfc3339(record.created), "fields": cells }));
        }
        let mut page = json!({ "records": records });
        if let Some(next) = rest.first() {
            page["offset"] = json!(format!("{key}/{next}"));
            self.listings.insert(key, Listing { table: id, rest, query, used: now });
        }
        Answer::ok(&page)
    }

    /// All records that are asked for, in their order.
    fn first(&mut self, table: &str, body: &Json) -> Result<Vec<String>, &'static str> {
        let table = self.table(table);
        let formula = body["filterByFormula"].as_str().map(|text| Formula::read(text, table));
        let formula = formula.transpose().map_err(|()| "INVALID_FILTER_BY_FORMULA")?;
        let records = table.records.iter();
        let mut found: Vec<_> =
            records.filter(|(id, record)| formula.as_ref().is_none_or(|formula| formula.holds(id, record))).collect();
        for sort in body["sort"].as_array().into_iter().flatten() {
            let field = sort["field"].as_str().and_then(|name| table.field(name)).ok_or("UNKNOWN_FIELD_NAME")?;
            found.sort_by_key(|(_, record)| match field.kind.as_str() {
                "lastModifiedTime" => record.modified,
                "createdTime" => record.created,
                _ => 0,
            });
        }
        Ok(found.into_iter().map(|(id, _)| id.clone()).collect())
    }

    /// The tables with their fields, as the metadata API shows them.
    pub(super) fn meta(&self) -> Answer {
        let tables = self.tables.iter().map(|table| {
            let fields = table.fields.iter().map(|field| {
                let mut shown = json!({ "id": field.id, "name": field.name, "type": field.kind });
                if !field.options.is_null() {
                    shown["options"] = field.options.clone();
                }
                shown
            });
            json!({
                "id": table.id,
                "name": table.name,
                "primaryFieldId": table.fields.first().map(|field| field.id.clone()),
                "fields": fields.collect::<Vec<Json>>(),
                "views": [{ "id": "viwTEST0000000001", "name": "Grid view", "type": "grid" }],
            })
        });
        Answer::ok(&json!({ "tables": tables.collect::<Vec<Json>>() }))
    }
}
