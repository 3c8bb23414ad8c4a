//! `tributary infer` and `tributary poll` against servers that speak as the real ones do, and a pipeline begun anew.

use std::fs;
use std::path::Path;

use serde_json::json;
use tributary_tests::Database;
use tributary_tests::airtable::{Airtable, Field, Table};
use tributary_tests::sequin::{self, Collection, Dml, Row, Sequin};

use crate::program::{Program, Said, snapshot, tributary};

const HOMES: &str = "tblHOMES000000001";

/// The servers live on this thread, so the program is waited for on another.
pub(crate) async fn run(program: Program) -> Said {
    tokio::task::spawn_blocking(move || program.run()).await.unwrap()
}

/// Without the port of a server.
pub(crate) fn shown(said: &Said, url: &str) -> Said {
    let clean = |text: &str| text.replace(url, "http://here").replace(&url.replace("http://", ""), "here");
    Said { stdout: clean(&said.stdout), stderr: clean(&said.stderr), code: said.code }
}

fn homes() -> Table {
    let link = json!({ "linkedTableId": "tblDIST0000000001" });
    let fields = vec![
        Field::new("fldNAME0000000001", "Name", "singleLineText"),
        Field::with("fldRENT0000000001", "Rent (€)", "currency", json!({ "precision": 2 })),
        Field::with("fldDISTRICT000001", "District 🏘", "multipleRecordLinks", link),
        Field::with("fldTOTAL000000001", "Total", "formula", json!({ "result": { "type": "number" } })),
        Field::new("fldTWIN0000000001", "name", "checkbox"),
    ];
    Table::new(HOMES, "Homes", fields)
}

async fn base() -> Airtable {
    let airtable = Airtable::start().await;
    airtable.add_table(homes());
    airtable.add_table(Table::new(
        "tblDIST0000000001",
        "Districts",
        vec![Field::new("fldDNAME000000001", "no: \"quotes\"\n# here", "multilineText")],
    ));
    airtable
}

fn ask(airtable: &Airtable, arguments: &str, inside: &Path) -> Program {
    let base = Airtable::BASE;
    tributary(&format!("infer airtable --base {base} --base-url {} {arguments}", airtable.url()))
        .with("AIRTABLE_TOKEN", Airtable::TOKEN)
        .inside(inside)
}

#[tokio::test]
async fn a_base_becomes_a_mapping_and_then_shows_what_has_changed() {
    let (airtable, place) = (base().await, tempfile::tempdir().unwrap());
    let draft = run(ask(&airtable, "", place.path())).await;
    snapshot!("infer_airtable", shown(&draft, &airtable.url()));
    let file = place.path().join("tributary.yaml");
    fs::write(&file, &draft.stdout).unwrap();
    run(tributary("check").inside(place.path())).await.ends(0);

    let said = run(ask(&airtable, "", place.path())).await;
    snapshot!("infer_airtable_same", said);
    airtable.rename_field(HOMES, "fldRENT0000000001", "Monthly rent");
    airtable.delete_field(HOMES, "fldTWIN0000000001");
    airtable.delete_field(HOMES, "fldTOTAL000000001");
    airtable.add_field(HOMES, Field::new("fldTOTAL000000001", "Total", "checkbox"));
    airtable.add_field(HOMES, Field::new("fldFLOOR000000001", "Floor", "number"));
    let said = run(ask(&airtable, "--table Homes", place.path())).await;
    snapshot!("infer_airtable_changed", said);
    let said = run(ask(&airtable, "--table Homes --json", place.path())).await.ends(1).json();
    let what: Vec<&str> =
        said["pipelines"][0]["differences"].as_array().unwrap().iter().map(|d| d["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["renamed", "type", "gone", "new"], "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), draft.stdout, "the file is the user's");

    // What is not named but followed is nothing new.
    let text = draft.stdout.replace(
        "          columns:\n            name: {",
        "          columns:\n            \"*\": auto\n            name: {",
    );
    fs::write(&file, text).unwrap();
    let said = run(ask(&airtable, "--table Homes", place.path())).await.ends(1);
    assert!(!said.stdout.contains("  + "), "{}", said.stdout);
    let said = run(ask(&airtable, "--table Homes --draft", place.path())).await.ends(0);
    assert!(said.stdout.starts_with("datastores:"), "{}", said.stdout);
}

