//! Results on stdout: text for people, or one JSON document.

use std::io::{self, Write};

use anstream::AutoStream;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, TableComponent, presets};
use owo_colors::OwoColorize as _;
use serde_json::Value;

/// Where results go. Writing never panics: a closed pipe is an error that ends the command quietly.
pub(crate) struct Output {
    json: bool,
    stdout: AutoStream<io::Stdout>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Output { json, stdout: AutoStream::auto(io::stdout()) }
    }

    /// The result as a JSON document, if that is wanted.
    pub(crate) fn document(&mut self, document: impl FnOnce() -> Value) -> io::Result<()> {
        if self.json { self.raw(&format!("{:#}", document())) } else { Ok(()) }
    }

    /// A line in both forms of output: for results that are JSON or SQL anyway.
    pub(crate) fn raw(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.stdout, "{line}")
    }

    /// A line for people.
    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        if self.json { Ok(()) } else { self.raw(line) }
    }

    /// A heading for people, after an empty line.
    pub(crate) fn heading(&mut self, title: &str, remark: &str) -> io::Result<()> {
        let gap = if remark.is_empty() { "" } else { "  " };
        self.line(&format!("\n{}{gap}{}", title.bold(), remark.dimmed()))
    }

    /// A table for people. The columns named in `numbers` are set to the right.
    pub(crate) fn table(&mut self, head: &[&str], numbers: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        if self.json || rows.is_empty() {
            return Ok(());
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        for part in [TableComponent::HeaderLines, TableComponent::MiddleHeaderIntersections] {
            table.set_style(part, '─');
        }
        table.set_header(head.iter().copied());
        for row in rows {
            table.add_row(row.iter().map(|text| Cell::new(printable(text))));
        }
        for (column, name) in head.iter().enumerate() {
            if let (Some(column), true) = (table.column_mut(column), numbers.contains(name)) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.trim_fmt().lines().try_for_each(|line| self.raw(line))
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

/// A line about progress, on stderr.
pub(crate) fn progress(line: &str) {
    // Nobody may be listening any more, and that is no reason to fail.
    let _ = writeln!(anstream::stderr(), "{}", line.dimmed());
}

/// Text on one line without what moves a cursor or colours a terminal: rows and records come from outside.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// At most so many characters, with an ellipsis in place of what is cut.
pub(crate) fn short(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.to_owned(),
        Some(_) => text.chars().take(characters.saturating_sub(1)).chain(['…']).collect(),
    }
}
