//! The messages of one consumer: delivered on lease, in the order of their groups.
//!
//! - At most one message of a group is out at a time, and a receive returns a group at most once.
//! - What was delivered longer ago than `ack_wait` is freed at the next receive, under the same id; what was delivered more
//!   than two minutes ago is freed anyway.
//! - Changes go before backfills, unless their groups stand in the way.
//! - An id that is unknown, expired or was acknowledged before is acknowledged without a word.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

/// After this long a sweep frees what was delivered, whatever `ack_wait` says.
const SWEPT: Duration = Duration::from_secs(120);

/// The messages of a consumer.
#[derive(Debug)]
pub struct Store {
    /// By their order: backfills after changes, then as they came.
    waiting: BTreeMap<(bool, u64), Message>,
    out: BTreeMap<String, Out>,
    acked: Vec<Message>,
    ack_wait: Duration,
    /// Whether messages of one group wait for each other.
    pub grouping: bool,
    /// Whether a sink that is paused answers with nothing.
    pub paused: bool,
    /// Whether acknowledged messages come back at a restart.
    pub forgetful: bool,
    /// How many messages may be out at once; only the former Sequin has such a limit.
    pub max_out: usize,
    /// How many messages one receive returns at most, whatever was asked for.
    pub most: usize,
    /// How many messages were acknowledged, each id once.
    pub acknowledged: u64,
    /// How many deliveries there were.
    pub deliveries: u64,
    number: u64,
}

#[derive(Clone, Debug)]
struct Message {
    id: String,
    place: (bool, u64),
    group: Option<String>,
    json: String,
}

#[derive(Debug)]
struct Out {
    message: Message,
    since: Instant,
}

impl Store {
    /// An empty store.
    pub fn new(ack_wait: Duration) -> Self {
        Store {
            waiting: BTreeMap::new(),
            out: BTreeMap::new(),
            acked: Vec::new(),
            ack_wait,
            grouping: true,
            paused: false,
            forgetful: false,
            max_out: usize::MAX,
            most: usize::MAX,
            acknowledged: 0,
            deliveries: 0,
            number: 0,
        }
    }

    /// Adds a message. `json` has `ACK` where its id belongs. A message without a group waits for nobody.
    pub fn push(&mut self, group: Option<String>, json: String, backfill: bool) {
        self.number += 1;
        let place = (backfill, self.number);
        self.waiting.insert(place, Message { id: uuid(), place, group, json });
    }

    /// Takes back a group's messages that wait: a stream of records holds each record once.
    pub fn supersede(&mut self, group: &str) {
        self.waiting.retain(|_, message| message.group.as_deref() != Some(group));
    }

    /// Delivers up to so many messages, as they stand in the answer.
    pub fn receive(&mut self, most: usize, now: Instant) -> Vec<String> {
        if self.paused {
            return Vec::new();
        }
        self.free(now);
        let room = self.max_out.saturating_sub(self.out.len());
        let most = most.min(self.most).min(room);
        let mut blocked: HashSet<String> = HashSet::new();
        if self.grouping {
            blocked.extend(self.out.values().filter_map(|out| out.message.group.clone()));
        }
        let mut chosen = BTreeSet::new();
        for (place, message) in &self.waiting {
            if chosen.len() >= most {
                break;
            }
            let free = match &message.group {
                Some(group) if self.grouping => blocked.insert(group.clone()),
                _ => true,
            };
            if free {
                chosen.insert(*place);
            }
        }
        let mut answer = Vec::with_capacity(chosen.len());
        for place in chosen {
            let Some(message) = self.waiting.remove(&place) else { continue };
            answer.push(message.json.replacen("ACK", &message.id, 1));
            self.deliveries += 1;
            self.out.insert(message.id.clone(), Out { message, since: now });
        }
        answer
    }

    fn free(&mut self, now: Instant) {
        let limit = self.ack_wait.min(SWEPT);
        let late: Vec<String> = self
            .out
            .iter()
            .filter(|(_, out)| now.saturating_duration_since(out.since) >= limit)
            .map(|(id, _)| id.clone())
            .collect();
        late.iter().for_each(|id| self.nack(id));
    }

    /// Acknowledges a message.
    pub fn ack(&mut self, id: &str) {
        let waiting = || self.waiting.iter().find(|(_, message)| message.id == id).map(|(place, _)| *place);
        let message = match self.out.remove(id) {
            Some(out) => Some(out.message),
            // Its lease has ended; the id is the same, so a late acknowledgement still counts.
            None => waiting().and_then(|place| self.waiting.remove(&place)),
        };
        if let Some(message) = message {
            self.acknowledged += 1;
            if self.forgetful {
                self.acked.push(message);
            }
        }
    }

    /// Makes a message visible at once.
    pub fn nack(&mut self, id: &str) {
        if let Some(Out { message, .. }) = self.out.remove(id) {
            self.waiting.insert(message.place, message);
        }
    }

    /// Everything that was not flushed comes back under new ids.
    pub fn restart(&mut self) {
        let out = std::mem::take(&mut self.out).into_values().map(|out| out.message);
        let back: Vec<Message> = out.chain(std::mem::take(&mut self.acked)).collect();
        self.waiting.extend(back.into_iter().map(|message| (message.place, message)));
        self.waiting.values_mut().for_each(|message| message.id = uuid());
    }

    /// The replication slot has moved on: what was acknowledged is gone for good.
    pub fn flush(&mut self) {
        self.acked.clear();
    }

    /// Messages that wait to be delivered.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Messages that are out.
    pub fn out(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.out.is_empty()
    }
}

fn uuid() -> String {
    let (high, low) = (fastrand::u64(..), fastrand::u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        0x8000 | low >> 48 & 0x3fff,
        low & 0xffff_ffff_ffff
    )
}
