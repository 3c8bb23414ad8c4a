//! The queue of files that are to be fetched: the rows of a table whose meta columns say so.
//!
//! A row is queued by the write path, which knows the mapped columns alone; what became of its file is written here, into
//! the columns beside them. So a file is queued in the transaction of its item, and looked at again when its `mark` is
//! another one. An operator who wants a file anew sets its `state` to `pending`. Called by the runtime.

use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tributary_core::batch::Fence;
use tributary_core::sink::Budget;
use tributary_core::table::Table;
use tributary_core::{Error, Kind, Result};

use crate::connect::classify;
use crate::operate::asking;
use crate::sink::{Credentials, Postgres};
use crate::sql::{quote, relation};

/// The columns of the queue, beside the mapped ones.
pub(crate) const COLUMNS: [(&str, &str); 10] = [
    (STATE, "text not null default 'pending'"),
    ("location", "text"),
    ("md5", "text"),
    ("size", "bigint"),
    ("content_type", "text"),
    // The mark at the last look.
    ("checked", "text"),
    ("attempts", "integer not null default 0"),
    ("next_try", "timestamptz"),
    ("stored_at", "timestamptz"),
    ("problem", "text"),
];

/// The column that tells whether the queue's are there.
pub(crate) const STATE: &str = "state";

/// The key: whose file it is, and its name there.
const KEY: [&str; 2] = ["submission_id", "name"];
/// What the source knows the item by, where the key is something else.
const INSTANCE: &str = "instance_id";

/// Of all rows, those of which something is to be expected; the words of the index and of the query must be the same.
const OPEN: &str = "(state <> 'stored' or checked is distinct from mark)";
/// Without a time there is no further try, until the mark changes.
const DUE: &str = "(state = 'pending' or checked is distinct from mark or next_try <= now())";
/// The newest items first: somebody waits for their pictures.
const ORDER: &str = "submitted_at desc nulls last";

/// How often one look after the other, at the same mark, came to nothing.
const ATTEMPTS: &str = "(case when t.checked is distinct from $5 then 1 else t.attempts + 1 end)";
/// A minute, doubled with each attempt up to a day.
const WAIT: &str = "least(interval '1 day', interval '1 minute' * power(2, least(case when t.checked is distinct from $5 \
     then 0 else t.attempts end, 11)))";

/// Without connections that answer, attempts to write a result end after this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A file that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The item's key.
    pub submission: String,
    /// What the source knows the item by.
    pub instance: String,
    /// The file's name, unique in its item.
    pub name: String,
    /// The field that names it.
    pub field: Option<String>,
    /// The item's mark when this row was read.
    pub mark: Option<String>,
    /// Where it was stored, if it was.
    pub location: Option<String>,
    /// The MD5 of what is stored there, in lowercase hexadecimal digits. `None` also when somebody wants it fetched anew.
    pub md5: Option<String>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched<'f> {
    /// It is at this place.
    Stored {
        /// The place.
        location: &'f str,
        /// The MD5 of its content, in lowercase hexadecimal digits.
        md5: &'f str,
        /// Its size in bytes.
        size: u64,
        /// Its type as the source says.
        content_type: Option<&'f str>,
    },
    /// It is what it was, and where it was.
    Same,
    /// The source expects it and doesn't have it.
    Missing {
        /// How long after its item was made it is looked for again.
        retry_for: Duration,
    },
    /// It could not be fetched or stored.
    Failed {
        /// Why, for people; no value of a row, no secret.
        problem: &'f str,
    },
}

impl<C: Credentials> Postgres<C> {
    /// The files that are due, those of the newest items first, at most this many.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn due_files(&mut self, table: &Table, limit: u32) -> Result<Vec<Due>> {
        let query = due(table)?;
        let failed = asking("read which files are due");
        let session = self.session().await?;
        let rows = session.query(&query, &[(&i64::from(limit), Type::INT8)]).await.map_err(&failed)?;
        rows.iter()
            .map(|row| {
                let state: String = row.try_get(6)?;
                Ok(Due {
                    submission: row.try_get(0)?,
                    name: row.try_get(1)?,
                    instance: row.try_get(2)?,
                    field: row.try_get(3)?,
                    mark: row.try_get(4)?,
                    location: row.try_get(5)?,
                    md5: if state == "pending" { None } else { row.try_get(7)? },
                })
            })
            .collect::<Result<_, tokio_postgres::Error>>()
            .map_err(failed)
    }

    /// Ends the waits of files that would wait for longer than a minute: somebody has mended what kept them. How many.
    ///
    /// # Errors
    /// As [`tributary_core::sink::Sink::apply`].
    pub async fn wake_files(&mut self, table: &Table) -> Result<u64> {
        let command = format!(
            "update {} set attempts = 0, next_try = now() \
             where not {} and {OPEN} and next_try > now() + interval '1 minute'",
            relation(table),
            quote(&table.meta.deleted)
        );
        let session = self.session().await?;
        session.execute(&command, &[]).await.map_err(asking("end the waits of files"))
    }

    /// Writes what became of a file, if the lease is still ours: whoever took it over looks for himself. Whether there was
    /// such a row; an operator may have deleted it.
    ///
    /// # Errors
    /// `Conflict` when the lease was lost: then nothing is written. Else as [`tributary_core::sink::Sink::apply`].
    pub async fn settle_file(
        &mut self,
        pipeline: &str,
        table: &Table,
        fence: &Fence,
        file: &Due,
        fetched: Fetched<'_>,
        budget: &impl Budget,
    ) -> Result<bool> {
        let query = settle(table, fetched);
        let mut values = Values::default();
        values.take(fetched)?;
        let common: [(&(dyn ToSql + Sync), Type); 5] = [
            (&fence.lease, Type::TEXT),
            (&fence.number, Type::INT8),
            (&file.submission, Type::TEXT),
            (&file.name, Type::TEXT),
            (&file.mark, Type::TEXT),
        ];
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            common.into_iter().chain(values.parameters(fetched)).collect();
        let write = async |session: &mut crate::session::Session, _: &crate::sink::Writers, _| {
            let rows = session.query(&query, &parameters).await;
            let rows = rows.map_err(|error| classify(error, "write what became of a file"))?;
            let answer = rows.first().map(|row| (row.get::<_, bool>(0), row.get::<_, i64>(1)));
            Ok(answer.unwrap_or_default())
        };
        let (held, written) = Box::pin(self.persist(pipeline, budget, PATIENCE, write)).await?;
        if !held {
            return Err(Error::new(Kind::Conflict, format!("the lease `{}` was taken over", fence.lease))
                .with_hint("nothing is lost: whoever took it over goes on"));
        }
        Ok(written > 0)
    }
}

