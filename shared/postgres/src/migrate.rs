//! Tables as the mapping wants them: what is missing is added, what is there is adopted, nothing is dropped or narrowed.

mod plan;

use std::collections::BTreeSet;

use tributary_core::Result;
use tributary_core::column_type::{Base, ColumnType};
use tributary_core::table::{Column, DeleteMode, Role, Table, VersionType};
use tributary_core::view::Unified;

use crate::attachment;
use crate::catalog::{self, Found, FoundColumn};
use crate::connect::classify;
use crate::session::Session;
use crate::sql::{definition, quote, relation};
use crate::view;

pub use plan::{Plan, Refusal, Step};

/// The tables that Tributary keeps for itself.
const OWN_TABLES: &str = include_str!("schema.sql");

/// Any number will do, as long as it is always the same and nobody else's: "tribut" in ASCII.
const ADVISORY_LOCK: i64 = 0x7472_6962_7574;

/// Whether the tables of schema.sql are there.
pub(crate) async fn own_tables_exist(session: &Session) -> Result<bool> {
    let query = "select count(*) = 6 and exists (select from pg_attribute \
          where attrelid = to_regclass('tributary.dead_letter') and attname = 'received_at' and not attisdropped) \
        from pg_class c join pg_namespace n on n.oid = c.relnamespace \
        where n.nspname = 'tributary' and c.relname in ('checkpoint', 'lease', 'dead_letter', 'ledger', 'tally', 'receipt')";
    let rows = session.client().query_typed(query, &[]).await.map_err(|e| classify(e, "read the catalog"))?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Reads the catalog and plans. Changes nothing.
pub(crate) async fn dry_run(session: &Session, tables: &[Table]) -> Result<Plan> {
    let found = catalog::read(session, tables).await?;
    let mut plan = plan(tables, &found, own_tables_exist(session).await?);
    add_schemas(session, tables, &found, &mut plan).await?;
    refuse_own_schema(session, tables, &found, &mut plan).await?;
    Ok(plan)
}

/// With Postgres's default `search_path` a login's tables are made in the schema of its own name, if there is one. For a
/// login named as our schema that would be ours, where no other login looks for them.
async fn refuse_own_schema(
    session: &Session,
    tables: &[Table],
    found: &[Option<Found>],
    plan: &mut Plan,
) -> Result<()> {
    let query = "select current_user = 'tributary' and current_setting('search_path') like '%$user%'";
    let rows = session.client().query_typed(query, &[]).await.map_err(|e| classify(e, "read the search path"))?;
    if !rows.first().is_some_and(|row| row.get(0)) {
        return Ok(());
    }
    let missing = tables.iter().zip(found).filter(|(table, found)| found.is_none() && table.schema.is_none());
    plan.refusals.extend(missing.map(|(table, _)| Refusal {
        table: table.qualified_name(),
        problem: "it would be made in the schema `tributary`, because the login has that name".into(),
        remedy: "write `schema: public` on the datastore, or log in as somebody else".into(),
    }));
    Ok(())
}

/// Plans and runs the plan, under an advisory lock so that functions that start together don't collide.
///
/// # Errors
/// `Config` when the plan has refusals: then nothing is changed.
pub(crate) async fn run(session: &Session, tables: &[Table]) -> Result<Plan> {
    run_all(session, tables, &[]).await
}

/// As [`run`], with views over the tables.
pub(crate) async fn run_all(session: &Session, tables: &[Table], views: &[Unified]) -> Result<Plan> {
    transaction(session, async || {
        let mut plan = add(session, tables).await?;
        let of_views = add_views(session, views).await?;
        plan.steps.extend(of_views.steps);
        Ok(plan)
    })
    .await
}

/// As [`run`], of views alone.
pub(crate) async fn run_views(session: &Session, views: &[Unified]) -> Result<Plan> {
    transaction(session, async || add_views(session, views).await).await
}

async fn transaction(session: &Session, add: impl AsyncFnOnce() -> Result<Plan>) -> Result<Plan> {
    let failed = |error| classify(error, "migrate");
    let client = session.client();
    client.batch_execute("begin").await.map_err(failed)?;
    let done = Box::pin(async {
        lock(session).await?;
        add().await
    });
    let done: Result<Plan> = done.await;
    let end = if done.is_ok() { "commit" } else { "rollback" };
    client.batch_execute(end).await.map_err(failed)?;
    done
}

/// Takes the lock of migrations until the transaction ends.
pub(crate) async fn lock(session: &Session) -> Result<()> {
    let lock = format!("select pg_advisory_xact_lock({ADVISORY_LOCK})");
    session.client().batch_execute(&lock).await.map_err(|e| classify(e, "migrate"))
}

/// Adds what is missing, in a transaction that somebody else ends.
///
/// # Errors
/// As [`run`].
pub(crate) async fn add(session: &Session, tables: &[Table]) -> Result<Plan> {
    execute(session, dry_run(session, tables).await?).await
}

/// As [`add`], of views.
pub(crate) async fn add_views(session: &Session, views: &[Unified]) -> Result<Plan> {
    execute(session, view::plan(session, views).await?).await
}

async fn execute(session: &Session, plan: Plan) -> Result<Plan> {
    plan.must_have_no_refusals()?;
    for step in &plan.steps {
        let doing = format!("migrate: {}", step.why);
        session.client().batch_execute(&step.sql).await.map_err(|e| classify(e, &doing))?;
        tracing::info!(why = step.why, "migrated");
    }
    Ok(plan)
}

async fn add_schemas(session: &Session, tables: &[Table], found: &[Option<Found>], plan: &mut Plan) -> Result<()> {
    let missing = tables.iter().zip(found).filter(|(_, found)| found.is_none());
    let wanted: BTreeSet<&str> = missing.filter_map(|(table, _)| table.schema.as_deref()).collect();
    for schema in wanted {
        let query = "select 1 from pg_namespace where nspname = $1";
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), _); 1] =
            [(&schema, tokio_postgres::types::Type::TEXT)];
        let rows = session.client().query_typed(query, &parameters).await;
        if rows.map_err(|e| classify(e, "read the catalog"))?.is_empty() {
            let sql = format!("create schema {}", quote(schema));
            plan.steps.insert(0, Step { sql, why: format!("schema {schema} is missing") });
        }
    }
    Ok(())
}

