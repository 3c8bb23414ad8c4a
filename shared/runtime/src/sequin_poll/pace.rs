//! How much to ask for and how long it takes: learned from what came before, kept while the function is warm.

use std::cell::Cell;
use std::time::Duration;

use tributary_sources::sequin::consumer::MOST_MESSAGES;

use super::portion::Portion;

/// Messages that are committed together at most.
const PORTION: usize = 2_000;
/// Bytes of messages that are held at most, apart from the last answer.
const PORTION_BYTES: usize = 4 << 20;
/// The longest answer that is taken. A message may be 5 MB and more.
pub(super) const ANSWER_LIMIT: usize = 16 << 20;
/// What is asked for before the size of a message is known.
const FIRST: u32 = 20;
/// Kept beside what a round is known to take.
const MARGIN: Duration = Duration::from_millis(700);

/// The pace of one consumer.
#[derive(Debug)]
pub(super) struct Pace {
    /// The size of a message in bytes, a moving average; 0 when none was seen.
    size: Cell<usize>,
    /// The most that is asked for at once, after an answer was too long.
    cap: Cell<u32>,
    /// How many messages a portion may have, less when the database is slow.
    portion: Cell<usize>,
    /// How long the last commit took, and the longest acknowledgement.
    commit: Cell<Duration>,
    ack: Cell<Duration>,
    /// Whether an answer was too long since somebody asked.
    missed: Cell<bool>,
}

impl Default for Pace {
    fn default() -> Self {
        let zero = Duration::ZERO;
        Pace {
            size: Cell::new(0),
            cap: Cell::new(MOST_MESSAGES),
            portion: Cell::new(PORTION),
            commit: Cell::new(zero),
            ack: Cell::new(zero),
            missed: Cell::new(false),
        }
    }
}

impl Pace {
    /// How many messages to ask for next.
    pub(super) fn most(&self, portion: &Portion) -> u32 {
        let room = self.portion.get().saturating_sub(portion.len());
        let fits = match self.size.get() {
            0 => FIRST as usize,
            size => PORTION_BYTES.saturating_sub(portion.bytes()) / size,
        };
        let most = u32::try_from(room.min(fits)).unwrap_or(MOST_MESSAGES);
        most.clamp(1, self.cap.get())
    }

    /// Whether the portion takes more. An almost full one is full: a request for a few isn't worth its time.
    pub(super) fn has_room(&self, portion: &Portion) -> bool {
        portion.len() < self.portion.get().div_ceil(2) && portion.bytes() < PORTION_BYTES / 2
    }

    /// An answer came.
    pub(super) fn received(&self, messages: usize, bytes: usize) {
        if let Some(size) = bytes.checked_div(messages) {
            let known = self.size.get();
            self.size.set(if known == 0 { size.max(1) } else { (known * 3 + size).div_ceil(4) });
            // Large messages may be over.
            self.cap.set(self.cap.get().saturating_mul(2).min(MOST_MESSAGES));
        }
    }

    /// The answer to a request for so many was too long.
    pub(super) fn too_long(&self, most: u32) {
        self.cap.set((most / 8).max(1));
        self.size.set(ANSWER_LIMIT / most.max(1) as usize);
        self.missed.set(true);
    }

    /// Whether an answer was too long since this was asked last. What it leased comes again when the lease ends.
    pub(super) fn missed(&self) -> bool {
        self.missed.take()
    }

    /// A portion is committed.
    pub(super) fn committed(&self, messages: usize, took: Duration) {
        self.commit.set(took);
        if took < Duration::from_secs(2) && messages * 2 >= self.portion.get() {
            self.portion.set((self.portion.get() * 2).min(PORTION));
        }
    }

    /// A portion is acknowledged.
    pub(super) fn acknowledged(&self, took: Duration) {
        self.ack.set(self.ack.get().max(took));
    }

    /// The leases end before the commits do: commit fewer together.
    pub(super) fn slow_down(&self) {
        self.portion.set((self.portion.get() / 2).max(1));
    }

    /// How long the last commit took.
    pub(super) fn last_commit(&self) -> Duration {
        self.commit.get()
    }

    /// The time that a round needs: a request, a commit, an acknowledgement.
    pub(super) fn round(&self) -> Duration {
        self.commit.get() * 2 + self.ack.get() + MARGIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_what_fits() {
        let (pace, empty) = (Pace::default(), Portion::default());
        assert_eq!(pace.most(&empty), FIRST);
        pace.received(100, 100 * 500);
        assert_eq!(pace.most(&empty), MOST_MESSAGES);
        pace.received(10, 10 << 20);
        assert!((10..50).contains(&pace.most(&empty)), "{}", pace.most(&empty));
        pace.too_long(40);
        assert_eq!(pace.most(&empty), 5);
        pace.too_long(5);
        assert_eq!(pace.most(&empty), 1);
        (0..40).for_each(|_| pace.received(5, 5 * 500));
        assert_eq!(pace.most(&empty), MOST_MESSAGES);
    }

    #[test]
    fn a_slow_database_gets_less_at_once_until_it_is_quick_again() {
        let (pace, empty) = (Pace::default(), Portion::default());
        pace.received(100, 100);
        (0..20).for_each(|_| pace.slow_down());
        assert_eq!(pace.most(&empty), 1);
        pace.committed(1, Duration::from_secs(10));
        assert_eq!(pace.most(&empty), 1);
        assert!(pace.round() > Duration::from_secs(20));
        (0..20).for_each(|_| pace.committed(PORTION, Duration::from_millis(5)));
        assert_eq!(pace.most(&empty), MOST_MESSAGES);
    }
}
