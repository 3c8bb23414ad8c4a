//! The statements of the write path, one set a table. Nothing here talks to a server.
//!
//! Values always travel as parameters; identifiers are always quoted. The shapes were chosen by measurement, see
//! ARCHITECTURE.md, "The write path".

mod distinct;
mod fenced;
mod merge;

use std::collections::HashMap;

use tokio_postgres::types::Type;
use tributary_core::cast::cell_text;
use tributary_core::column_type::ColumnType;
use tributary_core::table::{Column, DeleteMode, Role, Table};

use crate::encode::{Part, cast_of_text, parameter_type};

pub(crate) use distinct::distinct;
pub(crate) use fenced::fenced;
pub(crate) use merge::merge;

/// A statement whose parameters are columns of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<(Part, Type)>,
    /// Whether the beginning of a repair, as text, is the last parameter.
    pub(crate) began: bool,
    /// Parameters that are columns of further lines: the elements of sets whose lines are parents.
    pub(crate) elements: Vec<(Part, Type)>,
    /// Whether it answers with [`tributary_core::batch::Counts`].
    pub(crate) counted: bool,
}

impl Statement {
    pub(crate) fn new(sql: String, inputs: Vec<Input>) -> Self {
        let parameters = inputs.into_iter().map(|input| (input.part, input.ty)).collect();
        Statement { sql, parameters, began: false, elements: Vec::new(), counted: false }
    }

    /// With further lines.
    fn and(mut self, inputs: Vec<Input>) -> Self {
        self.elements = inputs.into_iter().map(|input| (input.part, input.ty)).collect();
        self
    }

    /// The types of all parameters.
    pub(crate) fn types(&self) -> Vec<Type> {
        let lines = self.parameters.iter().chain(&self.elements).map(|(_, ty)| ty.clone());
        lines.chain(self.began.then_some(Type::TEXT)).collect()
    }
}

/// Which form of the upsert a chunk needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Form {
    /// Whether tombstones are among the lines. Without, the set list needs no `case`.
    pub(crate) tombstones: bool,
    /// Whether stale rows are dropped by a look-up first: then they are neither locked nor logged.
    pub(crate) replay: bool,
}

/// What the catalog knows that the mapping doesn't: defaults of NOT NULL columns, by column name. They stand in for a
/// NULL, as they would in an `insert` that leaves the column out.
pub(crate) type Fallbacks = HashMap<String, String>;

/// Quotes an identifier.
pub(crate) fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// Quotes a text literal.
pub(crate) fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!(" E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// The table's name, quoted.
pub(crate) fn relation(table: &Table) -> String {
    named(table.schema.as_deref(), &table.name)
}

/// The name of a relation, quoted.
pub(crate) fn named(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(name)),
        None => quote(name),
    }
}

/// One column of the lines: what it is called in `s`, and how it gets there.
pub(crate) struct Input {
    pub(crate) name: String,
    part: Part,
    ty: Type,
    cast: Option<String>,
    fallback: Option<String>,
}

impl Input {
    pub(crate) fn column(part: Part, column: &Column, fallbacks: &Fallbacks) -> Self {
        Input {
            name: column.name.clone(),
            part,
            ty: parameter_type(&column.ty),
            cast: cast_of_text(&column.ty),
            fallback: fallbacks.get(&column.name).cloned(),
        }
    }

    pub(crate) fn meta(name: &str, part: Part, ty: Type) -> Self {
        Input { name: name.to_owned(), part, ty, cast: None, fallback: None }
    }

    /// What is inserted: the line's value, or the default that stands in for its NULL.
    pub(crate) fn value(&self) -> String {
        match &self.fallback {
            Some(fallback) => format!("coalesce(s.{}, {fallback})", quote(&self.name)),
            None => format!("s.{}", quote(&self.name)),
        }
    }

    fn unnest(&self, position: usize) -> String {
        let element = &self.ty.name()[1..]; // `_text` is the array of `text`
        let cast = self.cast.as_ref().map(|cast| format!("::{cast}")).unwrap_or_default();
        format!("unnest(${}::{element}[]){cast}", position + 1)
    }
}

