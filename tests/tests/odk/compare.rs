//! What ought to stand in the tables, and what is wrong with what does.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value as Json, json};
use tributary_tests::odk::Release;
use tributary_tests::odk::survey::FORM;

use crate::fixture::World;

/// Rows by table and key.
type Rows = BTreeMap<String, Json>;

impl World {
    /// What is wrong with the tables: `missing`, `zombie`, `stale` or `orphan` rows by table and key. Empty: they are as the
    /// server is.
    pub(crate) async fn differences(&self) -> Vec<String> {
        let (expected, stored) = (self.expected(), self.stored().await);
        let mut found = Vec::new();
        for (key, row) in &expected {
            match stored.get(key) {
                None => found.push(format!("missing {key}: {row}")),
                Some(other) => {
                    if let Some(what) = differs(row, other) {
                        found.push(format!("stale {key}: {what}"));
                    }
                }
            }
        }
        let asked = self.lists();
        for key in stored.keys().filter(|key| !expected.contains_key(*key)) {
            // Rows of a repeat that is asked for no more are kept.
            let table = key.split(' ').next().unwrap();
            if table == "submission" || table == "view" || table == "file" || asked.contains(table) {
                found.push(format!("zombie {key}"));
            }
        }
        found.extend(self.orphans().await);
        found
    }

    #[track_caller]
    pub(crate) fn assert_same(&self) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let found = self.differences().await;
            let some = found[..found.len().min(5)].join("\n");
            assert!(found.is_empty(), "{place}: {} differences, such as\n{some}", found.len());
        }
    }

    fn has_files(&self) -> bool {
        self.mapping.pipelines[0].attachments.is_some()
    }

    /// The lists that the form has now.
    fn lists(&self) -> HashSet<String> {
        let fields = self.odk.world().fields(FORM);
        let repeats = fields.into_iter().filter(|field| field.kind == "repeat");
        repeats.map(|field| field.path[1..].replace('/', ".")).collect()
    }

    fn expected(&self) -> Rows {
        let world = self.odk.world();
        let fields = world.fields(FORM);
        let mut rows = Rows::new();
        for id in world.submissions(FORM, false) {
            let row = world.row(FORM, &id).unwrap();
            let mut raw = without_links(&row);
            if world.release() < Release::V2024_3 {
                raw["__system"].as_object_mut().unwrap().remove("deletedAt");
            }
            let mut columns = Map::new();
            columns.insert("_raw".into(), raw.clone());
            columns.insert("_system".into(), raw["__system"].clone());
            columns.insert("system_review_state".into(), raw["__system"]["reviewState"].clone());
            columns.insert("system_status".into(), raw["__system"]["status"].clone());
            columns.insert("system_edits".into(), raw["__system"]["edits"].clone());
            if raw["__system"]["status"].is_null() {
                for field in fields.iter().filter(|field| field.kind != "structure" && field.kind != "repeat") {
                    if is_of_root(&field.path, &fields) {
                        let value = raw.pointer(&field.path).cloned().unwrap_or(Json::Null);
                        columns.insert(column(&field.path), typed(&field.kind, field.select_multiple, value));
                    }
                }
            }
            let view = columns.iter().filter(|(name, _)| !name.starts_with('_'));
            let mut view: Map<String, Json> = view.map(|(name, value)| (name.clone(), value.clone())).collect();
            view.insert("persons".into(), persons(&raw));
            rows.insert(format!("view {id}"), Json::Object(view));
            rows.insert(format!("submission {id}"), Json::Object(columns));
            elements(&raw, &id, &mut rows);
            if self.has_files() {
                let mut named: Vec<String> = Vec::new();
                names(&raw, &fields, &mut named);
                for file in world.files(FORM, &id).into_iter().filter(|file| named.contains(&file.name)) {
                    let there = file.md5.is_some();
                    let row = json!({ "there": there, "md5": file.md5, "size": there.then_some(file.size) });
                    rows.insert(format!("file {id} {}", file.name), row);
                }
            }
        }
        rows
    }

    async fn stored(&self) -> Rows {
        let mut all = vec![
            "select 'submission ' || submission_id, to_jsonb(s) from submission s where not _deleted".to_owned(),
            "select 'view ' || v.submission_id, to_jsonb(v) || jsonb_build_object('persons', (select jsonb_agg(
               jsonb_build_array(p->>'first_name', (select jsonb_agg(i->'amount' order by n) from
                 jsonb_array_elements(p->'income') with ordinality as incomes(i, n))) order by at)
               from jsonb_array_elements(v.person_details) with ordinality as people(p, at)))
             from submission_unified v join submission s using (submission_id) where not s._deleted"
                .to_owned(),
        ];
        for (list, table) in self.list_tables().await {
            all.push(format!("select '{list} ' || submission_id || ' ' || repeat_id, to_jsonb(s) from {table} s"));
        }
        if self.has_files() {
            all.push(
                "select 'file ' || a.submission_id || ' ' || a.name, jsonb_build_object('there', a.state = 'stored', 'md5',
                   case when a.state = 'stored' then a.md5 end, 'size', case when a.state = 'stored' then a.size end)
                 from submission_attachment a join submission s using (submission_id)
                 where not s._deleted and not a._deleted"
                    .to_owned(),
            );
        }
        let mut rows = Rows::new();
        for sql in all {
            for row in self.database.rows(&sql).await {
                let (key, row) = row.split_once(" | ").unwrap();
                let before = rows.insert(key.to_owned(), serde_json::from_str(row).unwrap());
                assert!(before.is_none(), "twice: {key}");
            }
        }
        rows
    }

    /// The tables of lists that there are, with the list's name.
    async fn list_tables(&self) -> Vec<(String, String)> {
        let sql = "select table_name from information_schema.columns
                   where table_schema = 'public' and column_name = 'repeat_id' and table_name like 'submission\\_%'
                     and table_name <> 'submission_unified'";
        let known = ["person_details.income", "person_details", "visits"];
        let named = |table: String| {
            let list = known.iter().find(|list| format!("submission_{}", list.replace('.', "_")) == table);
            ((*list.unwrap_or_else(|| panic!("an unknown table {table}"))).to_owned(), table.clone())
        };
        self.database.rows(sql).await.into_iter().map(named).collect()
    }

    /// Rows of lists and files whose submission isn't there.
    async fn orphans(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (list, table) in self.list_tables().await {
            let sql = format!(
                "select 'orphan {list} ' || c.submission_id || ' ' || c.repeat_id from {table} c
                 where not exists (select from submission s where s.submission_id = c.submission_id and not s._deleted)"
            );
            found.extend(self.database.rows(&sql).await);
        }
        found
    }
}

