//! The statements that a page of a repair runs after those of any batch.
//!
//! They come in this order: lock what is older than the beginning, in the order in which every writer locks; heal; insert
//! what a ledger knows and the table lacks; touch; remove; and last the ledger, because its `synced_at` decides for all
//! of them.

use tokio_postgres::types::Type;
use tributary_core::table::{Column, DeleteMode, Table};

use crate::chunk::{CHUNK, Lines, Step};
use crate::encode::{Line, Part};
use crate::sql::{
    Fallbacks, Form, Input, LEDGER_KEY, Statement, assigned, buried, distinct, equal_keys, key_inputs, lines, literal,
    quote, relation,
};

/// The statements of one table.
#[derive(Debug)]
pub(crate) struct Healing {
    lock: Statement,
    heal: Statement,
    touch: Statement,
    ledger: Option<Ledger>,
}

#[derive(Debug)]
struct Ledger {
    insert: Statement,
    remove: Statement,
    touch: Statement,
}

impl Healing {
    pub(crate) fn new(table: &Table, fallbacks: &Fallbacks) -> Self {
        let ledger = table.uses_ledger().then(|| Ledger {
            insert: insert(table, fallbacks),
            remove: remove(table, fallbacks),
            touch: touch_ledger(table),
        });
        let lock = if ledger.is_some() { lock_ledger(table) } else { lock_rows(table) };
        Healing { lock, heal: heal(table, fallbacks), touch: touch(table), ledger }
    }

    pub(crate) fn steps<'a>(&'a self, table: u16, lines: &Lines<'a>, began: &'a str) -> Vec<Step<'a>> {
        let step = |statement, counts| {
            move |lines: &[Line<'a>]| Step {
                statement,
                table,
                lines: lines.to_vec(),
                elements: Vec::new(),
                counts,
                began: Some(began),
            }
        };
        let mut steps = vec![step(&self.lock, false)(&lines.heads)];
        let Some(ledger) = &self.ledger else {
            steps.push(step(&self.heal, true)(&lines.heads));
            steps.push(step(&self.touch, false)(&lines.heads));
            return steps;
        };
        for (statement, counts) in [(&self.heal, true), (&ledger.insert, true), (&self.touch, false)] {
            steps.extend(lines.rows.chunks(CHUNK).map(step(statement, counts)));
        }
        if !lines.removed.is_empty() {
            steps.push(step(&ledger.remove, true)(&lines.removed));
        }
        steps.push(step(&ledger.touch, false)(&lines.heads));
        steps
    }
}

#[cfg(test)]
impl Healing {
    /// All statements, in their order.
    pub(crate) fn statements(&self) -> impl Iterator<Item = &Statement> {
        let ledger = self.ledger.iter();
        let insert = ledger.clone().map(|ledger| &ledger.insert);
        let last = ledger.flat_map(|ledger| [&ledger.remove, &ledger.touch]);
        [&self.lock, &self.heal].into_iter().chain(insert).chain([&self.touch]).chain(last)
    }
}

/// A statement that ends in the parameter `began`: `{began}` in its text.
fn since(sql: &str, inputs: Vec<Input>) -> Statement {
    let began = format!("${}::text::timestamptz", inputs.len() + 1);
    Statement { began: true, ..Statement::new(sql.replace("{began}", &began), inputs) }
}

fn ledger_key() -> Input {
    Input::meta(LEDGER_KEY, Part::LedgerKey, Type::TEXT_ARRAY)
}

/// The ledger's entry of the line.
fn entry(table: &Table) -> String {
    format!("l.relation = {} and l.key = s.{}", literal(&table.qualified_name()), quote(LEDGER_KEY))
}

/// The ledger's entry of the line, as long as it is older than the beginning.
fn old_entry(table: &Table) -> String {
    format!("{} and l.synced_at < {{began}}", entry(table))
}

/// Holds for a row that nobody has written since the beginning.
fn old_row(table: &Table) -> String {
    format!("coalesce(t.{}, '-infinity') < {{began}}", quote(&table.meta.synced_at))
}

