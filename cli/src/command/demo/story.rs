//! What the demonstration has to tell: for people on two screens, for programs as one document.

use std::path::PathBuf;

use serde_json::{Value, json};
use tributary_postgres::Letter;
use tributary_runtime::tick::{Items, Progress};
use tributary_runtime::webhook::Summary;

use crate::failure::Failure;
use crate::function::Answer;
use crate::letter;
use crate::output::{Output, short};

/// What happened.
#[derive(Default)]
pub(super) struct Story {
    /// Where the rows went, in words.
    pub(super) database: String,
    /// What was made there.
    pub(super) made: Vec<String>,
    pub(super) deliveries: Vec<Told>,
    pub(super) tables: Vec<Rows>,
    pub(super) letters: Vec<Letter>,
    pub(super) polled: Vec<Polled>,
    pub(super) surveyed: Option<Surveyed>,
    pub(super) posted: Option<Posted>,
    pub(super) kept: Option<Kept>,
}

/// What is kept when the demonstration has ended.
pub(super) struct Kept {
    /// The database.
    pub(super) url: String,
    /// How to end it.
    pub(super) stop: String,
    /// The directory of the pictures.
    pub(super) pictures: PathBuf,
}

/// What became of a delivery.
pub(super) struct Told {
    pub(super) file: &'static str,
    pub(super) remark: &'static str,
    /// Whether it is its second time.
    pub(super) again: bool,
    pub(super) answer: Answer,
}

/// What became of a pipeline that is polled.
pub(super) struct Polled {
    /// The source.
    pub(super) source: &'static str,
    pub(super) remark: &'static str,
    /// What happened at the source, and what the tick after it did.
    pub(super) steps: Vec<(&'static str, Progress)>,
    pub(super) table: Rows,
}

/// What became of a survey.
pub(super) struct Surveyed {
    pub(super) visits: Vec<Visit>,
    pub(super) tables: Vec<Rows>,
}

/// A tick of a survey.
pub(super) struct Visit {
    /// What happened in the field before it.
    pub(super) happened: &'static str,
    pub(super) progress: Progress,
    /// How many requests it took.
    pub(super) requests: usize,
}

/// What became of what was posted to a hook.
pub(super) struct Posted {
    /// What was posted, the status of the answer, and what it cost.
    pub(super) steps: Vec<(&'static str, u16, Summary)>,
    pub(super) table: Rows,
}

/// Some columns of a table.
pub(super) struct Rows {
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
    pub(super) rows: Vec<Vec<Option<String>>>,
    /// How many characters of a value are shown.
    pub(super) width: usize,
}

/// How much of a value is shown, unless a table says otherwise.
const NARROW: usize = 22;

impl Rows {
    /// These columns of a table, before it was read.
    pub(super) fn empty(name: &'static str, columns: &'static [&'static str]) -> Self {
        Rows { name, columns, rows: Vec::new(), width: NARROW }
    }

    /// With more of each value.
    pub(super) fn wide(self, width: usize) -> Self {
        Rows { width, ..self }
    }

    fn tell(&self, numbers: &[&str], output: &mut Output) -> Result<(), Failure> {
        let rows = if self.rows.len() == 1 { "row" } else { "rows" };
        output.heading(self.name, &format!("{} {rows}", self.rows.len()))?;
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|value| shown(value.as_deref(), self.width)).collect()).collect();
        output.table(self.columns, numbers, &rows)?;
        Ok(())
    }

    fn document(&self) -> Value {
        let row = |row: &Vec<Option<String>>| -> Value {
            self.columns.iter().map(|name| (*name).to_owned()).zip(row.iter().map(|value| json!(value))).collect()
        };
        self.rows.iter().map(row).collect()
    }
}

impl Polled {
    fn tell(&self, output: &mut Output) -> Result<(), Failure> {
        output.heading(self.source, self.remark)?;
        let step = |(happened, progress): &(&str, Progress)| {
            let Progress { records, applied, stale, unchanged, .. } = progress;
            let figures = [records, applied, stale, unchanged].map(ToString::to_string);
            [(*happened).to_owned()].into_iter().chain(figures).collect()
        };
        let steps: Vec<Vec<String>> = self.steps.iter().map(step).collect();
        let head = ["what happens, then a tick", "records", "rows applied", "stale", "unchanged"];
        output.table(&head, &head[1..], &steps)?;
        self.table.tell(&["id", "total", "rent"], output)
    }