/// Whether a stored row hasn't all that is expected of it: which of its columns.
fn differs(expected: &Json, stored: &Json) -> Option<String> {
    let of = |(name, value): (&String, &Json)| {
        let other = stored.get(name).unwrap_or(&Json::Null);
        (other != value).then(|| format!("{name} is {other}, not {value}"))
    };
    expected.as_object().unwrap().iter().find_map(of)
}

pub(crate) fn without_links(row: &Json) -> Json {
    match row {
        Json::Object(members) => {
            let kept = members.iter().filter(|(name, _)| !name.contains('@'));
            Json::Object(kept.map(|(name, value)| (name.clone(), without_links(value))).collect())
        }
        Json::Array(elements) => elements.iter().map(without_links).collect(),
        other => other.clone(),
    }
}

/// The column of a field outside of repeats.
fn column(path: &str) -> String {
    path[1..].replace('/', "_").replace("instanceID", "instance_id").replace("instanceName", "instance_name")
}

fn is_of_root(path: &str, fields: &[tributary_tests::odk::Field]) -> bool {
    let inside = |repeat: &str| path.strip_prefix(repeat).is_some_and(|rest| rest.starts_with('/'));
    !fields.iter().any(|field| field.kind == "repeat" && inside(&field.path))
}

/// A value as `to_jsonb` shows the column of its type.
fn typed(kind: &str, is_list: bool, value: Json) -> Json {
    match (kind, value) {
        (_, Json::Null) => Json::Null,
        (_, Json::String(text)) if is_list => json!(text.split_whitespace().collect::<Vec<_>>()),
        ("boolean", value) => json!(value == "true"),
        ("dateTime", value) => {
            // In UTC, as the server of the tests shows it.
            let at: jiff::Timestamp = value.as_str().unwrap().parse().unwrap();
            json!(format!("{at}").replace('Z', "+00:00"))
        }
        (_, value) => value,
    }
}

/// The persons of a submission with the amounts of their incomes, as the view's column is condensed.
fn persons(raw: &Json) -> Json {
    let Some(persons) = raw["person_details"].as_array() else { return Json::Null };
    let person = |person: &Json| {
        let incomes = person["income"].as_array();
        let amounts = incomes.map(|all| all.iter().map(|income| income["amount"].clone()).collect::<Json>());
        json!([person["first_name"], amounts])
    };
    persons.iter().map(person).collect()
}

fn elements(raw: &Json, id: &str, rows: &mut Rows) {
    let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
    for (position, person) in list(&raw["person_details"]).iter().enumerate() {
        let own = person["__id"].as_str().unwrap();
        let row = json!({
            "position": position,
            "first_name": person["first_name"],
            "mobile": person["mobile"],
            "person_type": typed("string", true, person["person_type"].clone()),
            "occupancy_since": person["occupancy"]["since"],
        });
        rows.insert(format!("person_details {id} {own}"), row);
        for (position, income) in list(&person["income"]).iter().enumerate() {
            let row = json!({
                "parent_id": own, "position": position, "source": income["source"], "amount": income["amount"],
            });
            rows.insert(format!("person_details.income {id} {}", income["__id"].as_str().unwrap()), row);
        }
    }
    for (position, visit) in list(&raw["visits"]).iter().enumerate() {
        let row = json!({ "position": position, "day": visit["day"] });
        rows.insert(format!("visits {id} {}", visit["__id"].as_str().unwrap()), row);
    }
}

/// The files that a row speaks of.
fn names(raw: &Json, fields: &[tributary_tests::odk::Field], found: &mut Vec<String>) {
    for field in fields.iter().filter(|field| field.kind == "binary") {
        found.extend(raw.pointer(&field.path).and_then(Json::as_str).map(str::to_owned));
    }
}
