//! A little Postgres with a log: tables, transactions, and what Sequin makes of their changes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A row, as Sequin writes it: numbers of `numeric` are text.
pub type Row = Map<String, Value>;

/// The database.
#[derive(Debug, Default)]
pub struct Source {
    tables: BTreeMap<String, Table>,
    lsn: u64,
    backfills: u64,
}

/// A table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The columns of its primary key; none: no primary key, and messages without a group.
    pub key: Vec<String>,
    /// Whether it has `replica identity full`.
    pub full: bool,
    /// The columns that are stored out of line: an update that leaves them alone doesn't log them.
    pub toast: Vec<String>,
    /// The columns that a backfill cannot read.
    pub unreadable: Vec<String>,
    /// The rows by key.
    pub rows: BTreeMap<String, Row>,
}

/// One statement's effect on one row.
#[derive(Clone, Debug)]
pub enum Dml {
    /// A new row, with all its columns.
    Insert(String, Row),
    /// New values of some columns of the row with this key.
    Update(String, String, Row),
    /// The row with this key goes.
    Delete(String, String),
}

/// How messages look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As the code sends it: `data` beside `ack_id`.
    Nested,
    /// As the documents show it: all beside `ack_id`.
    Flat,
    /// As an older document shows it: all beside `ack_token`.
    Token,
    /// With a transform that leaves the row only.
    Bare,
    /// From a server before v0.11, which sends no `commit_idx` and no `record_pks`.
    Old,
}

/// A change, as it stands in the log.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// `schema.table`.
    pub(super) table: String,
    key: Option<String>,
    action: &'static str,
    record: Row,
    changes: Value,
    place: Option<(u64, u32)>,
    idempotency_key: String,
    pks: Vec<String>,
}

impl Table {
    /// The key of a row as text.
    pub fn key_of(&self, row: &Row) -> String {
        let text = |column: &String| match &row[column] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.key.iter().map(text).collect::<Vec<_>>().join(",")
    }
}

impl Source {
    /// Makes a table, `schema.table`.
    pub fn create(&mut self, name: &str, table: Table) {
        self.tables.insert(name.to_owned(), table);
    }

    /// A table.
    pub fn table(&self, name: &str) -> &Table {
        &self.tables[name]
    }

    /// Drops a column, which the log doesn't tell.
    pub fn drop_column(&mut self, table: &str, column: &str) {
        let table = self.tables.get_mut(table).expect("a table");
        table.rows.values_mut().for_each(|row| drop(row.remove(column)));
    }

    /// Commits a transaction: the changes as they stand in the log. What a statement cannot do (a key that is taken, a row
    /// that isn't there) is not done.
    pub(super) fn commit(&mut self, statements: Vec<Dml>) -> Vec<Change> {
        self.lsn += 1 + u64::try_from(statements.len()).expect("few") * 64;
        let lsn = self.lsn;
        let mut changes = Vec::new();
        for statement in statements {
            let idx = u32::try_from(changes.len()).expect("few");
            let (name, done) = match statement {
                Dml::Insert(name, row) => {
                    let done = self.tables.get_mut(&name).expect("a table").insert(row);
                    (name, done)
                }
                Dml::Update(name, key, values) => {
                    let done = self.tables.get_mut(&name).expect("a table").update(&key, values);
                    (name, done)
                }
                Dml::Delete(name, key) => {
                    let done = self.tables.get_mut(&name).expect("a table").delete(&key);
                    (name, done)
                }
            };
            let Some((action, row, record, old)) = done else { continue };
            let table = &self.tables[&name];
            changes.push(Change {
                key: (!table.key.is_empty()).then(|| table.key_of(&row)),
                pks: table.key.iter().map(|column| plain(&row[column])).collect(),
                table: name,
                action,
                record,
                changes: old,
                place: Some((lsn, idx)),
                idempotency_key: base64(&format!("{lsn}:{idx}")),
            });
        }
        changes
    }

    /// A backfill: every row as it is now, without a place in the log.
    pub(super) fn read(&mut self, name: &str) -> Vec<Change> {
        self.backfills += 1;
        let table = &self.tables[name];
        let change = |(key, row): (&String, &Row)| {
            let mut record = row.clone();
            record.retain(|column, _| !table.unreadable.contains(column));
            Change {
                table: name.to_owned(),
                key: (!table.key.is_empty()).then(|| key.clone()),
                action: "read",
                record,
                changes: Value::Null,
                place: None,
                idempotency_key: base64(&format!("{}:{key}", self.backfills)),
                pks: table.key.iter().map(|column| plain(&row[column])).collect(),
            }
        };
        table.rows.iter().map(change).collect()
    }
}

