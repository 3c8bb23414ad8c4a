//! When a stored row is as it was read: nothing is written that is no news.

use tributary_core::cell::{Cell, Row};
use tributary_core::change::Op;
use tributary_core::decimal::Decimal;
use tributary_core::table::DeleteMode;
use tributary_tests::Database;

use super::{Run, TERM};
use crate::fixture::*;

#[tokio::test]
async fn equal_is_what_the_column_would_hold() {
    let types = [
        ("json", r#"{"b": 1,  "a": 2}"#, r#"{"b": 1}"#),
        ("jsonb", r#"{"b": 1,  "a": 2}"#, r#"{"a": 2}"#),
        ("char(5)", "ab", "ac"),
        ("varchar(5)", "ab", "AB"),
        ("text[]", "{a,NULL}", "{a}"),
        ("varchar(3)[]", "{abc}", "{ab}"),
        ("json[]", r#"{"{\"a\": 1}"}"#, "{}"),
        ("point", "(1,2)", "(1,3)"),
        ("box", "(1,1),(0,0)", "(2,2),(1,1)"),
        ("interval", "1 day", "24:00"),
        ("xml", "<a/>", "<b/>"),
        ("bit(4)", "1010", "1011"),
    ];
    for (ty, value, other) in types {
        let mut table = table("t", KEEP);
        table.columns = vec![column("c", ty)];
        let put = |text: &str| {
            let row: Row = Box::new([Cell::Text(text.into())]);
            change(0, 1, 0, Op::Upsert(row, None))
        };
        let mut run = Run::begin("equal", table, vec![put(value)]).await;
        assert_eq!(run.scan(vec![put(value)]).await, (0, 1), "{ty}");
        run.database.execute("update t set _synced_at = null").await;
        assert_eq!(run.scan(vec![put(other)]).await, (1, 0), "{ty}");
    }
    // The scale of the column rounds what is stored.
    let mut table = table("t", KEEP);
    table.columns = vec![column("c", "numeric(4,1)")];
    let put = || {
        let row: Row = Box::new([Cell::Numeric(Decimal::parse("1.26").unwrap())]);
        change(0, 1, 0, Op::Upsert(row, None))
    };
    let mut run = Run::begin("rounded", table, vec![put()]).await;
    assert_eq!(run.scan(vec![put()]).await, (0, 1));
}

#[tokio::test]
async fn where_the_database_has_a_default_the_stored_value_stays() {
    for (mode, buried) in [(KEEP, vec!["mine"]), (CLEAR, vec!["standard"]), (DeleteMode::Hard, vec![])] {
        let database = Database::new("default").await;
        let tables = [table("t", mode)];
        sink(&database, &tables).warm_up().await.unwrap();
        database
            .execute("alter table t alter column name set default 'standard', alter column name set not null")
            .await;
        let mut sink = sink(&database, &tables);
        apply(&mut sink, &tables, vec![put(1, 5, "mine")]).await;
        let fence = sink.acquire("test/backfill", "a", TERM).await.unwrap();
        let began = sink.begin_repair("test", &fence).await.unwrap();
        let mut run = Run { database, tables, sink, fence, began };
        let null = || Op::Upsert(Box::new([Cell::Null]), None);
        assert_eq!(run.scan(vec![change(0, 1, 0, null()), change(0, 2, 0, null())]).await, (1, 1), "{mode:?}");
        assert_eq!(run.rows().await, ["1 | mine | 5 | f", "2 | standard | 0 | f"], "{mode:?}");
        run.database
            .execute("update t set _synced_at = null; update tributary.ledger set synced_at = '-infinity'")
            .await;
        run.scan(vec![gone(1, 0)]).await;
        assert_eq!(run.database.rows("select name from t where id = 1").await, buried, "{mode:?}");
    }
}
