//! The former Sequin: records of an Airtable base.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Map, Value, json};
use tributary_tests::Database;
use tributary_tests::sequin::{Collection, Fault, Sequin, TOKEN};

use crate::fixture::{ACK_WAIT, Shop, Token, database_of, drained, free_lease, mapping_of, tick, ticker};

const MEMBERS: &str = "airtable:97GJsnvkaOhooMCsDgBBYUd7";

/// Keys and version columns by default; a column by its field's id, by its name; a list; a link table.
const MAPPING: &str = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  old:
    type: sequin
    protocol: legacy
    base_url: 'URL'
    token: { env: SEQUIN_TOKEN }
    credential: b0064399-c0f5-43e7-96b0-74d6d8a5a2b3
pipelines:
  members:
    source: { datastore: old, consumer: 3f0b2f7e-5ad6-4d4b-9c63-0f4b1d3a7c21, collection: tblMembers }
    sink:
      datastore: warehouse
      tables:
        members:
          columns:
            name: { from: fldName, type: text }
            email: { from: Email, type: text }
            paid: { from: fldPaid, type: boolean }
            groups: { from: fldGroups, type: 'text[]' }
            score: { from: fldScore, type: numeric }
        member_group:
          from: fldGroups[]
          key: { member: { from: $root.$id, type: text }, group_id: { from: $value, type: text } }
          delete: hard
";

struct Base {
    sequin: Sequin,
    database: Database,
    shop: Shop,
}

impl Base {
    async fn new(test: &str) -> Self {
        let sequin = Sequin::start().await;
        let field = |id: &str, name: &str, kind: &'static str| (id.to_owned(), name.to_owned(), kind);
        let fields = vec![
            field("fldName", "Name", "string"),
            field("fldEmail", "Email", "string"),
            field("fldPaid", "Paid", "boolean"),
            field("fldGroups", "Groups_fk", "array"),
            field("fldScore", "Score", "number"),
        ];
        let members = Collection { name: "Members".into(), upstream_id: "tblMembers".into(), fields };
        sequin.world().legacy.collections.insert(MEMBERS.into(), members);
        let mapping = Arc::new(mapping_of(MAPPING, &sequin));
        let database = database_of(test, &mapping).await;
        let shop = ticker(&mapping, database.url(), Token::new(TOKEN));
        Base { sequin, database, shop }
    }

    fn put(&self, id: &str, cells: Value) {
        let Value::Object(cells) = cells else { panic!("cells are an object") };
        self.sequin.world().legacy.put(id, MEMBERS, cells);
    }

    async fn members(&self) -> Vec<String> {
        let sql = "select upstream_id, name, email, paid, groups, score from members where not _deleted order by 1";
        self.database.rows(sql).await
    }

    async fn links(&self) -> Vec<String> {
        self.database.rows("select member, group_id from member_group order by 1, 2").await
    }
}

#[tokio::test]
async fn records_become_rows_with_their_links() {
    for bare in [false, true] {
        let mut base = Base::new("records").await;
        base.sequin.world().legacy.bare = bare;
        base.put("rec1", json!({"fldName": "Ada", "fldEmail": "a@b", "fldPaid": true, "fldGroups": ["recB", "recA"], "fldScore": 1.5}));
        base.put("rec2", json!({"fldName": "Bob"}));
        base.put("rec3", json!({"fldName": "Gone"}));
        drained(&mut base.shop).await;
        let ada = "rec1 | Ada | a@b | t | {recB,recA} | 1.5";
        assert_eq!(base.members().await, [ada, "rec2 | Bob | ∅ | f | ∅ | ∅", "rec3 | Gone | ∅ | f | ∅ | ∅"]);
        assert_eq!(base.links().await, ["rec1 | recA", "rec1 | recB"]);
        let types = "select format_type(atttypid, atttypmod) from pg_attribute
                     where attrelid = 'members'::regclass and attname in ('upstream_id', 'updated_idx') order by attname";
        assert_eq!(base.database.rows(types).await, ["bigint", "text"]);

        // An absent cell is empty as long as the collection has the field; a deleted record has no data.
        base.put("rec1", json!({"fldName": "Ada", "fldGroups": ["recC"]}));
        base.sequin.world().legacy.delete("rec3");
        base.put("rec2", json!({"fldName": {"error": "#ERROR!"}}));
        drained(&mut base.shop).await;
        assert_eq!(base.members().await, ["rec1 | Ada | ∅ | f | {recC} | ∅", "rec2 | ∅ | ∅ | f | ∅ | ∅"]);
        assert_eq!(base.links().await, ["rec1 | recC"]);
        assert!(base.sequin.world().legacy.store.is_empty());
        assert_eq!(base.database.rows("select error from tributary.dead_letter").await, [""; 0]);
        let tombstone = "select _deleted, updated_idx from members where upstream_id = 'rec3'";
        let index = base.sequin.world().legacy.records["rec3"].index;
        assert_eq!(base.database.rows(tombstone).await, [format!("t | {index}")]);
    }
}

