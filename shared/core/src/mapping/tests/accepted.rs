use super::*;
use crate::cell::Cell;
use crate::expr::Context;
use crate::pipeline::{Binding, Datastore, From, OnError, PostgresAuth, Roots, Scope, SecretRef, SourceKind, Tls};
use crate::table::{DeleteMode, Role, Table};
use crate::value::Value;

fn shown(table: &Table, route: &crate::pipeline::Route) -> Vec<String> {
    let show = |from: &From| match from {
        From::Row(path) => path.to_string(),
        From::Root(path) => format!("$root.{path}"),
        From::Whole => "$value".to_owned(),
        From::Index => "$index".into(),
        From::Program(_) => "program".into(),
        From::Nothing => "nothing".into(),
    };
    let columns = table.key.iter().chain(&table.columns).zip(route.key.iter().chain(&route.columns));
    let show = |(column, binding): (&crate::table::Column, &Binding)| {
        format!("{} {} < {} {:?}", column.name, column.ty, show(&binding.from), column.role)
    };
    columns.map(show).collect()
}

#[test]
fn the_reference_case_loads_with_every_table_and_field() {
    let mapping = good(REFERENCE);
    let Datastore::Postgres(warehouse) = &mapping.datastores["warehouse"] else { panic!() };
    assert_eq!(warehouse.url, Some(SecretRef::Env("DATABASE_URL".into())));
    assert!(matches!(&mapping.datastores["app"], Datastore::Dynamodb(app) if app.region.is_none()));
    let users = mapping.pipeline("users").unwrap();
    let SourceKind::Dynamodb { table, key } = &users.source.kind else { panic!("another kind") };
    assert_eq!((table.as_str(), key.as_deref()), ("users", Some(&["id".to_owned()][..])));
    let tables: Vec<_> = users.tables.iter().zip(&users.routes).collect();
    let [(profile, profile_route), (appearance, appearance_route), (notifications, notifications_route)] = tables[..]
    else {
        panic!()
    };
    assert_eq!(
        shown(profile, profile_route),
        [
            "id uuid < id Data",
            "user_id uuid < id Data",
            "created_at timestamptz < createdAt Data",
            "name text < name Data",
            "handle text < handle Data",
            "image_url text < imageUrl Data",
            "bio varchar(210) < bio Data",
            "location varchar(48) < location Data",
            "rep_score real < repScore Data",
            "website text < website Data",
            "birthdate timestamptz < birthdate Data",
            "deleted boolean < deleted DeletedFlag",
            "deleted_at timestamptz < deletedAt DeletedAt",
        ]
    );
    assert_eq!(
        shown(appearance, appearance_route),
        [
            "profile_id uuid < $root.id Data",
            "mode text < mode Data",
            "colorway text < colorway Data",
            "theme text < theme Data",
            "deleted boolean < deleted DeletedFlag",
            "deleted_at timestamptz < deletedAt DeletedAt",
        ]
    );
    assert!(matches!(&appearance_route.scope, Scope::Document(path) if path.to_string() == "appearance"));
    assert_eq!(shown(notifications, notifications_route).len(), 1 + 16 + 2);
    assert!(matches!(&notifications_route.scope, Scope::Document(path) if path.to_string() == "notifications"));
    assert!(users.tables.iter().all(|table| table.delete.mode == DeleteMode::Soft { keep: true } && table.delete.ttl));
    assert!(users.tables.iter().all(|table| table.meta.errors.is_none() && table.children.is_none()));
}

#[test]
fn lists_and_maps_are_one_thing() {
    let maps = "
datastores:
  w: { type: postgres, url: { env: U } }
  a: { type: dynamodb, region: us-east-2 }
pipelines:
  p:
    source: { datastore: a, table: users }
    sink:
      datastore: w
      tables:
        t: { key: { id: text }, columns: { name: text, n: { from: x.y, type: int } } }
";
    let lists = "
datastores:
  - { name: w, type: postgres, url: { env: U } }
  - a: { type: dynamodb, region: us-east-2 }
pipelines:
  - name: p
    source: { datastore: a, table: users }
    sink:
      datastore: w
      tables:
        - name: t
          key: [{ name: id, type: text }]
          columns:
            - name: text
            - { name: n, from: x.y, type: int }
";
    assert_eq!(format!("{:?}", good(maps)), format!("{:?}", good(lists)));
}

