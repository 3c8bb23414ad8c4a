//! Datasets: properties that are all text, and entities with versions.

use serde_json::{Map, Value as Json, json};

use super::clock::rfc3339;
use super::filter::Operand;
use super::store::{Key, Row, Store};
use super::world::World;

/// An entity. Times are milliseconds since 1970.
#[derive(Debug)]
pub(super) struct Entity {
    id: String,
    number: u64,
    created: i64,
    updated: Option<i64>,
    deleted_at: Option<i64>,
    version: u64,
    conflict: Option<&'static str>,
    label: String,
    data: Map<String, Json>,
    event: u64,
}

impl Row for Entity {
    fn id(&self) -> &str {
        &self.id
    }

    fn key(&self) -> Key {
        (self.created, self.number)
    }

    fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    fn operand(&self, field: &str) -> Option<Operand<'_>> {
        Some(match field {
            "__id" => Operand::Text(&self.id),
            "__system/createdAt" => Operand::Time(Some(self.created)),
            "__system/updatedAt" => Operand::Time(self.updated),
            "__system/deletedAt" => Operand::Time(self.deleted_at),
            "__system/creatorId" => Operand::Number(super::SUBMITTER),
            "__system/conflict" => self.conflict.map_or(Operand::Null, Operand::Text),
            _ => return None,
        })
    }

    fn event(&self) -> u64 {
        self.event
    }
}

/// A dataset.
#[derive(Debug)]
pub(super) struct Dataset {
    name: String,
    properties: Vec<String>,
    created: i64,
    pub(super) deleted: bool,
    pub(super) entities: Store<Entity>,
}

impl Dataset {
    /// What a client learns of it.
    pub(super) fn card(&self) -> Json {
        let created = rfc3339(self.created);
        let property = |name: &String| json!({ "name": name, "odataName": name, "publishedAt": created, "forms": [] });
        json!({
            "name": self.name,
            "projectId": super::PROJECT,
            "createdAt": created,
            "approvalRequired": false,
            "ownerOnly": false,
            "linkedForms": [],
            "sourceForms": [],
            "properties": self.properties.iter().map(property).collect::<Vec<Json>>(),
        })
    }

    /// The row of an entity.
    pub(super) fn row(&self, entity: &Entity, select: Option<&[String]>, knows_deletions: bool) -> Json {
        let time = |at: Option<i64>| at.map(rfc3339);
        let mut system = json!({
            "createdAt": rfc3339(entity.created),
            "creatorId": super::SUBMITTER.to_string(),
            "creatorName": super::SUBMITTER_NAME,
            "updates": entity.version - 1,
            "updatedAt": time(entity.updated),
            "version": entity.version,
            "conflict": entity.conflict,
        });
        if knows_deletions {
            system["deletedAt"] = json!(time(entity.deleted_at));
        }
        let mut row = json!({ "__id": entity.id, "label": entity.label, "__system": system });
        for name in &self.properties {
            row[name.as_str()] = entity.data.get(name).cloned().unwrap_or(Json::Null);
        }
        if let (Some(names), Json::Object(members)) = (select, &mut row) {
            members.retain(|name, _| names.contains(name));
        }
        row
    }
}

impl World {
    /// Adds a dataset of these properties.
    pub fn add_dataset(&mut self, name: &str, properties: &[&str]) {
        let dataset = Dataset {
            name: name.to_owned(),
            properties: properties.iter().map(|&name| name.to_owned()).collect(),
            created: self.now(),
            deleted: false,
            entities: Store::default(),
        };
        self.datasets.insert(name.to_owned(), dataset);
    }

    /// Adds a property to a dataset.
    pub fn add_property(&mut self, dataset: &str, property: &str) {
        self.dataset(dataset).properties.push(property.to_owned());
    }

    fn dataset(&mut self, name: &str) -> &mut Dataset {
        self.datasets.get_mut(name).unwrap_or_else(|| panic!("no dataset {name}"))
    }

    fn changed(&mut self, dataset: &str, id: &str, deleted: bool, change: impl FnOnce(&mut Entity, i64)) -> bool {
        let (now, event) = (self.now(), self.next_event());
        let Some(entity) = self.dataset(dataset).entities.get_mut(id) else { return false };
        if entity.deleted_at.is_some() != deleted {
            return false;
        }
        entity.event = event;
        change(entity, now);
        true
    }

    /// Creates an entity; gives its id.
    pub fn create_entity(&mut self, dataset: &str, label: &str, data: &Json) -> String {
        let id = self.uuid();
        let (created, number, event) = (self.now(), self.next_number(), self.next_event());
        let data = data.as_object().cloned().unwrap_or_default();
        let entity = Entity {
            id: id.clone(),
            number,
            created,
            updated: None,
            deleted_at: None,
            version: 1,
            conflict: None,
            label: label.to_owned(),
            data,
            event,
        };
        self.dataset(dataset).entities.insert(entity);
        id
    }

    /// A new version of an entity: what isn't named stays. False when it isn't there.
    pub fn update_entity(&mut self, dataset: &str, id: &str, label: &str, data: &Json) -> bool {
        let data = data.as_object().cloned().unwrap_or_default();
        self.changed(dataset, id, false, |entity, now| {
            entity.version += 1;
            entity.updated = Some(now);
            label.clone_into(&mut entity.label);
            entity.data.extend(data);
        })
    }

    /// Marks a conflict of versions, or that it is resolved: no version follows from it.
    pub fn set_conflict(&mut self, dataset: &str, id: &str, conflict: Option<&'static str>) -> bool {
        self.changed(dataset, id, false, |entity, now| {
            entity.conflict = conflict;
            entity.updated = Some(now);
        })
    }

    /// Deletes an entity. False when it isn't there.
    pub fn delete_entity(&mut self, dataset: &str, id: &str) -> bool {
        self.changed(dataset, id, false, |entity, now| entity.deleted_at = Some(now))
    }

    /// Restores a deleted entity, which moves `updatedAt` and no version.
    pub fn restore_entity(&mut self, dataset: &str, id: &str) -> bool {
        self.changed(dataset, id, true, |entity, now| {
            entity.deleted_at = None;
            entity.updated = Some(now);
        })
    }

    /// Removes a deleted entity for good.
    pub fn purge_entity(&mut self, dataset: &str, id: &str) -> bool {
        let entities = &mut self.dataset(dataset).entities;
        entities.get(id).is_some_and(Row::is_deleted) && entities.remove(id).is_some()
    }

    /// Deletes a dataset: nothing of it is found any more.
    pub fn delete_dataset(&mut self, dataset: &str) {
        self.dataset(dataset).deleted = true;
    }

    /// The ids of the entities that are there, or of the deleted ones; newest first.
    pub fn entities(&self, dataset: &str, deleted: bool) -> Vec<String> {
        let all = self.datasets[dataset].entities.newest_first();
        all.filter(|entity| entity.is_deleted() == deleted).map(|entity| entity.id.clone()).collect()
    }

    /// The row of an entity, deleted or not.
    pub fn entity(&self, dataset: &str, id: &str) -> Option<Json> {
        let dataset = &self.datasets[dataset];
        Some(dataset.row(dataset.entities.get(id)?, None, true))
    }
}