/// The index of the files of which something is to be expected.
pub(crate) fn index(table: &Table) -> String {
    format!("create index on {} ({ORDER}) where not {} and {OPEN}", relation(table), quote(&table.meta.deleted))
}

fn due(table: &Table) -> Result<String> {
    let named = |name: &str| table.columns.iter().any(|column| column.name == name);
    let key: Vec<&str> = table.key.iter().map(|column| column.name.as_str()).collect();
    if key != KEY || !["field", "mark", "submitted_at", "position"].into_iter().all(named) {
        return Err(Error::new(Kind::Bug, format!("{} is no table of files", table.qualified_name())));
    }
    let instance = if named(INSTANCE) { format!("coalesce({INSTANCE}, submission_id)") } else { KEY[0].to_owned() };
    Ok(format!(
        "select submission_id, name, {instance}, field, mark, location, state, md5 from {} where not {} and {OPEN} and {DUE} \
         order by {ORDER}, submission_id, position, name limit $1",
        relation(table),
        quote(&table.meta.deleted)
    ))
}

/// The statement. `for share` makes a take-over of the lease wait until it has ended.
fn settle(table: &Table, fetched: Fetched<'_>) -> String {
    let sets = match fetched {
        Fetched::Stored { .. } => {
            "state = 'stored', location = $6, md5 = $7, size = $8, content_type = $9, attempts = 0, \
             next_try = null, problem = null, stored_at = case when t.location = $6 and t.md5 = $7 \
             then coalesce(t.stored_at, now()) else now() end"
                .to_owned()
        }
        Fetched::Same => "state = 'stored', attempts = 0, next_try = null, problem = null".to_owned(),
        // What was stored stays where it is.
        Fetched::Missing { .. } => format!(
            "state = case when t.location is null then 'missing' else 'cleared' end, attempts = {ATTEMPTS}, problem = null, \
             next_try = case when t.submitted_at > now() - make_interval(secs => $6) then now() + {WAIT} end"
        ),
        Fetched::Failed { .. } => {
            format!("state = 'failed', attempts = {ATTEMPTS}, problem = $6, next_try = now() + {WAIT}")
        }
    };
    format!(
        "with held as (select coalesce((select l.fence = $2 from tributary.lease l where l.name = $1 for share), false) \
           as yes), \
         settled as (update {} as t set {sets}, checked = $5 from held \
           where held.yes and t.submission_id = $3 and t.name = $4 returning 1) \
         select held.yes, (select count(*) from settled) from held",
        relation(table)
    )
}

/// What a statement takes beside the row's key, owned.
#[derive(Default)]
struct Values<'f> {
    texts: [Option<&'f str>; 3],
    size: i64,
    seconds: f64,
    problem: String,
}

impl<'f> Values<'f> {
    fn take(&mut self, fetched: Fetched<'f>) -> Result<()> {
        match fetched {
            Fetched::Stored { location, md5, size, content_type } => {
                self.texts = [Some(location), Some(md5), content_type];
                self.size = i64::try_from(size).map_err(|_| Error::data("a file is larger than Postgres counts"))?;
            }
            Fetched::Same => {}
            Fetched::Missing { retry_for } => self.seconds = retry_for.as_secs_f64(),
            // Postgres has no U+0000.
            Fetched::Failed { problem } => self.problem = problem.replace('\0', ""),
        }
        Ok(())
    }

    fn parameters(&self, fetched: Fetched<'_>) -> Vec<(&(dyn ToSql + Sync), Type)> {
        let [location, md5, content_type] = &self.texts;
        match fetched {
            Fetched::Stored { .. } => {
                vec![(location, Type::TEXT), (md5, Type::TEXT), (&self.size, Type::INT8), (content_type, Type::TEXT)]
            }
            Fetched::Same => Vec::new(),
            Fetched::Missing { .. } => vec![(&self.seconds, Type::FLOAT8)],
            Fetched::Failed { .. } => vec![(&self.problem, Type::TEXT)],
        }
    }
}