/// Holds for a row that nobody has written since the beginning, and that nobody else can write now. An entry that this
/// transaction has settled is locked too: a table that had soft deletes before has rows without entries.
fn old(table: &Table) -> String {
    if !table.uses_ledger() {
        return old_row(table);
    }
    format!(
        "{} and exists (select from tributary.ledger l where {} and (l.synced_at < {{began}} or l.synced_at = now()))",
        old_row(table),
        entry(table)
    )
}

/// The lines with their numbers: the order of arrival is the order of locks.
fn numbered(inputs: &[Input]) -> String {
    format!("(select s.*, row_number() over () as \"line number\" from {}) s", lines(inputs))
}

fn lock_rows(table: &Table) -> Statement {
    let inputs = key_inputs(table, None, &Fallbacks::new());
    let sql = format!(
        "select count(*) from (select from {} as t join {} on {} where {} order by s.\"line number\" \
         for no key update of t) locked",
        relation(table),
        numbered(&inputs),
        equal_keys(&inputs),
        old_row(table)
    );
    since(&sql, inputs)
}

fn lock_ledger(table: &Table) -> Statement {
    let inputs = vec![ledger_key()];
    let sql = format!(
        "select count(*) from (select from tributary.ledger as l join {} on {} order by s.\"line number\" \
         for no key update of l) locked",
        numbered(&inputs),
        old_entry(table)
    );
    since(&sql, inputs)
}

/// All that a line says of its row, its version apart.
fn content(table: &Table, fallbacks: &Fallbacks) -> Vec<Input> {
    let meta = &table.meta;
    let mut inputs = key_inputs(table, None, fallbacks);
    inputs.extend(table.columns.iter().enumerate().map(|(i, c)| Input::column(Part::Column(i), c, fallbacks)));
    inputs.push(Input::meta(&meta.source_at, Part::SourceAt, Type::TIMESTAMPTZ_ARRAY));
    inputs.extend(meta.errors.as_ref().map(|name| Input::meta(name, Part::Notes, Type::JSONB_ARRAY)));
    inputs
}

/// Compares and sets: where a row is older than the beginning and its content is another.
fn heal(table: &Table, fallbacks: &Fallbacks) -> Statement {
    let meta = &table.meta;
    let mut inputs = content(table, fallbacks);
    let same = equal_keys(&inputs[..table.key.len()]);
    let tombstones = !table.uses_ledger();
    inputs.push(if tombstones { Input::meta(&meta.deleted, Part::Deleted, Type::BOOL_ARRAY) } else { ledger_key() });

    let form = Form { tombstones, replay: true };
    let mut sets = Vec::new();
    let mut differs = Vec::new();
    for column in &table.columns {
        let fresh = fresh(table, column, fallbacks);
        let value = assigned(table, column, form, fallbacks, "s", &fresh);
        differs.push(distinct(column, &value));
        sets.push(format!("{} = {value}", quote(&column.name)));
    }
    let deleted = quote(&meta.deleted);
    let becomes_deleted = if tombstones { format!("s.{deleted}") } else { "false".to_owned() };
    differs.push(format!("t.{deleted} <> {becomes_deleted}"));
    sets.push(format!("{deleted} = {becomes_deleted}"));
    sets.push(format!("{a} = s.{a}", a = quote(&meta.source_at)));
    sets.push(format!("{} = now()", quote(&meta.synced_at)));
    // What was read is the newest of every column, and whole.
    sets.extend(meta.versions.as_ref().map(|versions| format!("{} = null", quote(versions))));
    if let Some(errors) = &meta.errors {
        differs.push(format!("t.{e} is distinct from s.{e}", e = quote(errors)));
        sets.push(format!("{e} = s.{e}", e = quote(errors)));
    }
    let sql = format!(
        "update {} as t set {} from {} where {same} and {} and ({})",
        relation(table),
        sets.join(", "),
        lines(&inputs),
        old(table),
        differs.join(" or "),
    );
    since(&sql, inputs)
}

