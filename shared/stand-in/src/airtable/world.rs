//! What there is: tables, records, and what happens to them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use super::Doer;
use super::hooks::{Action, Hook};
use super::http::Fault;
use super::limits::Gate;
use super::list::Listing;

/// A table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its fields; the first is the primary one.
    pub fields: Vec<Field>,
    pub(super) records: IndexMap<String, Record>,
    pub(super) trash: BTreeMap<String, Record>,
}

/// A field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// What belongs to the type; null for none.
    pub options: Json,
}

impl Field {
    /// A field without options.
    pub fn new(id: &str, name: &str, kind: &str) -> Self {
        Field::with(id, name, kind, Json::Null)
    }

    /// A field with options.
    pub fn with(id: &str, name: &str, kind: &str, options: Json) -> Self {
        Field { id: id.to_owned(), name: name.to_owned(), kind: kind.to_owned(), options }
    }
}

impl Table {
    /// An empty table.
    pub fn new(id: &str, name: &str, fields: Vec<Field>) -> Self {
        Table { id: id.to_owned(), name: name.to_owned(), fields, ..Table::default() }
    }

    /// The field of this id or name.
    pub(super) fn field(&self, spelling: &str) -> Option<&Field> {
        let by_id = self.fields.iter().find(|field| field.id == spelling);
        by_id.or_else(|| self.fields.iter().find(|field| field.name == spelling))
    }

    pub(super) fn field_mut(&mut self, id: &str) -> Option<&mut Field> {
        self.fields.iter_mut().find(|field| field.id == id)
    }
}

/// A record. Times are in milliseconds since 1970.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) created: i64,
    pub(super) modified: i64,
    /// By field id, as they are listed.
    pub(super) cells: BTreeMap<String, Json>,
}

type Act = Box<dyn FnOnce(&Doer<'_>) + Send>;

/// Everything.
pub(super) struct World {
    pub(super) tables: Vec<Table>,
    pub(super) hooks: Vec<Hook>,
    pub(super) listings: HashMap<String, Listing>,
    pub(super) gate: Gate,
    pub(super) token: String,
    pub(super) revoked: BTreeSet<String>,
    pub(super) faults: VecDeque<(String, Fault)>,
    pub(super) acts: Vec<(String, u32, Act)>,
    pub(super) log: Vec<String>,
    pub(super) transaction: u64,
    pub(super) number: u64,
}

impl Default for World {
    fn default() -> Self {
        World {
            tables: Vec::new(),
            hooks: Vec::new(),
            listings: HashMap::new(),
            gate: Gate::default(),
            token: super::Airtable::TOKEN.to_owned(),
            revoked: BTreeSet::new(),
            faults: VecDeque::new(),
            acts: Vec::new(),
            log: Vec::new(),
            transaction: 0,
            number: 0,
        }
    }
}

impl World {
    /// Its time, in milliseconds since 1970.
    pub(super) fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        i64::try_from(now.as_millis()).expect("before the year 292 million")
    }

    /// A number that nothing else has.
    pub(super) fn fresh(&mut self, prefix: &str) -> String {
        self.number += 1;
        // Spread, so that the order of ids isn't that of their making.
        let spread = self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        format!("{prefix}{spread:011x}{:03}", self.number % 1_000)
    }

    pub(super) fn table(&mut self, spelling: &str) -> &mut Table {
        self.find(spelling).unwrap_or_else(|| panic!("no table {spelling}"))
    }

    pub(super) fn find(&mut self, spelling: &str) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.id == spelling || table.name == spelling)
    }

    pub(super) fn create(&mut self, table: &str, records: Vec<Json>) -> Vec<String> {
        let now = self.now();
        let mut action = Action::default();
        let mut ids = Vec::new();
        for cells in records {
            let id = self.fresh("rec");
            let cells = cells.as_object().cloned().unwrap_or_default().into_iter().filter(|(_, cell)| !cell.is_null());
            let record = Record { created: now, modified: now, cells: cells.collect() };
            action.created.push((id.clone(), now, json!(record.cells)));
            self.table(table).records.insert(id.clone(), record);
            ids.push(id);
        }
        self.tell(table, &action);
        ids
    }

    pub(super) fn edit(&mut self, table: &str, record: &str, cells: &Json) -> bool {
        let there = self.apply(table, record, cells);
        if there {
            self.tell(table, &Action { changed: vec![(record.to_owned(), cells.clone())], ..Action::default() });
        }
        there
    }

    /// Changes cells and the time, and tells nobody.
    pub(super) fn apply(&mut self, table: &str, record: &str, cells: &Json) -> bool {
        let now = self.now();
        let Some(record) = self.table(table).records.get_mut(record) else { return false };
        record.modified = now.max(record.modified + 1);
        for (field, cell) in cells.as_object().expect("cells by field") {
            match cell {
                Json::Null => drop(record.cells.remove(field)),
                cell => drop(record.cells.insert(field.clone(), cell.clone())),
            }
        }
        true
    }

    pub(super) fn drift(&mut self, table: &str, record: &str, field: &str, value: Json) {
        if let Some(record) = self.table(table).records.get_mut(record) {
            match value {
                Json::Null => drop(record.cells.remove(field)),
                value => drop(record.cells.insert(field.to_owned(), value)),
            }
        }
    }

    pub(super) fn destroy(&mut self, table: &str, records: &[String]) {
        let gone: Vec<String> = records.iter().filter(|record| self.forget(table, record)).cloned().collect();
        if !gone.is_empty() {
            self.tell(table, &Action { destroyed: gone, ..Action::default() });
        }
    }

    /// Moves a record to the trash, and tells nobody.
    pub(super) fn forget(&mut self, table: &str, record: &str) -> bool {
        let table = self.table(table);
        let Some(gone) = table.records.shift_remove(record) else { return false };
        table.trash.insert(record.to_owned(), gone);
        true
    }

    pub(super) fn restore(&mut self, table: &str, record: &str) -> bool {
        let there = self.table(table);
        let Some(back) = there.trash.remove(record) else { return false };
        let action =
            Action { created: vec![(record.to_owned(), back.created, json!(back.cells))], ..Action::default() };
        there.records.insert(record.to_owned(), back);
        self.tell(table, &action);
        true
    }

    pub(super) fn delete_field(&mut self, table: &str, field: &str) {
        let there = self.table(table);
        there.fields.retain(|known| known.id != field);
        for record in there.records.values_mut().chain(there.trash.values_mut()) {
            record.cells.remove(field);
        }
        let watching: Vec<String> =
            self.hooks.iter().filter(|hook| hook.watches(field)).map(|hook| hook.id.clone()).collect();
        for hook in watching {
            self.kill_hook(&hook, "INVALID_HOOK");
        }
    }

    /// A record's cells as they are listed, without what changes by itself.
    pub(super) fn shown(&mut self, table: &str, record: &str) -> Option<Json> {
        let table = self.table(table);
        let there = table.records.get(record)?;
        let shown = table.fields.iter().filter_map(|field| Some((field.id.clone(), field.listed(there, None)?)));
        Some(Json::Object(shown.collect()))
    }
}
