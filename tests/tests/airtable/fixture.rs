//! A base of homes in districts, the mapping of it, a function that stays warm, and what ought to stand in the tables.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Map, Value as Json, json};
use tributary_core::Result;
use tributary_core::pipeline::{Mapping, SecretRef};
use tributary_core::sink::{Budget, Unlimited};
use tributary_postgres::connect::{Policy, Target};
use tributary_runtime::airtable_poll::{AirtablePoll, Window};
use tributary_runtime::secrets::{Secret, Secrets};
use tributary_runtime::sinks::Sinks;
use tributary_runtime::tick::{Progress, Report, Request, Ticker};
use tributary_sources::airtable::client::Pace;
use tributary_tests::Database;
use tributary_tests::airtable::{Airtable, Field, Table};

pub(crate) const HOMES: &str = "tblHOMES000000001";
pub(crate) const NAME: &str = "fldNAME0000000001";
pub(crate) const RENT: &str = "fldRENT0000000001";
pub(crate) const FREE: &str = "fldFREE0000000001";
pub(crate) const TAGS: &str = "fldTAGS0000000001";
pub(crate) const PHOTOS: &str = "fldPHOTO000000001";
pub(crate) const TOTAL: &str = "fldTOTAL000000001";
pub(crate) const DISTRICTS: &str = "fldDISTRICT000001";
pub(crate) const CHANGED: &str = "fldCHANGED0000001";

