//! Parts that the database refuses, and tables that cannot take any.

use tributary_core::Kind;
use tributary_postgres::Which;

use super::*;

#[tokio::test]
async fn of_several_parts_of_a_row_only_the_bad_one_is_refused() {
    let database = Database::new("bad_part").await;
    let tables = [parts(KEEP)];
    let mut sink = sink(&database, &tables);
    sink.warm_up().await.unwrap();
    database.execute("alter table t add check (b <> 13)").await;
    let changes = vec![
        whole(1, 1, "a1", 1),
        only_a(1, 2, "a2"),
        only_b(1, 3, 13),
        part(1, 4, &[("c", text("c4"))]),
        whole(2, 1, "other", 2),
    ];
    let outcome = apply(&mut sink, &tables, changes).await;
    assert_eq!((outcome.dead, outcome.refused.len()), (1, 1));
    let expect = [r#"1 | a2 | 1 | c4 | 4 | f | {"a": "2", "b": "1"}"#, "2 | other | 2 | c | 1 | f | ∅"];
    assert_eq!(stored(&database).await, expect);
    assert_eq!(database.rows("select position from tributary.dead_letter").await, ["p2"]);
}

#[tokio::test]
async fn where_a_whole_image_is_refused_the_parts_and_the_image_before_it_stand() {
    let database = Database::new("bad_image").await;
    let tables = [parts(KEEP)];
    let mut sink = sink(&database, &tables);
    sink.warm_up().await.unwrap();
    database.execute("alter table t add check (b <> 13)").await;
    let changes = vec![whole(1, 1, "a1", 1), only_b(1, 2, 2), whole(1, 3, "bad", 13), only_a(1, 4, "a4")];
    assert_eq!(apply(&mut sink, &tables, changes).await.dead, 1);
    assert_eq!(stored(&database).await, [r#"1 | a4 | 2 | c | 4 | f | {"b": "2", "c": "1"}"#]);
}

#[tokio::test]
async fn a_dead_letter_that_is_replayed_late_fills_its_columns() {
    let database = Database::new("late_letter").await;
    let tables = [parts(KEEP)];
    let mut sink = sink(&database, &tables);
    sink.warm_up().await.unwrap();
    database.execute("alter table t add constraint no_luck check (b <> 13)").await;
    let unlucky = part(1, 3, &[("a", text("a3")), ("b", Cell::Int(13))]);
    apply(&mut sink, &tables, vec![whole(1, 1, "a1", 1)]).await;
    assert_eq!(apply(&mut sink, &tables, vec![unlucky.clone()]).await.dead, 1);
    apply(&mut sink, &tables, vec![only_a(1, 5, "a5")]).await;
    database.execute("alter table t drop constraint no_luck").await;
    assert_eq!(apply(&mut sink, &tables, vec![unlucky]).await.applied, 1);
    assert_eq!(stored(&database).await, [r#"1 | a5 | 13 | c | 5 | f | {"b": "3", "c": "1"}"#]);
}

#[tokio::test]
async fn a_part_that_lacks_what_a_check_wants_waits_for_the_rest() {
    let database = Database::new("part_waits").await;
    let tables = [parts(KEEP)];
    let mut sink = sink(&database, &tables);
    sink.warm_up().await.unwrap();
    database.execute("alter table t add check (a is not null)").await;
    assert_eq!(apply(&mut sink, &tables, vec![only_b(1, 4, 4)]).await.dead, 1);
    let letters = sink.letters(Which::Of("test"), 10).await.unwrap();
    assert!(letters[0].retry_at.is_some(), "{letters:?}");
    // In a batch with the rest it is no trouble, also where a bad row has the batch taken apart: the oldest comes first.
    let rest = || vec![only_b(2, 4, 4), whole(2, 3, "a", 3)];
    assert_eq!(apply(&mut sink, &tables, rest()).await.dead, 0);
    database.execute("truncate t").await;
    let mut changes = rest();
    changes.push(only_b(1, 5, 5));
    let outcome = apply(&mut sink, &tables, changes).await;
    assert_eq!(outcome.refused.iter().map(|refused| refused.event).collect::<Vec<_>>(), [2]);
}

async fn refused(ddl: &str, table: Table) -> String {
    let database = Database::new("no_parts").await;
    database.execute(ddl).await;
    let mut sink = sink(&database, &[table]);
    let error = sink.migrate().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    error.to_string()
}

#[tokio::test]
async fn tables_that_cannot_take_parts_are_refused_with_the_remedy() {
    let not_null = refused("create table t (id integer primary key, a text not null)", parts(KEEP)).await;
    assert!(
        not_null.contains("column a is not null, and a part of an item") && not_null.contains("drop not null"),
        "{not_null}"
    );
    // Where a default stands in, and in the key, it is no trouble.
    let database = Database::new("parts_default").await;
    database.execute("create table t (id integer primary key, a text not null default 'none', c text not null)").await;
    let tables = [parts(KEEP)];
    let mut fine = sink(&database, &tables);
    apply(&mut fine, &tables, vec![only_b(1, 4, 4)]).await;
    apply(&mut fine, &tables, vec![only_a(1, 5, "a5")]).await;
    apply(&mut fine, &tables, vec![only_b(1, 6, 6)]).await;
    assert_eq!(stored(&database).await, [r#"1 | a5 | 6 | default | 6 | f | {"a": "5", "c": "-1"}"#]);

    let hard = refused("select", parts(DeleteMode::Hard)).await;
    assert!(hard.contains("no version per column") && hard.contains("delete: soft"), "{hard}");
}
