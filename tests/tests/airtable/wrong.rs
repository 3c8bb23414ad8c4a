//! What can be wrong: each gets an error that says what to do, what is stored stays as it was, and the next tick goes on.

use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::json;
use tributary_runtime::tick::Request;
use tributary_tests::airtable::{Airtable, Fault};

use crate::fixture::*;

struct Case {
    name: &'static str,
    breaks: fn(&World),
    mends: fn(&World),
    error: &'static str,
    hint: &'static str,
}

const HTML: &str = "<html><body>hunter2</body></html>";

const CASES: [Case; 9] = [
    Case {
        name: "a wrong token",
        breaks: |world| *world.tokens.0.lock().unwrap() = "patWRONG".into(),
        mends: |world| *world.tokens.0.lock().unwrap() = Airtable::TOKEN.into(),
        error: "Airtable refuses the token",
        hint: "airtable.com/create/tokens",
    },
    Case {
        name: "a token without a scope for webhooks",
        breaks: |world| world.airtable.revoke("webhook:manage"),
        mends: |world| world.airtable.grant("webhook:manage"),
        error: "doesn't let the token list the webhooks of appTEST0000000001, or it isn't there",
        hint: "the scope webhook:manage",
    },
    Case {
        name: "a token that may not read records",
        breaks: |world| world.airtable.revoke("data.records:read"),
        mends: |world| world.airtable.grant("data.records:read"),
        error: "doesn't let the token list the records of tblHOMES000000001 in appTEST0000000001",
        hint: "the scope data.records:read",
    },
    Case {
        name: "a token that may not read the schema",
        breaks: |world| world.airtable.revoke("schema.bases:read"),
        mends: |world| world.airtable.grant("schema.bases:read"),
        error: "doesn't let the token read the tables of the base",
        hint: "the scope schema.bases:read",
    },
    Case {
        name: "a server that is down",
        breaks: |world| world.airtable.fail("listRecords", [(); 5].map(|()| Fault::Answer(503, HTML))),
        mends: |world| world.airtable.recover(),
        error: "Airtable cannot list the records of tblHOMES000000001 in appTEST0000000001 now: status 503",
        hint: "status.airtable.com",
    },
    Case {
        name: "an answer that is no JSON",
        breaks: |world| world.airtable.fail("listRecords", [Fault::Answer(200, HTML)]),
        mends: |world| world.airtable.recover(),
        error: "cannot read the records of an Airtable table: another form at line 1, column 1",
        hint: "",
    },
    Case {
        name: "an answer of another form",
        breaks: |world| world.airtable.fail("listRecords", [Fault::Answer(200, r#"{"records":"hunter2"}"#)]),
        mends: |world| world.airtable.recover(),
        error: "cannot read the records of an Airtable table: another form",
        hint: "",
    },
    Case {
        name: "answers that are cut short",
        breaks: |world| world.airtable.fail("listRecords", [(); 5].map(|()| Fault::Cut)),
        mends: |world| world.airtable.recover(),
        error: "was cut short",
        hint: "",
    },
    Case {
        name: "a request that makes no sense to it",
        breaks: |world| {
            world.airtable.fail(
                "listRecords",
                [Fault::Answer(422, r#"{"error":{"type":"INVALID_REQUEST_UNKNOWN","message":"hunter2"}}"#)],
            );
        },
        mends: |world| world.airtable.recover(),
        error: "Airtable refuses to list the records of tblHOMES000000001 in appTEST0000000001: status 422, INVALID_REQUEST_UNKNOWN",
        hint: "check the base",
    },
];

/// All that is stored, but for when a turn began.
async fn stored(world: &World) -> Vec<String> {
    let rows = "select row(h)::text from home h union all select row(d)::text from home_district d \
         union all select pipeline || partition || position from tributary.checkpoint where partition in ('feed', 'sweep')";
    let mut rows = world.database.rows(rows).await;
    rows.sort();
    rows
}

#[tokio::test]
async fn each_trouble_says_what_to_do_and_passes() {
    let mut world = World::new("wrong", "").await;
    let ids = world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(1), 120));
    world.tick().await;
    for Case { name, breaks, mends, error, hint } in CASES {
        let before = stored(&world).await;
        world.airtable.edit(HOMES, &ids[0], &json!({ NAME: name }));
        world.cool_down();
        breaks(&world);
        let request = Request { force: true, ..Request::default() };
        // Enough for all attempts.
        let report = world.tick_within(&request, &Millis(Instant::now() + Duration::from_secs(30))).await;
        let failed = &report.pipelines()[0];
        assert_eq!(failed.state, "failed", "{name}: {failed:?}");
        let told = failed.error.clone().unwrap_or_default();
        assert!(told.contains(error), "{name}: {told}");
        assert!(failed.hint.clone().unwrap_or_default().contains(hint), "{name}: {:?}", failed.hint);
        assert!(!format!("{failed:?}").contains("hunter2"), "{name}: {failed:?}");
        assert_eq!(stored(&world).await, before, "{name}");
        mends(&world);
        world.tick().await;
        world.assert_same().await;
    }
}

#[tokio::test]
async fn what_passes_by_itself_is_no_trouble() {
    let mut world = World::new("passes", "").await;
    world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(2), 350));
    let faults = [Fault::Cut, Fault::Answer(502, HTML), Fault::Lost, Fault::Late(Duration::from_millis(200))];
    world.airtable.fail("listRecords", faults);
    world.tick().await;
    world.assert_same().await;
}

#[tokio::test]
async fn a_slow_server_costs_no_more_than_the_time_there_is() {
    let mut world = World::new("slow", "").await;
    world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(3), 20));
    world.airtable.fail("listRecords", [Fault::Late(Duration::from_secs(60))]);
    let begin = Instant::now();
    let report = world.tick_within(&Request::default(), &Millis(begin + Duration::from_secs(5))).await;
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    let failed = &report.pipelines()[0];
    assert_eq!(failed.state, "failed");
    assert!(failed.error.as_deref().unwrap().contains("did not answer within"), "{failed:?}");
    world.airtable.recover();
    world.tick().await;
    world.assert_same().await;
}