    fn document(&self) -> Value {
        let steps = self.steps.iter().map(|(happened, progress)| json!({ "happened": happened, "tick": progress }));
        json!({ "source": self.source, "steps": steps.collect::<Vec<_>>(), self.table.name: self.table.document() })
    }
}

impl Surveyed {
    fn tell(&self, output: &mut Output) -> Result<(), Failure> {
        output.heading("ODK Central", "a form with persons and pictures, by `columns: auto`")?;
        let line = |visit: &Visit| {
            let Items { inserted, updated, deleted, .. } = visit.progress.items;
            let figures = [inserted, updated, deleted, visit.progress.attachments, visit.requests as u64];
            [visit.happened.to_owned()].into_iter().chain(figures.map(|figure| figure.to_string())).collect()
        };
        let lines: Vec<Vec<String>> = self.visits.iter().map(line).collect();
        let head = ["what happens, then a tick", "new", "updated", "deleted", "pictures", "requests"];
        output.table(&head, &head[1..], &lines)?;
        self.tables.iter().try_for_each(|table| table.tell(&["size"], output))
    }

    fn document(&self) -> Value {
        let step = |visit: &Visit| {
            let Visit { happened, progress, requests } = visit;
            json!({ "happened": happened, "tick": progress, "requests": requests })
        };
        let tables = self.tables.iter().map(|table| (table.name.to_owned(), table.document()));
        let steps: Vec<Value> = self.visits.iter().map(step).collect();
        json!({ "source": "ODK Central", "steps": steps, "tables": tables.collect::<Value>() })
    }
}

impl Posted {
    fn tell(&self, output: &mut Output) -> Result<(), Failure> {
        output.heading("Webhooks", "events of Stripe, answered when the row is committed")?;
        let step = |(happened, status, summary): &(&str, u16, Summary)| {
            let Summary { applied, stale, duplicates, .. } = summary;
            let figures = [applied, stale, duplicates].map(ToString::to_string);
            [(*happened).to_owned(), status.to_string()].into_iter().chain(figures).collect()
        };
        let steps: Vec<Vec<String>> = self.steps.iter().map(step).collect();
        let head = ["what is posted", "status", "rows applied", "stale", "duplicates"];
        output.table(&head, &head[1..], &steps)?;
        self.table.tell(&["amount"], output)
    }

    fn document(&self) -> Value {
        let step = |(happened, status, summary): &(&str, u16, Summary)| json!({ "happened": happened, "status": status, "summary": summary });
        let steps: Vec<Value> = self.steps.iter().map(step).collect();
        json!({ "source": "Stripe", "steps": steps, self.table.name: self.table.document() })
    }
}

impl Story {
    pub(super) fn tell(&self, output: &mut Output) -> Result<(), Failure> {
        output.document(|| self.document())?;
        output.line(&format!("Sample events of the DynamoDB table `users`, into {}.", self.database))?;
        self.tell_deliveries(output)?;
        for table in &self.tables {
            table.tell(&["rep_score"], output)?;
        }
        self.tell_letters(output)?;
        for polled in &self.polled {
            polled.tell(output)?;
        }
        if let Some(surveyed) = &self.surveyed {
            surveyed.tell(output)?;
        }
        if let Some(posted) = &self.posted {
            posted.tell(output)?;
        }
        self.tell_the_rest(output)
    }

    /// The sum of a figure over the first or the second time.
    fn sum(&self, again: bool, figure: fn(&Answer) -> u64) -> u64 {
        self.deliveries.iter().filter(|told| told.again == again).map(|told| figure(&told.answer)).sum()
    }

    fn tell_deliveries(&self, output: &mut Output) -> Result<(), Failure> {
        output.heading("Deliveries", "out of order, then all of them a second time")?;
        let figures: [fn(&Answer) -> u64; 4] = [|a| a.records, |a| a.applied, |a| a.stale, |a| a.dead];
        let line = |name: &str, remark: &str, figures: [u64; 4]| {
            let [records, applied, stale, dead] = figures.map(|figure| figure.to_string());
            vec![name.to_owned(), records, applied, stale, dead, remark.to_owned()]
        };
        let first = self.deliveries.iter().filter(|told| !told.again);
        let mut rows: Vec<Vec<String>> =
            first.map(|told| line(told.file, told.remark, figures.map(|figure| figure(&told.answer)))).collect();
        rows.push(line("the same five", "everything once more", figures.map(|figure| self.sum(true, figure))));
        let head = ["event", "records", "rows applied", "stale", "dead letters", ""];
        output.table(&head, &head[1..5], &rows)?;
        let [late, again] = [false, true].map(|again| self.sum(again, |answer| answer.stale));
        output.line(&format!(
            "The version guard refused {} stale changes: {late} came late or twice, {again} when everything came again.\n\
             No row went back to an older version.",
            late + again
        ))?;
        Ok(())
    }