/// `(select unnest($1::…[]) as "k", …) s`
pub(crate) fn lines(inputs: &[Input]) -> String {
    format!("{} s", lines_after(inputs, 0))
}

/// The same without its name, behind so many other parameters.
fn lines_after(inputs: &[Input], others: usize) -> String {
    let line = |(i, input): (usize, &Input)| format!("{} as {}", input.unnest(others + i), quote(&input.name));
    format!("(select {})", inputs.iter().enumerate().map(line).collect::<Vec<_>>().join(", "))
}

pub(crate) fn key_inputs<'t>(table: &'t Table, only: Option<&'t [usize]>, fallbacks: &Fallbacks) -> Vec<Input> {
    let keys = table.key.iter().enumerate().filter(|(i, _)| only.is_none_or(|only| only.contains(i)));
    // A change of children carries the parent's part of the key alone, so its parts are counted anew.
    keys.enumerate().map(|(part, (_, column))| Input::column(Part::Key(part), column, fallbacks)).collect()
}

/// What the ledger's key is called among the lines.
pub(crate) const LEDGER_KEY: &str = "ledger key";

fn ledger_inputs(table: &Table) -> [Input; 2] {
    [
        Input::meta(LEDGER_KEY, Part::LedgerKey, Type::TEXT_ARRAY),
        Input::meta(&table.meta.version, Part::Version, Type::NUMERIC_ARRAY),
    ]
}

/// Holds where the ledger's version of the key is the line's own and was settled by this transaction: this batch has
/// won. One that comes again with an equal version must not undo what a repair has made of its rows since.
fn ledger_agrees(table: &Table) -> String {
    format!(
        "exists (select from tributary.ledger l where l.relation = {} and l.key = s.{} and l.version = s.{} \
         and l.synced_at = now()",
        literal(&table.qualified_name()),
        quote(LEDGER_KEY),
        quote(&table.meta.version)
    )
}

/// The versioned upsert.
pub(crate) fn upsert(table: &Table, form: Form, fallbacks: &Fallbacks) -> Statement {
    let meta = &table.meta;
    let mut inputs = key_inputs(table, None, fallbacks);
    inputs.extend(table.columns.iter().enumerate().map(|(i, c)| Input::column(Part::Column(i), c, fallbacks)));
    inputs.push(Input::meta(&meta.version, Part::Version, Type::NUMERIC_ARRAY));
    inputs.push(Input::meta(&meta.source_at, Part::SourceAt, Type::TIMESTAMPTZ_ARRAY));
    inputs.extend(meta.errors.as_ref().map(|name| Input::meta(name, Part::Notes, Type::JSONB_ARRAY)));
    if form.tombstones {
        inputs.push(Input::meta(&meta.deleted, Part::Deleted, Type::BOOL_ARRAY));
    }
    let mut targets: Vec<String> = inputs.iter().map(|input| quote(&input.name)).collect();
    let by_ledger = table.uses_ledger();
    let direct = !form.replay && !by_ledger && inputs.iter().all(|input| input.fallback.is_none());
    let mut values: Vec<String> = if direct {
        inputs.iter().enumerate().map(|(i, input)| input.unnest(i)).collect()
    } else {
        inputs.iter().map(Input::value).collect()
    };
    if !form.tombstones {
        targets.push(quote(&meta.deleted));
        values.push("false".to_owned());
    }
    targets.push(quote(&meta.synced_at));
    values.push("now()".to_owned());
    if by_ledger {
        inputs.push(Input::meta(LEDGER_KEY, Part::LedgerKey, Type::TEXT_ARRAY));
    }

    let mut from = if direct { String::new() } else { format!(" from {}", lines(&inputs)) };
    let mut conditions = Vec::new();
    if by_ledger {
        conditions.push(format!("{})", ledger_agrees(table)));
    }
    if form.replay {
        // A scalar subquery is always an index probe; a join could become a scan of the whole table.
        let same: Vec<String> = table.key.iter().map(|c| format!("x.{k} = s.{k}", k = quote(&c.name))).collect();
        conditions.push(format!(
            "coalesce((select x.{v} < s.{v} from {} x where {}), true)",
            relation(table),
            same.join(" and "),
            v = quote(&meta.version)
        ));
    }
    if !conditions.is_empty() {
        from.push_str(&format!(" where {}", conditions.join(" and ")));
    }
    let sql = format!(
        "insert into {} as t ({}) select {}{from} on conflict ({}) do update set {} where t.{v} < excluded.{v}",
        relation(table),
        targets.join(", "),
        values.join(", "),
        conflict_target(table),
        sets(table, form, fallbacks).join(", "),
        v = quote(&meta.version),
    );
    Statement::new(sql, inputs)
}