#[tokio::test]
async fn a_renamed_field_keeps_its_values_and_is_spoken_of() {
    let mut base = Base::new("renamed").await;
    base.put("rec1", json!({"fldName": "Ada", "fldEmail": "a@b"}));
    drained(&mut base.shop).await;
    base.sequin.world().legacy.rename(MEMBERS, "fldEmail", "E-mail");
    base.sequin.world().legacy.rename(MEMBERS, "fldName", "Full name");
    base.put("rec1", json!({"fldName": "Ada King", "fldEmail": "new@b", "fldPaid": true}));
    let report = drained(&mut base.shop).await;
    // By its id a field is found under any name; by its old name it is unknown, not empty.
    assert_eq!(base.members().await, ["rec1 | Ada King | a@b | t | ∅ | ∅"]);
    let notes = report.pipelines()[0].notes.join("\n");
    assert!(notes.contains("the collection has no field `Email`: it was renamed or removed"), "{notes}");
}

#[tokio::test]
async fn an_older_record_with_a_field_of_yesterday_empties_nothing() {
    let mut base = Base::new("yesterday").await;
    base.put("rec1", json!({"fldName": "Ada", "fldEmail": "a@b", "fldScore": 7}));
    drained(&mut base.shop).await;
    // Written under the old name, read under the new one.
    base.put("rec1", json!({"fldName": "Ada King", "fldEmail": "new@b"}));
    base.sequin.world().legacy.rename(MEMBERS, "fldName", "Full name");
    // A cold function, which has not seen the collection before.
    let mapping = Arc::new(mapping_of(MAPPING, &base.sequin));
    base.shop = ticker(&mapping, base.database.url(), Token::new(TOKEN));
    drained(&mut base.shop).await;
    assert_eq!(base.members().await, ["rec1 | Ada | new@b | f | ∅ | 7"]);
}

