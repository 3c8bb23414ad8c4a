//! The loop that people write: receive some, upsert each by a statement and a commit of its own, acknowledge all.

use std::time::{Duration, Instant};

use serde_json::Value;
use tributary_core::pipeline::SequinProtocol;
use tributary_core::sink::Unlimited;
use tributary_sources::http::Client;
use tributary_sources::sequin::consumer::{Consumer, Settle};
use tributary_tests::sequin::TOKEN;

use crate::Failure;
use crate::stage::{CONSUMER, Stage, connect};

const TABLE: &str = "drop table if exists by_hand;
    create table by_hand (id bigint primary key, status text, total numeric, notes text, tags jsonb, customer text,
      placed timestamptz, version numeric not null)";
/// Guarded by the version as it ought to be; the values as text, which costs the client nothing.
const UPSERT: &str = "insert into by_hand as t (id, status, total, notes, tags, customer, placed, version)
    values ($1, $2, $3::text::numeric, $4, $5::text::jsonb, $6, $7::text::timestamptz, $8::text::numeric)
    on conflict (id) do update set status = excluded.status, total = excluded.total,
      notes = case when excluded.notes = 'unchanged_toast' then t.notes else excluded.notes end,
      tags = excluded.tags, customer = excluded.customer, placed = excluded.placed, version = excluded.version
    where t.version < excluded.version";

/// Drains everything, so many messages a receive.
pub(crate) async fn drain(stage: &Stage, most: u32) -> Result<Duration, Failure> {
    stage.observer.batch_execute(TABLE).await?;
    let client = connect(stage.url()).await?;
    let upsert = client.prepare(UPSERT).await?;
    let delete = client.prepare("delete from by_hand where id = $1 and version < $2::text::numeric").await?;
    let http = Client::new();
    let consumer = Consumer::new(&stage.sequin.url(), &SequinProtocol::Stream, CONSUMER);
    let began = Instant::now();
    loop {
        let answer = consumer.receive(&http, TOKEN, most, 1 << 24, &Unlimited).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let messages = answer["data"].as_array().ok_or("no list")?;
        if messages.is_empty() {
            return Ok(began.elapsed());
        }
        let mut ids = Vec::with_capacity(messages.len());
        for message in messages {
            ids.push(message["ack_id"].as_str().ok_or("no id")?);
            let (data, metadata) = (&message["data"], &message["data"]["metadata"]);
            let record = &data["record"];
            let place = |field: &str| metadata[field].as_u64().map(u128::from).ok_or("no version");
            let version = (place("commit_lsn")? << 32 | place("commit_idx")?).to_string();
            let id = record["id"].as_i64().ok_or("no key")?;
            if data["action"] == "delete" {
                client.execute(&delete, &[&id, &version]).await?;
                continue;
            }
            let text = |field: &str| record[field].as_str();
            let tags = record["tags"].to_string();
            client
                .execute(
                    &upsert,
                    &[
                        &id,
                        &text("status"),
                        &text("total"),
                        &text("notes"),
                        &tags,
                        &text("customer"),
                        &text("placed"),
                        &version,
                    ],
                )
                .await?;
        }
        consumer.settle(&http, TOKEN, Settle::Ack, &ids, &Unlimited).await?;
    }
}