#[test]
fn the_illustration_of_the_grammar_loads() {
    let mapping = good(
        "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL }, tls: { root: rds } }
  app:   { type: dynamodb, region: us-east-2 }
pipelines:
  users:                               # one item -> three tables
    source: { datastore: app, table: users }
    sink:
      datastore: warehouse
      tables:
        profile:
          key: { id: { from: id, type: uuid } }
          columns:
            created_at: { from: createdAt, type: timestamptz }
            name: text                 # short for { from: name, type: text }
            bio: varchar(210)
            rep_score: { from: repScore, type: real }
          delete: { mode: soft, column: deleted, at: deleted_at }
        appearance_settings:
          from: appearance             # sub-document; when it is gone, the row is deleted
          key: { profile_id: { from: $root.id, type: uuid } }
          columns: { mode: text, colorway: text, theme: text }
",
    );
    let pipeline = &mapping.pipelines[0];
    // The policy's columns have no source, so they are added.
    assert_eq!(
        shown(&pipeline.tables[0], &pipeline.routes[0])[5..],
        ["deleted boolean < nothing DeletedFlag", "deleted_at timestamptz < nothing DeletedAt"]
    );
    let Datastore::Postgres(warehouse) = &mapping.datastores["warehouse"] else { panic!() };
    assert_eq!(warehouse.tls, Tls::Verify(Roots::Rds));
}

#[test]
fn everything_that_a_table_may_say_is_in_the_model() {
    let mapping = good(&around(
        "
from: orders[]
key:
  user_id: { from: $root.id, type: text }
  position: { from: $index, type: int }
columns:
  sku: { from: product.sku, type: varchar(8), on_error: truncate }
  price: { type: 'numeric(14,2)', default: 0.5, on_error: null }
  label: { value: '{{ sku }} of {{ root.id }}', type: text }
  a.b: text
  gone: text
when: quantity > 0
delete: { mode: soft, reason: gone, keep: false, ttl: ignore, purge_after: 30d }
",
    ));
    let (table, route) = (&mapping.pipelines[0].tables[0], &mapping.pipelines[0].routes[0]);
    assert_eq!(
        shown(table, route),
        [
            "user_id text < $root.id Data",
            "position integer < $index Data",
            "sku varchar(8) < product.sku Data",
            "price numeric(14,2) < price Data",
            "label text < program Data",
            "a.b text < \"a.b\" Data",
            "gone text < gone DeletedReason",
        ]
    );
    assert_eq!(table.children.as_ref().unwrap().parent, [0]);
    assert_eq!(table.meta.errors.as_deref(), Some("_errors"));
    assert_eq!(table.columns[1].default, Some(Cell::Numeric(crate::decimal::Decimal::parse("0.5").unwrap())));
    assert_eq!((route.columns[0].on_error, route.columns[1].on_error), (OnError::Truncate, OnError::Null));
    assert_eq!(table.columns[4].role, Role::DeletedReason);
    assert_eq!(table.delete.mode, DeleteMode::Soft { keep: false });
    assert!(!table.delete.ttl);
    assert_eq!(table.delete.purge_after, Some(std::time::Duration::from_secs(30 * 86400)));
    let row = Value::from([("quantity", Value::from(0))]);
    assert!(!route.when.as_ref().unwrap().holds(&Context { row: &row, root: &row, index: None }).unwrap());
}

