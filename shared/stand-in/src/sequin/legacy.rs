//! The former Sequin: records of an Airtable base, each held once in its newest state, and a consumer of them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::store::Store;

/// The records, the collections and the one consumer.
#[derive(Debug)]
pub struct Legacy {
    /// The id of the consumer.
    pub consumer: String,
    /// The id of the credential.
    pub credential: String,
    /// The consumer's messages.
    pub store: Store,
    /// The collections by id.
    pub collections: BTreeMap<String, Collection>,
    /// The records by id.
    pub records: BTreeMap<String, Record>,
    /// Whether answers are a bare list, as one document shows them.
    pub bare: bool,
    index: u64,
}

/// A table of the base.
#[derive(Clone, Debug, Default)]
pub struct Collection {
    /// The name.
    pub name: String,
    /// Airtable's id.
    pub upstream_id: String,
    /// The fields: id, name, JSON type.
    pub fields: Vec<(String, String, &'static str)>,
}

/// A record.
#[derive(Clone, Debug)]
pub struct Record {
    /// The collection's id.
    pub collection: String,
    /// Its cells by field id. An empty one is not there.
    pub cells: Map<String, Value>,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Its version.
    pub index: u64,
}

impl Default for Legacy {
    fn default() -> Self {
        Legacy {
            consumer: "3f0b2f7e-5ad6-4d4b-9c63-0f4b1d3a7c21".to_owned(),
            credential: "b0064399-c0f5-43e7-96b0-74d6d8a5a2b3".to_owned(),
            store: Store::new(Duration::from_secs(30)),
            collections: BTreeMap::new(),
            records: BTreeMap::new(),
            bare: false,
            // Beyond 2^31, as real ones are.
            index: 2_631_315_000,
        }
    }
}

impl Legacy {
    /// A record is now this. Nothing of what it was is kept, and a version that nobody has read yet is gone.
    pub fn put(&mut self, id: &str, collection: &str, cells: Map<String, Value>) {
        self.change(id, collection, cells, false);
    }

    /// A record is deleted.
    pub fn delete(&mut self, id: &str) {
        if let Some(record) = self.records.get(id).filter(|record| !record.deleted).cloned() {
            self.change(id, &record.collection, Map::new(), true);
        }
    }

    /// A field gets another name. Sequin sends the records that have it anew.
    pub fn rename(&mut self, collection: &str, field: &str, name: &str) {
        let fields = &mut self.collections.get_mut(collection).expect("a collection").fields;
        fields.iter_mut().filter(|(id, _, _)| id == field).for_each(|(_, old, _)| name.clone_into(old));
    }

    fn change(&mut self, id: &str, collection: &str, cells: Map<String, Value>, deleted: bool) {
        // Counted for the stream as a whole, so a record's own versions have gaps.
        self.index += 1 + fastrand::u64(..3);
        let record = Record { collection: collection.to_owned(), cells, deleted, index: self.index };
        self.store.supersede(id);
        self.store.push(Some(id.to_owned()), self.json(id, &record), false);
        self.records.insert(id.to_owned(), record);
    }

    fn json(&self, id: &str, record: &Record) -> String {
        let collection = &self.collections[&record.collection];
        let name =
            |field: &str| collection.fields.iter().find(|(id, _, _)| id == field).map(|(_, name, _)| name.clone());
        let fields: Map<String, Value> = record
            .cells
            .iter()
            .map(|(field, cell)| (name(field).unwrap_or_else(|| field.clone()), cell.clone()))
            .collect();
        let data = match record.deleted {
            true => Value::Null,
            false => json!({"id": id, "createdTime": "2024-05-13T13:26:32.000Z", "fields": fields}),
        };
        json!({"ack_token": "ACK", "record": {
            "collection_id": record.collection, "id": "f49aa6c5-ef4c-4e02-ad1a-fd858718a997", "provider": "airtable",
            "stream_id": "0bdfaa3e-6cfe-4c40-bdd9-354ccd52f52d",
            "sync": {"id": "b006439c-9d80-4f71-bfe1-59aa1175709f", "external_id": null, "metadata": {}},
            "deleted": record.deleted, "updated_idx": record.index, "inserted_at": "2024-07-28T20:11:43.384315",
            "upstream_id": id, "upstream_created_at": "2024-05-13T13:26:32.000000+00:00",
            "upstream_updated_at": "2024-08-05T15:04:02.696519+00:00", "data": data,
        }})
        .to_string()
    }

    /// The answer that lists the collections.
    pub(super) fn collections_json(&self) -> Value {
        let field = |(id, name, kind): &(String, String, &'static str)| {
            let schema =
                json!({"title": name, "type": kind, "x-upstream-id": id, "x-upstream-metadata": {"name": name}});
            (name.clone(), schema)
        };
        let collection = |(id, collection): (&String, &Collection)| {
            let fields: Map<String, Value> = collection.fields.iter().map(field).collect();
            json!({"id": id, "name": collection.name, "upstream_id": collection.upstream_id, "schema": {
                "type": "object", "properties": {
                    "id": {"type": "string"}, "createdTime": {"type": "string", "format": "date-time"},
                    "fields": {"type": "object", "properties": fields}}}})
        };
        json!({"data": self.collections.iter().map(collection).collect::<Vec<_>>()})
    }

    /// An answer to `next`.
    pub(super) fn answer(&self, messages: &[String]) -> String {
        let list = messages.join(",");
        if self.bare {
            return format!("[{list}]");
        }
        let (waiting, out) = (self.store.waiting(), self.store.out());
        format!(r#"{{"data":[{list}],"info":{{"num_pending":{waiting},"num_ack_pending":{out}}}}}"#)
    }
}
