//! Collects findings.

use std::ops::Range;

use crate::error::Error;
use crate::finding::Finding;

/// The findings of one file so far.
pub(super) struct Report<'t> {
    file: &'t str,
    text: &'t str,
    findings: Vec<Finding>,
    warnings: Vec<Finding>,
    hidden: Vec<Range<usize>>,
}

impl<'t> Report<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        Report { file, text, findings: Vec::new(), warnings: Vec::new(), hidden: Vec::new() }
    }

    /// What is wrong here, and what to write instead.
    pub(super) fn add(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let finding = Finding::new(code, self.file, self.text, span, message).with_hint(hint);
        self.findings.push(finding);
    }

    /// What is allowed here and should be known, and what to write instead.
    pub(super) fn warn(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let finding = Finding::new(code, self.file, self.text, span, message).with_hint(hint);
        self.warnings.push(finding);
    }

    /// As [`Report::add`], from an error of another module, with this hint where the error has none.
    pub(super) fn add_error(&mut self, code: &'static str, span: Range<usize>, error: &Error, hint: &str) {
        self.add(code, span, error.to_string(), error.hint().unwrap_or(hint));
    }

    /// No snippet shows this part of the file.
    pub(super) fn hide(&mut self, span: Range<usize>) {
        self.hidden.push(span);
    }

    /// Whether nothing was found.
    pub(super) fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// The file's text.
    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    /// All findings, and all warnings, in the order of the file.
    pub(super) fn finish(mut self) -> (Vec<Finding>, Vec<Finding>) {
        for all in [&mut self.findings, &mut self.warnings] {
            all.sort_by_key(|finding| finding.span.start);
            // What the tables of a sink have in common is checked once a table.
            all.dedup();
            for finding in all {
                finding.hidden.clone_from(&self.hidden);
            }
        }
        (self.findings, self.warnings)
    }
}
