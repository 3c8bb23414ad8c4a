//! The ways to write a batch that are compared: Tributary's sink, the limit, and what a careful person writes by hand.
//! Each has its own table of the same definition and its own connection.

use std::error::Error as StdError;

use bytes::{BufMut, BytesMut};
use futures_util::future::{join, join3, try_join_all};
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Statement};
use tributary_core::batch::Batch;
use tributary_core::change::Change;
use tributary_core::sink::{Sink, Unlimited};
use tributary_postgres::Postgres;
use tributary_postgres::connect::Target;

use crate::copy;
use crate::server::Server;
use crate::wire::{SENT, WITHOUT_SYNCED_AT, names, put};
use crate::{Failure, rows};

/// How many rows a hand-written statement takes at most.
const CHUNK: usize = 500;

/// A way to write a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Tributary's sink, batch after batch.
    Tributary,
    /// Tributary's sink as a function uses it that gets one batch an invocation: its statistics are sent after each batch
    /// and not waited for.
    OneAnInvocation,
    /// `copy` of the rows in the order in which they come.
    Copy,
    /// `copy` of the rows sorted by key, which spares the index.
    CopySorted,
    /// `insert … select unnest(…), … on conflict`, 500 rows a statement, pipelined.
    TargetList,
    /// `insert … select * from unnest(…, …) on conflict`, 500 rows a statement, pipelined.
    FromUnnest,
    /// `copy` into a temporary table, then `insert … select … on conflict`.
    Staged,
}

impl Way {
    /// What the tables of the report call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Tributary => "tributary",
            Way::OneAnInvocation => "tributary, a batch an invocation",
            Way::Copy => "COPY BINARY",
            Way::CopySorted => "COPY BINARY, sorted by key",
            Way::TargetList => "by hand: unnest in the select list",
            Way::FromUnnest => "by hand: from unnest",
            Way::Staged => "by hand: COPY to a temporary table",
        }
    }

    /// The name of its table.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Way::Tributary => "tributary",
            Way::OneAnInvocation => "invocation",
            Way::Copy => "copy",
            Way::CopySorted => "copy_sorted",
            Way::TargetList => "target_list",
            Way::FromUnnest => "from_unnest",
            Way::Staged => "staged",
        }
    }

    /// The name of its table with the schema.
    pub(crate) fn relation(self) -> String {
        format!("{}.{}", rows::SCHEMA, self.table())
    }
}

/// A way with its connection and its table.
pub(crate) struct Strategy {
    pub(crate) way: Way,
    /// The process number of its backend.
    pub(crate) backend: i32,
    writer: Writer,
}

enum Writer {
    Tributary { sink: Box<Postgres<Target>>, post: bool },
    Copy { client: Client, statement: Statement, sorted: bool },
    Statement { client: Client, statement: Statement },
    Staged { client: Client, copy: Statement, merge: Statement },
}

impl Strategy {
    /// Connects all of them.
    pub(crate) async fn open_all(ways: &[Way], server: &Server) -> Result<Vec<Self>, Failure> {
        let mut strategies = Vec::with_capacity(ways.len());
        for way in ways {
            strategies.push(Strategy::open(*way, server).await?);
        }
        Ok(strategies)
    }

    /// Connects, and makes the table as Tributary makes it.
    pub(crate) async fn open(way: Way, server: &Server) -> Result<Self, Failure> {
        let table = way.relation();
        if matches!(way, Way::Tributary | Way::OneAnInvocation) {
            server.observer.batch_execute(&format!("drop table if exists {table}")).await?;
            let (sink, backend) = server.sink(vec![rows::table(way.table())], way.table()).await?;
            let writer = Writer::Tributary { sink: Box::new(sink), post: way == Way::OneAnInvocation };
            return Ok(Strategy { way, backend, writer });
        }
        server.like_tributary(&table).await?;
        let client = server.connect().await?;
        let backend = client.query_one("select pg_backend_pid()", &[]).await?.get(0);
        let writer = match way {
            Way::Tributary | Way::OneAnInvocation | Way::Copy | Way::CopySorted => {
                let statement = copy::prepare(&client, &table).await?;
                Writer::Copy { client, statement, sorted: way == Way::CopySorted }
            }
            Way::TargetList | Way::FromUnnest => {
                let types: Vec<Type> = SENT[..WITHOUT_SYNCED_AT].iter().map(|(_, ty)| array_of(ty)).collect();
                let statement = client.prepare_typed(&by_hand(&table, way == Way::FromUnnest), &types).await?;
                Writer::Statement { client, statement }
            }
            Way::Staged => {
                let make = format!("create temporary table stage (like {table}) on commit delete rows");
                client.batch_execute(&make).await?;
                let copy = copy::prepare(&client, "stage").await?;
                let merge = format!(
                    "insert into {table} as t ({all}) select {all} from stage {}",
                    on_conflict(),
                    all = names(SENT.len())
                );
                let merge = client.prepare(&merge).await?;
                Writer::Staged { client, copy, merge }
            }
        };
        Ok(Strategy { way, backend, writer })
    }