    fn tell_letters(&self, output: &mut Output) -> Result<(), Failure> {
        output.heading("Dead letters", "what could not be applied; the records beside them were")?;
        let row = |letter: &Letter| {
            let position = letter.position.rsplit(['/', ' ', ':']).next().unwrap_or_default();
            vec![format!("…{}", tail(position, 8)), letter::table(letter), short(letter::error(letter), 72)]
        };
        let rows: Vec<Vec<String>> = self.letters.iter().map(row).collect();
        output.table(&["position", "table", "error"], &[], &rows)?;
        Ok(())
    }

    fn tell_the_rest(&self, output: &mut Output) -> Result<(), Failure> {
        output.heading("Next", "")?;
        match &self.kept {
            Some(Kept { url, stop, pictures }) => {
                output.line(&format!("  psql '{url}'"))?;
                output.line(&format!("  tributary status --database-url '{url}'"))?;
                output.line(&format!("  {:<26} has the pictures", pictures.display()))?;
                output.line(&format!("  {stop:<26} ends it"))?;
            }
            None => output.line("  tributary demo --keep      keep the database, to look around in it")?,
        }
        output.line("  tributary check            is my tributary.yaml right?")?;
        output.line("  tributary migrate          make its tables")?;
        output.line("  tributary invoke dynamodb-stream --event FILE")?;
        Ok(())
    }

    fn document(&self) -> Value {
        let deliveries = self.deliveries.iter().map(|told| {
            json!({ "event": told.file, "again": told.again, "figures": told.answer.figures(), "response": told.answer.response })
        });
        let tables = self.tables.iter().map(|table| (table.name.to_owned(), table.document()));
        let letters = self.letters.iter().map(|letter| {
            json!({
                "id": letter.id, "position": letter.position, "tables": letter.tables,
                "key": letter.key, "error": letter.error, "attempts": letter.attempts,
            })
        });
        let stale: u64 = self.deliveries.iter().map(|told| told.answer.stale).sum();
        json!({
            "database": self.database,
            "made": self.made,
            "deliveries": deliveries.collect::<Vec<_>>(),
            "refused_as_stale": stale,
            "tables": tables.collect::<Value>(),
            "dead_letters": letters.collect::<Vec<_>>(),
            "polled": self.polled.iter().map(Polled::document).collect::<Vec<_>>(),
            "surveyed": self.surveyed.as_ref().map(Surveyed::document),
            "posted": self.posted.as_ref().map(Posted::document),
            "kept": self.kept.as_ref().map(|Kept { url, stop, pictures }| json!({ "url": url, "stop": stop, "pictures": pictures })),
        })
    }
}

/// A value on its place: NULL told from an empty text, ids cut to what tells them apart.
fn shown(value: Option<&str>, width: usize) -> String {
    match value {
        None => "∅".to_owned(),
        Some(uuid) if uuid.len() == 36 && uuid.matches('-').count() == 4 => format!("{}…", &uuid[..8]),
        Some(time) if time.len() >= 22 && time.starts_with("20") && time.as_bytes()[10] == b' ' => {
            time[..19].to_owned()
        }
        Some(text) => short(text, width),
    }
}

fn tail(text: &str, characters: usize) -> &str {
    let start = text.char_indices().rev().nth(characters.saturating_sub(1)).map_or(0, |(at, _)| at);
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_null_is_seen() {
        let check = |value, expect| assert_eq!(shown(value, NARROW), expect);
        check(None, "∅");
        check(Some(""), "");
        check(Some("7d3b9c5e-2f41-4a08-9c6d-0b1e5a7f1815"), "7d3b9c5e…");
        check(Some("2024-05-01 12:00:00.123+00"), "2024-05-01 12:00:00");
        check(Some(r#"[{"no": 0, "age": 41}]"#), r#"[{"no": 0, "age": 41}]"#);
        check(Some("Llanfairpwllgwyngyll, Ynys Môn"), "Llanfairpwllgwyngyll,…");
        assert_eq!(tail("123", 8), "123");
        assert_eq!(tail("1234567890", 8), "34567890");
    }
}
