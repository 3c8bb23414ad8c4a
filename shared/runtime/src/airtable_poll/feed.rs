//! What a webhook tells: ids of records, which are asked for anew, whole.

use std::collections::HashMap;

use tributary_core::pipeline::AirtableFeed;
use tributary_postgres::Credentials;
use tributary_sources::airtable::client::PAGE;
use tributary_sources::airtable::payload::{Payloads, Told};
use tributary_sources::airtable::{Refusal, Trouble};

use super::run::{Reach, Run};
use super::state::{Feed, parse};
use crate::clock::unix_micros;

const HOUR: i64 = 3_600_000_000;
/// Reading payloads lets a hook live for seven days more. Only when it was last read before nearly that must it be asked
/// whether it lives, since an expired one answers as if there were nothing new.
const MAY_BE_EXPIRED: i64 = 6 * 24 * HOUR;

impl<C: Credentials> Run<'_, '_, C> {
    /// Where the feed of the mapping stands. What is stored of another one is forgotten, but not how often it broke. Of one
    /// whose state is lost that is what a sweep has healed: its beginning is then one more break, and is healed too.
    pub(super) async fn listen(&mut self, healed: u64) -> Result<Feed, Trouble> {
        let of = match &self.source.feed {
            AirtableFeed::Webhook { id: None } => "webhook".to_owned(),
            AirtableFeed::Webhook { id: Some(id) } => format!("webhook {id}"),
            AirtableFeed::LastModified { field } => format!("modified {field}"),
            AirtableFeed::Sweep => "sweep".to_owned(),
        };
        let of = format!("{}/{} {of}", self.source.base, self.source.table);
        let stored: Option<Feed> =
            parse(self.turn.checkpoint(self.pipeline.pipeline(), Feed::PARTITION).await?.as_deref());
        Ok(match stored {
            Some(feed) if feed.of == of => feed,
            Some(other) => Feed { of, breaks: other.breaks, ..Feed::default() },
            None => Feed { of, breaks: healed, ..Feed::default() },
        })
    }

    /// Reads what the webhook tells, to its end. With `look`, whether it is alive is asked first.
    pub(super) async fn follow(
        &mut self,
        feed: &mut Feed,
        configured: Option<&str>,
        look: bool,
    ) -> Result<Reach, Trouble> {
        let look = look || unix_micros().saturating_sub(feed.read_at) > MAY_BE_EXPIRED;
        if feed.hook.is_none() {
            self.attach(feed, configured).await?;
        } else if feed.dead.is_none() && look {
            let hook = feed.hook.clone().unwrap_or_default();
            if let Some(why) = self.health_of(&hook).await? {
                self.bury_hook(feed, configured, why).await?;
            }
        }
        while feed.dead.is_none() {
            if !self.has_time() {
                return Ok(Reach::More);
            }
            let hook = feed.hook.clone().unwrap_or_default();
            let page = match self.client.payloads(&self.source.base, &hook, &feed.table, feed.cursor, self.budget).await
            {
                Err(Trouble::Refused(refusal)) => {
                    self.unheard(feed, configured, &hook, refusal).await?;
                    continue;
                }
                other => other?,
            };
            let more = page.more;
            match self.hear(feed, page).await? {
                Heard::All if !more => return Ok(Reach::Done),
                Heard::All => {}
                Heard::Some => return Ok(Reach::More),
                Heard::End(why) => self.bury_hook(feed, configured, &why).await?,
            }
        }
        Ok(Reach::Done)
    }

    /// The payloads are refused: is it the hook, the place in it, or the token?
    async fn unheard(
        &mut self,
        feed: &mut Feed,
        configured: Option<&str>,
        hook: &str,
        refusal: Refusal,
    ) -> Result<(), Trouble> {
        if !matches!(refusal.status, 403 | 404 | 422) {
            return Err(Trouble::Refused(refusal));
        }
        match self.health_of(hook).await? {
            Some(why) => self.bury_hook(feed, configured, why).await,
            // It is well, so it doesn't know the place: from a restored base, or stored by somebody else.
            None if refusal.status == 422 && feed.cursor > 1 => {
                let cursor = feed.cursor;
                self.note(format!("the webhook {hook} knows no payload {cursor}; a sweep looks for what was missed"));
                self.attach(feed, configured).await
            }
            None => Err(Trouble::Refused(refusal)),
        }
    }

