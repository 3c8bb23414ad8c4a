//! The statements of the write path, one set a table. Nothing here talks to a server.
//!
//! Values always travel as parameters; identifiers are always quoted. The shapes were chosen by measurement, see
//! ARCHITECTURE.md, "The write path".

use std::collections::HashMap;

use tokio_postgres::types::Type;
use tributary_core::column_type::ColumnType;
use tributary_core::table::{Column, DeleteMode, Role, Table};

use crate::encode::{Part, cast_of_text, parameter_type};

/// A statement whose parameters are columns of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<(Part, Type)>,
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
    match &table.schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(&table.name)),
        None => quote(&table.name),
    }
}

/// One column of the lines: what it is called in `s`, and how it gets there.
struct Input {
    name: String,
    part: Part,
    ty: Type,
    cast: Option<String>,
    fallback: Option<String>,
}

impl Input {
    fn column(part: Part, column: &Column, fallbacks: &Fallbacks) -> Self {
        Input {
            name: column.name.clone(),
            part,
            ty: parameter_type(&column.ty),
            cast: cast_of_text(&column.ty),
            fallback: fallbacks.get(&column.name).cloned(),
        }
    }

    fn meta(name: &str, part: Part, ty: Type) -> Self {
        Input { name: name.to_owned(), part, ty, cast: None, fallback: None }
    }

    fn unnest(&self, position: usize) -> String {
        let element = &self.ty.name()[1..]; // `_text` is the array of `text`
        let cast = self.cast.as_ref().map(|cast| format!("::{cast}")).unwrap_or_default();
        format!("unnest(${}::{element}[]){cast}", position + 1)
    }
}

/// `(select unnest($1::…[]) as "k", …) s`
fn lines(inputs: &[Input]) -> String {
    let list: Vec<String> =
        inputs.iter().enumerate().map(|(i, input)| format!("{} as {}", input.unnest(i), quote(&input.name))).collect();
    format!("(select {}) s", list.join(", "))
}

fn parameters(inputs: Vec<Input>) -> Vec<(Part, Type)> {
    inputs.into_iter().map(|input| (input.part, input.ty)).collect()
}

fn key_inputs<'t>(table: &'t Table, only: Option<&'t [usize]>, fallbacks: &Fallbacks) -> Vec<Input> {
    let keys = table.key.iter().enumerate().filter(|(i, _)| only.is_none_or(|only| only.contains(i)));
    // A change of children carries the parent's part of the key alone, so its parts are counted anew.
    keys.enumerate().map(|(part, (_, column))| Input::column(Part::Key(part), column, fallbacks)).collect()
}

const LEDGER_KEY: &str = "ledger key";

fn ledger_inputs(table: &Table) -> [Input; 2] {
    [
        Input::meta(LEDGER_KEY, Part::LedgerKey, Type::TEXT_ARRAY),
        Input::meta(&table.meta.version, Part::Version, Type::NUMERIC_ARRAY),
    ]
}

/// Holds where the ledger's version of the key is the line's own: this batch, or one equal to it, has won.
fn ledger_agrees(table: &Table) -> String {
    format!(
        "exists (select from tributary.ledger l where l.relation = {} and l.key = s.{} and l.version = s.{}",
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
        let value = |input: &Input| match &input.fallback {
            Some(fallback) => format!("coalesce(s.{}, {fallback})", quote(&input.name)),
            None => format!("s.{}", quote(&input.name)),
        };
        inputs.iter().map(value).collect()
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
    let conflict: Vec<String> = table.key.iter().map(|c| quote(&c.name)).collect();
    let mut sets: Vec<String> = table.columns.iter().map(|c| set(table, c, form, fallbacks)).collect();
    let own =
        [Some(&meta.version), Some(&meta.deleted), Some(&meta.source_at), Some(&meta.synced_at), meta.errors.as_ref()];
    sets.extend(own.into_iter().flatten().map(|name| format!("{n} = excluded.{n}", n = quote(name))));
    let sql = format!(
        "insert into {} as t ({}) select {}{from} on conflict ({}) do update set {} where t.{v} < excluded.{v}",
        relation(table),
        targets.join(", "),
        values.join(", "),
        conflict.join(", "),
        sets.join(", "),
        v = quote(&meta.version),
    );
    Statement { sql, parameters: parameters(inputs) }
}

fn set(table: &Table, column: &Column, form: Form, fallbacks: &Fallbacks) -> String {
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
            format!("{c} = case when excluded.{deleted} then t.{c} else excluded.{c} end")
        }
        Role::Data if form.tombstones && table.delete.mode == (DeleteMode::Soft { keep: true }) => {
            format!("{c} = case when excluded.{deleted} then coalesce(excluded.{c}, t.{c}) else excluded.{c} end")
        }
        // A second tombstone of one row doesn't change when and why it was deleted.
        Role::DeletedAt | Role::DeletedReason if form.tombstones => {
            format!("{c} = case when excluded.{deleted} and t.{deleted} then t.{c} else excluded.{c} end")
        }
        _ => format!("{c} = excluded.{c}"),
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
    Statement { sql, parameters: parameters(inputs) }
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
    Statement { sql, parameters: parameters(inputs) }
}

/// Removes the children that are not in the set which won in the ledger. It comes after the upsert of the set, which
/// has raised the version of every child that stays.
pub(crate) fn sweep(table: &Table, parent: &[usize]) -> Statement {
    let meta = &table.meta;
    let mut inputs = key_inputs(table, Some(parent), &Fallbacks::new());
    let same = equal_keys(&inputs);
    inputs.extend(ledger_inputs(table));
    let older = format!("t.{v} < s.{v} and {})", ledger_agrees(table), v = quote(&meta.version));
    if table.delete.mode == DeleteMode::Hard {
        let sql = format!("delete from {} as t using {} where {same} and {older}", relation(table), lines(&inputs));
        return Statement { sql, parameters: parameters(inputs) };
    }
    inputs.push(Input::meta(&meta.source_at, Part::SourceAt, Type::TIMESTAMPTZ_ARRAY));
    let keep = table.delete.mode == DeleteMode::Soft { keep: true };
    let mut sets: Vec<String> =
        table.columns.iter().filter_map(|column| swept(column, keep, &meta.source_at)).collect();
    sets.extend([
        format!("{} = true", quote(&meta.deleted)),
        format!("{v} = s.{v}", v = quote(&meta.version)),
        format!("{a} = s.{a}", a = quote(&meta.source_at)),
        format!("{} = now()", quote(&meta.synced_at)),
    ]);
    let sql = format!(
        "update {} as t set {} from {} where {same} and not t.{} and {older}",
        relation(table),
        sets.join(", "),
        lines(&inputs),
        quote(&meta.deleted),
    );
    Statement { sql, parameters: parameters(inputs) }
}

fn swept(column: &Column, keep: bool, source_at: &str) -> Option<String> {
    let c = quote(&column.name);
    match column.role {
        Role::DeletedFlag => Some(format!("{c} = true")),
        Role::DeletedAt => Some(format!("{c} = coalesce(s.{}, now())", quote(source_at))),
        Role::DeletedReason => Some(format!("{c} = 'absent'")),
        Role::Data if keep => None,
        Role::Data => Some(format!("{c} = null")),
    }
}

fn equal_keys(inputs: &[Input]) -> String {
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
