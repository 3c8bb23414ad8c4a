//! A batch that holds a bad row: finds it by halves, dead-letters it, applies the rest. One transaction with savepoints;
//! slow, and rare.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use tokio_postgres::error::SqlState;
use tributary_core::batch::{Batch, Outcome, Rejected};
use tributary_core::cell::Key;
use tributary_core::change::{Change, Op, compact};
use tributary_core::{Kind, Result};

use crate::checkpoint::Row;
use crate::chunk::{Chunk, How};
use crate::connect::{classify, describe};
use crate::dead_letter::Letters;
use crate::flush::{BEGIN, Figures, is_of_a_row, writer};
use crate::receipt::{self, Fresh};
use crate::repair::Unread;
use crate::session::{Done, Session, in_order};
use crate::sink::Writers;

/// Applies a batch change by change where it must.
///
/// # Errors
/// What is not the fault of a row; then nothing is stored.
pub(crate) async fn bisect(session: &Session, batch: &Batch<'_>, writers: &Writers, how: How<'_>) -> Result<Outcome> {
    let how = How { replay: true, ..how };
    let failed = |doing: &'static str| move |error| classify(error, doing);
    // The receipts of the first attempt were rolled back with it, and somebody else may have taken them since.
    let fresh = if batch.receipts.is_empty() {
        session.command(BEGIN).await.map_err(failed("begin"))?;
        Fresh { batch: Cow::Borrowed(batch), duplicates: 0 }
    } else {
        receipt::begin(session, batch).await?
    };
    let (batch, duplicates) = (&*fresh.batch, fresh.duplicates);
    // A constraint that is checked at commit only would fail there, where no row is known.
    session.command("set constraints all immediate").await.map_err(failed("check constraints at once"))?;

    // Of one row the oldest first: a part may need what an older change has put there.
    let mut survivors = compact(&batch.changes, batch.tables);
    let place = |position: &u32| {
        let change = &batch.changes[*position as usize];
        (change.table, &change.key, change.version)
    };
    survivors.sort_by(|a, b| place(a).cmp(&place(b)));
    let survivors = survivors.as_slice();
    let older = Older::new(batch, survivors);
    let mut refused = Vec::new();
    let mut waits = Vec::new();
    let mut figures = Figures::default();
    // Last in, first out: keep the order of tables and keys.
    let mut work: Vec<Vec<u32>> = survivors
        .chunk_by(|a, b| batch.changes[*a as usize].table == batch.changes[*b as usize].table)
        .flat_map(|of_table| of_table.chunks(crate::chunk::CHUNK))
        .map(<[u32]>::to_vec)
        .rev()
        .collect();
    while let Some(mut part) = work.pop() {
        match attempt(session, batch, &part, writers, how).await? {
            Ok(done) => figures.add(done),
            Err(error) if part.len() > 1 => {
                tracing::debug!(code = ?error.code(), changes = part.len(), "looking for the bad row");
                let right = part.split_off(part.len() / 2);
                work.extend([right, part]);
            }
            Err(error) => {
                let change = &batch.changes[part[0] as usize];
                if depends_on_order(change, &error) {
                    waits.push(change.event);
                }
                refused.push(rejected(batch, change, &error));
                work.extend(older.before(part[0]).iter().map(|position| vec![*position]));
            }
        }
    }

    let all: Vec<Rejected> = batch.rejected.iter().chain(&refused).cloned().collect();
    let letters = Letters::new(batch, &all, &waits);
    letters.store(session).await.map_err(failed("store dead letters"))?;
    if how.began.is_some() {
        Unread::new(batch, &all).store(session).await.map_err(failed("note what was not read"))?;
    }
    if let Some(checkpoint) = &batch.checkpoint {
        Row::new(batch.pipeline, checkpoint).store(session).await.map_err(failed("store the checkpoint"))?;
    }
    session.command("commit").await.map_err(failed("commit"))?;
    Ok(Outcome { duplicates, ..figures.outcome(batch, letters.len(), refused) })
}