/// Compares the mapping's tables with what was found.
pub(crate) fn plan(tables: &[Table], found: &[Option<Found>], own_tables: bool) -> Plan {
    let mut plan = Plan::default();
    if !own_tables {
        plan.steps.push(Step { sql: OWN_TABLES.to_owned(), why: "the tables of schema tributary are missing".into() });
    }
    for (table, found) in tables.iter().zip(found) {
        if table.takes_parts() && table.uses_ledger() {
            plan.refusals.push(Refusal {
                table: table.qualified_name(),
                problem: "its source may send parts of items, and a row that is gone keeps no version per column"
                    .into(),
                remedy: "write `delete: soft`, or let the source send whole items".into(),
            });
        }
        match found {
            None => plan
                .steps
                .push(Step { sql: create(table), why: format!("table {} is missing", table.qualified_name()) }),
            Some(found) => Adoption { table, found, plan: &mut plan }.adopt(),
        }
    }
    plan
}

fn create(table: &Table) -> String {
    let mut lines: Vec<String> =
        table.key.iter().map(|column| format!("{} not null", definition(&column.name, &column.ty))).collect();
    lines.extend(table.columns.iter().map(|column| definition(&column.name, &column.ty)));
    lines.extend(own_columns(table).into_iter().map(|(name, rest)| format!("{} {rest}", quote(name))));
    let key: Vec<String> = table.key.iter().map(|column| quote(&column.name)).collect();
    lines.push(format!("primary key ({})", key.join(", ")));
    // Room on the page for the next version of a row, so that an update touches no index.
    let table_itself =
        format!("create table {} (\n  {}\n) with (fillfactor = 90)", relation(table), lines.join(",\n  "));
    if table.meta.files { format!("{table_itself};\n{}", attachment::index(table)) } else { table_itself }
}

