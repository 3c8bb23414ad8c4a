//! The statements of an only writer: one a chunk, which writes nothing where nothing differs, and counts what it did.
//!
//! Reading first and writing then is right here alone: the lease keeps everybody else out, and a runner that has lost it
//! commits nothing. The guards of the other statements stay, for what is older than what is stored. A row that is newer
//! and says the same keeps its older version, which only the next observation can be compared with.

use tokio_postgres::types::Type;
use tributary_core::table::{DeleteMode, Table};

use super::merge::Merging;
use super::{
    Fallbacks, Form, Input, LEDGER_KEY, Statement, assigned, buried, conflict_target, distinct, key_inputs, lines,
    lines_after, literal, quote, relation, sets,
};
use crate::encode::Part;

/// What the counts are made of: what was there, what becomes of it, and whether that is news. The names are no
/// identifiers that a mapping would choose.
const NEWS: &str = "\"is newer\" and \"differs\"";

/// The one statement of a chunk.
pub(crate) fn fenced(table: &Table, fallbacks: &Fallbacks) -> Statement {
    match &table.children {
        Some(children) => of_sets(table, &children.parent, fallbacks),
        None => of_rows(table, fallbacks),
    }
}

fn of_rows(table: &Table, fallbacks: &Fallbacks) -> Statement {
    let by_ledger = table.uses_ledger();
    let form = Form { tombstones: !by_ledger, replay: false };
    let mut inputs = line_inputs(table, fallbacks);
    let written = inputs.len();
    inputs.push(Input::meta(&table.meta.deleted, Part::Deleted, Type::BOOL_ARRAY));
    if by_ledger {
        inputs.push(ledger_key());
    }
    let (t, deleted) = (relation(table), quote(&table.meta.deleted));
    let facts = match &table.meta.versions {
        Some(versions) => facts_of_parts(table, versions, fallbacks),
        None if by_ledger => facts_of_ledger(table, form, fallbacks),
        None => facts(table, form, fallbacks),
    };
    let ledger = if by_ledger { stored_entry(table, "s") } else { String::new() };
    let mut parts = vec![format!(
        "s as (select s.*, {facts} from {} left join lateral (select * from {t} x where {} offset 0) t on true{ledger})",
        lines(&inputs),
        same_keys(table, "x", "s"),
    )];
    let live = if by_ledger { format!(" and not s.{deleted}") } else { String::new() };
    let given = if by_ledger { &inputs[..written] } else { &inputs[..] };
    parts.push(put(table, given, by_ledger, &format!("s where {NEWS}{live}"), fallbacks));
    if by_ledger {
        parts.push(settle(table, &format!("s where {NEWS}")));
        parts.push(format!(
            "gone as (delete from {t} as t using s where {} and {NEWS} and s.{deleted})",
            same_keys(table, "t", "s")
        ));
    }
    let sql = format!("with {} {COUNTS}", parts.join(", "));
    Statement { counted: true, ..Statement::new(sql, inputs) }
}

/// The figures of a chunk, in the order of `tributary_core::batch::Counts`.
const COUNTS: &str = "select \
    count(*) filter (where \"is newer\" and \"differs\" and not \"was there\" and not \"was deleted\" and not \"is deleted\"), \
    count(*) filter (where \"is newer\" and \"differs\" and \"was there\" and \"was deleted\" = \"is deleted\"), \
    count(*) filter (where \"is newer\" and \"differs\" and not \"was deleted\" and \"is deleted\"), \
    count(*) filter (where \"is newer\" and \"differs\" and \"was deleted\" and not \"is deleted\"), \
    count(*) filter (where \"is newer\" and not \"differs\") from s";

/// All that a line says of a row that is written, its tombstone flag apart.
fn line_inputs(table: &Table, fallbacks: &Fallbacks) -> Vec<Input> {
    let meta = &table.meta;
    let mut inputs = key_inputs(table, None, fallbacks);
    inputs.extend(table.columns.iter().enumerate().map(|(i, c)| Input::column(Part::Column(i), c, fallbacks)));
    inputs.push(Input::meta(&meta.version, Part::Version, Type::NUMERIC_ARRAY));
    inputs.push(Input::meta(&meta.source_at, Part::SourceAt, Type::TIMESTAMPTZ_ARRAY));
    inputs.extend(meta.errors.as_ref().map(|name| Input::meta(name, Part::Notes, Type::JSONB_ARRAY)));
    inputs.extend(meta.versions.as_ref().map(|name| Input::meta(name, Part::Versions, Type::JSONB_ARRAY)));
    inputs
}

