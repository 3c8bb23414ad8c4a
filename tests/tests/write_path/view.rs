//! The unified view on a real server: what it shows, that it grows in place, and what it never replaces.

use std::collections::BTreeMap;

use tributary_core::auto::{self, Field, Known, Names};
use tributary_core::batch::Batch;
use tributary_core::column_type::ColumnType;
use tributary_core::event::{Body, Event, Origin};
use tributary_core::mapping;
use tributary_core::pipeline::Pipeline;
use tributary_core::route::route;
use tributary_core::sink::{Sink, Unlimited};
use tributary_core::value::Value;
use tributary_core::version::Version;
use tributary_core::view::unified;
use tributary_core::{Error, Kind};
use tributary_postgres::connect::Target;
use tributary_postgres::{Made, Postgres};
use tributary_tests::Database;

use crate::fixture::target;

const TABLES: &str = "submission: { columns: auto, children: auto, view: submission_unified }";

/// A form whose submissions are written.
struct Survey {
    written: Pipeline,
    now: Pipeline,
    names: Names,
    sink: Postgres<Target>,
    version: u128,
}

impl Survey {
    fn new(database: &Database, tables: &str) -> Self {
        let text = format!(
            "datastores:\n  w: {{ type: postgres, url: {{ env: DATABASE_URL }} }}\n  \
             o: {{ type: odk, base_url: 'https://odk.example.org', auth: {{ secret: s }} }}\n\
             pipelines:\n  survey:\n    source: {{ datastore: o, project: 1, form: f }}\n    \
             sink: {{ datastore: w, tables: {{ {tables} }} }}\n"
        );
        let checked = mapping::load("t.yaml", &text);
        assert!(checked.findings.is_empty(), "{:?}", checked.findings);
        let written = checked.mapping.unwrap().pipelines.remove(0);
        let sink = Postgres::new(target(database.url()), written.tables.clone(), true);
        Survey { now: written.clone(), written, names: Names::default(), sink, version: 0 }
    }

    /// The form has these fields: `note`, `home/rooms`, `person:name`.
    async fn see(&mut self, fields: &[&str]) -> Result<(), Error> {
        let field = |written: &&str| {
            let (list, id) = written.split_once(':').map_or((None, *written), |(list, id)| (Some(list.to_owned()), id));
            let (id, ty) = id.split_once(' ').unwrap_or((id, "text"));
            let ty = Some(ColumnType::parse(ty).unwrap());
            Field { id: id.into(), list, name: id.replace('/', "_"), ty }
        };
        let fields: Vec<Field> = fields.iter().map(field).collect();
        let expanded = auto::expand(&self.written, Known::All(&fields), &self.names, &BTreeMap::new())?;
        (self.names, self.now) = (expanded.names, expanded.pipeline);
        let follow: Vec<_> = self.now.tables.clone();
        self.sink.adopt(&follow, true).await?;
        self.sink.adopt_views(&unified(&self.now).unwrap()).await
    }

    async fn apply(&mut self, body: Body) {
        self.version += 1;
        let origin = Origin { position: "1".into(), key: "".into(), payload: Default::default() };
        let event = Event { origin: origin.clone(), version: Version::from_u128(0, self.version), at: None, body };
        let mut batch = Batch::empty(&self.now);
        route(&self.now, &event, 0, 0, &mut batch.changes, &mut batch.rejected);
        assert!(batch.rejected.is_empty(), "{:?}", batch.rejected);
        batch.origins = vec![origin];
        let outcome = self.sink.apply(&batch, &Unlimited).await.unwrap();
        assert_eq!(outcome.dead, 0);
    }

    async fn put(&mut self, json: &str) {
        let now = item(json);
        self.apply(Body::Image { now, before: None }).await;
    }