/// Rows that are there before the adoption get version −1, so that a backfill may fill them.
pub(crate) fn own_columns(table: &Table) -> Vec<(&str, String)> {
    let meta = &table.meta;
    let version = match meta.version_type {
        VersionType::Numeric => format!("numeric not null default -1 check ({} <> 'NaN')", quote(&meta.version)),
        VersionType::Bigint => "bigint not null default -1".to_owned(),
    };
    let mut columns = vec![
        (meta.version.as_str(), version),
        (meta.deleted.as_str(), "boolean not null default false".to_owned()),
        (meta.source_at.as_str(), "timestamptz".to_owned()),
        (meta.synced_at.as_str(), "timestamptz".to_owned()),
    ];
    let json = [meta.errors.as_deref(), meta.versions.as_deref()];
    columns.extend(json.into_iter().flatten().map(|name| (name, "jsonb".to_owned())));
    if meta.files {
        columns.extend(attachment::COLUMNS.map(|(name, rest)| (name, rest.to_owned())));
    }
    columns
}

/// A table that was there before us.
struct Adoption<'a> {
    table: &'a Table,
    found: &'a Found,
    plan: &'a mut Plan,
}

impl Adoption<'_> {
    fn adopt(mut self) {
        let (table, found) = (self.table, self.found);
        if !matches!(found.kind.as_str(), "r" | "p") {
            self.refuse("it is no table", "name a table: a view or a foreign table can't take versioned upserts");
            return;
        }
        for column in table.key.iter().chain(&table.columns) {
            match found.columns.get(&column.name) {
                None => self.add(&column.name, &column.ty.to_string()),
                Some(there) => self.mapped(column, there),
            }
        }
        for (name, rest) in own_columns(table) {
            match found.columns.get(name) {
                None => self.add(name, &rest),
                Some(there) => self.own(name, rest.split(' ').next().unwrap_or_default(), there),
            }
        }
        if table.meta.files && !found.columns.contains_key(attachment::STATE) {
            let why = format!("the files of table {} that are due have no index", table.qualified_name());
            self.plan.steps.push(Step { sql: attachment::index(table), why });
        }
        self.unmapped();
        self.unique();
    }

    fn refuse(&mut self, problem: impl Into<String>, remedy: impl Into<String>) {
        let table = self.table.qualified_name();
        self.plan.refusals.push(Refusal { table, problem: problem.into(), remedy: remedy.into() });
    }

    fn add(&mut self, name: &str, rest: &str) {
        let sql = format!("alter table {} add column {} {rest}", relation(self.table), quote(name));
        let why = format!("column {name} of table {} is missing", self.table.qualified_name());
        self.plan.steps.push(Step { sql, why });
    }

    fn mapped(&mut self, column: &Column, there: &FoundColumn) {
        let name = &column.name;
        if there.computed {
            self.refuse(format!("column {name} is computed by the database"), "take it out of the mapping");
        } else if !fits(&column.ty, there) {
            let problem = format!("column {name} is {} in the database and {} in the mapping", there.ty, column.ty);
            self.refuse(problem, format!("write `type: {}`", there.ty));
        }
        let is_key = self.table.key.iter().any(|key| key.name == *name);
        let tombstones = matches!(self.table.delete.mode, DeleteMode::Soft { .. }) && self.table.children.is_none();
        let flag = column.role == Role::DeletedFlag;
        let filled = is_key || flag || column.default.is_some() || there.default.is_some();
        if there.not_null && !filled && self.table.takes_parts() {
            let t = relation(self.table);
            self.refuse(
                format!("column {name} is not null, and a part of an item that doesn't tell its value could not be stored, \
                     not even for a row that has one: the database checks it first"),
                format!(
                    "`alter table {t} alter column {} drop not null`, give it a `default:` in the mapping, or let the source \
                     send whole items",
                    quote(name)
                ),
            );
            return;
        }
        if there.not_null && !filled && tombstones {
            self.refuse(
                format!("column {name} is not null, and the tombstone of a row that was never seen has no value for it"),
                format!("give it a `default:` in the mapping, or `alter table {} alter column {} drop not null`, or use `delete: hard`", relation(self.table), quote(name)),
            );
        }
    }

    fn own(&mut self, name: &str, wanted: &str, there: &FoundColumn) {
        let wanted = if wanted == "timestamptz" { "timestamp with time zone" } else { wanted };
        // Without a modifier a numeric holds every version, also those of a source that counts in bigints.
        let any_numeric = there.ty == "numeric" && matches!(wanted, "numeric" | "bigint");
        if !any_numeric && (there.base != wanted || wanted == "numeric") {
            let problem = format!("column {name} is {}, and Tributary keeps {wanted} there", there.ty);
            self.refuse(problem, "name another column under `meta:` of the sink");
        } else if name == self.table.meta.version && !there.not_null {
            let t = relation(self.table);
            self.refuse(
                format!("column {name} can be null, and a row without a version could never be updated"),
                format!(
                    "`update {t} set {c} = -1 where {c} is null`, then `alter table {t} alter column {c} set not null`",
                    c = quote(name)
                ),
            );
        }
    }

    /// Columns that we don't write must be able to stay empty.
    fn unmapped(&mut self) {
        let table = self.table;
        let own: BTreeSet<&str> = own_columns(table).into_iter().map(|(name, _)| name).collect();
        for (name, there) in &self.found.columns {
            let mapped = table.key.iter().chain(&table.columns).any(|column| column.name == *name);
            if !mapped && !own.contains(name.as_str()) && there.not_null && !there.filled && !there.computed {
                self.refuse(
                    format!("column {name} is not null, has no default and is not in the mapping"),
                    format!("map it, or `alter table {} alter column {} set default …`", relation(table), quote(name)),
                );
            }
        }
    }

    fn unique(&mut self) {
        let mut key: Vec<String> = self.table.key.iter().map(|column| column.name.clone()).collect();
        key.sort();
        if self.found.unique.contains(&key) {
            return;
        }
        let columns: Vec<String> = self.table.key.iter().map(|column| quote(&column.name)).collect();
        let (columns, t) = (columns.join(", "), relation(self.table));
        let sql = if self.found.has_primary_key {
            format!("create unique index on {t} ({columns})")
        } else {
            format!("alter table {t} add primary key ({columns})")
        };
        let why = format!("the key of table {} is not unique in the database", self.table.qualified_name());
        self.plan.steps.push(Step { sql, why });
    }
}

