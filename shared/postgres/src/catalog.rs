//! What the database says about the sink tables: enough to check them against the mapping before the first write.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::types::Type;
use tributary_core::Result;
use tributary_core::table::Table;

use crate::chunk::Writer;
use crate::connect::classify;
use crate::migrate;
use crate::session::Session;
use crate::sink::Writers;
use crate::sql::{Fallbacks, relation};

/// A table as it stands in the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// `r` an ordinary table, `p` a partitioned one; anything else can't be written.
    pub(crate) kind: String,
    /// Its columns by name.
    pub(crate) columns: BTreeMap<String, FoundColumn>,
    /// Column sets that are unique, without nulls in the way of `on conflict`: whole, valid, not deferrable, no
    /// expressions. Sorted by name within a set.
    pub(crate) unique: Vec<Vec<String>>,
    /// Whether there is a primary key.
    pub(crate) has_primary_key: bool,
}

/// A column as it stands in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundColumn {
    /// The type as Postgres prints it, modifiers included.
    pub(crate) ty: String,
    /// The type without modifiers.
    pub(crate) base: String,
    pub(crate) not_null: bool,
    /// The default's expression.
    pub(crate) default: Option<String>,
    /// Computed by the database (generated, or an identity that is always generated): no statement may set it.
    pub(crate) computed: bool,
    /// Filled by the database when a statement leaves it out.
    pub(crate) filled: bool,
}

const COLUMNS: &str = "\
select n.ordinal, c.relkind::text, a.attname::text, format_type(a.atttypid, a.atttypmod), format_type(a.atttypid, null), \
  a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attgenerated::text, a.attidentity::text \
from unnest($1::text[]) with ordinality n(name, ordinal) \
join pg_class c on c.oid = to_regclass(n.name) \
left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum";

const UNIQUE: &str = "\
select n.ordinal, i.indisprimary, array(select a.attname::text from unnest(i.indkey[0:i.indnkeyatts - 1]) k(num) \
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num order by 1) \
from unnest($1::text[]) with ordinality n(name, ordinal) \
join pg_index i on i.indrelid = to_regclass(n.name) \
where i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null";

/// Reads what the database knows of these tables; a missing table is `None`. One round trip.
pub(crate) async fn read(session: &Session, tables: &[Table]) -> Result<Vec<Option<Found>>> {
    let names: Vec<String> = tables.iter().map(relation).collect();
    let failed = |error| classify(error, "read the catalog");
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 1] = [(&names, Type::TEXT_ARRAY)];
    let (columns, unique) = tokio::try_join!(
        session.client().query_typed(COLUMNS, &parameters),
        session.client().query_typed(UNIQUE, &parameters)
    )
    .map_err(failed)?;
    let mut found: Vec<Option<Found>> = vec![None; tables.len()];
    let place = |row: &tokio_postgres::Row| row.get::<_, i64>(0) as usize - 1;
    for row in columns {
        let table = found[place(&row)].get_or_insert_default();
        table.kind = row.get(1);
        let Some(name) = row.get::<_, Option<String>>(2) else { continue };
        let (generated, identity): (String, String) = (row.get(7), row.get(8));
        let default: Option<String> = row.get(6);
        let column = FoundColumn {
            ty: row.get(3),
            base: row.get(4),
            not_null: row.get(5),
            computed: !generated.is_empty() || identity == "a",
            filled: default.is_some() || !identity.is_empty(),
            default: default.filter(|_| generated.is_empty()),
        };
        table.columns.insert(name, column);
    }
    for row in unique {
        // Somebody may have made the table between the two questions: then it wasn't there.
        let Some(table) = &mut found[place(&row)] else { continue };
        table.has_primary_key |= row.get::<_, bool>(1);
        table.unique.push(row.get(2));
    }
    Ok(found)
}

/// Checks the tables against the mapping, adds what is missing where that was asked for, and builds their statements.
///
/// # Errors
/// `Config` with all that is wrong and what to do about it.
pub(crate) async fn check(session: &mut Session, tables: &[Table], auto_migrate: bool) -> Result<Writers> {
    let mut found = read(session, tables).await?;
    let plan = migrate::plan(tables, &found, migrate::own_tables_exist(session).await?);
    if !plan.is_empty() && auto_migrate && plan.refusals.is_empty() {
        migrate::run(session, tables).await?;
        found = read(session, tables).await?;
    } else {
        plan.must_be_empty()?;
    }
    let writer = |(table, found): (&Table, &Option<Found>)| {
        let fallbacks = found.as_ref().map(|found| fallbacks(table, found)).unwrap_or_default();
        (table.qualified_name(), Writer::new(table, &fallbacks))
    };
    Ok(tables.iter().zip(&found).map(writer).collect::<HashMap<_, _>>())
}

/// Defaults that stand in for a NULL, of mapped columns that are NOT NULL.
fn fallbacks(table: &Table, found: &Found) -> Fallbacks {
    let not_null = |name: &str| found.columns.get(name).filter(|column| column.not_null);
    table
        .columns
        .iter()
        .filter_map(|column| Some((column.name.clone(), not_null(&column.name)?.default.clone()?)))
        .collect()
}
