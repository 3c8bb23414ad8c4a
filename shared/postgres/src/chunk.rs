//! A chunk of a batch as the statements that apply it, in their order.

use std::sync::OnceLock;

use tributary_core::cast::cell_text;
use tributary_core::change::{Change, Op};
use tributary_core::table::{Column, DeleteMode, Table};

use crate::encode::Line;
use crate::fold::Folded;
use crate::repair::Healing;
use crate::sql::{self, Fallbacks, Form, Statement};

/// How many changes one statement carries. One statement for 10 000 rows spills out of `work_mem`.
pub(crate) const CHUNK: usize = 500;

/// How changes are applied.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How<'a> {
    /// Whether some may have been applied before.
    pub(crate) replay: bool,
    /// When the repair began that they are part of, by the database's clock.
    pub(crate) began: Option<&'a str>,
    /// Whether nobody else writes: then what doesn't differ isn't written.
    pub(crate) fenced: bool,
}

/// A table with the statements that write it.
#[derive(Debug)]
pub(crate) struct Writer {
    upserts: [Statement; 4],
    ledger: Option<Ledger>,
    pub(crate) fallbacks: Fallbacks,
    /// Made when the first repair needs them.
    healing: OnceLock<Healing>,
    /// Made when the first batch of an only writer needs it.
    fenced: OnceLock<Statement>,
}

#[derive(Debug)]
struct Ledger {
    settle: Statement,
    settle_replay: Statement,
    /// Takes away the rows of hard deletes, or the children that left their set.
    remove: Statement,
}

const FORMS: [Form; 4] = [
    Form { tombstones: false, replay: false },
    Form { tombstones: true, replay: false },
    Form { tombstones: false, replay: true },
    Form { tombstones: true, replay: true },
];

impl Writer {
    pub(crate) fn new(table: &Table, fallbacks: &Fallbacks) -> Self {
        let remove = match &table.children {
            Some(children) => Some(sql::sweep(table, &children.parent, fallbacks)),
            None => (table.delete.mode == DeleteMode::Hard).then(|| sql::delete(table)),
        };
        Writer {
            upserts: FORMS.map(|form| match &table.meta.versions {
                Some(versions) => sql::merge(table, versions, form.replay, fallbacks),
                None => sql::upsert(table, form, fallbacks),
            }),
            ledger: remove.map(|remove| Ledger {
                settle: sql::ledger(table, false),
                settle_replay: sql::ledger(table, true),
                remove,
            }),
            fallbacks: fallbacks.clone(),
            healing: OnceLock::new(),
            fenced: OnceLock::new(),
        }
    }

    fn healing(&self, table: &Table) -> &Healing {
        self.healing.get_or_init(|| Healing::new(table, &self.fallbacks))
    }

    fn upsert(&self, form: Form) -> &Statement {
        &self.upserts[usize::from(form.tombstones) + 2 * usize::from(form.replay)]
    }

    /// The statements that a warm connection should have prepared.
    pub(crate) fn common(&self) -> impl Iterator<Item = &Statement> {
        let ledger = self.ledger.iter().flat_map(|ledger| [&ledger.settle, &ledger.remove]);
        self.upserts[..2].iter().chain(ledger)
    }
}

/// A statement with its lines.
pub(crate) struct Step<'a> {
    pub(crate) statement: &'a Statement,
    /// Position of the table in the pipeline.
    pub(crate) table: u16,
    pub(crate) lines: Vec<Line<'a>>,
    /// The elements of the sets whose parents the lines are, where the statement asks for them.
    pub(crate) elements: Vec<Line<'a>>,
    /// Whether its row count is the number of changes that were applied.
    pub(crate) counts: bool,
    /// The beginning of the repair, where the statement asks for it.
    pub(crate) began: Option<&'a str>,
}

/// A chunk's changes as lines.
pub(crate) struct Lines<'a> {
    /// One a change.
    pub(crate) heads: Vec<Line<'a>>,
    /// Of tables with a ledger: the rows that there shall be.
    pub(crate) rows: Vec<Line<'a>>,
    /// Of tables with a ledger: the changes that take rows away.
    pub(crate) removed: Vec<Line<'a>>,
}

/// Changes of one table, compacted and sorted, with what their lines borrow.
pub(crate) struct Chunk<'a> {
    table: &'a Table,
    writer: &'a Writer,
    /// One a key.
    changes: Vec<&'a Change>,
    /// Of tables that take parts: what all changes of the key say together.
    folded: Vec<Option<Folded>>,
    ledger_keys: Vec<String>,
}

impl<'a> Chunk<'a> {
    pub(crate) fn new(table: &'a Table, writer: &'a Writer, changes: Vec<&'a Change>) -> Self {
        let (changes, folded) =
            if table.takes_parts() { Folded::by_key(table, &changes) } else { (changes, Vec::new()) };
        let columns: Vec<&Column> = match &table.children {
            Some(children) => children.parent.iter().map(|position| &table.key[*position]).collect(),
            None => table.key.iter().collect(),
        };
        let ledger_keys = if writer.ledger.is_some() {
            changes.iter().map(|change| ledger_key(change, &columns)).collect()
        } else {
            Vec::new()
        };
        Chunk { table, writer, changes, folded, ledger_keys }
    }