#[tokio::test]
async fn a_new_token_is_fetched_when_the_old_one_is_refused() {
    let mut world = World::new("token", "").await;
    world.airtable.create(HOMES, any_homes(&mut Rng::with_seed(4), 20));
    world.tick().await;
    world.airtable.change_token("patNEW");
    *world.tokens.0.lock().unwrap() = "patNEW".into();
    world.tick().await;
}

#[tokio::test]
async fn a_table_or_field_that_is_not_there_is_answered_with_those_that_are() {
    let check = async |from: &str, to: &str, error: &str, hint: &str| {
        let mut world = World::of("not_there", |url| mapping_text(url, "").replace(from, to)).await;
        let failed = world.try_tick().await;
        assert_eq!(failed.error.as_deref(), Some(error));
        assert!(failed.hint.as_deref().unwrap().contains(hint), "{:?}", failed.hint);
    };
    check(
        "table: tblHOMES000000001",
        "table: Houses",
        "the Airtable base appTEST0000000001 has no table `Houses`",
        "`Homes` (tblHOMES000000001)",
    )
    .await;
    check(
        "base: appTEST0000000001",
        "base: appNONE0000000001",
        "Airtable doesn't let the token read the tables of the base appNONE0000000001, or it isn't there \
         (INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND)",
        "check the ids in the mapping",
    )
    .await;
    check(
        "from: Photos",
        "from: Fotos",
        "the Airtable table `Homes` has no field `Fotos`",
        "`Photos` (fldPHOTO000000001)",
    )
    .await;
}

#[tokio::test]
async fn a_record_that_does_not_fit_stops_nobody_and_its_letter_goes_when_it_does() {
    let mut world = World::of("letter", |url| {
        mapping_text(url, "").replace(
            "name: { from: fldNAME0000000001, type: text }",
            "name: { from: fldNAME0000000001, type: varchar(12) }",
        )
    })
    .await;
    let mut dice = Rng::with_seed(5);
    let ids = world.airtable.create(HOMES, any_homes(&mut dice, 30));
    world.airtable.edit(HOMES, &ids[3], &json!({ NAME: "far too long a name" }));
    let first = world.tick().await;
    assert_eq!(first.dead, 1);
    assert_eq!(
        world.database.rows("select key, array_to_string(tables, ',') from tributary.dead_letter").await,
        [format!("{} | home", ids[3])]
    );
    // Each sweep meets it again, and it stays one letter.
    world.sweep().await;
    assert_eq!(world.database.rows("select count(*) from tributary.dead_letter").await, ["1"]);
    world.airtable.edit(HOMES, &ids[3], &json!({ NAME: "short" }));
    world.tick().await;
    world.sweep().await;
    assert_eq!(world.database.rows("select count(*) from tributary.dead_letter").await, ["0"]);
    world.assert_same().await;
}
