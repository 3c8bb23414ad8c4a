//! A queue of SQS. A message that was received is hidden from others for a while; what is not deleted is given back.

use std::collections::{HashSet, VecDeque};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Builder;
use aws_sdk_sqs::types::Message;
use bytes::Bytes;
use tributary_core::pipeline::DynamodbStore;
use tributary_core::{Error, Result};
use tributary_runtime::aws;

use super::{Kept, failed};
use crate::output::progress;

/// As many as one request may bring.
const AT_ONCE: i32 = 10;
/// Seconds for which nobody else gets them: for reading their records from the stream, and their commits.
const HIDDEN: i32 = 900;
/// Seconds that a request waits for a message. With 0 only some of SQS's servers would be asked.
const WAIT: i32 = 1;

/// The messages of a queue.
#[derive(Debug)]
pub(crate) struct Queue {
    client: Client,
    url: String,
    received: VecDeque<Message>,
    /// The receipts of those that are neither deleted nor given back.
    held: Vec<String>,
    /// All that have come. One that comes again has outlived its hiding.
    seen: HashSet<String>,
}

impl Queue {
    pub(super) async fn new(url: &str, endpoint: Option<&str>) -> Queue {
        let place = DynamodbStore { region: region(url).map(str::to_owned), endpoint: endpoint.map(str::to_owned) };
        let mut builder = Builder::from(&aws::config_of(&place).await);
        if let Some(endpoint) = endpoint {
            builder = builder.endpoint_url(endpoint);
        }
        let client = Client::from_conf(builder.build());
        Queue { client, url: url.to_owned(), received: VecDeque::new(), held: Vec::new(), seen: HashSet::new() }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Kept>> {
        loop {
            if self.received.is_empty() {
                let receive = self.client.receive_message().queue_url(&self.url).max_number_of_messages(AT_ONCE);
                let answer = receive.visibility_timeout(HIDDEN).wait_time_seconds(WAIT).send().await;
                let answer = answer.map_err(|e| failed(&self.place(), "sqs:ReceiveMessage", e))?;
                self.received.extend(answer.messages.unwrap_or_default());
                self.held.extend(self.received.iter().filter_map(|message| message.receipt_handle.clone()));
            }
            let Some(message) = self.received.pop_front() else { return Ok(None) };
            let Message { message_id, receipt_handle, body, .. } = message;
            let name = message_id.unwrap_or_default();
            if self.seen.insert(name.clone()) {
                let document =
                    body.map(Bytes::from).ok_or_else(|| Error::data("not a batch that was given up: it is empty"));
                return Ok(Some(Kept { name, document, handle: receipt_handle.unwrap_or_default() }));
            }
        }
    }

    pub(super) async fn delete(&mut self, receipt: &str) -> Result<()> {
        let deleted = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt).send().await;
        deleted.map_err(|e| failed(&self.place(), "sqs:DeleteMessage", e))?;
        self.held.retain(|held| held != receipt);
        Ok(())
    }

    pub(super) async fn release(&mut self) {
        for receipt in self.held.drain(..) {
            let change = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt);
            if change.visibility_timeout(0).send().await.is_err() {
                progress(&format!("a message that stays in the queue is hidden for up to {} minutes", HIDDEN / 60));
            }
        }
    }

    fn place(&self) -> String {
        format!("queue {}", self.url)
    }
}

/// The region of a queue of AWS; an emulator's URL has none.
fn region(url: &str) -> Option<&str> {
    let host = url.split_once("://")?.1.split('/').next()?;
    let mut parts = host.split('.');
    match (parts.next()?, parts.next()?, parts.next()?) {
        ("sqs" | "sqs-fips", region, "amazonaws") | (region, "queue", "amazonaws") => Some(region),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queues_url_tells_its_region() {
        let check = |url: &str, expect: Option<&str>| assert_eq!(region(url), expect, "{url}");
        check("https://sqs.us-east-2.amazonaws.com/123456789012/given-up", Some("us-east-2"));
        check("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/given-up", Some("cn-north-1"));
        check("https://sqs-fips.us-gov-west-1.amazonaws.com/1/x", Some("us-gov-west-1"));
        check("https://eu-west-1.queue.amazonaws.com/1/x", Some("eu-west-1"));
        check("https://queue.amazonaws.com/1/x", None);
        check("http://127.0.0.1:4566/000000000000/x", None);
        check("given-up", None);
    }
}
