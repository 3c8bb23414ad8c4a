//! Views over a table of items and the tables of their lists: made, and kept as the tables become.
//!
//! A view is replaced in place, with the columns that it has first and in their order, so that it is never missing and what
//! depends on it lives on. Its comment says that it is ours, and which statement made it: nothing that somebody else has made is
//! ever replaced. Called by the runtime whenever tables have changed, and by whoever migrates.

mod statement;

use tokio_postgres::types::{ToSql, Type};
use tributary_core::view::Unified;
use tributary_core::{Error, Result};

use crate::catalog::{self, Found};
use crate::connect::classify;
use crate::migrate::{self, Plan, Refusal, Step};
use crate::session::Session;
use crate::sink::{Credentials, Postgres};
use crate::sql::{literal, named, quote};

use statement::{Shape, digest, shape};

/// What the comment of every view of ours begins with.
const MARK: &str = "Kept by Tributary";

/// A relation of a view's name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct There {
    /// `v` a view; anything else is in the way.
    kind: String,
    comment: String,
    /// The columns with their types, in order.
    columns: Vec<(String, String)>,
}

const THERE: &str = "\
select c.relkind::text, coalesce(obj_description(c.oid, 'pg_class'), ''), a.attname::text, format_type(a.atttypid, a.atttypmod) \
from pg_class c left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
where c.oid = to_regclass($1) order by a.attnum";

impl<C: Credentials> Postgres<C> {
    /// Makes these views, or makes them anew where their definition has changed, under the migration's lock. Costs nothing
    /// where that was done before. Their tables must be there as they are now defined.
    ///
    /// # Errors
    /// `Config` when something of the name is there that isn't ours, or the right is missing. Else as
    /// [`tributary_core::sink::Sink::apply`].
    pub async fn adopt_views(&mut self, views: &[Unified]) -> Result<()> {
        let is_known = |view: &&Unified| self.views.iter().any(|known| known == *view);
        let new: Vec<Unified> = views.iter().filter(|view| !is_known(view)).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let session = self.session().await?;
        let plan = plan(session, &new).await?;
        plan.must_have_no_refusals()?;
        if !plan.steps.is_empty() {
            migrate::run_views(session, &new).await.map_err(|cause| not_made(&plan, cause))?;
        }
        self.know_views(new);
        Ok(())
    }

    /// As [`Postgres::adopt_views`], where nothing is made yet: [`Postgres::plan`] and [`Postgres::migrate`] have these views
    /// too.
    pub fn know_views(&mut self, views: Vec<Unified>) {
        let name = |view: &Unified| view.view.qualified_name();
        self.views.retain(|known| !views.iter().any(|new| name(new) == name(known)));
        self.views.extend(views);
    }
}

/// Where nothing but a right is missing: what somebody who has it must run.
fn not_made(plan: &Plan, cause: Error) -> Error {
    if cause.kind() != tributary_core::Kind::Config {
        return cause;
    }
    let ddl: Vec<&str> = plan.steps.iter().map(|step| step.sql.as_str()).collect();
    Error::config("the database user may not make a view")
        .with_hint(format!("grant it `create` on the schema and let it own the view; or run: {}", ddl.join("; ")))
        .with_source(cause)
}

/// Those of these views that are there and ours, as statements name them.
pub(crate) async fn ours(session: &Session, views: &[Unified]) -> Result<Vec<String>> {
    let mut ours = Vec::new();
    for view in views {
        let relation = named(view.view.schema.as_deref(), &view.view.name);
        let there = there(session, &relation).await?;
        ours.extend(there.filter(|there| in_the_way(there).is_none()).map(|_| relation));
    }
    Ok(ours)
}

/// What has to be done for these views. Changes nothing.
pub(crate) async fn plan(session: &Session, views: &[Unified]) -> Result<Plan> {
    let mut plan = Plan::default();
    for view in views {
        let (schema, name) = (view.view.schema.as_deref(), &view.view.name);
        let relation = named(schema, name);
        let mark =
            format!("{MARK}: the rows of {}, each with its lists ({})", view.root.qualified_name(), digest(view));
        let there = there(session, &relation).await?;
        if there.as_ref().is_some_and(|there| there.comment == mark && there.kind == "v") {
            continue;
        }
        if let Some(problem) = there.as_ref().and_then(in_the_way) {
            plan.refusals.push(Refusal {
                table: view.view.qualified_name(),
                problem,
                remedy: format!(
                    "rename it, or write another name at `view:`; a view that Tributary may replace has the comment `{MARK}`"
                ),
            });
            continue;
        }
        if let Some(schema) = schema.filter(|schema| there.is_none() && view.root.schema.as_deref() != Some(*schema)) {
            let sql = format!("create schema if not exists {}", quote(schema));
            plan.steps.push(Step { sql, why: format!("schema {schema} may be missing") });
        }
        let found = catalog::read(session, std::slice::from_ref(&view.root)).await?.pop().flatten();
        let columns = there.as_ref().map(|there| &there.columns[..]).unwrap_or_default();
        let sql = statement::create(&relation, view, &shape_of(view, columns, found.as_ref()));
        let sql = format!("{sql};\ncomment on view {relation} is {}", literal(&mark));
        let what = if there.is_none() { "is missing" } else { "lacks what its tables have" };
        plan.steps.push(Step { sql, why: format!("view {} {what}", view.view.qualified_name()) });
    }
    Ok(plan)
}

fn shape_of(view: &Unified, columns: &[(String, String)], found: Option<&Found>) -> Shape {
    let of_table = |name: &str| found.and_then(|found| found.columns.get(name)).map(|column| column.ty.clone());
    shape(view, columns, of_table)
}

/// Why a relation cannot become the view.
fn in_the_way(there: &There) -> Option<String> {
    let what = match there.kind.as_str() {
        "v" if there.comment.starts_with(MARK) => return None,
        "v" => "a view of that name",
        "m" => "a materialized view of that name",
        "i" | "I" => "an index of that name",
        "S" => "a sequence of that name",
        _ => "a table of that name",
    };
    Some(format!("{what} is there that Tributary has not made"))
}

async fn there(session: &Session, relation: &str) -> Result<Option<There>> {
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&relation, Type::TEXT)];
    let rows = session.client().query_typed(THERE, &parameters).await;
    let rows = rows.map_err(|e| classify(e, "read the catalog"))?;
    let Some(first) = rows.first() else { return Ok(None) };
    let column = |row: &tokio_postgres::Row| Some((row.get::<_, Option<String>>(2)?, row.get::<_, Option<String>>(3)?));
    let columns = rows.iter().filter_map(column).collect();
    Ok(Some(There { kind: first.get(0), comment: first.get(1), columns }))
}