/// The line's value for a stored row. Where the database has a default for a NULL of the source, the stored value stays:
/// the default has given it, or somebody has chosen it since. A row that becomes a cleared tombstone gets it anew.
fn fresh(table: &Table, column: &Column, fallbacks: &Fallbacks) -> String {
    let c = quote(&column.name);
    match fallbacks.get(&column.name) {
        None => format!("s.{c}"),
        Some(fallback) if !table.uses_ledger() && table.delete.mode == (DeleteMode::Soft { keep: false }) => {
            let deleted = quote(&table.meta.deleted);
            format!("coalesce(s.{c}, case when s.{deleted} and not t.{deleted} then {fallback} else t.{c} end)")
        }
        Some(_) => format!("coalesce(s.{c}, t.{c})"),
    }
}

/// Inserts rows that the table lacks although the ledger has settled their key before: with the ledger's version.
fn insert(table: &Table, fallbacks: &Fallbacks) -> Statement {
    let meta = &table.meta;
    let mut inputs = content(table, fallbacks);
    let mut targets: Vec<String> = inputs.iter().map(|input| quote(&input.name)).collect();
    let mut values: Vec<String> = inputs.iter().map(Input::value).collect();
    for (name, value) in [(&meta.version, "l.version"), (&meta.deleted, "false"), (&meta.synced_at, "now()")] {
        targets.push(quote(name));
        values.push(value.to_owned());
    }
    let conflict: Vec<String> = table.key.iter().map(|c| quote(&c.name)).collect();
    inputs.push(ledger_key());
    let sql = format!(
        "insert into {} as t ({}) select {} from {} join tributary.ledger l on {} on conflict ({}) do nothing",
        relation(table),
        targets.join(", "),
        values.join(", "),
        lines(&inputs),
        old_entry(table),
        conflict.join(", "),
    );
    since(&sql, inputs)
}

/// Marks the rows that were seen and are as they should be.
fn touch(table: &Table) -> Statement {
    let inputs = key_inputs(table, None, &Fallbacks::new());
    let versions = table.meta.versions.as_ref().map(|versions| format!(", {} = null", quote(versions)));
    let sql = format!(
        "update {} as t set {} = now(){} from {} where {} and {}",
        relation(table),
        quote(&table.meta.synced_at),
        versions.unwrap_or_default(),
        lines(&inputs),
        equal_keys(&inputs),
        old_row(table),
    );
    since(&sql, inputs)
}

/// Removes the row of an item that the mapping deletes, or the children of a parent that were not seen with it: those
/// that stay have been touched by now.
fn remove(table: &Table, fallbacks: &Fallbacks) -> Statement {
    let parent = table.children.as_ref().map(|children| children.parent.as_slice());
    let mut inputs = key_inputs(table, parent, &Fallbacks::new());
    let unseen = format!("{} and {}", equal_keys(&inputs), old(table));
    inputs.push(ledger_key());
    if table.delete.mode == DeleteMode::Hard {
        let sql = format!("delete from {} as t using {} where {unseen}", relation(table), lines(&inputs));
        return since(&sql, inputs);
    }
    inputs.push(Input::meta(&table.meta.source_at, Part::SourceAt, Type::TIMESTAMPTZ_ARRAY));
    let source_at = format!("s.{}", quote(&table.meta.source_at));
    let sql = format!(
        "update {} as t set {} from {} where {unseen} and not t.{}",
        relation(table),
        buried(table, &source_at, "absent", fallbacks).join(", "),
        lines(&inputs),
        quote(&table.meta.deleted),
    );
    since(&sql, inputs)
}

fn touch_ledger(table: &Table) -> Statement {
    let inputs = vec![ledger_key(), Input::meta(&table.meta.deleted, Part::Deleted, Type::BOOL_ARRAY)];
    let sql = format!(
        "update tributary.ledger as l set synced_at = now(), deleted = s.{} from {} where {}",
        quote(&table.meta.deleted),
        lines(&inputs),
        old_entry(table)
    );
    since(&sql, inputs)
}