/// The columns of the key, which `on conflict` names.
fn conflict_target(table: &Table) -> String {
    let columns: Vec<String> = table.key.iter().map(|column| quote(&column.name)).collect();
    columns.join(", ")
}

/// What a stored row becomes where the line is newer.
fn sets(table: &Table, form: Form, fallbacks: &Fallbacks) -> Vec<String> {
    let meta = &table.meta;
    let set = |c: &Column| {
        let fresh = format!("excluded.{}", quote(&c.name));
        format!("{} = {}", quote(&c.name), assigned(table, c, form, fallbacks, "excluded", &fresh))
    };
    let mut sets: Vec<String> = table.columns.iter().map(set).collect();
    let own =
        [Some(&meta.version), Some(&meta.deleted), Some(&meta.source_at), Some(&meta.synced_at), meta.errors.as_ref()];
    sets.extend(own.into_iter().flatten().map(|name| format!("{n} = excluded.{n}", n = quote(name))));
    sets
}

/// What a column of the stored row `t` becomes. `from` is the relation that holds the line, `fresh` the value there.
pub(crate) fn assigned(
    table: &Table,
    column: &Column,
    form: Form,
    fallbacks: &Fallbacks,
    from: &str,
    fresh: &str,
) -> String {
    let c = quote(&column.name);
    let deleted = quote(&table.meta.deleted);
    match column.role {
        // A tombstone without an image of the row keeps what stands there; where a default would hide that there was
        // no image, it always does.
        Role::Data
            if form.tombstones
                && table.delete.mode == (DeleteMode::Soft { keep: true })
                && (column.default.is_some() || fallbacks.contains_key(&column.name)) =>
        {
            format!("case when {from}.{deleted} then t.{c} else {fresh} end")
        }
        Role::Data if form.tombstones && table.delete.mode == (DeleteMode::Soft { keep: true }) => {
            format!("case when {from}.{deleted} then coalesce({fresh}, t.{c}) else {fresh} end")
        }
        // A second tombstone of one row doesn't change when and why it was deleted.
        Role::DeletedAt | Role::DeletedReason if form.tombstones => {
            format!("case when {from}.{deleted} and t.{deleted} then t.{c} else {fresh} end")
        }
        _ => fresh.to_owned(),
    }
}

/// Settles the versions of a chunk in the ledger. It comes first: its row locks make concurrent batches wait, and what
/// the following statements see of it decides which lines of theirs count.
pub(crate) fn ledger(table: &Table, replay: bool) -> Statement {
    let [key, version] = ledger_inputs(table);
    let inputs = vec![key, version, Input::meta(&table.meta.deleted, Part::Deleted, Type::BOOL_ARRAY)];
    let [key, version, deleted] = [0, 1, 2].map(|i| format!("s.{}", quote(&inputs[i].name)));
    let relation = literal(&table.qualified_name());
    let filter = if replay {
        format!(
            " where coalesce((select x.version < {version} from tributary.ledger x \
             where x.relation = {relation} and x.key = {key}), true)"
        )
    } else {
        String::new()
    };
    let sql = format!(
        "insert into tributary.ledger as l (relation, key, version, deleted) \
         select {relation}, {key}, {version}, {deleted} from {}{filter} \
         on conflict (relation, key) do update set version = excluded.version, deleted = excluded.deleted, \
         synced_at = now() where l.version < excluded.version",
        lines(&inputs)
    );
    Statement::new(sql, inputs)
}

