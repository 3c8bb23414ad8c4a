//! What is committed together, and what came of it.

use std::ops::Range;

use crate::change::Change;
use crate::event::Origin;
use crate::pipeline::Pipeline;
use crate::table::Table;

/// Changes of one pipeline that commit together or not at all, with their dead letters and the checkpoint.
#[derive(Clone, Debug)]
pub struct Batch<'p> {
    /// The pipeline's name.
    pub pipeline: &'p str,
    /// The pipeline's tables; [`Change::table`] is a position here.
    pub tables: &'p [Table],
    /// The events behind the changes; [`Change::event`] is a position here.
    pub origins: Vec<Origin>,
    /// The changes, in the order of arrival, not compacted.
    pub changes: Vec<Change>,
    /// Events, or parts of them, that could not be turned into changes.
    pub rejected: Vec<Rejected>,
    /// How far the source has been read once this batch is committed.
    pub checkpoint: Option<Checkpoint>,
    /// Whether some of it may have been applied before: a retry, a backfill. Then stale rows are dropped without being
    /// touched, which costs a look-up and saves the write.
    pub replay: bool,
    /// Whether this pipeline is the only writer of its tables and holds the lease that the checkpoint names. Then a row
    /// that is newer but says the same is not written: its stored version stays behind.
    ///
    /// Whoever sets it promises that nothing older than what was applied ever comes later. That holds where the version
    /// is an observation of the lease's holder; a dead letter of such a pipeline is read anew, with a new version.
    pub only_writer: bool,
    /// What was delivered under ids of the sender's. Events of a delivery that was taken before are left out, in the
    /// transaction of the batch; events of none are always taken.
    pub receipts: Vec<Receipt>,
    /// When each of the events was received, in microseconds since 1970, parallel to [`Batch::origins`]; empty where a replay
    /// needn't know. Where the time of receipt is the version, a dead letter is replayed with that of its first day.
    pub received: Vec<i64>,
}

impl<'p> Batch<'p> {
    /// A batch of this pipeline with nothing in it.
    pub fn empty(pipeline: &'p Pipeline) -> Self {
        Batch {
            pipeline: &pipeline.name,
            tables: &pipeline.tables,
            origins: Vec::new(),
            changes: Vec::new(),
            rejected: Vec::new(),
            checkpoint: None,
            replay: false,
            only_writer: false,
            receipts: Vec::new(),
            received: Vec::new(),
        }
    }
}

/// An event that could not be applied, or not to one of its tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Position of the event in the batch.
    pub event: u32,
    /// The table, unless the event as a whole is bad.
    pub table: Option<String>,
    /// What is wrong, without any value of the row.
    pub error: String,
}

/// That something was delivered under an id of the sender's. It commits with the rows and is kept for a week: whatever comes
/// under the same id again is a redelivery. One that was dead-lettered is replayed here, not sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The id, unique for the pipeline; without U+0000, and short enough for an index.
    pub sender: Box<str>,
    /// The positions of its events in the batch. Receipts share no events.
    pub events: Range<u32>,
}

/// How far a source has been read. It commits with the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which part of the source: a stream's label, a segment of a scan; `""` when there is but one.
    pub partition: String,
    /// The position, in the source's own words.
    pub position: String,
    /// When the source made the newest change that has been read, in microseconds since 1970.
    pub at: Option<i64>,
    /// The lease under which it was read; the commit fails when somebody else took it over.
    pub fence: Option<Fence>,
}

/// The lease that a runner holds, by its number: each new holder gets a higher one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The lease's name.
    pub lease: String,
    /// The number.
    pub number: i64,
}

/// What came of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows written, tombstones among them.
    pub applied: u64,
    /// Changes that were not newer than what is stored, or than another change of the same batch; and parts of an item that
    /// became one row with another change of the batch.
    pub stale: u64,
    /// Changes that were newer and changed nothing; only the batches of an only writer tell.
    pub unchanged: u64,
    /// Events in the dead-letter table.
    pub dead: u64,
    /// Receipts that were there already, whose events were left out; a delivery that comes twice in one batch counts
    /// once. After a commit whose answer was lost, all of the batch.
    pub duplicates: u64,
    /// What the sink itself refused, beside [`Batch::rejected`].
    pub refused: Vec<Rejected>,
    /// What became of the changes of each table, parallel to [`Batch::tables`]; empty unless the batch is that of an only
    /// writer.
    pub counts: Vec<Counts>,
}

/// What became of changes of one table: rows, or sets of children, each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that were not there; sets that had no entry.
    pub inserted: u64,
    /// Rows and sets that differed.
    pub updated: u64,
    /// Rows that became tombstones or went; sets that became empty.
    pub deleted: u64,
    /// Tombstones that live again; empty sets that have elements again.
    pub restored: u64,
    /// Newer, and the same.
    pub unchanged: u64,
}

impl Counts {
    /// How many were written.
    pub fn written(&self) -> u64 {
        self.inserted + self.updated + self.deleted + self.restored
    }

    /// Adds others.
    pub fn add(&mut self, other: Counts) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
        self.restored += other.restored;
        self.unchanged += other.unchanged;
    }
}

impl Outcome {
    /// Adds the figures of another batch.
    pub fn add(&mut self, other: Outcome) {
        self.applied += other.applied;
        self.stale += other.stale;
        self.unchanged += other.unchanged;
        self.dead += other.dead;
        self.duplicates += other.duplicates;
        self.refused.extend(other.refused);
        self.counts.resize(self.counts.len().max(other.counts.len()), Counts::default());
        self.counts.iter_mut().zip(other.counts).for_each(|(counts, other)| counts.add(other));
    }
}