/// What a statement did: the action, the whole row, the record of the message, its `changes`.
type Done = Option<(&'static str, Row, Row, Value)>;

impl Table {
    fn insert(&mut self, row: Row) -> Done {
        let key = if self.key.is_empty() { self.rows.len().to_string() } else { self.key_of(&row) };
        if self.rows.contains_key(&key) {
            return None;
        }
        self.rows.insert(key, row.clone());
        Some(("insert", row.clone(), row, Value::Null))
    }

    fn update(&mut self, key: &str, values: Row) -> Done {
        let old = self.rows.get(key)?.clone();
        let mut row = old.clone();
        row.extend(values);
        let new_key = self.key_of(&row);
        if new_key != key && self.rows.contains_key(&new_key) {
            return None;
        }
        self.rows.remove(key);
        self.rows.insert(new_key, row.clone());
        let mut record = row.clone();
        let mut changes = Map::new();
        for (column, before) in &old {
            if row[column] != *before {
                changes.insert(column.clone(), before.clone());
            } else if self.toast.contains(column) && !self.full && !before.is_null() {
                record[column] = json!("unchanged_toast");
            }
        }
        let changes = if self.full { changes } else { Map::new() };
        Some(("update", row, record, Value::Object(changes)))
    }

    fn delete(&mut self, key: &str) -> Done {
        let row = self.rows.remove(key)?;
        let mut record = row.clone();
        if !self.full {
            record
                .iter_mut()
                .filter(|(column, _)| !self.key.contains(column))
                .for_each(|(_, value)| *value = Value::Null);
        }
        Some(("delete", row, record, Value::Null))
    }
}

impl Change {
    /// Its group: the row.
    pub(super) fn group(&self) -> Option<String> {
        Some(format!("{} {}", self.table, self.key.as_ref()?))
    }

    /// The message, with `ACK` in place of its id.
    pub(super) fn json(&self, shape: Shape) -> String {
        let (schema, table) = self.table.split_once('.').unwrap_or(("public", &self.table));
        let (lsn, idx) = self.place.unzip();
        let seconds = 1_767_225_600 + lsn.unwrap_or_default() / 64;
        let at = format!(
            "2026-01-{:02}T{:02}:{:02}:{:02}.127470Z",
            1 + seconds / 86_400 % 28,
            seconds / 3_600 % 24,
            seconds / 60 % 60,
            seconds % 60
        );
        let mut metadata = json!({
            "table_schema": schema, "table_name": table, "commit_timestamp": at, "commit_lsn": lsn, "commit_idx": idx,
            "database_name": "myapp-prod", "transaction_annotations": null, "idempotency_key": self.idempotency_key,
            "record_pks": self.pks, "enrichment": null,
            "consumer": {"id": "9e0e7b3c-1f4e-4f0d-9a53-0f6c2f6a1d11", "name": "orders", "annotations": {}},
            "database": {"id": "0bdfaa3e-6cfe-4c40-bdd9-354ccd52f52d", "name": "myapp-prod", "annotations": {},
                         "database": "myapp-prod", "hostname": "db.example.com"},
        });
        if shape == Shape::Old {
            let fields = metadata.as_object_mut().expect("an object");
            fields.remove("commit_idx");
            fields.remove("record_pks");
        }
        let data = json!({"record": self.record, "changes": self.changes, "action": self.action, "metadata": metadata});
        let flat = |name: &str| {
            let mut message = json!({ name: "ACK" });
            message.as_object_mut().expect("an object").extend(data.as_object().expect("an object").clone());
            message
        };
        let message = match shape {
            Shape::Nested | Shape::Old => json!({"ack_id": "ACK", "data": data}),
            Shape::Flat => flat("ack_id"),
            Shape::Token => flat("ack_token"),
            Shape::Bare => json!({"ack_id": "ACK", "data": self.record}),
        };
        message.to_string()
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for some in text.as_bytes().chunks(3) {
        let bits = some.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - some.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= some.len() { char::from(letter) } else { '=' });
        }
    }
    out
}