#[test]
fn children_without_a_policy_are_deleted_hard_and_take_the_sinks_policy_when_it_has_one() {
    let table = "
from: lines[]
key: { id: { from: $root.id, type: text }, n: { from: $index, type: int } }
";
    assert_eq!(good(&around(table)).pipelines[0].tables[0].delete.mode, DeleteMode::Hard);
    let soft =
        around(table).replace("      datastore: warehouse\n", "      datastore: warehouse\n      delete: soft\n");
    assert_eq!(good(&soft).pipelines[0].tables[0].delete.mode, DeleteMode::Soft { keep: true });
}

#[test]
fn schemas_and_names_of_our_own_columns_are_inherited() {
    let text = around("key: { id: text }")
        .replace("{ env: DATABASE_URL }", "{ file: /run/url }, schema: base")
        .replace(
            "      tables:",
            "      schema: app\n      meta: { version: ver, deleted: dead, synced_at: s, source_at: o }\n      tables:",
        )
        .replace("        users:\n", "        one: { key: { id: text } }\n        other.two:\n");
    let mapping = good(&text);
    let tables = &mapping.pipelines[0].tables;
    assert_eq!([tables[0].qualified_name(), tables[1].qualified_name()], ["app.one", "other.two"]);
    let meta = &tables[0].meta;
    assert_eq!([&meta.version, &meta.deleted, &meta.synced_at, &meta.source_at], ["ver", "dead", "s", "o"]);
    let without = text.replace("      schema: app\n", "");
    assert_eq!(good(&without).pipelines[0].tables[0].qualified_name(), "base.one");
}

#[test]
fn every_way_to_reach_postgres_is_in_the_model() {
    let store = |written: &str| {
        let text = around("key: { id: text }").replace("{ type: postgres, url: { env: DATABASE_URL } }", written);
        let mapping = good(&text);
        let Datastore::Postgres(store) = &mapping.datastores["warehouse"] else { panic!() };
        store.clone()
    };
    let iam = store(
        "{ type: postgres, host: h, port: 5433, user: sync, dbname: d, auth: iam, region: eu-west-1, tls: off, proxy: true, auto_migrate: additive }",
    );
    assert!(matches!(iam.auth, Some(PostgresAuth::Iam)));
    assert_eq!((iam.host.as_deref(), iam.port, iam.user.as_deref()), (Some("h"), Some(5433), Some("sync")));
    assert_eq!((iam.dbname.as_deref(), iam.region.as_deref()), (Some("d"), Some("eu-west-1")));
    assert_eq!((iam.tls, iam.proxy, iam.auto_migrate), (Tls::Off, true, true));
    let rds = store("{ type: postgres, secret: prod/warehouse, host: proxy.example, tls: { root: /etc/ca.pem } }");
    assert_eq!((rds.secret.as_deref(), rds.host.as_deref()), (Some("prod/warehouse"), Some("proxy.example")));
    assert_eq!(rds.tls, Tls::Verify(Roots::File("/etc/ca.pem".into())));
    for key in ["password", "auth"] {
        let store = store(&format!("{{ type: postgres, host: h, user: u, {key}: {{ secret: s, field: f }} }}"));
        let Some(PostgresAuth::Password(reference)) = store.auth else { panic!() };
        assert_eq!(reference, SecretRef::Secret { name: "s".into(), field: Some("f".into()) });
        assert_eq!((store.tls, store.proxy, store.auto_migrate), (Tls::Auto, false, false));
    }
}

#[test]
fn anchors_and_merges_share_columns() {
    let mapping = good(
        "
datastores: { w: { type: postgres, url: { env: U } }, a: { type: dynamodb } }
pipelines:
  p:
    source: { datastore: a, table: users }
    sink:
      datastore: w
      tables:
        one: { key: &key { id: text }, columns: &columns { a: text, b: text } }
        two: { key: *key, columns: { <<: *columns, b: int } }
",
    );
    let pipeline = &mapping.pipelines[0];
    let two = shown(&pipeline.tables[1], &pipeline.routes[1]);
    assert_eq!(two, ["id text < id Data", "b integer < b Data", "a text < a Data"]);
}