#[tokio::test]
async fn what_cannot_be_asked_is_said() {
    let (airtable, place) = (base().await, tempfile::tempdir().unwrap());
    let said = run(ask(&airtable, "--table Flats", place.path())).await.ends(2);
    assert!(said.stderr.contains("has no table `Flats`") && said.stderr.contains("`Homes`"), "{}", said.stderr);
    let said = run(ask(&airtable, "--token-env NOTHING", place.path())).await.ends(2);
    assert!(said.stderr.contains("the environment variable NOTHING is not set"), "{}", said.stderr);
    let said = run(ask(&airtable, "", place.path()).with("AIRTABLE_TOKEN", "wrong")).await;
    assert!(said.code != 0 && !said.stderr.contains("wrong"), "{}", said.stderr);
    airtable.revoke("schema.bases:read");
    let said = run(ask(&airtable, "", place.path())).await;
    assert!(said.code != 0 && said.stderr.contains("schema.bases:read"), "{}", said.stderr);
    // A mapping that is wrong is not passed over.
    fs::write(place.path().join("tributary.yaml"), "nonsense: 1\n").unwrap();
    run(ask(&airtable, "", place.path())).await.ends(2);
}

fn row(value: serde_json::Value) -> Row {
    let serde_json::Value::Object(row) = value else { panic!("a row is an object") };
    row
}

#[tokio::test]
async fn messages_of_sequin_become_a_mapping_and_stay_where_they_are() {
    let (sequin, place) = (Sequin::start().await, tempfile::tempdir().unwrap());
    {
        let mut world = sequin.world();
        let key = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        world.source.create("public.orders", sequin::Table { key: key(&["id"]), ..sequin::Table::default() });
        world
            .source
            .create("shop.items", sequin::Table { key: key(&["order_id", "line"]), ..sequin::Table::default() });
        world.consumer("shop", std::time::Duration::from_secs(30), &[]);
        let order = |id: u64, paid: serde_json::Value| {
            let values = json!({ "id": id, "Status": "new", "paid": paid, "placed": "2026-01-02T03:04:05Z", "tags": ["a"], "note": null });
            Dml::Insert("public.orders".into(), row(values))
        };
        let item = json!({ "order_id": 1, "line": 7, "sku": "x" });
        world.commit(vec![order(1, json!(null)), order(2, json!(true)), Dml::Insert("shop.items".into(), row(item))]);
    }
    let ask = |arguments: &str| {
        tributary(&format!("infer sequin --base-url {} --consumer shop {arguments}", sequin.url()))
            .with("SEQUIN_TOKEN", sequin::TOKEN)
            .inside(place.path())
    };
    let draft = run(ask("")).await;
    snapshot!("infer_sequin", shown(&draft, &sequin.url()));
    assert_eq!(sequin.world().requests.get("ack"), None, "nothing may be acknowledged");
    assert_eq!(sequin.world().store("shop").waiting(), 3, "all of it was given back");
    fs::write(place.path().join("tributary.yaml"), &draft.stdout).unwrap();
    run(tributary("check").inside(place.path())).await.ends(0);
    run(ask("")).await.ends(0);
    let other = json!({ "id": 3, "Status": 7, "paid": "no", "placed": null, "due": "2026-02-03" });
    sequin.world().commit(vec![Dml::Insert("public.orders".into(), row(other))]);
    let said = run(ask("")).await;
    snapshot!("infer_sequin_changed", said);

    // The same server as a pipeline's source: polled by the draft itself.
    let database = Database::new("infer_poll").await;
    run(tributary("migrate").on(&database).inside(place.path())).await.ends(0);
    let poll = tributary("poll").on(&database).with("SEQUIN_TOKEN", sequin::TOKEN).inside(place.path());
    let said = run(poll).await;
    snapshot!("poll_sequin", said.stdout_only());
    assert_eq!(database.rows("select order_id, line, sku from items").await, ["1 | 7 | x"]);
}

#[tokio::test]
async fn collections_of_the_former_sequin_become_a_mapping() {
    let (sequin, place) = (Sequin::start().await, tempfile::tempdir().unwrap());
    let (consumer, credential) = {
        let mut world = sequin.world();
        let fields = vec![("fldA".into(), "Name".into(), "string"), ("fldB".into(), "Score %".into(), "number")];
        let members = Collection { name: "Members".into(), upstream_id: "tblMembers".into(), fields };
        world.legacy.collections.insert("airtable:97GJ".into(), members);
        (world.legacy.consumer.clone(), world.legacy.credential.clone())
    };
    let ask = || {
        let url = sequin.url();
        tributary(&format!(
            "infer sequin --protocol legacy --base-url {url} --consumer {consumer} --credential {credential}"
        ))
        .with("SEQUIN_TOKEN", sequin::TOKEN)
        .inside(place.path())
    };
    let draft = run(ask()).await;
    snapshot!("infer_legacy", shown(&draft, &sequin.url()));
    fs::write(place.path().join("tributary.yaml"), &draft.stdout).unwrap();
    run(tributary("check").inside(place.path())).await.ends(0);
    sequin.world().legacy.rename("airtable:97GJ", "fldB", "Points");
    let said = run(ask()).await;
    snapshot!("infer_legacy_changed", said);
}

const AUTO: &str = "datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  bases: { type: airtable, base_url: 'URL', token: { env: AIRTABLE_TOKEN } }
pipelines:
  homes:
    source: { datastore: bases, base: appTEST0000000001, table: Homes, feed: sweep }
    sink: { datastore: warehouse, tables: { home: { columns: auto } } }
