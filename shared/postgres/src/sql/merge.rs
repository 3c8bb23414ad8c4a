//! The upsert of tables that take parts of items: the row and each of its columns go by versions of their own.
//!
//! `_versions` holds, as text by column name, the versions of columns that are older than the row; a column that isn't
//! there has the row's. A line carries the same, so that an insert stores it as it is, and a conflict takes the greater of
//! each, in one statement on the locked row: `tributary_core::register`, in SQL. Nothing here is used by tables whose source
//! sends whole items only.

use tokio_postgres::types::Type;
use tributary_core::table::{Column, Role, Table};

use super::{Fallbacks, Input, Statement, conflict_target, key_inputs, lines, literal, quote, relation};
use crate::encode::Part;

/// A function of Postgres takes 100 arguments (`FUNC_MAX_ARGS`): so many pairs of a name and a value.
const PAIRS: usize = 50;

/// The versioned upsert by column. With `replay`, lines that change nothing are dropped by a look-up first.
pub(crate) fn merge(table: &Table, versions: &str, replay: bool, fallbacks: &Fallbacks) -> Statement {
    let inputs = inputs(table, versions, fallbacks);
    let mut targets: Vec<String> = inputs.iter().map(|input| quote(&input.name)).collect();
    targets.push(quote(&table.meta.synced_at));
    let direct = !replay && inputs.iter().all(|input| input.fallback.is_none());
    let mut values: Vec<String> = if direct {
        inputs.iter().enumerate().map(|(i, input)| input.unnest(i)).collect()
    } else {
        inputs.iter().map(Input::value).collect()
    };
    values.push("now()".to_owned());
    let mut from = if direct { String::new() } else { format!(" from {}", lines(&inputs)) };
    if replay {
        let same: Vec<String> = table.key.iter().map(|c| format!("x.{k} = s.{k}", k = quote(&c.name))).collect();
        from.push_str(&format!(
            " where coalesce((select {} from {} x where {}), true)",
            Merging { table, versions, stored: "x", line: "s", fallbacks: None }.brings_news(),
            relation(table),
            same.join(" and ")
        ));
    }
    let merging = Merging { table, versions, stored: "t", line: "excluded", fallbacks: None };
    let sql = format!(
        "insert into {} as t ({}) select {}{from} on conflict ({}) do update set {} where {}",
        relation(table),
        targets.join(", "),
        values.join(", "),
        conflict_target(table),
        merging.sets().join(", "),
        merging.brings_news(),
    );
    Statement::new(sql, inputs)
}

/// All that a line says of its row.
pub(super) fn inputs(table: &Table, versions: &str, fallbacks: &Fallbacks) -> Vec<Input> {
    let meta = &table.meta;
    let mut inputs = key_inputs(table, None, fallbacks);
    inputs.extend(table.columns.iter().enumerate().map(|(i, c)| Input::column(Part::Column(i), c, fallbacks)));
    inputs.push(Input::meta(&meta.version, Part::Version, Type::NUMERIC_ARRAY));
    inputs.push(Input::meta(versions, Part::Versions, Type::JSONB_ARRAY));
    inputs.push(Input::meta(&meta.source_at, Part::SourceAt, Type::TIMESTAMPTZ_ARRAY));
    inputs.extend(meta.errors.as_ref().map(|name| Input::meta(name, Part::Notes, Type::JSONB_ARRAY)));
    inputs.push(Input::meta(&meta.deleted, Part::Deleted, Type::BOOL_ARRAY));
    inputs
}

/// Expressions over a stored row and a line of the same columns.
pub(super) struct Merging<'a> {
    pub(super) table: &'a Table,
    pub(super) versions: &'a str,
    /// What the stored row is called.
    pub(super) stored: &'a str,
    /// What the line is called.
    pub(super) line: &'a str,
    /// Defaults of the database that stand in for a NULL of the line, unless it has them already.
    pub(super) fallbacks: Option<&'a Fallbacks>,
}

