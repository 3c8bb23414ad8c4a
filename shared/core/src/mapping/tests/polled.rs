use std::time::Duration;

use super::*;
use crate::cell::Cell;
use crate::change::{Change, Op};
use crate::event::{Body, Event, Origin};
use crate::pipeline::{
    AirtableFeed, AirtableSource, Datastore, Pipeline, RECORD_CREATED, RECORD_ID, SecretRef, SequinLegacySource,
    SequinProtocol, SequinSource, SourceKind,
};
use crate::table::VersionType;
use crate::value::Value;
use crate::version::Version;

fn sequin(mapping: &Mapping, name: &str) -> SequinSource {
    let SourceKind::Sequin(source) = &mapping.pipeline(name).unwrap().source.kind else { panic!("{name}") };
    source.clone()
}

fn legacy(mapping: &Mapping, name: &str) -> SequinLegacySource {
    let SourceKind::SequinLegacy(source) = &mapping.pipeline(name).unwrap().source.kind else { panic!("{name}") };
    source.clone()
}

fn airtable(mapping: &Mapping, name: &str) -> AirtableSource {
    let SourceKind::Airtable(source) = &mapping.pipeline(name).unwrap().source.kind else { panic!("{name}") };
    source.clone()
}

#[test]
fn every_way_to_reach_what_is_polled_is_in_the_model() {
    let mapping = good(samples::polled::GOOD);
    let store = |name: &str| match &mapping.datastores[name] {
        Datastore::Sequin(store) => (store.base_url.clone(), store.token.clone(), Some(store.protocol.clone())),
        Datastore::Airtable(store) => (store.base_url.clone(), store.token.clone(), None),
        _ => panic!("{name}"),
    };
    let secret =
        |name: &str, field: Option<&str>| SecretRef::Secret { name: name.into(), field: field.map(Into::into) };
    let credential = "b006439c-9d80-4f71-bfe1-59aa1175709f".to_owned();
    for (name, url, token, protocol) in [
        ("orders_cdc", "https://sequin.example.org:7376", secret("prod/sequin", None), Some(SequinProtocol::Stream)),
        (
            "old_sync",
            "https://api.sequin.io",
            SecretRef::Env("SEQUIN_API_KEY".into()),
            Some(SequinProtocol::Legacy { credential }),
        ),
        ("local", "http://localhost:7376", SecretRef::File("/run/token".into()), Some(SequinProtocol::Stream)),
        ("bases", "https://api.airtable.com", secret("prod/airtable", Some("token")), None),
        ("fake", "http://127.0.0.1:9", SecretRef::Env("T".into()), None),
    ] {
        assert_eq!(store(name), (url.to_owned(), token, protocol), "{name}");
    }
}

#[test]
fn everything_that_a_polled_source_may_say_is_in_the_model_and_the_rest_has_its_default() {
    let mapping = good(samples::polled::GOOD);
    let orders = sequin(&mapping, "orders");
    assert_eq!((orders.consumer.as_str(), orders.table.as_deref()), ("orders-sink", Some("public.orders")));
    assert_eq!((orders.key, orders.epoch, orders.whole), (None, 2, true));
    assert_eq!(orders.version.map(|path| path.to_string()).as_deref(), Some("meta.updated_idx"));
    assert_eq!(orders.ack_wait, Duration::from_secs(45));
    let lines = sequin(&mapping, "lines");
    assert_eq!(lines.key, Some(vec!["order_id".to_owned(), "line".to_owned()]));
    assert_eq!((lines.whole, lines.epoch, lines.version), (false, 0, None));
    let everything = sequin(&mapping, "everything");
    assert_eq!((everything.table, everything.key), (None, Some(vec!["id".to_owned()])));
    assert_eq!(everything.ack_wait, Duration::from_secs(30));

    let members = legacy(&mapping, "members");
    assert_eq!((members.collection.as_str(), members.epoch), ("tblrZN6sFVhMD0P07", 0));
    assert_eq!((members.consumer.len(), members.ack_wait), (36, Duration::from_secs(30)));
    let appointments = legacy(&mapping, "appointments");
    assert_eq!((appointments.collection.as_str(), appointments.epoch), ("Appointments", 1));

    let apartments = airtable(&mapping, "apartments");
    assert_eq!((apartments.base.as_str(), apartments.table.as_str()), ("appAbCdEfGhIjKlMn", "tblAbCdEfGhIjKlMn"));
    assert_eq!(apartments.sweep_every, Duration::from_secs(12 * 60 * 60));
    let day = Duration::from_secs(24 * 60 * 60);
    let field = "Last modified".to_owned();
    for (name, feed, sweep_every, mass_delete) in [
        ("apartments", AirtableFeed::Webhook { id: None }, day / 2, 0.25),
        ("hooks", AirtableFeed::Webhook { id: Some("achAbCdEfGhIjKlMn".into()) }, day, 1.0),
        ("modified", AirtableFeed::LastModified { field }, day, 0.5),
        ("swept", AirtableFeed::Sweep, day, 0.5),
        ("hooked", AirtableFeed::Webhook { id: None }, day, 0.1),
    ] {
        let source = airtable(&mapping, name);
        assert_eq!((source.feed, source.sweep_every), (feed, sweep_every), "{name}");
        assert!((source.mass_delete - mass_delete).abs() < 1e-9, "{name}");
    }

    let every = |name: &str| mapping.pipeline(name).unwrap().source.every;
    assert_eq!([every("orders"), every("members")], [Duration::from_secs(60), Duration::ZERO]);
    assert_eq!([every("apartments"), every("modified"), every("swept")], [day / 288, Duration::ZERO, day * 30]);
}