";

/// A base that is polled into a table whose columns follow it.
struct Followed {
    airtable: Airtable,
    database: Database,
    place: tempfile::TempDir,
}

impl Followed {
    async fn new(test: &str) -> Self {
        let (airtable, place) = (base().await, tempfile::tempdir().unwrap());
        fs::write(place.path().join("tributary.yaml"), AUTO.replace("URL'", &format!("{}'", airtable.url()))).unwrap();
        let database = Database::new(test).await;
        airtable.create(HOMES, vec![json!({ "fldNAME0000000001": "Elm", "fldRENT0000000001": 12.5 })]);
        Followed { airtable, database, place }
    }

    async fn run(&self, arguments: &str) -> Said {
        let program = tributary(arguments).on(&self.database).with("AIRTABLE_TOKEN", Airtable::TOKEN);
        run(program.inside(self.place.path())).await
    }
}

#[tokio::test]
async fn a_pipeline_is_begun_anew_after_a_look_at_what_is_lost() {
    let world = Followed::new("recreate").await;
    let said = world.run("migrate --dry-run").await.narrowed_to("-- home");
    snapshot!("migrate_auto", said);
    world.run("migrate").await.ends(0);
    let said = world.run("poll homes").await;
    snapshot!("poll_airtable", said.stdout_only());
    assert_eq!(world.database.rows("select name, rent from home").await, ["Elm | 12.5"]);
    // What `migrate` knows now.
    world.database.execute("drop table home").await;
    world.run("migrate").await.ends(0);
    assert_eq!(world.database.rows("select name, rent from home").await, Vec::<String>::new());
    world.run("poll --force").await.ends(0);

    // A view, somebody's column, a lease, nobody to ask: each is a reason not to.
    world.database.execute("create view rents as select rent from home").await;
    let said = world.run("migrate --recreate homes --yes").await;
    snapshot!("recreate_view", said);
    world
        .database
        .execute("drop view rents; alter table home add column remark text; create index on home (rent)")
        .await;
    let said = world.run("migrate --recreate homes --yes").await;
    snapshot!("recreate_other_columns", said);
    let said = world.run("migrate --recreate homes --drop-other-columns").await;
    snapshot!("recreate_nobody", said);
    world.database.execute("update tributary.lease set expires_at = now() + interval '1 hour', holder = 'else'").await;
    let said = world.run("migrate --recreate homes --yes --drop-other-columns").await.ends(1);
    assert!(said.stderr.contains("`homes/poll` is being run by somebody else"), "{}", said.stderr);
    world.database.execute("update tributary.lease set expires_at = now()").await;
    assert_eq!(world.database.rows("select name, rent, remark from home").await, ["Elm | 12.5 | ∅"]);
    let said = world.run("migrate --recreate nobody --yes").await.ends(2);
    assert!(said.stderr.contains("the mapping has no pipeline `nobody`"), "{}", said.stderr);

    world.database.execute("insert into tributary.dead_letter (pipeline, position, key, tables, error, payload) values ('homes', 'rec1', 'rec1', '{}', 'x', '')").await;
    world.airtable.rename_field(HOMES, "fldRENT0000000001", "Price");
    let fence = world.database.rows("select fence from tributary.lease").await;
    let said = world.run("migrate --recreate homes --dry-run --drop-other-columns").await;
    snapshot!("recreate_dry_run", said);
    let said = world.run("migrate --recreate homes --yes --drop-other-columns").await;
    snapshot!("recreate_done", said);
    assert_eq!(world.database.rows("select count(*) from home").await, ["0"]);
    assert_eq!(world.database.rows("select count(*) from tributary.checkpoint").await, ["0"]);
    assert_eq!(world.database.rows("select count(*) from tributary.dead_letter").await, ["1"]);
    assert_ne!(world.database.rows("select fence from tributary.lease").await, fence, "an old runner is fenced off");
    world.run("poll").await.ends(0);
    assert_eq!(world.database.rows("select name, price from home").await, ["Elm | 12.5"]);
}

#[tokio::test]
async fn poll_says_what_it_cannot_do() {
    let world = Followed::new("poll_wrong").await;
    let said = world.run("poll houses").await.ends(2);
    assert!(said.stderr.contains("it has homes"), "{}", said.stderr);
    let said = world.run("poll").await.ends(1);
    assert!(said.stdout.contains("run `tributary migrate`"), "{}", said.stdout);
    let said = run(tributary("poll users").on(&world.database)).await.ends(2);
    assert!(said.stderr.contains("is pushed, not polled"), "{}", said.stderr);
    let said = run(tributary("poll").on(&world.database)).await.ends(2);
    assert!(said.stderr.contains("no pipeline that is polled"), "{}", said.stderr);
}
