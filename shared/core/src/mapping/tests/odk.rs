use std::time::Duration;

use super::*;
use crate::column_type::ColumnType;
use crate::path::Path;
use crate::pipeline::{
    Datastore, Destination, From, Geo, OdkEmail, OdkSet, OdkSource, OnError, Pipeline, Placeholder, Scope, SecretRef,
    SourceKind,
};
use crate::table::{DeleteMode, Table};
use crate::view::unified;

fn odk(pipeline: &Pipeline) -> &OdkSource {
    let SourceKind::Odk(source) = &pipeline.source.kind else { panic!("{}", pipeline.name) };
    source
}

/// `key… | column…` of a table, each with its type and where it comes from.
fn shown(pipeline: &Pipeline, name: &str) -> String {
    let at = pipeline.tables.iter().position(|table| table.name == name).unwrap();
    let (table, route) = (&pipeline.tables[at], &pipeline.routes[at]);
    let of = |columns: &[crate::table::Column], bindings: &[crate::pipeline::Binding]| {
        let all = columns.iter().zip(bindings).map(|(column, binding)| {
            let from = match &binding.from {
                From::Row(path) => path.to_string(),
                From::Root(path) => format!("$root.{path}"),
                other => format!("{other:?}"),
            };
            format!("{} {} <- {from}", column.name, column.ty)
        });
        all.collect::<Vec<_>>().join(", ")
    };
    format!("{} | {}", of(&table.key, &route.key), of(&table.columns, &route.columns))
}

#[test]
fn servers_and_what_of_them_is_read_are_in_the_model() {
    let mapping = good(samples::odk::GOOD);
    let store = |name: &str| match &mapping.datastores[name] {
        Datastore::Odk(store) => (store.base_url.clone(), store.email.clone(), store.password.clone(), store.basic),
        _ => panic!("{name}"),
    };
    let secret = |field: &str| SecretRef::Secret { name: "prod/odk".into(), field: Some(field.into()) };
    let https = "https://odk.example.org".to_owned();
    assert_eq!(store("field"), (https.clone(), OdkEmail::Secret(secret("email")), secret("password"), false));
    let named = OdkEmail::Plain("sync@example.org".into());
    assert_eq!(store("named"), ("http://localhost:8383".into(), named, SecretRef::Env("ODK_PASSWORD".into()), true));
    let hidden = OdkEmail::Secret(SecretRef::Env("ODK_EMAIL".into()));
    assert_eq!(store("hidden"), (https, hidden, SecretRef::File("/run/odk".into()), false));

    let plain = odk(mapping.pipeline("plain").unwrap());
    let (minute, day) = (Duration::from_secs(60), Duration::from_secs(86400));
    assert_eq!((plain.project, &plain.set, plain.geo), (1, &OdkSet::Form("household".into()), Geo::Jsonb));
    assert_eq!((plain.overlap, plain.sweep_every, plain.retry_attachments_for), (15 * minute, day, 30 * day));
    assert!(plain.is_keyed_by_id() && plain.mass_delete == 0.2);
    let survey = odk(mapping.pipeline("survey").unwrap());
    assert_eq!(survey.key, [Path::field("UUID"), Path::field("__id"), Path::fields(["meta", "instanceID"])]);
    assert_eq!((survey.overlap, survey.sweep_every, survey.mass_delete), (30 * minute, 720 * minute, 0.1));
    assert_eq!((survey.geo, survey.retry_attachments_for), (Geo::Geometry, 60 * day));
    assert_eq!(odk(mapping.pipeline("properties").unwrap()).set, OdkSet::Dataset("properties".into()));
}