#[test]
fn tables_of_records_have_a_key_and_a_version_of_their_own() {
    let mapping = good(samples::polled::GOOD);
    let shown = |pipeline: &str, table: usize| {
        let table = &mapping.pipeline(pipeline).unwrap().tables[table];
        let key: Vec<String> = table.key.iter().map(|column| format!("{} {}", column.name, column.ty)).collect();
        let meta = &table.meta;
        (key.join(", "), format!("{} {:?} {:?}", meta.version, meta.version_type, meta.errors.as_deref()))
    };
    for (pipeline, table, key, meta) in [
        ("members", 0, "upstream_id text", "updated_idx Bigint Some(\"_errors\")"),
        ("appointments", 0, "upstream_id text", "updated_idx Numeric Some(\"_errors\")"),
        ("apartments", 0, "record_id text", "_version Numeric Some(\"_errors\")"),
        ("apartments", 1, "record_id text", "_version Numeric Some(\"_errors\")"),
        ("apartments", 2, "apartment text, district text", "_version Numeric None"),
        ("apartments", 3, "apartment text, id text", "_version Numeric Some(\"_errors\")"),
        ("hooks", 0, "record text", "_version Numeric Some(\"_errors\")"),
        ("modified", 0, "record_id text", "_version Numeric None"),
        ("orders", 0, "id bigint", "_version Numeric Some(\"_errors\")"),
        ("everything", 0, "id bigint", "_version Numeric None"),
    ] {
        assert_eq!(shown(pipeline, table), (key.to_owned(), meta.to_owned()), "{pipeline} {table}");
    }
    let named = samples::polled::GOOD.replace("{ version_type: numeric }", "{ version_type: numeric, version: idx }");
    assert_eq!(good(&named).pipeline("appointments").unwrap().tables[0].meta.version, "idx");
    let small = samples::polled::GOOD.replace("epoch: 1, ", "").replace("version_type: numeric", "version: idx");
    let small = good(&small);
    let meta = &small.pipeline("appointments").unwrap().tables[0].meta;
    assert_eq!((meta.version.as_str(), meta.version_type), ("idx", VersionType::Bigint));
}

#[test]
fn all_other_fields_become_columns_only_where_the_mapping_says_so() {
    let mapping = good(samples::polled::GOOD);
    let auto: Vec<(String, usize)> = mapping
        .pipelines
        .iter()
        .flat_map(|pipeline| pipeline.tables.iter().zip(&pipeline.routes))
        .filter(|(_, route)| route.auto)
        .map(|(table, _)| (table.name.clone(), table.columns.len()))
        .collect();
    let expect = [("orders", 1), ("lines", 0), ("appointments", 0), ("apartment", 3), ("hooks", 0)];
    assert_eq!(auto, expect.map(|(name, columns)| (name.to_owned(), columns)));
}

fn routed(pipeline: &Pipeline, body: Body) -> Vec<Change> {
    let origin = Origin { position: "1".into(), key: "".into(), payload: Default::default() };
    let event = Event { origin, version: Version::ZERO, at: None, body };
    let (mut changes, mut rejected) = (Vec::new(), Vec::new());
    crate::route::route(pipeline, &event, 0, 0, &mut changes, &mut rejected);
    assert!(rejected.is_empty(), "{rejected:?}");
    changes
}

#[test]
fn a_records_own_id_is_no_field_named_id_and_a_delete_finds_every_row_by_it() {
    let mapping = good(samples::polled::GOOD);
    let pipeline = mapping.pipeline("apartments").unwrap();
    let photo = |id: &str| Value::from([("id", Value::text(id)), ("filename", Value::text("a.jpg"))]);
    let item = Value::from([
        (RECORD_ID, Value::text("recA")),
        (RECORD_CREATED, Value::text("2024-05-13T13:26:32.000Z")),
        ("id", Value::text("a cell")),
        ("name", Value::text("Loft")),
        ("Barcode", Value::from([("text", Value::text("123"))])),
        ("fldDistrict", Value::List(vec![Value::text("recX"), Value::text("recY"), Value::text("recX")])),
        ("Photos", Value::List(vec![photo("att1")])),
    ]);
    let text = |text: &str| Cell::Text(text.into());
    let changes = routed(pipeline, Body::Image { now: item, before: None });
    let [apartment, barcode, districts, photos] = &changes[..] else { panic!("{changes:?}") };
    let Op::Upsert(row, _) = &apartment.op else { panic!("{apartment:?}") };
    assert_eq!((&apartment.key[..], &row[..2]), (&[text("recA")][..], &[text("a cell"), text("Loft")][..]));
    assert_eq!(&barcode.key[..], [text("recA")]);
    let elements = |change: &Change| match &change.op {
        Op::Replace(elements) => elements.iter().map(|element| element.key.to_vec()).collect::<Vec<_>>(),
        op => panic!("{op:?}"),
    };
    assert_eq!(elements(districts), [[text("recA"), text("recX")], [text("recA"), text("recY")]]);
    assert_eq!(elements(photos), [[text("recA"), text("att1")]]);

    let key = Value::from([(RECORD_ID, Value::text("recA"))]);
    let changes = routed(pipeline, Body::Gone { key, before: None, expired: false });
    assert_eq!(changes.len(), 4);
    for change in &changes {
        assert_eq!(change.key[0], text("recA"), "{change:?}");
        let is_gone = match &change.op {
            Op::Delete(_) => true,
            Op::Replace(elements) => elements.is_empty(),
            _ => false,
        };
        assert!(is_gone, "{change:?}");
    }
}
