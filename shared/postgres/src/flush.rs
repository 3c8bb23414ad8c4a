//! A batch as one transaction in one flush: begin, all chunks of all tables, dead letters, checkpoint, commit.

use futures_util::TryFutureExt;
use tokio_postgres::error::SqlState;
use tributary_core::batch::{Batch, Counts, Outcome, Rejected};
use tributary_core::change::Change;
use tributary_core::{Error, Result};

use crate::chunk::{CHUNK, Chunk, How, Step, Writer};
use crate::dead_letter::{self, Letters};
use crate::repair::Unread;
use crate::session::{Done, Session, in_order};
use crate::sink::Writers;
use crate::{checkpoint, tally};

/// The transaction's start. The level is named because a database may have another default, and the versioned upsert
/// relies on seeing what committed while it waited for a row.
pub(crate) const BEGIN: &str = "begin isolation level read committed read write";

/// Splits the survivors of a batch into chunks: one table each, in the order of compaction.
pub(crate) fn chunks<'a>(batch: &'a Batch<'_>, survivors: &[u32], writers: &'a Writers) -> Result<Vec<Chunk<'a>>> {
    let changes: Vec<&'a Change> = survivors.iter().map(|position| &batch.changes[*position as usize]).collect();
    let mut chunks = Vec::with_capacity(changes.len() / CHUNK + 1);
    for of_table in changes.chunk_by(|a, b| a.table == b.table) {
        let (table, writer) = writer(batch, of_table[0], writers)?;
        let mut rest = of_table;
        while !rest.is_empty() {
            let (some, others) = rest.split_at(end(rest));
            chunks.push(Chunk::new(table, writer, some.to_vec()));
            rest = others;
        }
    }
    Ok(chunks)
}

/// Where a chunk ends: never between two changes of a key, which tables that take parts may have.
fn end(changes: &[&Change]) -> usize {
    let full = changes.len().min(CHUNK);
    let of_last = |change: &&&Change| full > 0 && change.key == changes[full - 1].key;
    full + changes[full..].iter().take_while(of_last).count()
}

pub(crate) fn writer<'a>(
    batch: &'a Batch<'_>,
    change: &Change,
    writers: &'a Writers,
) -> Result<(&'a tributary_core::table::Table, &'a Writer)> {
    let table = &batch.tables[usize::from(change.table)];
    let writer = writers.get(&table.qualified_name());
    let writer = writer.ok_or_else(|| Error::config(format!("table {} was not checked", table.qualified_name())))?;
    Ok((table, writer))
}

/// Sends the whole transaction and waits once; what is left of it where it was `begun`. On an error nothing is stored.
///
/// # Errors
/// The first error of the transaction: the others only say that it had failed already.
pub(crate) async fn flush(
    session: &mut Session,
    batch: &Batch<'_>,
    chunks: &[Chunk<'_>],
    how: How<'_>,
    begun: bool,
) -> Result<Outcome, tokio_postgres::Error> {
    let steps: Vec<_> = chunks.iter().flat_map(|chunk| chunk.steps(how)).collect();
    let letters = Letters::new(batch, &batch.rejected, &[]);
    let unread = how.began.map(|_| Unread::new(batch, &batch.rejected)).unwrap_or_default();
    let row = batch.checkpoint.as_ref().map(|checkpoint| checkpoint::Row::new(batch.pipeline, checkpoint));
    let tallies = tally::Rows::new(session.tallies());
    let results = {
        let session = &*session;
        let mut pending = Vec::with_capacity(steps.len() + 4);
        if !begun {
            pending.push(session.command(BEGIN));
        }
        pending.extend(steps.iter().map(|step| session.run(step)));
        if !letters.is_empty() {
            pending.push(Box::pin(letters.store(session).map_ok(Done::of)));
        }
        if !session.tallies().is_empty() {
            pending.push(Box::pin(tallies.store(session).map_ok(Done::of)));
        }
        if !unread.is_empty() {
            pending.push(Box::pin(unread.store(session).map_ok(Done::of)));
        }
        if let Some(row) = &row {
            pending.push(Box::pin(row.store(session).map_ok(Done::of)));
        }
        pending.push(session.command("commit"));
        in_order(pending).await
    };
    // `commit` of a failed transaction answers ROLLBACK without an error: success is that every statement succeeded.
    let done: Vec<Done> = results.into_iter().collect::<Result<_, _>>()?;
    let figures = Figures::of(batch, &steps, &done[usize::from(!begun)..]);
    drop(tallies);
    session.tallies_stored();
    for step in &steps {
        session.want(&step.statement.sql, &step.statement.types());
    }
    if !letters.is_empty() {
        session.want(dead_letter::STORE, &dead_letter::STORE_TYPES);
    }
    if row.is_some() {
        session.want(checkpoint::STORE, &checkpoint::STORE_TYPES);
    }
    Ok(figures.outcome(batch, letters.len(), Vec::new()))
}

/// What the statements of a batch did.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    applied: u64,
    counts: Vec<Counts>,
}

impl Figures {
    /// The figures of steps that have been done.
    pub(crate) fn of(batch: &Batch<'_>, steps: &[Step<'_>], done: &[Done]) -> Self {
        let tables = if batch.only_writer { batch.tables.len() } else { 0 };
        let mut figures = Figures { applied: 0, counts: vec![Counts::default(); tables] };
        for (step, done) in steps.iter().zip(done).filter(|(step, _)| step.counts) {
            figures.applied += done.rows;
            if let Some(counts) = figures.counts.get_mut(usize::from(step.table)) {
                counts.add(done.counts);
            }
        }
        figures
    }

    /// Adds those of other steps.
    pub(crate) fn add(&mut self, other: Figures) {
        self.applied += other.applied;
        self.counts.resize(other.counts.len(), Counts::default());
        self.counts.iter_mut().zip(other.counts).for_each(|(counts, other)| counts.add(other));
    }

    /// The outcome of a batch that was committed.
    pub(crate) fn outcome(self, batch: &Batch<'_>, dead: usize, refused: Vec<Rejected>) -> Outcome {
        let Figures { applied, counts } = self;
        let unchanged = counts.iter().map(|counts| counts.unchanged).sum();
        let settled = applied + unchanged + refused.len() as u64;
        let stale = (batch.changes.len() as u64).saturating_sub(settled);
        Outcome { applied, stale, unchanged, dead: dead as u64, duplicates: 0, refused, counts }
    }
}

/// Whether an error is the fault of a row, so that the others can be applied without it.
pub(crate) fn is_of_a_row(error: &tokio_postgres::Error) -> bool {
    let Some(db) = error.as_db_error() else { return false };
    if db.constraint() == Some(checkpoint::LEASE_HELD) {
        return false;
    }
    // 21 a key twice in one statement, 22 data, 23 integrity, 44 check option, 54 an index row that is too large,
    // P0001 a trigger of the user's that refuses the row.
    let code = db.code().code();
    ["21", "22", "23", "44", "54"].contains(&&code[..2]) || *db.code() == SqlState::RAISE_EXCEPTION
}
