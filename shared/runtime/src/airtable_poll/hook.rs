//! The webhook that a feed listens to: found, made, and made anew when it is dead.
//!
//! It notifies nobody: its payloads are read. Reading takes nothing away from other readers, so one that watches just our
//! table may be anybody's, and none is left behind when we are killed between making one and storing its id.

use tributary_core::Error;
use tributary_postgres::Credentials;
use tributary_sources::airtable::Trouble;

use super::run::Run;
use super::state::Feed;
use crate::clock::unix_micros;

impl<C: Credentials> Run<'_, '_, C> {
    /// Begins to listen to a hook, from now on. What was before is for a sweep.
    pub(super) async fn attach(&mut self, feed: &mut Feed, configured: Option<&str>) -> Result<(), Trouble> {
        let base = &self.source.base;
        let table = self.lens().await?.table.clone();
        let hooks = self.client.hooks(base, self.budget).await?;
        let now = unix_micros();
        let found = match configured {
            Some(id) => hooks.iter().find(|hook| hook.id == id),
            None => hooks.iter().find(|hook| hook.is_for(&table) && hook.is_alive(now)),
        };
        let (hook, cursor) = match (found, configured) {
            (Some(hook), _) => (hook.id.clone(), hook.cursor_for_next_payload),
            (None, Some(id)) => {
                let others: Vec<&str> = hooks.iter().map(|hook| hook.id.as_str()).collect();
                let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
                return Err(Error::config(format!("the base {base} has no webhook {id} that this token may see"))
                    .with_hint(format!(
                        "there are: {others}. Write one of them, or `feed: webhook`, and the function makes its own"
                    ))
                    .into());
            }
            (None, None) => (self.client.create_hook(base, &table, self.budget).await?, 1),
        };
        let dead = found.filter(|hook| !hook.is_alive(now)).map(|_| "it is disabled or has expired".to_owned());
        tracing::info!(pipeline = self.name(), hook, cursor, "listening to a webhook");
        *feed = Feed { table, hook: Some(hook), dead, cursor, skip: 0, read_at: now, ..std::mem::take(feed) };
        feed.breaks += 1;
        self.store(feed, Vec::new()).await
    }

    /// The hook tells nothing any more: what it should have told is for a sweep. One of ours is made anew.
    pub(super) async fn bury_hook(
        &mut self,
        feed: &mut Feed,
        configured: Option<&str>,
        why: &str,
    ) -> Result<(), Trouble> {
        let hook = feed.hook.take().unwrap_or_default();
        if configured.is_some() {
            self.note(format!("the webhook {hook} tells nothing any more: {why}; a sweep looks for what it missed"));
            feed.hook = Some(hook);
            feed.dead = Some(why.to_owned());
            feed.breaks += 1;
            return self.store(feed, Vec::new()).await;
        }
        self.note(format!(
            "the webhook {hook} told nothing any more ({why}) and is made anew; a sweep looks for what it missed"
        ));
        self.client.delete_hook(&self.source.base, &hook, self.budget).await?;
        self.attach(feed, None).await
    }

    /// Whether the hook makes payloads; if not, why.
    pub(super) async fn health_of(&mut self, hook: &str) -> Result<Option<&'static str>, Trouble> {
        let hooks = self.client.hooks(&self.source.base, self.budget).await?;
        Ok(match hooks.iter().find(|known| known.id == hook) {
            None => Some("it isn't there any more"),
            Some(known) if !known.is_alive(unix_micros()) => Some("it is disabled or has expired"),
            Some(_) => None,
        })
    }
}
