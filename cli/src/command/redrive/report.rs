//! What became of the batches, for people and for programs.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tributary_core::Error;

use crate::failure::{End, Failure};
use crate::given_up::GivenUp;
use crate::output::Output;

/// A batch and what became of it.
#[derive(Debug, Default)]
pub(super) struct Redriven {
    /// Where it lies.
    name: String,
    /// The stream and the sequence numbers, as far as it says so.
    stream: Option<String>,
    first: Option<String>,
    last: Option<String>,
    /// Who reads the stream.
    pub(super) pipelines: Vec<String>,
    /// How many records were to be had.
    pub(super) records: u64,
    /// How many at least were not.
    pub(super) lost: u64,
    /// Rows written.
    pub(super) applied: u64,
    /// Changes that were not newer than their rows.
    pub(super) stale: u64,
    /// Records in the dead letters.
    pub(super) dead: u64,
    /// Whether it is gone from where it lay.
    pub(super) deleted: bool,
    /// Why it isn't, although it should be.
    pub(super) undeleted: Option<Error>,
    /// Why it is not committed.
    pub(super) error: Option<Error>,
}

/// Why there may be more batches than were tried.
#[derive(Debug)]
pub(super) enum Ended {
    /// Somebody has pressed Ctrl-C.
    Interrupted,
    /// The database took a batch not for what that is.
    DatabaseAway,
    /// The keeper didn't tell what else it has.
    Unlisted(Error),
}

/// What became of all.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The batches, in the order in which they came.
    pub(super) batches: Vec<Redriven>,
    /// `None` when they are all.
    pub(super) ended: Option<Ended>,
    /// Whether nothing was to be applied.
    pub(super) rehearsal: bool,
}

impl Redriven {
    pub(super) fn new(name: String) -> Self {
        Redriven { name, ..Redriven::default() }
    }

    /// Notes which batch it is.
    pub(super) fn of(&mut self, given_up: &GivenUp) {
        self.stream = Some(given_up.stream.to_string());
        self.first.clone_from(&given_up.first);
        self.last.clone_from(&given_up.last);
    }

    fn result(&self, rehearsal: bool) -> String {
        let Redriven { error, undeleted, lost, deleted, .. } = self;
        let mut words = match (error, lost) {
            (Some(error), _) => return format!("failed: {}", error.chain()),
            (None, 0) if rehearsal => "to be applied".to_owned(),
            (None, 0) => "done".to_owned(),
            (None, lost) => format!("{lost} lost"),
        };
        match undeleted {
            Some(error) => words.push_str(&format!(", not deleted: {}", error.chain())),
            None if *deleted => words.push_str(", deleted"),
            None => {}
        }
        words
    }

    fn json(&self, rehearsal: bool) -> Value {
        let fate = match (&self.error, self.lost) {
            (Some(_), _) => "failed",
            (None, 0) if rehearsal => "to_be_applied",
            (None, 0) => "done",
            (None, _) => "lost",
        };
        let error = self.error.as_ref().or(self.undeleted.as_ref());
        json!({
            "source": self.name, "stream": self.stream, "from": self.first, "to": self.last, "records": self.records,
            "applied": self.applied, "stale": self.stale, "dead": self.dead, "lost": self.lost, "fate": fate,
            "deleted": self.deleted, "error": error.map(Error::chain), "hint": error.and_then(Error::hint),
        })
    }
}

impl Report {
    /// Prints it, and says how the command ends.
    pub(super) fn print(&self, output: &mut Output) -> Result<End, Failure> {
        let sum = |figure: fn(&Redriven) -> u64| self.batches.iter().map(figure).sum::<u64>();
        let (records, applied, stale) = (sum(|b| b.records), sum(|b| b.applied), sum(|b| b.stale));
        let (dead, lost) = (sum(|b| b.dead), sum(|b| b.lost));
        let failed = self.batches.iter().filter(|batch| batch.error.is_some()).count();
        let fine = |batch: &&Redriven| batch.error.is_none() && batch.undeleted.is_none() && batch.lost == 0;
        let all_fine = self.ended.is_none() && self.batches.iter().all(|batch| fine(&batch));
        output.document(|| {
            json!({
                "batches": self.batches.iter().map(|batch| batch.json(self.rehearsal)).collect::<Vec<_>>(),
                "ended": self.ended.as_ref().map(Ended::words),
                "figures": {
                    "batches": self.batches.len(), "failed": failed, "records": records, "applied": applied,
                    "stale": stale, "dead": dead, "lost": lost,
                },
            })
        })?;
        let row = |batch: &Redriven| {
            let figures = [batch.records, batch.applied, batch.stale, batch.dead].map(|figure| figure.to_string());
            let figures = if self.rehearsal { figures[..1].to_vec() } else { figures.to_vec() };
            [vec![batch.name.clone()], figures, vec![batch.result(self.rehearsal)]].concat()
        };
        let rows: Vec<Vec<String>> = self.batches.iter().map(row).collect();
        let head: &[&str] = match self.rehearsal {
            true => &["batch", "records", "result"],
            false => &["batch", "records", "applied", "stale", "dead", "result"],
        };
        output.table(head, &["records", "applied", "stale", "dead"], &rows)?;
        let gap = if rows.is_empty() { "" } else { "\n" };
        let batches = self.batches.len();
        let s = if batches == 1 { "" } else { "es" };
        let figures = match self.rehearsal {
            true => format!("{records} records"),
            false => format!("{applied} rows applied, {stale} stale, {dead} dead letters"),
        };
        output.line(&format!("{gap}{batches} batch{s}, {failed} failed; {figures}, {lost} records lost"))?;
        for line in self.remedies() {
            output.line(&line)?;
        }
        if let Some(ended) = &self.ended {
            output.line(&ended.words())?;
        }
        Ok(if all_fine { End::Fine } else { End::Failed })
    }

    /// What is lost and how it heals, and what helps those that failed.
    fn remedies(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for batch in self.batches.iter().filter(|batch| batch.lost > 0) {
            let number = |number: &Option<String>| number.clone().unwrap_or_else(|| "?".to_owned());
            let (stream, from, to) =
                (batch.stream.as_deref().unwrap_or("?"), number(&batch.first), number(&batch.last));
            lines.push(format!("lost: at least {} of {stream}, within {from} to {to}", batch.lost));
        }
        let lost = self.batches.iter().filter(|batch| batch.lost > 0);
        let pipelines: BTreeSet<&String> = lost.flat_map(|batch| &batch.pipelines).collect();
        for pipeline in pipelines {
            lines.push(format!("`tributary backfill {pipeline} --repair` heals what the lost records have changed"));
        }
        let errors = self.batches.iter().filter_map(|batch| batch.error.as_ref().or(batch.undeleted.as_ref()));
        let hints: BTreeSet<&str> = errors.filter_map(Error::hint).collect();
        lines.extend(hints.into_iter().map(|hint| format!("hint: {hint}")));
        lines
    }
}

impl Ended {
    fn words(&self) -> String {
        match self {
            Ended::Interrupted => "interrupted: there may be more; the same command goes on from here".to_owned(),
            Ended::DatabaseAway => "the others were not tried; the same command goes on from here".to_owned(),
            Ended::Unlisted(error) => format!("there may be more: {}", error.chain()),
        }
    }
}