    /// Reads the records that a page tells of. The place in the feed moves on with the rows that it led to.
    async fn hear(&mut self, feed: &mut Feed, page: Payloads) -> Result<Heard, Trouble> {
        let first = page.first();
        if first > feed.cursor {
            let lost = first - feed.cursor;
            self.note(format!("{lost} payloads of the webhook are lost, which Airtable keeps for a week; a sweep looks for what they told"));
            (feed.cursor, feed.skip) = (first, 0);
            feed.breaks += 1;
            self.store(feed, Vec::new()).await?;
        } else if page.cursor < feed.cursor {
            self.note("the webhook counts its payloads anew; a sweep looks for what was missed");
            (feed.cursor, feed.skip) = (page.cursor, 0);
            feed.breaks += 1;
            self.store(feed, Vec::new()).await?;
        }
        let end = page.told.iter().find(|told| told.is_end()).and_then(|told| told.error.clone());
        let lapses = page.told.iter().filter(|told| told.error.is_some() && !told.is_end()).count();
        let mut chunks = Chunks::new(&page, feed.cursor, feed.skip);
        while let Some(chunk) = chunks.next() {
            if !self.has_time() {
                return Ok(Heard::Some);
            }
            let fetched = self.fetch(&chunk.ids).await?;
            if let Some(sweep) = &mut self.warm.sweep {
                sweep.see(&fetched.there);
            }
            (feed.cursor, feed.skip) = (chunk.cursor, chunk.skip);
            feed.read_at = unix_micros();
            self.store(feed, fetched.events).await?;
        }
        if lapses > 0 {
            self.note(format!("the webhook could not tell {lapses} changes; a sweep looks for them"));
            feed.breaks += 1;
        }
        let read_at = unix_micros();
        // A tick that heard nothing leaves nothing, but for a sign of life now and then.
        let is_news = page.cursor > feed.cursor || feed.skip > 0 || lapses > 0;
        if is_news || read_at.saturating_sub(feed.read_at) > HOUR {
            (feed.cursor, feed.skip, feed.read_at) = (page.cursor.max(feed.cursor), 0, read_at);
            self.store(feed, Vec::new()).await?;
        }
        Ok(end.map_or(Heard::All, Heard::End))
    }
}

/// How much of a page was heard.
enum Heard {
    All,
    Some,
    /// All, and nothing will come any more.
    End(String),
}

/// The records of a page of payloads, as many as one request may ask for.
struct Chunks<'p> {
    told: &'p [Told],
    /// The number of the first of them.
    first: u64,
    /// Where the next chunk begins.
    at: (usize, usize),
}

struct Chunk {
    ids: Vec<(Box<str>, Option<i64>)>,
    /// Where the feed stands after it.
    cursor: u64,
    skip: usize,
}

impl<'p> Chunks<'p> {
    fn new(page: &'p Payloads, cursor: u64, skip: usize) -> Self {
        let first = page.first();
        let at = usize::try_from(cursor.saturating_sub(first)).unwrap_or(usize::MAX);
        Chunks { told: &page.told, first, at: (at, skip) }
    }

    fn next(&mut self) -> Option<Chunk> {
        let (mut ids, mut known) = (Vec::new(), HashMap::new());
        let (mut payload, mut record) = self.at;
        while let Some(told) = self.told.get(payload) {
            let Some(id) = told.records.get(record) else {
                (payload, record) = (payload + 1, 0);
                continue;
            };
            match known.get(id) {
                Some(position) => ids[*position] = (id.clone(), told.at),
                None if ids.len() == PAGE => break,
                None => {
                    known.insert(id, ids.len());
                    ids.push((id.clone(), told.at));
                }
            }
            record += 1;
        }
        self.at = (payload, record);
        (!ids.is_empty()).then(|| Chunk { ids, cursor: self.first + payload as u64, skip: record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ids: std::ops::Range<usize>) -> Told {
        let records = ids.map(|id| format!("rec{id:03}").into()).collect();
        Told { records, at: Some(7), error: None }
    }

    fn chunks(page: &Payloads, cursor: u64, skip: usize) -> Vec<(usize, u64, usize)> {
        let mut chunks = Chunks::new(page, cursor, skip);
        std::iter::from_fn(|| chunks.next()).map(|chunk| (chunk.ids.len(), chunk.cursor, chunk.skip)).collect()
    }

    #[test]
    fn chunks_end_where_a_feed_can_go_on() {
        let page = Payloads {
            told: vec![told(0..60), told(0..60), told(0..130), told(0..0), told(5..6)],
            cursor: 15,
            more: false,
        };
        assert_eq!(page.first(), 10);
        // 60 once, then 40 of the third payload; then its other 30 and what it shares with the last.
        assert_eq!(chunks(&page, 10, 0), [(100, 12, 100), (31, 15, 0)]);
        assert_eq!(chunks(&page, 12, 100), [(31, 15, 0)]);
        assert_eq!(chunks(&page, 14, 0), [(1, 15, 0)]);
        assert_eq!(chunks(&page, 15, 0), []);
        assert_eq!(chunks(&Payloads { told: vec![], cursor: 3, more: false }, 3, 0), []);
    }
}