    /// The statements of this chunk, in the order in which they must run.
    pub(crate) fn steps(&'a self, how: How<'a>) -> Vec<Step<'a>> {
        if how.fenced {
            return self.fenced();
        }
        let lines = self.lines();
        let mut steps = self.versioned(&lines, how.replay);
        if let Some(began) = how.began {
            // A part of an item is no word on what the source has.
            let heads = lines.heads.iter().filter(|line| line.versions.is_none()).copied().collect();
            let lines = Lines { heads, ..lines };
            steps.extend(self.writer.healing(self.table).steps(self.position(), &lines, began));
        }
        steps
    }

    fn position(&self) -> u16 {
        self.changes.first().map_or(0, |change| change.table)
    }

    fn versioned(&'a self, lines: &Lines<'a>, replay: bool) -> Vec<Step<'a>> {
        let step = |statement, lines: &[Line<'a>], counts| Step {
            statement,
            table: self.position(),
            lines: lines.to_vec(),
            elements: Vec::new(),
            counts,
            began: None,
        };
        let Some(ledger) = &self.writer.ledger else {
            let form = Form { tombstones: lines.heads.iter().any(|line| line.deleted), replay };
            return vec![step(self.writer.upsert(form), &lines.heads, true)];
        };
        let settle = if replay { &ledger.settle_replay } else { &ledger.settle };
        let mut steps = vec![step(settle, &lines.heads, true)];
        let upsert = self.writer.upsert(Form { tombstones: false, replay });
        steps.extend(lines.rows.chunks(CHUNK).map(|lines| step(upsert, lines, false)));
        if !lines.removed.is_empty() {
            steps.push(step(&ledger.remove, &lines.removed, false));
        }
        steps
    }

    /// The statements of an only writer. A set and its parent are in one of them, and as many sets as fit.
    fn fenced(&'a self) -> Vec<Step<'a>> {
        let statement = self.writer.fenced.get_or_init(|| sql::fenced(self.table, &self.writer.fallbacks));
        let step =
            |lines, elements| Step { statement, table: self.position(), lines, elements, counts: true, began: None };
        let mut steps = Vec::new();
        let (mut lines, mut elements): (Vec<Line<'a>>, Vec<Line<'a>>) = (Vec::new(), Vec::new());
        for (position, change) in self.changes.iter().enumerate() {
            let head = self.head(position, change);
            lines.push(head);
            elements.extend(set(change, head));
            if elements.len() >= CHUNK {
                steps.push(step(std::mem::take(&mut lines), std::mem::take(&mut elements)));
            }
        }
        if !lines.is_empty() {
            steps.push(step(lines, elements));
        }
        steps
    }

    fn lines(&'a self) -> Lines<'a> {
        let heads: Vec<Line<'a>> = self.changes.iter().enumerate().map(|(i, change)| self.head(i, change)).collect();
        let (mut rows, mut removed) = (Vec::new(), Vec::new());
        if self.writer.ledger.is_none() {
            return Lines { heads, rows, removed };
        }
        for (change, head) in self.changes.iter().zip(&heads) {
            match &change.op {
                Op::Upsert(..) | Op::Patch(_) => rows.push(*head),
                Op::Delete(_) => removed.push(*head),
                Op::Replace(_) => {
                    removed.push(*head);
                    rows.extend(set(change, *head));
                }
            }
        }
        Lines { heads, rows, removed }
    }

    fn head(&'a self, position: usize, change: &'a Change) -> Line<'a> {
        if let Some(Some(folded)) = self.folded.get(position) {
            return folded.line(&change.key);
        }
        let (row, notes, deleted): (&[_], _, _) = match &change.op {
            Op::Upsert(row, notes) => (row, notes.as_deref(), false),
            Op::Patch(patch) => (&patch.row, patch.notes.as_deref(), false),
            Op::Delete(row) => (row, None, true),
            Op::Replace(elements) => (&[], None, elements.is_empty()),
        };
        let ledger_key = self.ledger_keys.get(position).map_or("", String::as_str);
        let (version, at) = (change.version, change.at);
        Line { key: &change.key, row, notes, version, at, deleted, ledger_key, versions: None }
    }
}

/// The elements of a set as lines, by the line of their parent.
fn set<'a>(change: &'a Change, parent: Line<'a>) -> impl Iterator<Item = Line<'a>> {
    let elements = if let Op::Replace(elements) = &change.op { elements.as_slice() } else { &[] };
    elements.iter().map(move |element| Line {
        key: &element.key,
        row: &element.row,
        notes: element.notes.as_deref(),
        deleted: false,
        ..parent
    })
}

/// The key as the ledger stores it: its text, or for several columns a JSON array of their texts.
fn ledger_key(change: &Change, columns: &[&Column]) -> String {
    let mut texts =
        change.key.iter().zip(columns).map(|(cell, column)| cell_text(cell, &column.ty).unwrap_or_default());
    match (columns.len(), texts.next()) {
        (1, Some(only)) => only,
        (_, first) => {
            let texts: Vec<String> = first.into_iter().chain(texts).map(|text| json_string(&text)).collect();
            format!("[{}]", texts.join(","))
        }
    }
}

fn json_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}