/// Removes the rows of hard deletes that won in the ledger.
pub(crate) fn delete(table: &Table) -> Statement {
    let mut inputs = key_inputs(table, None, &Fallbacks::new());
    let same = equal_keys(&inputs);
    inputs.extend(ledger_inputs(table));
    let sql = format!(
        "delete from {} as t using {} where {same} and {} and l.deleted)",
        relation(table),
        lines(&inputs),
        ledger_agrees(table)
    );
    Statement::new(sql, inputs)
}

/// Removes the children that are not in the set which won in the ledger. It comes after the upsert of the set, which
/// has raised the version of every child that stays.
pub(crate) fn sweep(table: &Table, parent: &[usize], fallbacks: &Fallbacks) -> Statement {
    let meta = &table.meta;
    let mut inputs = key_inputs(table, Some(parent), &Fallbacks::new());
    let same = equal_keys(&inputs);
    inputs.extend(ledger_inputs(table));
    let older = format!("t.{v} < s.{v} and {})", ledger_agrees(table), v = quote(&meta.version));
    if table.delete.mode == DeleteMode::Hard {
        let sql = format!("delete from {} as t using {} where {same} and {older}", relation(table), lines(&inputs));
        return Statement::new(sql, inputs);
    }
    inputs.push(Input::meta(&meta.source_at, Part::SourceAt, Type::TIMESTAMPTZ_ARRAY));
    let source_at = format!("s.{}", quote(&meta.source_at));
    let mut sets = buried(table, &source_at, "absent", fallbacks);
    sets.push(format!("{v} = s.{v}", v = quote(&meta.version)));
    let sql = format!(
        "update {} as t set {} from {} where {same} and not t.{} and {older}",
        relation(table),
        sets.join(", "),
        lines(&inputs),
        quote(&meta.deleted),
    );
    Statement::new(sql, inputs)
}

/// The assignments that make a tombstone of a row, its version apart. `source_at` is when the source deleted it, an
/// expression.
pub(crate) fn buried(table: &Table, source_at: &str, reason: &str, fallbacks: &Fallbacks) -> Vec<String> {
    let keep = table.delete.mode == DeleteMode::Soft { keep: true };
    let of_column = |column: &Column| {
        let c = quote(&column.name);
        match column.role {
            Role::DeletedFlag => Some(format!("{c} = true")),
            Role::DeletedAt => Some(format!("{c} = coalesce({source_at}, now())")),
            Role::DeletedReason => Some(format!("{c} = '{reason}'")),
            Role::Data if keep => None,
            Role::Data => Some(format!("{c} = {}", cleared(column, fallbacks))),
        }
    };
    let mut sets: Vec<String> = table.columns.iter().filter_map(of_column).collect();
    sets.extend(table.meta.versions.as_ref().map(|versions| {
        // The columns that were set have the row's version now.
        let set = table.columns.iter().filter(|column| !keep || column.role != Role::Data);
        let names: Vec<String> = set.map(|column| literal(&column.name)).collect();
        format!("{v} = nullif({v} - array[{}]::text[], '{{}}')", names.join(", "), v = quote(versions))
    }));
    sets.extend([
        format!("{} = true", quote(&table.meta.deleted)),
        format!("{} = {source_at}", quote(&table.meta.source_at)),
        format!("{} = now()", quote(&table.meta.synced_at)),
    ]);
    sets
}

/// What stands in a column of a tombstone that doesn't keep its values.
fn cleared(column: &Column, fallbacks: &Fallbacks) -> String {
    let default = column.default.as_ref().and_then(|cell| cell_text(cell, &column.ty));
    match (default, fallbacks.get(&column.name)) {
        (Some(text), _) => format!("{}::{}", literal(&text), column.ty),
        (None, Some(fallback)) => fallback.clone(),
        (None, None) => "null".to_owned(),
    }
}

pub(crate) fn equal_keys(inputs: &[Input]) -> String {
    let same: Vec<String> = inputs.iter().map(|input| format!("t.{k} = s.{k}", k = quote(&input.name))).collect();
    same.join(" and ")
}

/// The definition of a column of this type in `create table` and `add column`.
pub(crate) fn definition(name: &str, ty: &ColumnType) -> String {
    format!("{} {ty}", quote(name))
}

#[cfg(test)]
#[path = "sql_tests.rs"]
mod tests;