/// The homes, by names and by ids; what links them to districts is a table of its own.
const TABLES: &str = "
        home:
          columns:
            name: { from: fldNAME0000000001, type: text }
            rent: { from: \"Rent (€)\", type: numeric }
            free: { from: \"Free?\", type: boolean }
            tags: { from: fldTAGS0000000001, type: \"text[]\" }
            photos: { from: Photos, type: jsonb }
            total: { from: fldTOTAL000000001, type: numeric }
        home_district:
          from: fldDISTRICT000001[]
          key: { home: { from: $root.$id, type: text }, district: { from: $value, type: text } }
";

/// The mapping, with a feed as `feed: …` or nothing.
pub(crate) fn mapping_text(url: &str, feed: &str) -> String {
    mapping_of(url, feed, TABLES)
}

pub(crate) fn mapping_of(url: &str, feed: &str, tables: &str) -> String {
    let base = Airtable::BASE;
    format!(
        "datastores:
  warehouse: {{ type: postgres, url: {{ env: DATABASE_URL }} }}
  bases: {{ type: airtable, base_url: \"{url}\", token: {{ env: AIRTABLE_TOKEN }} }}
pipelines:
  homes:
    source: {{ datastore: bases, base: {base}, table: {HOMES}, {feed} }}
    sink:
      datastore: warehouse
      tables:{tables}"
    )
}

pub(crate) fn read(text: &str) -> Mapping {
    let checked = tributary_core::mapping::load("tributary.yaml", text);
    let findings: Vec<String> = checked.findings.iter().map(|finding| finding.render(text)).collect();
    let mut mapping = checked.mapping.unwrap_or_else(|| panic!("{}", findings.join("\n")));
    // Every tick runs it.
    mapping.pipelines.iter_mut().for_each(|pipeline| pipeline.source.every = Duration::ZERO);
    mapping
}

/// The table of homes, with fields of every kind that matters.
pub(crate) fn homes() -> Table {
    let result = |kind: &str| json!({ "isValid": true, "referencedFieldIds": [], "result": { "type": kind } });
    Table::new(
        HOMES,
        "Homes",
        vec![
            Field::new(NAME, "Name", "singleLineText"),
            Field::with(RENT, "Rent (€)", "currency", json!({ "precision": 2, "symbol": "€" })),
            Field::new(FREE, "Free?", "checkbox"),
            Field::with(TAGS, "Tags", "multipleSelects", json!({ "choices": [] })),
            Field::new(PHOTOS, "Photos", "multipleAttachments"),
            Field::with(TOTAL, "Total", "formula", result("number")),
            Field::with(DISTRICTS, "District", "multipleRecordLinks", json!({ "linkedTableId": "tblDIST0000000001" })),
            Field::with(CHANGED, "Changed", "lastModifiedTime", result("dateTime")),
        ],
    )
}

/// A token that can be changed.
pub(crate) struct Tokens(pub(crate) Mutex<String>);

impl Secrets for Tokens {
    async fn get(&self, _: &SecretRef) -> Result<Secret> {
        Ok(Secret::new(self.0.lock().unwrap().clone()))
    }

    fn evict(&self, _: &SecretRef) {}
}

pub(crate) struct World {
    pub(crate) airtable: Airtable,
    pub(crate) database: Database,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) pace: Pace,
    ticker: Ticker<AirtablePoll<Tokens>, Target>,
}

/// As fast as it goes, and back at once after a 429.
pub(crate) const FAST: Pace = Pace { per_second: 100_000, pause: Duration::from_millis(100) };

impl World {
    pub(crate) async fn new(test: &str, feed: &str) -> Self {
        World::of(test, |url| mapping_text(url, feed)).await
    }

    pub(crate) async fn of(test: &str, mapping: impl FnOnce(&str) -> String) -> Self {
        let airtable = Airtable::start().await;
        airtable.add_table(homes());
        let database = Database::new(test).await;
        let mapping = Arc::new(read(&mapping(&airtable.url())));
        let tokens = Arc::new(Tokens(Mutex::new(Airtable::TOKEN.to_owned())));
        let ticker = ticker(&mapping, database.url(), &tokens, FAST);
        let mut world = World { airtable, database, mapping, tokens, pace: FAST, ticker };
        world.migrate().await;
        world
    }

    pub(crate) async fn migrate(&mut self) {
        for (_, sink) in self.ticker.sinks().iter_mut() {
            sink.migrate().await.unwrap();
        }
    }

    /// A new environment: nothing is warm.
    pub(crate) fn cool_down(&mut self) {
        self.ticker = ticker(&self.mapping, self.database.url(), &self.tokens, self.pace);
    }

    /// As of now as another user of the database.
    pub(crate) fn sign_in(&mut self, url: &str) {
        self.ticker = ticker(&self.mapping, url, &self.tokens, self.pace);
    }

    /// As of now by another mapping.
    pub(crate) async fn remap(&mut self, mapping: impl FnOnce(&str) -> String) {
        self.mapping = Arc::new(read(&mapping(&self.airtable.url())));
        self.cool_down();
        self.migrate().await;
    }

    pub(crate) async fn tick_within(&mut self, request: &Request, budget: &impl Budget) -> Report {
        Box::pin(self.ticker.tick(request, budget)).await.unwrap()
    }

    /// A tick with all the time of the world; it must end well.
    pub(crate) async fn tick(&mut self) -> Progress {
        let progress = self.try_tick().await;
        assert_eq!((progress.state, &progress.error), ("drained", &None), "{progress:?}");
        progress
    }

    /// A tick with all the time of the world, however it ends.
    pub(crate) async fn try_tick(&mut self) -> Progress {
        let report = self.tick_within(&Request::default(), &Unlimited).await;
        report.pipelines()[0].clone()
    }

    /// A tick that somebody asks for, with a sweep.
    pub(crate) async fn sweep(&mut self) -> Progress {
        let request = Request { force: true, ..Request::default() };
        let report = self.tick_within(&request, &Unlimited).await;
        let progress = report.pipelines()[0].clone();
        assert_eq!((progress.state, &progress.error), ("drained", &None), "{progress:?}");
        progress
    }

    /// The requests of one tick, as `POST …`.
    pub(crate) async fn asked(&mut self) -> Vec<String> {
        let before = self.airtable.count();
        self.tick().await;
        self.airtable.requests().split_off(before)
    }

    /// A checkpoint as JSON.
    pub(crate) async fn checkpoint(&self, partition: &str) -> Json {
        let sql =
            format!("select position from tributary.checkpoint where pipeline = 'homes' and partition = '{partition}'");
        self.database.rows(&sql).await.first().map_or(Json::Null, |text| serde_json::from_str(text).unwrap())
    }

    /// What is wrong with the tables: `missing`, `zombie` or `stale` rows by their id. Empty: they are as the base is.
    pub(crate) async fn differences(&self) -> Vec<String> {
        let (expected, stored) = (self.expected(), self.stored().await);
        let mut found = Vec::new();
        for (key, row) in &expected {
            match stored.get(key) {
                None => found.push(format!("missing {key}")),
                Some(other) if other != row => found.push(format!("stale {key}: {other}, not {row}")),
                Some(_) => {}
            }
        }
        found.extend(stored.keys().filter(|key| !expected.contains_key(*key)).map(|key| format!("zombie {key}")));
        found
    }

    pub(crate) async fn assert_same(&self) {
        let found = self.differences().await;
        assert!(found.is_empty(), "{} differences, such as {}", found.len(), found[..found.len().min(3)].join("\n"));
    }

    fn expected(&self) -> BTreeMap<String, Json> {
        let mut rows = BTreeMap::new();
        for id in self.airtable.ids(HOMES) {
            let cells = self.airtable.cells(HOMES, &id).unwrap();
            let cell = |field: &str| cells.get(field).cloned();
            let list = |field: &str| cell(field).unwrap_or_else(|| json!([]));
            let total = cell(TOTAL).unwrap_or(Json::Null);
            let failed = total.is_object();
            let errors = failed.then(|| {
                let why = total.get("error").or_else(|| total.get("specialValue")).and_then(Json::as_str);
                json!({ "total": format!("the source says {}", why.unwrap()) })
            });
            for district in list(DISTRICTS).as_array().unwrap() {
                rows.insert(format!("home_district {id} {}", district.as_str().unwrap()), Json::Null);
            }
            let row = json!({
                "name": cell(NAME),
                "rent": cell(RENT),
                "free": cell(FREE).unwrap_or(Json::Bool(false)),
                "tags": list(TAGS),
                "photos": list(PHOTOS),
                "total": if failed { Json::Null } else { total },
                "errors": errors,
            });
            rows.insert(format!("home {id}"), row);
        }
        rows
    }

    async fn stored(&self) -> BTreeMap<String, Json> {
        let homes = "select 'home ' || record_id, jsonb_build_object('name', name, 'rent', rent, 'free', free, \
             'tags', tags, 'photos', photos, 'total', total, 'errors', _errors) from home where not _deleted";
        let districts = "select 'home_district ' || home || ' ' || district, 'null' from home_district";
        let mut rows = BTreeMap::new();
        for row in self.database.rows(homes).await.into_iter().chain(self.database.rows(districts).await) {
            let (key, row) = row.split_once(" | ").unwrap();
            rows.insert(key.to_owned(), serde_json::from_str(row).unwrap());
        }
        rows
    }
}

fn ticker(mapping: &Arc<Mapping>, url: &str, tokens: &Arc<Tokens>, pace: Pace) -> Ticker<AirtablePoll<Tokens>, Target> {
    let target = Target::from_url(url, &Policy::default()).unwrap();
    let sinks = Sinks::new(mapping, mapping.pipelines.iter(), |_, _| target.clone());
    let window = Window { horizon: Duration::from_millis(20), overlap: Duration::from_secs(1) };
    let poller = AirtablePoll::new(Arc::clone(tokens)).with_pace(pace).with_window(window);
    Ticker::new(Arc::clone(mapping), sinks, poller).unwrap()
}

/// An attachment as it is kept.
pub(crate) fn photo(number: u64) -> Json {
    json!({ "id": format!("att{number:014}"), "filename": format!("{number}.jpg"), "size": number, "type": "image/jpeg" })
}

/// Cells of a home, some of them empty.
pub(crate) fn any_home(dice: &mut Rng) -> Json {
    let mut cells = Map::new();
    let mut put = |field: &str, value: Json, likely: bool| {
        if likely {
            cells.insert(field.to_owned(), value);
        }
    };
    let some = |dice: &mut Rng| dice.u8(..4) > 0;
    put(NAME, json!(format!("home {}", dice.u32(..1_000))), some(dice));
    put(RENT, json!(f64::from(dice.u32(..10_000)) + 0.25), some(dice));
    put(FREE, json!(dice.bool()), some(dice));
    let tags: Vec<Json> = (0..dice.usize(..3)).map(|_| json!(format!("tag {}", dice.u8(..5)))).collect();
    put(TAGS, json!(tags), some(dice));
    let photos: Vec<Json> = (0..dice.u64(..3)).map(|_| photo(dice.u64(..50))).collect();
    put(PHOTOS, json!(photos), some(dice));
    put(TOTAL, any_total(dice), some(dice));
    let mut districts: Vec<String> = (0..dice.usize(..4)).map(|_| format!("recDIST{:010}", dice.u8(..6))).collect();
    districts.sort();
    districts.dedup();
    put(DISTRICTS, json!(districts), some(dice));
    Json::Object(cells)
}

/// What a formula gives: mostly a number.
pub(crate) fn any_total(dice: &mut Rng) -> Json {
    match dice.u8(..6) {
        0 => json!({ "error": "#ERROR!" }),
        1 => json!({ "specialValue": "NaN" }),
        _ => json!(dice.u32(..10_000)),
    }
}

/// A change of some cells; null empties one.
pub(crate) fn any_edit(dice: &mut Rng) -> Json {
    let Json::Object(mut cells) = any_home(dice) else { unreachable!() };
    let all = [NAME, RENT, FREE, TAGS, PHOTOS, DISTRICTS];
    cells.retain(|_, _| dice.bool());
    cells.insert(all[dice.usize(..all.len())].to_owned(), Json::Null);
    Json::Object(cells)
}

/// So many homes.
pub(crate) fn any_homes(dice: &mut Rng, count: usize) -> Vec<Json> {
    (0..count).map(|_| any_home(dice)).collect()
}

/// Asserts that a report tells of something.
#[track_caller]
pub(crate) fn notes(progress: &Progress, words: &str) {
    assert!(progress.notes.iter().any(|note| note.contains(words)), "{words}: {:?}", progress.notes);
}

/// A budget of so much time.
pub(crate) struct Millis(pub(crate) std::time::Instant);

impl Budget for Millis {
    fn remaining(&self) -> Option<Duration> {
        Some(self.0.saturating_duration_since(std::time::Instant::now()))
    }
}