/// Applies some changes of one table behind a savepoint. The inner error is a row's fault and has been rolled back.
async fn attempt(
    session: &Session,
    batch: &Batch<'_>,
    part: &[u32],
    writers: &Writers,
    how: How<'_>,
) -> Result<Result<Figures, tokio_postgres::Error>> {
    let changes: Vec<&Change> = part.iter().map(|position| &batch.changes[*position as usize]).collect();
    let (table, writer) = writer(batch, changes[0], writers)?;
    let chunk = Chunk::new(table, writer, changes);
    let steps = chunk.steps(how);
    let mut pending = vec![session.command("savepoint part")];
    pending.extend(steps.iter().map(|step| session.run(step)));
    pending.push(session.command("release savepoint part"));
    let results: Result<Vec<Done>, _> = in_order(pending).await.into_iter().collect();
    match results {
        Ok(done) => Ok(Ok(Figures::of(batch, &steps, &done[1..]))),
        Err(error) if is_of_a_row(&error) => {
            let back = session.command("rollback to savepoint part").await;
            back.map_err(|e| classify(e, "roll a bad row back"))?;
            Ok(Err(error))
        }
        Err(error) => Err(classify(error, "apply a part of a batch")),
    }
}

fn rejected(batch: &Batch<'_>, change: &Change, error: &tokio_postgres::Error) -> Rejected {
    let table = batch.tables[usize::from(change.table)].qualified_name();
    Rejected { event: change.event, table: Some(table), error: describe(error) }
}

/// Whether the row may be good once another has arrived: a missing parent, a unique value not yet given up; for a part of an
/// item, the rest of it.
fn depends_on_order(change: &Change, error: &tokio_postgres::Error) -> bool {
    let of_rest = [&SqlState::NOT_NULL_VIOLATION, &SqlState::CHECK_VIOLATION];
    let code = error.code();
    matches!(code, Some(&SqlState::FOREIGN_KEY_VIOLATION | &SqlState::UNIQUE_VIOLATION))
        || matches!(change.op, Op::Patch(_)) && code.is_some_and(|code| of_rest.contains(&code))
}

/// For a change that turned out bad: the next older ones of its key that compaction had set aside for it, the oldest of
/// them last.
struct Older(HashMap<u32, Vec<u32>>);

impl Older {
    fn new(batch: &Batch<'_>, survivors: &[u32]) -> Self {
        if survivors.len() == batch.changes.len() {
            return Older(HashMap::new());
        }
        let mut by_key: HashMap<(u16, &Key), Vec<u32>> = HashMap::new();
        for (position, change) in batch.changes.iter().enumerate() {
            by_key.entry((change.table, &change.key)).or_default().push(position as u32);
        }
        let supersedes = |position: &u32| {
            let change = &batch.changes[*position as usize];
            change.supersedes(&batch.tables[usize::from(change.table)])
        };
        let mut older = HashMap::new();
        for positions in by_key.values_mut() {
            positions.sort_by_key(|p| (Reverse(batch.changes[*p as usize].version), *p));
            // Each run ends with a change that supersedes all behind it.
            let mut runs = positions.split_inclusive(supersedes);
            let Some(mut last) = runs.next().and_then(<[u32]>::last) else { continue };
            for run in runs {
                older.insert(*last, run.to_vec());
                last = run.last().unwrap_or(last);
            }
        }
        Older(older)
    }

    fn before(&self, position: u32) -> &[u32] {
        self.0.get(&position).map_or(&[], Vec::as_slice)
    }
}

/// Whether an error of a batch means that somebody else runs the pipeline now.
pub(crate) fn lost_lease(error: &tokio_postgres::Error) -> Option<tributary_core::Error> {
    let constraint = error.as_db_error()?.constraint()?;
    (constraint == crate::checkpoint::LEASE_HELD).then(|| {
        tributary_core::Error::new(Kind::Conflict, "the lease was taken over by somebody else; nothing was stored")
    })
}