#[test]
fn tables_have_what_the_poller_goes_by() {
    let mapping = good(samples::odk::GOOD);
    let check = |pipeline: &str, table: &str, expect: &str| {
        assert_eq!(shown(mapping.pipeline(pipeline).unwrap(), table), expect, "{pipeline} {table}");
    };
    check("plain", "household", "submission_id text <- $id | _system jsonb <- __system, _raw jsonb <- $raw");
    check(
        "survey",
        "submission",
        "submission_id text <- $id | survey_date date <- survey_date, rent numeric <- property_description.rent, \
         review text <- __system.reviewState, _system jsonb <- __system, __id text <- __id, _raw jsonb <- $raw, \
         gone boolean <- Nothing, gone_at timestamptz <- Nothing",
    );
    let details = "submission_id text <- $root.$id, repeat_id text <- __id | position integer <- $position, \
                   gone boolean <- Nothing, gone_at timestamptz <- Nothing";
    check("survey", "submission_person_details", details);
    check(
        "survey",
        "incomes",
        "submission_id text <- $root.$id, repeat_id text <- __id | amount numeric <- amount, \
         parent_id text <- $parent, position integer <- $position",
    );
    check(
        "survey",
        "submission_children_child",
        "submission text <- $root.$id, n integer <- $position | first_name text <- first_name, \
         parent_id text <- $parent, gone boolean <- Nothing, \
         gone_at timestamptz <- Nothing",
    );
    check(
        "survey",
        "visit",
        "submission_id text <- $root.$id, repeat_id text <- __id | on date <- on, of text <- $submission, \
         gone boolean <- Nothing, gone_at timestamptz <- Nothing",
    );
    check(
        "survey",
        "late",
        "id text <- $id |  gone boolean <- Nothing, gone_at timestamptz <- Nothing".replace("|  ", "| ").as_str(),
    );
    check("local", "local", "submission_id text <- $id | note text <- note, _system jsonb <- __system");
    check("properties", "property", "entity_id text <- $id | _system jsonb <- __system, _raw jsonb <- $raw");
    let survey = mapping.pipeline("survey").unwrap();
    let scope = |name: &str| {
        let at = survey.tables.iter().position(|table| table.name == name).unwrap();
        match &survey.routes[at].scope {
            Scope::Elements(path) => path.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(scope("visit"), Path::field("visits.visit"));
    assert_eq!(scope("incomes"), Path::field("person_details.income"));
    assert!(survey.routes[0].lists.as_ref().is_some_and(|lists| lists.columns.len() == 2));
    assert!(mapping.pipeline("local").unwrap().routes[0].lists.is_none());
}

#[test]
fn files_have_a_place_and_a_table() {
    let mapping = good(samples::odk::GOOD);
    let survey = mapping.pipeline("survey").unwrap();
    let files = survey.attachments.as_ref().unwrap();
    let to = Destination::S3 {
        bucket: "my-bucket".into(),
        prefix: Some("odk/pictures".into()),
        region: Some("eu-west-1".into()),
        endpoint: Some("http://localhost:9000".into()),
    };
    assert_eq!((&files.to, files.max_workers), (&to, 2));
    let key = files.path.fill(|place| if place == Placeholder::Form { "a b".into() } else { place.word().into() });
    assert_eq!(key, "pipeline/project/a=20b/submission/field/name");
    assert_eq!(survey.tables[files.table].qualified_name(), "files.picture");
    assert!(
        shown(survey, "picture").contains("mark text <- $root.$mark, instance_id text <- $root.__id, gone boolean")
    );
    let local = mapping.pipeline("local").unwrap();
    let files = local.attachments.as_ref().unwrap();
    assert_eq!((&files.to, files.max_workers), (&Destination::Directory("./pictures".into()), 4));
    let table: &Table = &local.tables[files.table];
    assert_eq!((table.name.as_str(), table.delete.mode), ("local_attachment", DeleteMode::Soft { keep: true }));
    assert_eq!(
        shown(local, "local_attachment"),
        "submission_id text <- $root.$id, name text <- name | field text <- field, position integer <- position, \
         submitted_at timestamptz <- $root.__system.submissionDate, mark text <- $root.$mark"
    );
}

#[test]
fn the_poller_compares_the_first_table_that_has_all_items() {
    let tables =
        "tables: { some: { when: a > 1 }, people: { from: 'people[]' }, all: { columns: { a: integer } }, again: {} }";
    let text = samples::odk::GOOD.replace("tables: { local: { columns: { note: text } } }", tables);
    let mapping = good(&text);
    let local = mapping.pipeline("local").unwrap();
    let watched = |table: &Table| table.columns.iter().any(|column| column.name == "_system");
    let watched: Vec<&str> = local.tables.iter().filter(|table| watched(table)).map(|table| &table.name[..]).collect();
    assert_eq!(watched, ["all"]);
    assert_eq!(local.tables[local.attachments.as_ref().unwrap().table].name, "all_attachment");
}

#[test]
fn an_answer_that_does_not_fit_is_null_with_a_note_unless_the_mapping_says_otherwise() {
    let text =
        "columns: { a: integer, b: { type: date }, c: { type: integer, on_error: dead_letter }, d: inet, e: geometry }";
    let mapping = good(&samples::odk::GOOD.replace("columns: { note: text }", text));
    let local = mapping.pipeline("local").unwrap();
    let got: Vec<OnError> = local.routes[0].columns.iter().map(|binding| binding.on_error).collect();
    let (null, letter) = (OnError::Null, OnError::DeadLetter);
    assert_eq!(got, [null, null, letter, letter, null, letter]);
    assert_eq!(local.routes[0].key[0].on_error, letter);
    assert_eq!(local.tables[0].meta.errors.as_deref(), Some("_errors"));
}

#[test]
fn what_should_be_known_of_a_key_is_a_warning() {
    let check = |text: &str, expect: &[(&str, usize, usize)]| {
        let Checked { findings, warnings, .. } = load("test.yaml", text);
        assert!(findings.is_empty(), "{findings:?}");
        let got: Vec<_> = warnings.iter().map(|warning| (warning.code, warning.line, warning.column)).collect();
        assert_eq!(got, expect);
    };
    check(samples::odk::GOOD, &[("unstable-key", 17, 25)]);
    check(
        &samples::odk::GOOD.replace(", meta.instanceID", "").replace("overlap: 30m", "overlap: 90s"),
        &[("short-overlap", 19, 16)],
    );
}

/// The names of `superset-docker/okd_sync`, whose tables many dashboards were built on.
const ORIGINAL: &str = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  field: { type: odk, base_url: 'https://odk.example.org', auth: { secret: prod/odk } }
pipelines:
  rental_survey:
    source: { datastore: field, project: 1, form: GRARentalDataCollection, key: [UUID, __id, meta.instanceID] }
    sink:
      datastore: warehouse
      tables:
        GRARentalDataCollection:
          key: { UUID: { from: $id, type: text } }
          columns:
            survey_date: timestamp
            start: timestamp
            end: timestamp
            start_geopoint: { from: property_location.start_geopoint, type: jsonb }
            property_location: jsonb
            property_description: jsonb
            End: jsonb
            meta: jsonb
            __system: jsonb
            SubmittedDate: { from: __system.submissionDate, type: timestamp }
            '*': auto
          children:
            person_details:
              key:
                __Submissions-id: { from: $root.$id, type: text }
                UUID: { value: \"root['$id'] ~ '_' ~ row['__id']\", type: text }
              columns:
                __id: text
                repeat_position: { from: $position, type: integer }
                person_type: { from: person_type, type: jsonb }
                occupancy: jsonb
                '*': auto
          view: GRARentalDataCollection_unified
";

#[test]
fn the_originals_names_come_out_of_a_mapping() {
    let mapping = good(ORIGINAL);
    let pipeline = mapping.pipeline("rental_survey").unwrap();
    let names: Vec<&str> = pipeline.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["GRARentalDataCollection", "GRARentalDataCollection_person_details"]);
    assert_eq!(pipeline.tables[0].key[0].name, "UUID");
    assert_eq!(pipeline.tables[0].key[0].ty, ColumnType::parse("text").unwrap());
    let [view] = &unified(pipeline).unwrap()[..] else { panic!() };
    assert_eq!(view.view.name, "GRARentalDataCollection_unified");
    assert_eq!(view.columns[..3], ["UUID", "survey_date", "start"]);
    let [people] = &view.lists[..] else { panic!() };
    assert_eq!((people.name.as_str(), people.table.name.as_str()), ("person_details", names[1]));
    assert_eq!(people.on, [("__Submissions-id".to_owned(), "UUID".to_owned())]);
    assert_eq!(people.order, ["repeat_position"]);
    assert_eq!(people.columns, ["UUID", "__id", "repeat_position", "person_type", "occupancy"]);
}