impl Merging<'_> {
    /// Whether the line's version is greater than the row's.
    pub(super) fn is_newer(&self) -> String {
        format!("{s}.{v} < {l}.{v}", s = self.stored, l = self.line, v = quote(&self.table.meta.version))
    }

    /// The version of a column in one of the two.
    fn version_of(&self, of: &str, column: &Column) -> String {
        let (versions, version) = (quote(self.versions), quote(&self.table.meta.version));
        format!("coalesce(({of}.{versions}->>{})::numeric, {of}.{version})", literal(&column.name))
    }

    /// Whether the line's value of a column is newer.
    fn wins(&self, column: &Column) -> String {
        format!("{} > {}", self.version_of(self.line, column), self.version_of(self.stored, column))
    }

    /// Whether anything of the line is newer. Where no column of the row is older than the row, only the row's own version
    /// can tell.
    pub(super) fn brings_news(&self) -> String {
        let any: Vec<String> = self.table.columns.iter().map(|column| self.wins(column)).collect();
        let newer = self.is_newer();
        if any.is_empty() {
            return newer;
        }
        format!("({newer} or {}.{} is not null and ({}))", self.stored, quote(self.versions), any.join(" or "))
    }

    /// The line's value of a column.
    fn fresh(&self, column: &Column) -> String {
        let value = format!("{}.{}", self.line, quote(&column.name));
        match self.fallbacks.and_then(|fallbacks| fallbacks.get(&column.name)) {
            Some(fallback) => format!("coalesce({value}, {fallback})"),
            None => value,
        }
    }

    /// What a column becomes.
    pub(super) fn column(&self, column: &Column) -> String {
        let (s, l) = (self.stored, self.line);
        let (c, deleted) = (quote(&column.name), quote(&self.table.meta.deleted));
        let (wins, newer, fresh) = (self.wins(column), self.is_newer(), self.fresh(column));
        // What a tombstone says of when and why it is one has no meaning for a row that lives again.
        let blank = match column.role {
            Role::Data => return format!("case when {wins} then {fresh} else {s}.{c} end"),
            Role::DeletedFlag => "false",
            Role::DeletedAt | Role::DeletedReason => "null",
        };
        format!(
            "case when {wins} then case when {l}.{deleted} and not {newer} then {blank} else {fresh} end \
             when {s}.{deleted} and {newer} then {blank} else {s}.{c} end"
        )
    }

    /// Whether the row is a tombstone then.
    pub(super) fn deleted(&self) -> String {
        self.of_the_newer(&self.table.meta.deleted)
    }

    fn of_the_newer(&self, name: &str) -> String {
        let (s, l, name) = (self.stored, self.line, quote(name));
        format!("case when {} then {l}.{name} else {s}.{name} end", self.is_newer())
    }

    /// The notes, each that of the value which stays.
    pub(super) fn errors(&self, errors: &str) -> String {
        let (s, l, e) = (self.stored, self.line, quote(errors));
        let note = |column: &Column| {
            let c = literal(&column.name);
            (c.clone(), format!("case when {} then {l}.{e}->{c} else {s}.{e}->{c} end", self.wins(column)))
        };
        format!(
            "case when {l}.{e} is null and {s}.{e} is null then null else {} end",
            object(self.table.columns.iter().map(note))
        )
    }

    /// The versions of columns that stay older than the row.
    fn older_versions(&self) -> String {
        let (s, l, v) = (self.stored, self.line, quote(&self.table.meta.version));
        let older = |column: &Column| {
            let (mine, theirs) = (self.version_of(s, column), self.version_of(l, column));
            let greater = format!("nullif(greatest({mine}, {theirs}), greatest({s}.{v}, {l}.{v}))::text");
            (literal(&column.name), greater)
        };
        format!(
            "case when {l}.{} is null and {} then null else {} end",
            quote(self.versions),
            self.is_newer(),
            object(self.table.columns.iter().map(older))
        )
    }

    /// The assignments.
    pub(super) fn sets(&self) -> Vec<String> {
        let (table, meta) = (self.table, &self.table.meta);
        let set = |name: &str, value: String| format!("{} = {value}", quote(name));
        let mut sets: Vec<String> = table.columns.iter().map(|c| set(&c.name, self.column(c))).collect();
        let (s, l, v) = (self.stored, self.line, quote(&meta.version));
        sets.push(set(&meta.version, format!("greatest({s}.{v}, {l}.{v})")));
        sets.push(set(self.versions, self.older_versions()));
        sets.push(set(&meta.deleted, self.deleted()));
        sets.push(set(&meta.source_at, self.of_the_newer(&meta.source_at)));
        sets.push(set(&meta.synced_at, "now()".to_owned()));
        sets.extend(meta.errors.as_ref().map(|errors| set(errors, self.errors(errors))));
        sets
    }
}

/// A JSON object of these names and values, NULLs left out; NULL when it is empty.
fn object(pairs: impl Iterator<Item = (String, String)>) -> String {
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}, {value}")).collect();
    let objects: Vec<String> =
        pairs.chunks(PAIRS).map(|some| format!("jsonb_build_object({})", some.join(", "))).collect();
    if objects.is_empty() {
        // Without a type it would be text.
        return "null::jsonb".to_owned();
    }
    format!("nullif(jsonb_strip_nulls({}), '{{}}')", objects.join(" || "))
}
