//! A consumer with the token that opens it.

use tributary_core::pipeline::{SecretRef, SequinProtocol, SequinStore};
use tributary_core::sink::Budget;
use tributary_core::{Error, Kind, Result};
use tributary_sources::http::Client;
use tributary_sources::sequin::collection::Collection;
use tributary_sources::sequin::consumer::{Consumer, Settle};
use tributary_sources::sequin::{message, record};

use super::message::Message;
use super::pace::{ANSWER_LIMIT, Pace};
use super::portion::Portion;
use crate::secrets::{Secret, Secrets};

/// A consumer, asked with a token that is fetched anew when it is refused.
pub(super) struct Queue<'q, S> {
    http: &'q Client,
    secrets: &'q S,
    token: &'q SecretRef,
    protocol: &'q SequinProtocol,
    consumer: Consumer,
}

impl<'q, S: Secrets> Queue<'q, S> {
    pub(super) fn new(http: &'q Client, secrets: &'q S, store: &'q SequinStore, consumer: &str) -> Self {
        let consumer = Consumer::new(&store.base_url, &store.protocol, consumer);
        Queue { http, secrets, token: &store.token, protocol: &store.protocol, consumer }
    }

    /// Receives once, into the portion. Returns how many more the server holds, where it says so.
    pub(super) async fn receive(
        &self,
        portion: &mut Portion,
        pace: &Pace,
        budget: &impl Budget,
    ) -> Result<Option<u64>> {
        loop {
            let most = pace.most(portion);
            // Before the request: the lease begins when the server sees it.
            portion.begin();
            let ask = async |token: &Secret| {
                self.consumer.receive(self.http, token.expose(), most, ANSWER_LIMIT, budget).await
            };
            let body = match self.with_token(ask).await {
                // Large messages. What was leased just now comes again later; ask for fewer from now on.
                Err(error) if error.kind() == Kind::Data && most > 1 => {
                    tracing::warn!(most, error = %error.chain(), "asking for fewer messages");
                    pace.too_long(most);
                    continue;
                }
                other => other?,
            };
            let (messages, pending) = match self.protocol {
                SequinProtocol::Stream => {
                    let messages = message::messages(&body)?;
                    (messages.into_iter().map(Message::Change).collect::<Vec<_>>(), None)
                }
                SequinProtocol::Legacy { .. } => {
                    let answer = record::records(&body)?;
                    (answer.records.into_iter().map(Message::Record).collect(), answer.pending)
                }
            };
            pace.received(messages.len(), body.len());
            portion.add(messages, body.len());
            return Ok(pending);
        }
    }

    /// Acknowledges messages, or gives them back.
    pub(super) async fn settle(&self, how: Settle, ids: Vec<&str>, budget: &impl Budget) -> Result<()> {
        self.with_token(async |token: &Secret| self.consumer.settle(self.http, token.expose(), how, &ids, budget).await)
            .await
    }

    /// What the server says of its collections.
    pub(super) async fn collections(&self, budget: &impl Budget) -> Result<Vec<Collection>> {
        self.with_token(async |token: &Secret| self.consumer.collections(self.http, token.expose(), budget).await).await
    }

    /// Whether there are collections.
    pub(super) fn has_collections(&self) -> bool {
        matches!(self.protocol, SequinProtocol::Legacy { .. })
    }

    /// A token that is refused may have been changed: it is fetched anew, once.
    async fn with_token<T>(&self, ask: impl AsyncFn(&Secret) -> Result<T>) -> Result<T> {
        let token = self.secrets.get(self.token).await?;
        let error: Error = match ask(&token).await {
            Err(error) if error.kind() == Kind::Auth => error,
            other => return other,
        };
        self.secrets.evict(self.token);
        let anew = self.secrets.get(self.token).await?;
        if anew == token { Err(error) } else { ask(&anew).await }
    }
}
