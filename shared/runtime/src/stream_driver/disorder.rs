//! What goes wrong between a stream and a function: some of it AWS does, some it never should.

use fastrand::Rng;

use super::record::{Record, hash};

/// What goes wrong. The same seed gives the same disorder for the same shard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disorder {
    /// The seed.
    pub seed: u64,
    /// Whether records come in any order at all, within a batch and between batches. AWS keeps the order the first time;
    /// what comes again may come out of order.
    pub shuffle: bool,
    /// The share of records that come once more, somewhere later: 0 to 1.
    pub duplicate: f64,
    /// The share of batches that are delivered once more after they were done: 0 to 1.
    pub replay: f64,
    /// Whether batches have any size up to the largest.
    pub split: bool,
}

impl Disorder {
    /// Dice of a shard's own, so that the others' pace doesn't change its throws.
    pub(super) fn dice(&self, shard: &str) -> Rng {
        Rng::with_seed(self.seed ^ hash(shard))
    }

    /// The batches of these records.
    pub(super) fn cut(&self, mut records: Vec<Record>, size: usize, dice: &mut Rng) -> Vec<Vec<Record>> {
        // From the end, so that what was put in doesn't move what is still to come.
        for at in (0..records.len()).rev() {
            if dice.f64() < self.duplicate {
                let later = dice.usize(at + 1..=records.len());
                records.insert(later, records[at].clone());
            }
        }
        if self.shuffle {
            dice.shuffle(&mut records);
        }
        super::cut(records, |_| if self.split { dice.usize(1..=size.max(1)) } else { size })
    }

    /// Whether a batch that is done comes once more.
    pub(super) fn replays(&self, dice: &mut Rng) -> bool {
        dice.f64() < self.replay
    }
}
