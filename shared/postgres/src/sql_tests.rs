//! The statements, word for word: whoever changes one sees what the change does to the others.

use tributary_core::cell::Cell;
use tributary_core::table::{Children, DeletePolicy, MetaColumns};

use super::*;
use crate::repair::Healing;

fn column(name: &str, ty: &str) -> Column {
    Column { name: name.into(), ty: ColumnType::parse(ty).unwrap(), role: Role::Data, default: None }
}

fn table(mode: DeleteMode) -> Table {
    let mut columns =
        vec![column("full \"name\"", "varchar(40)"), column("tags", "text[]"), column("mood", "app.mood")];
    columns.push(Column { role: Role::DeletedFlag, ..column("deleted", "boolean") });
    columns.push(Column { role: Role::DeletedAt, ..column("deleted_at", "timestamptz") });
    columns.push(Column { default: Some(Cell::Int(0)), ..column("score", "integer") });
    Table {
        schema: Some("app".into()),
        name: "user's".into(),
        key: vec![column("id", "uuid"), column("part", "integer")],
        columns,
        delete: DeletePolicy { mode, ttl: true, purge_after: None },
        meta: MetaColumns { errors: Some("_errors".into()), ..MetaColumns::default() },
        children: None,
    }
}

fn children(mode: DeleteMode) -> Table {
    Table { children: Some(Children { parent: vec![0] }), ..table(mode) }
}

/// A statement on several lines.
fn shown(statement: &Statement) -> String {
    let mut sql = statement.sql.clone();
    for word in [" select ", " from (", " where ", " on conflict ", " do update ", " set ", " using "] {
        sql = sql.replace(word, &format!("\n {}", word.trim_start()));
    }
    sql
}

#[test]
fn upserts() {
    let form = |tombstones, replay| Form { tombstones, replay };
    let keep = table(DeleteMode::Soft { keep: true });
    let fallbacks = Fallbacks::from([("tags".to_owned(), "'{}'::text[]".to_owned())]);
    let none = Fallbacks::new();
    insta::assert_snapshot!("plain", shown(&upsert(&keep, form(false, false), &none)));
    insta::assert_snapshot!("tombstones_keep", shown(&upsert(&keep, form(true, false), &none)));
    insta::assert_snapshot!(
        "tombstones_clear",
        shown(&upsert(&table(DeleteMode::Soft { keep: false }), form(true, false), &none))
    );
    insta::assert_snapshot!("replay", shown(&upsert(&keep, form(false, true), &none)));
    insta::assert_snapshot!("fallbacks", shown(&upsert(&keep, form(true, false), &fallbacks)));
    insta::assert_snapshot!("by_ledger", shown(&upsert(&table(DeleteMode::Hard), form(false, false), &none)));
}

#[test]
fn ledger_statements() {
    let hard = table(DeleteMode::Hard);
    insta::assert_snapshot!("settle", shown(&ledger(&hard, false)));
    insta::assert_snapshot!("settle_replay", shown(&ledger(&hard, true)));
    insta::assert_snapshot!("hard_delete", shown(&delete(&hard)));
    let (hard, soft, none) = (children(DeleteMode::Hard), children(DeleteMode::Soft { keep: false }), Fallbacks::new());
    insta::assert_snapshot!("sweep_hard", shown(&sweep(&hard, &[0], &none)));
    insta::assert_snapshot!("sweep_soft", shown(&sweep(&soft, &[0], &none)));
}

#[test]
fn repairs() {
    let fallbacks = Fallbacks::from([("tags".to_owned(), "'{}'::text[]".to_owned())]);
    let shown = |table: &Table| {
        let healing = Healing::new(table, &fallbacks);
        healing.statements().map(shown).collect::<Vec<_>>().join("\n\n")
    };
    insta::assert_snapshot!("repair_clear", shown(&table(DeleteMode::Soft { keep: false })));
    insta::assert_snapshot!("repair_hard", shown(&table(DeleteMode::Hard)));
    insta::assert_snapshot!("repair_children", shown(&children(DeleteMode::Soft { keep: true })));
}

#[test]
fn names_and_texts_cannot_break_out() {
    assert_eq!(quote("a\"b"), "\"a\"\"b\"");
    assert_eq!(literal("it's"), "'it''s'");
    assert_eq!(literal(r"a\'b"), r" E'a\\''b'");
}

#[test]
fn merges() {
    let mut table = table(DeleteMode::Soft { keep: true });
    table.meta.versions = Some("_versions".into());
    // A column of each role says all there is.
    table.columns.retain(|column| ["tags", "deleted", "deleted_at"].contains(&column.name.as_str()));
    let fallbacks = Fallbacks::from([("tags".to_owned(), "'{}'::text[]".to_owned())]);
    insta::assert_snapshot!("merge", shown(&merge(&table, "_versions", false, &Fallbacks::new())));
    insta::assert_snapshot!("merge_replay", shown(&merge(&table, "_versions", true, &fallbacks)));
    insta::assert_snapshot!("merge_fenced", shown(&fenced(&table, &fallbacks)));
}

#[test]
fn statements_of_an_only_writer() {
    let none = Fallbacks::new();
    insta::assert_snapshot!("fenced", shown(&fenced(&table(DeleteMode::Soft { keep: true }), &none)));
    insta::assert_snapshot!("fenced_hard", shown(&fenced(&table(DeleteMode::Hard), &none)));
    insta::assert_snapshot!("fenced_set_hard", shown(&fenced(&children(DeleteMode::Hard), &none)));
    insta::assert_snapshot!("fenced_set_soft", shown(&fenced(&children(DeleteMode::Soft { keep: false }), &none)));
}

#[test]
fn an_object_of_many_columns_is_put_together() {
    let mut table = table(DeleteMode::Soft { keep: true });
    table.meta.versions = Some("_versions".into());
    table.columns = (0..120).map(|number| column(&format!("c{number}"), "text")).collect();
    let statement = merge(&table, "_versions", false, &Fallbacks::new());
    let objects = statement.sql.split("jsonb_build_object(").count() - 1;
    // Three for the versions and three for the notes: a function takes a hundred arguments.
    assert_eq!(objects, 6);
}