    /// Writes a batch as one durable transaction.
    pub(crate) async fn apply(&mut self, batch: &Batch<'_>) -> Result<(), Failure> {
        match &mut self.writer {
            Writer::Tributary { sink, post } => {
                sink.apply(batch, &Unlimited).await?;
                if *post {
                    sink.post();
                }
            }
            Writer::Copy { client, statement, sorted: false } => {
                copy::copy(client, statement, batch.changes.iter()).await?;
            }
            Writer::Copy { client, statement, sorted: true } => {
                copy::copy(client, statement, by_key(&batch.changes).into_iter()).await?;
            }
            Writer::Statement { client, statement } => {
                let (client, statement) = (&*client, &*statement);
                let sorted = by_key(&batch.changes);
                let chunks = sorted.chunks(CHUNK).map(|changes| {
                    let columns: Vec<Column<'_>> =
                        (0..WITHOUT_SYNCED_AT).map(|place| Column { changes, place }).collect();
                    async move { client.execute_raw(statement, &columns).await }
                });
                let chunks: Vec<_> = chunks.collect();
                let all = try_join_all(chunks);
                // Polled in this order for the first time, which is the order on the wire.
                let (begun, written, done) =
                    join3(client.batch_execute("begin"), all, client.batch_execute("commit")).await;
                begun?;
                written?;
                done?;
            }
            Writer::Staged { client, copy, merge } => {
                let sorted = by_key(&batch.changes);
                let (begun, copied) =
                    join(client.batch_execute("begin"), copy::copy(client, copy, sorted.into_iter())).await;
                begun?;
                copied?;
                let (merged, done) = join(client.execute(&*merge, &[]), client.batch_execute("commit")).await;
                merged?;
                done?;
            }
        }
        Ok(())
    }

    /// Waits for what was written without waiting; it counts.
    pub(crate) async fn settle(&mut self) {
        if let Writer::Tributary { sink, .. } = &mut self.writer {
            sink.settle().await;
        }
    }
}

fn by_key(changes: &[Change]) -> Vec<&Change> {
    let mut sorted: Vec<&Change> = changes.iter().collect();
    sorted.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    sorted
}

fn array_of(ty: &Type) -> Type {
    match *ty {
        Type::TEXT => Type::TEXT_ARRAY,
        Type::NUMERIC => Type::NUMERIC_ARRAY,
        Type::INT4 => Type::INT4_ARRAY,
        Type::FLOAT8 => Type::FLOAT8_ARRAY,
        Type::BOOL => Type::BOOL_ARRAY,
        Type::TIMESTAMPTZ => Type::TIMESTAMPTZ_ARRAY,
        Type::JSONB => Type::JSONB_ARRAY,
        _ => Type::UUID_ARRAY,
    }
}

fn by_hand(table: &str, from: bool) -> String {
    let columns = names(WITHOUT_SYNCED_AT);
    let arrays: Vec<String> = SENT[..WITHOUT_SYNCED_AT]
        .iter()
        .enumerate()
        .map(|(i, (_, ty))| format!("${}::{}[]", i + 1, ty.name()))
        .collect();
    let select = if from {
        format!("{columns}, now() from unnest({}) s ({columns})", arrays.join(", "))
    } else {
        let list: Vec<String> = arrays.iter().map(|array| format!("unnest({array})")).collect();
        format!("{}, now()", list.join(", "))
    };
    format!("insert into {table} as t ({columns}, \"_synced_at\") select {select} {}", on_conflict())
}

fn on_conflict() -> String {
    let sets: Vec<String> = SENT[1..].iter().map(|(name, _)| format!("\"{name}\" = excluded.\"{name}\"")).collect();
    format!("on conflict (id) do update set {} where t._version < excluded._version", sets.join(", "))
}

/// A column of changes as an array.
#[derive(Debug)]
struct Column<'a> {
    changes: &'a [&'a Change],
    place: usize,
}

impl ToSql for Column<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let Kind::Array(element) = ty.kind() else { return Err("no array".into()) };
        out.put_i32(1);
        out.put_i32(0);
        out.put_u32(element.oid());
        out.put_i32(i32::try_from(self.changes.len())?);
        out.put_i32(1);
        self.changes.iter().for_each(|change| put(change, self.place, 0, out));
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(ty.kind(), Kind::Array(_))
    }

    to_sql_checked!();
}
