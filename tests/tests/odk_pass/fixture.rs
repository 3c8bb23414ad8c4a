//! A survey with persons and their incomes, its mapping, a function that stays warm, and what ought to stand in the tables.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tributary_core::Result;
use tributary_core::pipeline::{Mapping, SecretRef};
use tributary_core::sink::{Budget, Unlimited};
use tributary_postgres::connect::{Policy, Target};
use tributary_runtime::odk_poll::OdkPoll;
use tributary_runtime::secrets::{Secret, Secrets};
use tributary_runtime::sinks::Sinks;
use tributary_runtime::tick::{Progress, Report, Request, Ticker};
use tributary_sources::http::Patience;
use tributary_stand_in::odk::{EMAIL, Odk, PASSWORD, PROJECT, survey};
use tributary_tests::Database;

pub(crate) use tributary_stand_in::odk::survey::FORM;

/// The mapping, with more of the source, as `overlap: 1s`.
pub(crate) fn mapping_text(url: &str, more: &str) -> String {
    format!(
        "datastores:
  warehouse: {{ type: postgres, url: {{ env: DATABASE_URL }} }}
  field: {{ type: odk, base_url: \"{url}\", auth: {{ email: {EMAIL}, password: {{ env: ODK_PASSWORD }} }} }}
pipelines:
  survey:
    source: {{ datastore: field, project: {PROJECT}, form: {FORM}{more} }}
    sink:
      datastore: warehouse
      tables:
        submission: {{ columns: auto, children: auto }}"
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

/// The password.
pub(crate) struct Passwords;

impl Secrets for Passwords {
    async fn get(&self, _: &SecretRef) -> Result<Secret> {
        Ok(Secret::new(PASSWORD.to_owned()))
    }

    fn evict(&self, _: &SecretRef) {}
}

pub(crate) struct World {
    pub(crate) odk: Odk,
    pub(crate) database: Database,
    pub(crate) mapping: Arc<Mapping>,
    ticker: Ticker<OdkPoll<Passwords>, Target>,
}

impl World {
    /// A form without submissions.
    pub(crate) async fn new(test: &str, more: &str) -> Self {
        World::of(test, |url| mapping_text(url, more)).await
    }

    /// A form without submissions, by another mapping.
    pub(crate) async fn of(test: &str, mapping: impl FnOnce(&str) -> String) -> Self {
        let odk = Odk::start().await;
        odk.world().add_form(FORM, "1", survey::fields());
        let database = Database::new(test).await;
        let mapping = Arc::new(read(&mapping(&odk.url())));
        let ticker = ticker(&mapping, database.url());
        let mut world = World { odk, database, mapping, ticker };
        for (_, sink) in world.ticker.sinks().iter_mut() {
            sink.migrate().await.unwrap();
        }
        world
    }

    /// A new environment: nothing is warm.
    pub(crate) fn cool_down(&mut self) {
        self.ticker = ticker(&self.mapping, self.database.url());
    }

    pub(crate) async fn tick_within(&mut self, request: &Request, budget: &impl Budget) -> Report {
        Box::pin(self.ticker.tick(request, budget)).await.unwrap()
    }

    /// A tick with all the time of the world; it must end well.
    pub(crate) async fn tick(&mut self) -> Progress {
        let progress = self.try_tick(&Request::default()).await;
        assert_eq!((progress.state, &progress.error), ("drained", &None), "{progress:?}");
        progress
    }

    /// A tick with all the time of the world, however it ends.
    pub(crate) async fn try_tick(&mut self, request: &Request) -> Progress {
        self.tick_within(request, &Unlimited).await.pipelines()[0].clone()
    }

    /// The kinds of the requests of one tick.
    pub(crate) async fn asked(&mut self) -> BTreeMap<&'static str, usize> {
        self.odk.forget();
        self.tick().await;
        self.odk.kinds()
    }

    /// The state of the pipeline.
    pub(crate) async fn state(&self) -> Json {
        let sql = "select position from tributary.checkpoint where pipeline = 'survey' and partition = 'odk'";
        self.database.rows(sql).await.first().map_or(Json::Null, |text| serde_json::from_str(text).unwrap())
    }

    /// What is wrong with the tables: `missing`, `zombie` or `stale` rows. Empty: they are as the form is.
    pub(crate) async fn differences(&self) -> Vec<String> {
        let (expected, stored) = (self.expected(), self.stored().await);
        let mut found = Vec::new();
        for (key, row) in &expected {
            match stored.get(key) {
                None => found.push(format!("missing {key}")),
                Some(other) if other != row => found.push(format!("stale {key}: {}", difference(other, row))),
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
        let world = self.odk.world();
        let mut rows = BTreeMap::new();
        for id in world.submissions(FORM, false) {
            let mut row = world.row(FORM, &id).unwrap();
            without_links(&mut row);
            // A server of before v2024.3 doesn't say whether it is deleted.
            row["__system"].as_object_mut().unwrap().remove("deletedAt");
            for (at, person) in row["person_details"].as_array().into_iter().flatten().enumerate() {
                let key = format!("person {id} {}", person["__id"].as_str().unwrap());
                rows.insert(key, json!([person["first_name"], at]));
                for (at, income) in person["income"].as_array().into_iter().flatten().enumerate() {
                    let key = format!("income {id} {}", income["__id"].as_str().unwrap());
                    rows.insert(key, json!([income["source"], at]));
                }
            }
            rows.insert(format!("submission {id}"), row);
        }
        rows
    }

    async fn stored(&self) -> BTreeMap<String, Json> {
        let queries = [
            "select 'submission ' || submission_id, _raw #- '{__system,deletedAt}' from submission where not _deleted",
            "select 'person ' || submission_id || ' ' || repeat_id, jsonb_build_array(first_name, position) \
             from submission_person_details",
            "select 'income ' || submission_id || ' ' || repeat_id, jsonb_build_array(source, position) \
             from submission_person_details_income",
        ];
        let mut rows = BTreeMap::new();
        for query in queries {
            for row in self.database.rows(query).await {
                let (key, row) = row.split_once(" | ").unwrap();
                rows.insert(key.to_owned(), serde_json::from_str(row).unwrap());
            }
        }
        rows
    }
}

/// The fields that differ.
fn difference(one: &Json, other: &Json) -> String {
    let (Json::Object(a), Json::Object(b)) = (one, other) else { return format!("{one}, not {other}") };
    let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
    let field = |name: &String| {
        let none = Json::Null;
        let (one, other) = (a.get(name).unwrap_or(&none), b.get(name).unwrap_or(&none));
        (one != other).then(|| format!("{name} ({})", difference(one, other)))
    };
    names.filter_map(field).collect::<Vec<_>>().join(", ")
}

/// Rows are kept without the links to their lists.
fn without_links(value: &mut Json) {
    match value {
        Json::Object(fields) => {
            fields.retain(|name, _| !name.ends_with("@odata.navigationLink"));
            fields.values_mut().for_each(without_links);
        }
        Json::Array(items) => items.iter_mut().for_each(without_links),
        _ => {}
    }
}

fn ticker(mapping: &Arc<Mapping>, url: &str) -> Ticker<OdkPoll<Passwords>, Target> {
    let target = Target::from_url(url, &Policy::default()).unwrap();
    let sinks = Sinks::new(mapping, mapping.pipelines.iter(), |_, _| target.clone());
    let patience = Patience { attempts: 3, first: Duration::from_millis(5), longest: Duration::from_millis(20) };
    let poller = OdkPoll::new(Arc::new(Passwords)).with_patience(patience);
    Ticker::new(Arc::clone(mapping), sinks, poller).unwrap()
}

/// A budget that ends.
pub(crate) struct Until(pub(crate) Instant);

impl Budget for Until {
    fn remaining(&self) -> Option<Duration> {
        Some(self.0.saturating_duration_since(Instant::now()))
    }
}