#[tokio::test]
async fn what_may_go_wrong_is_said_and_the_next_tick_goes_on() {
    let mut base = Base::new("legacy_wrong").await;
    let status = |status: u16| Fault::Status(status, r#"{"summary":"said so"}"#.to_owned());
    let cases = [
        ("next", status(401), "refuses the token"),
        ("next", status(404), "no consumer `3f0b2f7e"),
        ("next", status(500), "status 500: said so"),
        ("next", Fault::Body("<html>".into()), "no list of messages"),
        ("next", Fault::Cut(50), "cut short"),
    ];
    for (number, (kind, fault, expect)) in (1..).zip(cases) {
        base.put(&format!("rec{number}"), json!({"fldName": "x"}));
        (0..4).for_each(|_| base.sequin.fault(kind, fault.clone()));
        let report = tick(&mut base.shop).await;
        let progress = &report.pipelines()[0];
        assert_eq!(progress.state, "failed", "{fault:?}: {progress:?}");
        assert!(progress.error.as_ref().unwrap().contains(expect) && progress.hint.is_some(), "{progress:?}");
        base.sequin.heal();
        base.sequin.world().advance(ACK_WAIT);
        drained(&mut base.shop).await;
        assert_eq!(base.members().await.len(), number);
    }
    base.sequin.world().legacy.credential = "another".to_owned();
    let mapping = Arc::new(mapping_of(MAPPING, &base.sequin));
    base.shop = ticker(&mapping, base.database.url(), Token::new(TOKEN));
    let report = tick(&mut base.shop).await;
    let error = report.pipelines()[0].error.as_ref().unwrap();
    assert!(error.contains("no collections of the credential"), "{error}");
}

#[tokio::test]
async fn records_of_another_collection_are_kept_as_dead_letters() {
    let mut base = Base::new("stranger").await;
    let jobs = Collection { name: "Jobs".into(), upstream_id: "tblJobs".into(), fields: Vec::new() };
    base.sequin.world().legacy.collections.insert("airtable:jobs".into(), jobs);
    base.sequin.world().legacy.put("recJ", "airtable:jobs", Map::new());
    base.put("rec1", json!({"fldName": "Ada"}));
    drained(&mut base.shop).await;
    assert_eq!(base.members().await.len(), 1);
    assert_eq!(
        base.database.rows("select key, error from tributary.dead_letter").await,
        ["recJ | no pipeline reads the collection airtable:jobs from this consumer"]
    );
    base.sequin.world().legacy.store.max_out = 0;
    base.put("rec2", json!({}));
    let report = drained(&mut base.shop).await;
    assert!(report.pipelines()[0].notes.join("").contains("holds 1 more messages back"), "{report:?}");
}

#[tokio::test]
async fn a_random_history_ends_as_the_base_says() {
    let mut base = Base::new("legacy_history").await;
    base.sequin.world().legacy.store.forgetful = true;
    let mut dice = Rng::with_seed(5);
    for round in 0..40 {
        for _ in 0..dice.usize(1..40) {
            let id = format!("rec{}", dice.u8(..50));
            if dice.u8(..6) == 0 {
                base.sequin.world().legacy.delete(&id);
                continue;
            }
            let mut cells = Map::new();
            let mut maybe = |name: &str, value: Value| drop(dice.bool().then(|| cells.insert(name.into(), value)));
            maybe("fldName", json!(format!("name {round}")));
            maybe("fldEmail", json!("a@b"));
            maybe("fldPaid", json!(true));
            maybe("fldScore", json!(round));
            maybe("fldGroups", json!(["recA", format!("rec{round}")]));
            base.put(&id, Value::Object(cells));
        }
        match dice.u8(..8) {
            0 => base.sequin.fault("next", Fault::Cut(dice.usize(0..3_000))),
            1 => (0..3).for_each(|_| base.sequin.fault("ack", Fault::Drop)),
            2 => base.sequin.world().legacy.store.restart(),
            3 => base.sequin.world().advance(Duration::from_secs(31)),
            _ => {}
        }
        free_lease(&base.database).await;
        tick(&mut base.shop).await;
    }
    base.sequin.heal();
    base.sequin.world().advance(ACK_WAIT);
    free_lease(&base.database).await;
    drained(&mut base.shop).await;
    let records: BTreeMap<_, _> = base.sequin.world().legacy.records.clone();
    let live = records.iter().filter(|(_, record)| !record.deleted);
    let text = |value: Option<&Value>| {
        value.map_or("∅".to_owned(), |value| value.as_str().map_or(value.to_string(), str::to_owned))
    };
    let (mut expect, mut links) = (Vec::new(), Vec::new());
    for (id, record) in live {
        let cell = |name: &str| record.cells.get(name);
        let groups: Vec<&str> = cell("fldGroups")
            .map_or(Vec::new(), |list| list.as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect());
        let paid = if cell("fldPaid").is_some() { "t" } else { "f" };
        let shown = if groups.is_empty() { "∅".to_owned() } else { format!("{{{}}}", groups.join(",")) };
        expect.push(format!(
            "{id} | {} | {} | {paid} | {shown} | {}",
            text(cell("fldName")),
            text(cell("fldEmail")),
            text(cell("fldScore"))
        ));
        links.extend(groups.iter().map(|group| format!("{id} | {group}")));
    }
    expect.sort();
    links.sort();
    let mut members = base.members().await;
    members.sort();
    let mut stored = base.links().await;
    stored.sort();
    assert_eq!(members, expect);
    assert_eq!(stored, links);
    assert!(base.sequin.world().legacy.store.is_empty());
}
