//! The limit: `copy … from stdin binary` of the same rows into a table of the same definition. It knows no versions and
//! fails on a row that is there.

use std::pin::pin;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::{Client, CopyInSink, Statement};
use tributary_core::change::Change;

use crate::Failure;
use crate::wire::{SENT, names, put};

/// How much is sent at once: larger writes cost fewer system calls.
const BUFFER: usize = 64 * 1024;

/// A prepared `copy` into this table, all columns.
pub(crate) async fn prepare(client: &Client, table: &str) -> Result<Statement, Failure> {
    Ok(client.prepare(&format!("copy {table} ({}) from stdin binary", names(SENT.len()))).await?)
}

/// Copies the rows, in one transaction of its own.
pub(crate) async fn copy<'c>(
    client: &Client,
    statement: &Statement,
    changes: impl Iterator<Item = &'c Change>,
) -> Result<(), Failure> {
    let sink: CopyInSink<Bytes> = client.copy_in(statement).await?;
    let mut sink = pin!(sink);
    let mut out = BytesMut::with_capacity(BUFFER + 4096);
    out.put_slice(b"PGCOPY\n\xff\r\n\0");
    out.put_i32(0);
    out.put_i32(0);
    let now = now();
    for change in changes {
        out.put_i16(SENT.len() as i16);
        (0..SENT.len()).for_each(|place| put(change, place, now, &mut out));
        if out.len() >= BUFFER {
            sink.feed(out.split().freeze()).await?;
            out.reserve(BUFFER + 4096);
        }
    }
    out.put_i16(-1);
    sink.feed(out.freeze()).await?;
    sink.finish().await?;
    Ok(())
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