    async fn gone(&mut self, id: &str) {
        let key = item(&format!(r#"{{"__id":"{id}"}}"#));
        self.apply(Body::Gone { key, before: None, expired: false }).await;
    }
}

/// A submission as the decoder makes it.
fn item(json: &str) -> Value {
    let Value::Map(mut item) = tributary_sources::json::read(json).unwrap() else { panic!("{json}") };
    let id = item["__id"].clone();
    item.insert("$id".into(), id);
    Value::Map(item)
}

#[tokio::test]
async fn each_item_stands_there_with_its_lists() {
    let database = Database::new("view").await;
    let mut survey = Survey::new(&database, TABLES);
    survey
        .see(&["note", "person:name", "person:born date", "person.income:amount numeric", "yard.tree:kind"])
        .await
        .unwrap();
    let people =
        r#"[{"__id":"b","$position":1,"name":"Bo"},{"__id":"a","$position":0,"name":"Al","born":"2001-02-03"}]"#;
    let income = r#"[{"__id":"i1","$position":0,"$parent":"a","amount":"1.50"},{"__id":"i2","$position":1,"$parent":"a","amount":2},
                     {"__id":"i3","$position":0,"$parent":"b","amount":3}]"#;
    let full = format!(
        r#"{{"__id":"one","note":"n","person":{people},"person.income":{income},"yard.tree":[{{"__id":"t","$position":0,"kind":"oak"}}]}}"#
    );
    survey.put(&full).await;
    survey.put(r#"{"__id":"two","note":"alone"}"#).await;
    survey.put(&full.replace("one", "three")).await;
    survey.gone("three").await;
    let columns = "select string_agg(column_name || ' ' || data_type, ', ' order by ordinal_position) \
        from information_schema.columns where table_name = 'submission_unified'";
    assert_eq!(database.rows(columns).await, ["submission_id text, note text, person jsonb, yard_tree jsonb"]);
    let expect = [
        concat!(
            r#"one | n | [{"born": "2001-02-03", "name": "Al", "income": [{"amount": 1.5, "position": 0, "repeat_id": "i1"}, "#,
            r#"{"amount": 2, "position": 1, "repeat_id": "i2"}], "position": 0, "repeat_id": "a"}, "#,
            r#"{"born": null, "name": "Bo", "income": [{"amount": 3, "position": 0, "repeat_id": "i3"}], "position": 1, "repeat_id": "b"}] "#,
            r#"| [{"kind": "oak", "position": 0, "repeat_id": "t"}]"#
        ),
        "two | alone | [] | []",
    ];
    assert_eq!(database.rows("select * from submission_unified order by 1").await, expect);
}

#[tokio::test]
async fn elements_that_are_tombstones_are_not_shown() {
    let database = Database::new("view_soft").await;
    let tables =
        "submission: { columns: auto, children: { '*': auto, person: { columns: auto, delete: soft } }, view: v }";
    let mut survey = Survey::new(&database, tables);
    survey.see(&["person:name", "person.income:amount"]).await.unwrap();
    let two = r#"{"__id":"one","person":[{"__id":"a","$position":0,"name":"Al"},{"__id":"b","$position":1,"name":"Bo"}],
                  "person.income":[{"__id":"i","$position":0,"$parent":"b","amount":"1"}]}"#;
    survey.put(two).await;
    survey.put(r#"{"__id":"one","person":[{"__id":"a","$position":0,"name":"Al"}]}"#).await;
    assert_eq!(database.rows("select count(*) from submission_person").await, ["2"]);
    let shown = "select jsonb_array_length(person), person -> 0 ->> 'name', person -> 0 -> 'income' from v";
    assert_eq!(database.rows(shown).await, ["1 | Al | []"]);
    survey.put(two).await;
    let shown =
        "select jsonb_array_length(person), person -> 1 ->> 'name', person -> 1 -> 'income' -> 0 ->> 'amount' from v";
    assert_eq!(database.rows(shown).await, ["2 | Bo | 1"]);
}

#[tokio::test]
async fn it_is_never_missing_while_it_grows_and_what_depends_on_it_lives_on() {
    let database = Database::new("view_grows").await;
    let mut survey = Survey::new(&database, TABLES);
    survey.see(&["a", "person:name"]).await.unwrap();
    survey.put(r#"{"__id":"one","a":"x","person":[{"__id":"p","$position":0,"name":"Al"}]}"#).await;
    database.execute("create view dashboard as select submission_id, a, person from submission_unified").await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let reader = {
        let (client, stop) = (database.client().await, std::sync::Arc::clone(&stop));
        tokio::spawn(async move {
            let mut reads = 0u32;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let row =
                    client.query_one("select submission_id, person::text from submission_unified", &[]).await.unwrap();
                assert_eq!(row.get::<_, &str>(0), "one");
                client.query_one("select a from dashboard", &[]).await.unwrap();
                reads += 1;
            }
            reads
        })
    };
    let mut fields = vec!["a".to_owned(), "person:name".to_owned()];
    for step in 0..20 {
        fields.insert(0, format!("b{step} integer"));
        fields.push(format!("person:c{step}"));
        if step % 5 == 0 {
            fields.push(format!("list{step}:d"));
        }
        let written: Vec<&str> = fields.iter().map(String::as_str).collect();
        survey.see(&written).await.unwrap();
        survey
            .put(&format!(
                r#"{{"__id":"one","a":"x","b{step}":{step},"person":[{{"__id":"p","$position":0,"c{step}":"y"}}]}}"#
            ))
            .await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(reader.await.unwrap() > 20);
    // A question that goes leaves its column, which keeps its values; a list that goes too.
    survey.see(&["b19 integer", "person:c19"]).await.unwrap();
    survey.put(r#"{"__id":"one","b19":7,"person":[{"__id":"p","$position":0,"c19":"z"}]}"#).await;
    let shown = "select a, b19, list0, person -> 0 ->> 'c19' from submission_unified";
    assert_eq!(database.rows(shown).await, ["x | 7 | [] | z"]);
    assert_eq!(database.rows("select submission_id, a from dashboard").await, ["one | x"]);
}

#[tokio::test]
async fn a_question_that_becomes_a_list_gets_another_column() {
    let database = Database::new("view_retyped").await;
    let mut survey = Survey::new(&database, TABLES);
    survey.see(&["home", "yard:tree"]).await.unwrap();
    survey.put(r#"{"__id":"one","home":"hut"}"#).await;
    survey.see(&["yard", "home:room"]).await.unwrap();
    survey.put(r#"{"__id":"one","yard":"big","home":[{"__id":"r","$position":0,"room":"den"}]}"#).await;
    let shown = "select home, yard, yard_2, home_2 -> 0 ->> 'room' from submission_unified";
    assert_eq!(database.rows(shown).await, ["hut | [] | big | den"]);
    // Once more by a process that knows nothing of it: nothing is to do, and the names stay.
    let mut again = Survey::new(&database, TABLES);
    again.names = survey.names.clone();
    again.see(&["yard", "home:room"]).await.unwrap();
    assert_eq!(database.rows(shown).await, ["hut | [] | big | den"]);
}

#[tokio::test]
async fn more_fields_than_a_function_has_arguments_are_one_object() {
    let database = Database::new("view_wide").await;
    let mut survey = Survey::new(&database, TABLES);
    let fields: Vec<String> = (0..150).map(|n| format!("person:f{n}")).collect();
    survey.see(&fields.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    survey.put(r#"{"__id":"one","person":[{"__id":"p","$position":0,"f149":"last"}]}"#).await;
    assert_eq!(database.rows("select person -> 0 ->> 'f149' from submission_unified").await, ["last"]);
}

#[tokio::test]
async fn what_somebody_else_has_made_is_never_replaced() {
    let check = async |name: &str, made: &str, expect: &str| {
        let database = Database::new(name).await;
        database.execute(made).await;
        let mut survey = Survey::new(&database, TABLES);
        let error = survey.see(&["note"]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        let shown = error.to_string();
        assert!(shown.contains("submission_unified") && shown.contains(expect), "{shown}");
        assert!(shown.contains("`view:`"), "{shown}");
        assert_eq!(database.rows("select * from submission_unified").await, ["7"]);
        // The tables are written all the same, and so is the view once its name is free.
        database.execute("comment on table submission is 'mine'").await;
        let kind = if made.contains(" table ") {
            "table"
        } else if made.contains("materialized") {
            "materialized view"
        } else {
            "view"
        };
        database.execute(&format!("alter {kind} submission_unified rename to theirs")).await;
        survey.see(&["note"]).await.unwrap();
        survey.put(r#"{"__id":"one","note":"n"}"#).await;
        assert_eq!(database.rows("select submission_id, note from submission_unified").await, ["one | n"]);
    };
    check("view_table", "create table submission_unified as select 7 as n", "a table of that name").await;
    check("view_view", "create view submission_unified as select 7 as n", "a view of that name").await;
    check("view_mat", "create materialized view submission_unified as select 7 as n", "a materialized view").await;
}

#[tokio::test]
async fn a_view_that_is_as_it_should_be_is_left_alone_and_one_that_was_dropped_comes_back() {
    let database = Database::new("view_same").await;
    let mut survey = Survey::new(&database, TABLES);
    survey.see(&["note", "person:name"]).await.unwrap();
    let xmin = "select xmin::text from pg_class where relname = 'submission_unified'";
    let before = database.rows(xmin).await;
    for _ in 0..2 {
        let mut again = Survey::new(&database, TABLES);
        again.names = survey.names.clone();
        again.see(&["note", "person:name"]).await.unwrap();
    }
    assert_eq!(database.rows(xmin).await, before);
    let comment = "select obj_description('submission_unified'::regclass)";
    let comment = database.rows(comment).await.remove(0);
    assert!(comment.starts_with("Kept by Tributary: the rows of submission, each with its lists ("), "{comment}");
    database.execute("drop view submission_unified").await;
    let mut again = Survey::new(&database, TABLES);
    again.sink.know_views(unified(&survey.now).unwrap());
    again.sink.know(survey.now.tables.clone(), false);
    let plan = again.sink.plan().await.unwrap();
    assert_eq!(
        plan.steps.iter().map(|step| step.why.as_str()).collect::<Vec<_>>(),
        ["view submission_unified is missing"]
    );
    again.sink.migrate().await.unwrap();
    assert_eq!(database.rows("select count(*) from submission_unified").await, ["0"]);
    assert!(again.sink.plan().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_pipeline_begun_anew_has_its_view_and_what_stands_upon_it_is_in_the_way() {
    let database = Database::new("view_anew").await;
    let mut survey = Survey::new(&database, TABLES);
    survey.see(&["note", "person:name"]).await.unwrap();
    survey.put(r#"{"__id":"one","note":"n","person":[{"__id":"p","$position":0,"name":"Al"}]}"#).await;
    database.execute("create view dashboard as select note from submission_unified").await;
    let (views, plain) = (unified(&survey.now).unwrap(), unified(&survey.written).unwrap());
    let known = survey.now.tables.clone();
    let holdings = survey.sink.holdings("survey", &known, &views).await.unwrap();
    assert_eq!(holdings.dependents, ["view dashboard"]);
    assert_eq!(holdings.views, ["\"submission_unified\""]);
    let made = Made { tables: &survey.written.tables, known: &known, views: &plain };
    assert!(survey.sink.recreate("survey", &[], made).await.is_err());
    assert_eq!(database.rows("select note from dashboard").await, ["n"]);
    database.execute("drop view dashboard").await;
    survey.sink.recreate("survey", &[], made).await.unwrap();
    assert_eq!(database.rows("select count(*) from submission_unified").await, ["0"]);
    assert_eq!(database.rows("select to_regclass('submission_person')").await, ["∅"]);
}

#[tokio::test]
async fn a_place_is_sent_to_postgis_as_geojson() {
    let database = Database::new("view_geometry").await;
    // PostGIS isn't here; as it does, this type reads GeoJSON from text.
    database.execute("create domain geometry as jsonb check (value ? 'coordinates')").await;
    let mut survey = Survey::new(&database, TABLES);
    survey.see(&["place geometry", "person:home geometry"]).await.unwrap();
    let point = r#"{"type":"Point","coordinates":[1,2.5],"properties":{"accuracy":4}}"#;
    survey
        .put(&format!(r#"{{"__id":"one","place":{point},"person":[{{"__id":"p","$position":0,"home":{point}}}]}}"#))
        .await;
    survey.put(r#"{"__id":"two","place":{"type":"LineString","coordinates":[[1,2]]}}"#).await;
    let shown = "select place -> 'coordinates', person -> 0 -> 'home' ->> 'type' from submission_unified order by submission_id";
    assert_eq!(database.rows(shown).await, ["[1, 2.5] | Point", "∅ | ∅"]);
    let note = "GeoJSON with bad coordinates where geometry is expected";
    assert_eq!(database.rows("select _errors ->> 'place' from submission where submission_id = 'two'").await, [note]);
}

#[tokio::test]
async fn two_that_make_it_at_once_both_succeed() {
    let database = Database::new("view_race").await;
    let mut first = Survey::new(&database, TABLES);
    let mut second = Survey::new(&database, TABLES);
    let fields = ["note", "person:name"];
    let (a, b) = tokio::join!(first.see(&fields), second.see(&fields));
    a.unwrap();
    b.unwrap();
    assert_eq!(database.rows("select count(*) from submission_unified").await, ["0"]);
}