fn ledger_key() -> Input {
    Input::meta(LEDGER_KEY, Part::LedgerKey, Type::TEXT_ARRAY)
}

fn same_keys(table: &Table, a: &str, b: &str) -> String {
    let same: Vec<String> = table.key.iter().map(|c| format!("{a}.{k} = {b}.{k}", k = quote(&c.name))).collect();
    same.join(" and ")
}

/// ` left join` the ledger's entry of a line, as `l`.
fn stored_entry(table: &Table, line: &str) -> String {
    format!(
        " left join lateral (select * from tributary.ledger l where l.relation = {} and l.key = {line}.{} offset 0) l \
         on true",
        literal(&table.qualified_name()),
        quote(LEDGER_KEY)
    )
}

/// Whether a column or a note of the stored row `t` would change.
fn columns_differ(table: &Table, form: Form, fallbacks: &Fallbacks) -> Vec<String> {
    let of_column = |column| {
        let fresh = Input::column(Part::Column(0), column, fallbacks).value();
        distinct(column, &assigned(table, column, form, fallbacks, "s", &fresh))
    };
    let mut differs: Vec<String> = table.columns.iter().map(of_column).collect();
    differs.extend(table.meta.errors.iter().map(|e| format!("t.{e} is distinct from s.{e}", e = quote(e))));
    differs
}

fn facts(table: &Table, form: Form, fallbacks: &Fallbacks) -> String {
    let (v, d) = (quote(&table.meta.version), quote(&table.meta.deleted));
    let mut differs = vec![format!("t.{v} is null"), format!("t.{d} is distinct from s.{d}")];
    differs.extend(columns_differ(table, form, fallbacks));
    format!(
        "t.{v} is not null as \"was there\", coalesce(t.{d}, false) as \"was deleted\", s.{d} as \"is deleted\", \
         coalesce(t.{v} < s.{v}, true) as \"is newer\", ({}) as \"differs\"",
        differs.join(" or ")
    )
}

fn facts_of_ledger(table: &Table, form: Form, fallbacks: &Fallbacks) -> String {
    let (v, d) = (quote(&table.meta.version), quote(&table.meta.deleted));
    let mut differs = vec![format!("t.{v} is null"), format!("t.{d}")];
    differs.extend(columns_differ(table, form, fallbacks));
    format!(
        "t.{v} is not null as \"was there\", coalesce(l.deleted, false) as \"was deleted\", s.{d} as \"is deleted\", \
         coalesce(t.{v} < s.{v}, true) and coalesce(l.version < s.{v}, true) as \"is newer\", \
         case when s.{d} then t.{v} is not null else {} end as \"differs\"",
        differs.join(" or ")
    )
}

fn facts_of_parts(table: &Table, versions: &str, fallbacks: &Fallbacks) -> String {
    let (v, d) = (quote(&table.meta.version), quote(&table.meta.deleted));
    let merging = Merging { table, versions, stored: "t", line: "s", fallbacks: Some(fallbacks) };
    let mut differs = vec![format!("t.{v} is null"), format!("t.{d} is distinct from {}", merging.deleted())];
    differs.extend(table.columns.iter().map(|column| distinct(column, &merging.column(column))));
    let errors = table.meta.errors.iter();
    differs.extend(errors.map(|e| format!("t.{} is distinct from {}", quote(e), merging.errors(e))));
    format!(
        "t.{v} is not null as \"was there\", coalesce(t.{d}, false) as \"was deleted\", \
         case when t.{v} is null then s.{d} else {} end as \"is deleted\", \
         t.{v} is null or {} as \"is newer\", ({}) as \"differs\"",
        merging.deleted(),
        merging.brings_news(),
        differs.join(" or ")
    )
}

/// `put as (insert …)` of the lines `from`.
fn put(table: &Table, inputs: &[Input], live: bool, from: &str, fallbacks: &Fallbacks) -> String {
    let meta = &table.meta;
    let mut targets: Vec<String> = inputs.iter().map(|input| quote(&input.name)).collect();
    let mut values: Vec<String> = inputs.iter().map(Input::value).collect();
    if live {
        targets.push(quote(&meta.deleted));
        values.push("false".to_owned());
    }
    targets.push(quote(&meta.synced_at));
    values.push("now()".to_owned());
    let (sets, guard) = match &meta.versions {
        Some(versions) => {
            let merging = Merging { table, versions, stored: "t", line: "excluded", fallbacks: None };
            (merging.sets(), merging.brings_news())
        }
        None => {
            let form = Form { tombstones: !live, replay: false };
            (sets(table, form, fallbacks), format!("t.{v} < excluded.{v}", v = quote(&meta.version)))
        }
    };
    format!(
        "put as (insert into {} as t ({}) select {} from {from} on conflict ({}) do update set {} where {guard})",
        relation(table),
        targets.join(", "),
        values.join(", "),
        conflict_target(table),
        sets.join(", "),
    )
}