/// Whether values of the mapping's type can be assigned to the column without loss or surprise.
fn fits(mapped: &ColumnType, there: &FoundColumn) -> bool {
    let base = there.base.as_str();
    if mapped.array {
        let element = ColumnType::scalar(mapped.base.clone());
        return base.strip_suffix("[]").is_some_and(|inner| canonical(&element).is_none_or(|name| name == inner));
    }
    match (&mapped.base, base) {
        (Base::Text | Base::Varchar(_) | Base::Char(_), "text" | "character varying" | "character") => true,
        (Base::Int2, "integer" | "bigint" | "numeric")
        | (Base::Int4, "bigint" | "numeric")
        | (Base::Int8, "numeric") => true,
        (Base::Float4, "double precision") => true,
        // A scale that the mapping doesn't know of would round in silence.
        (Base::Numeric(_), "numeric") => there.ty == "numeric" || there.ty == mapped.to_string(),
        _ => canonical(mapped).is_none_or(|name| name == base),
    }
}

/// The type's name as `format_type` prints it; `None` for types that only the server knows.
fn canonical(ty: &ColumnType) -> Option<String> {
    Some(match &ty.base {
        Base::Other { .. } => return None,
        Base::Varchar(_) => "character varying".to_owned(),
        Base::Char(_) => "character".to_owned(),
        Base::Numeric(_) => "numeric".to_owned(),
        Base::Time => "time without time zone".to_owned(),
        Base::Timestamp => "timestamp without time zone".to_owned(),
        Base::Timestamptz => "timestamp with time zone".to_owned(),
        _ => ty.to_string(),
    })
}