/// `settle as (insert …)` of the lines `from`, which are called `s`.
fn settle(table: &Table, from: &str) -> String {
    format!(
        "settle as (insert into tributary.ledger as l (relation, key, version, deleted) select {}, s.{}, s.{}, s.{} \
         from {from} on conflict (relation, key) do update set version = excluded.version, \
         deleted = excluded.deleted, synced_at = now() where l.version < excluded.version)",
        literal(&table.qualified_name()),
        quote(LEDGER_KEY),
        quote(&table.meta.version),
        quote(&table.meta.deleted),
    )
}

/// Sets of children: the lines are the parents (`s`), the further lines all elements of their sets (`e`). A child that
/// is as it should be is not touched, so what leaves a set is told by its key and not by its version.
fn of_sets(table: &Table, parent: &[usize], fallbacks: &Fallbacks) -> Statement {
    let meta = &table.meta;
    let (t, v, d, lk) = (relation(table), quote(&meta.version), quote(&meta.deleted), quote(LEDGER_KEY));
    let mut parents = key_inputs(table, Some(parent), &Fallbacks::new());
    let of_parent: Vec<String> = parents.iter().map(|input| quote(&input.name)).collect();
    parents.push(ledger_key());
    parents.push(Input::meta(&meta.version, Part::Version, Type::NUMERIC_ARRAY));
    parents.push(Input::meta(&meta.source_at, Part::SourceAt, Type::TIMESTAMPTZ_ARRAY));
    parents.push(Input::meta(&meta.deleted, Part::Deleted, Type::BOOL_ARRAY));
    let mut elements = line_inputs(table, fallbacks);
    let written = elements.len();
    elements.push(ledger_key());

    let form = Form { tombstones: false, replay: false };
    let mut differs = vec![format!("t.{v} is null"), format!("t.{d}")];
    differs.extend(columns_differ(table, form, fallbacks));
    let columns = conflict_target(table);
    let same_parent: Vec<String> = of_parent.iter().map(|k| format!("t.{k} = p.{k}")).collect();
    let removal = if table.delete.mode == DeleteMode::Hard {
        format!("delete from {t} as t using g where {}", same_keys(table, "t", "g"))
    } else {
        let mut sets = buried(table, &format!("g.{}", quote(&meta.source_at)), "absent", fallbacks);
        sets.push(format!("{v} = g.{v}"));
        format!("update {t} as t set {} from g where {}", sets.join(", "), same_keys(table, "t", "g"))
    };
    let parts = [
        format!(
            "p as (select p.*, l.version is not null as \"was there\", coalesce(l.deleted, false) as \"was deleted\", \
             p.{d} as \"is deleted\", coalesce(l.version < p.{v}, true) as \"is newer\" from {} p{})",
            lines_after(&parents, 0),
            stored_entry(table, "p"),
        ),
        format!(
            "e as (select s.*, ({}) as \"element differs\" from {} s \
             left join lateral (select * from {t} x where {} offset 0) t on true)",
            differs.join(" or "),
            lines_after(&elements, parents.len()),
            same_keys(table, "x", "s"),
        ),
        // A hashed subplan, however many there are.
        format!(
            "g as (select {}, p.{lk}, p.{v}, p.{} from p join lateral (select * from {t} t where {} and not t.{d} \
             offset 0) t on true where p.\"is newer\" and ({}) not in (select {columns} from e))",
            table.key.iter().map(|c| format!("t.{}", quote(&c.name))).collect::<Vec<_>>().join(", "),
            quote(&meta.source_at),
            same_parent.join(" and "),
            table.key.iter().map(|c| format!("t.{}", quote(&c.name))).collect::<Vec<_>>().join(", "),
        ),
        format!(
            "s as (select p.*, p.{lk} in (select {lk} from e where \"element differs\") or p.{lk} in (select {lk} from g) \
             as \"differs\" from p)"
        ),
        settle(table, &format!("s where {NEWS}")),
        put(
            table,
            &elements[..written],
            true,
            &format!("e s where \"element differs\" and {lk} in (select {lk} from s where {NEWS})"),
            fallbacks,
        ),
        format!("gone as ({removal})"),
    ];
    let sql = format!("with {} {COUNTS}", parts.join(", "));
    Statement { counted: true, ..Statement::new(sql, parents) }.and(elements)
}
