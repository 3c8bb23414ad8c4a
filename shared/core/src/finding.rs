//! What is wrong in a file that a user wrote: where, and what to write instead.
//!
//! Made by [`crate::mapping`], shown by `tributary check` and in the log of a function that cannot start.

use std::fmt::Write as _;
use std::ops::Range;

/// How many characters of a line a snippet shows.
const WIDEST_SNIPPET: usize = 160;

/// Something wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of finding this is, in kebab-case; stable, for tests and for looking it up.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// The file's name as it was given.
    pub file: String,
    /// The place, in bytes of the file.
    pub span: Range<usize>,
    /// The line of the place, from 1.
    pub line: usize,
    /// The column of the place in characters, from 1.
    pub column: usize,
    /// Parts of the file that no snippet may show, in bytes: secrets that stand where a reference belongs.
    pub hidden: Vec<Range<usize>>,
}

impl Finding {
    /// A finding at this place of the text.
    pub fn new(code: &'static str, file: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let mut start = span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Finding {
            code,
            message: message.into(),
            hint: None,
            file: file.to_owned(),
            span: start..span.end.max(start),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            hidden: Vec::new(),
        }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The finding with the line it is about, as plain text of several lines.
    pub fn render(&self, source: &str) -> String {
        self.render_as("error", source)
    }

    /// As [`Finding::render`], of what is allowed and should be known.
    pub fn render_warning(&self, source: &str) -> String {
        self.render_as("warning", source)
    }

    fn render_as(&self, level: &str, source: &str) -> String {
        let mut out = format!("{level}[{}]: {}\n", self.code, self.message);
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let _ = writeln!(out, "{margin}--> {}:{}:{}", self.file, self.line, self.column);
        if let Some((line, indent, width)) = self.snippet(source) {
            let _ = writeln!(out, "{margin} |");
            let _ = writeln!(out, "{number} | {}", line.trim_end());
            let _ = writeln!(out, "{margin} | {}{}", " ".repeat(indent), "^".repeat(width));
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(out, "{margin} = {hint}");
        }
        out
    }

    /// The line, how far the carets are indented, and how many there are.
    fn snippet(&self, source: &str) -> Option<(String, usize, usize)> {
        let line_start = source.get(..self.span.start)?.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = source[self.span.start..].find('\n').map_or(source.len(), |newline| self.span.start + newline);
        let shown = |(at, c): (usize, char)| {
            let at = line_start + at;
            if self.hidden.iter().any(|hidden| hidden.contains(&at)) {
                '*'
            } else if c.is_control() {
                ' '
            } else {
                c
            }
        };
        let line: Vec<char> = source[line_start..line_end].char_indices().map(shown).collect();
        let indent = source[line_start..self.span.start].chars().count();
        let end = self.span.end.min(line_end);
        let width = source.get(self.span.start..end).map_or(1, |place| place.trim_end().chars().count()).max(1);
        // Of a long line, the part around the place.
        let first = if line.len() <= WIDEST_SNIPPET { 0 } else { indent.saturating_sub(WIDEST_SNIPPET / 4) };
        let part: String = line.iter().skip(first).take(WIDEST_SNIPPET).collect();
        let width = width.min((WIDEST_SNIPPET + first).saturating_sub(indent).max(1));
        Some((part, indent - first, width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, place: &str, expect: &str) {
        let start = text.find(place).unwrap();
        let finding =
            Finding::new("some-code", "a.yaml", text, start..start + place.len(), "wrong").with_hint("write x");
        assert_eq!(finding.render(text).trim_end(), expect.trim_matches('\n'));
    }

    #[test]
    fn points_at_characters_not_at_bytes() {
        check(
            "a: 1\nä: ö 日本 x\n",
            "日本",
            "
error[some-code]: wrong
 --> a.yaml:2:6
  |
2 | ä: ö 日本 x
  |      ^^
  = write x",
        );
    }

    #[test]
    fn a_place_of_several_lines_is_marked_in_its_first() {
        check(
            "key: |\n  one\n  two\n",
            "|\n  one\n",
            "
error[some-code]: wrong
 --> a.yaml:1:6
  |
1 | key: |
  |      ^
  = write x",
        );
    }

    #[test]
    fn a_long_line_is_cut_and_a_secret_is_hidden() {
        let text = format!("{}key: hunter2 {}", "x".repeat(300), "y".repeat(300));
        let start = text.find("key").unwrap();
        let mut finding = Finding::new("some-code", "a.yaml", &text, start..start + 3, "wrong");
        let secret = text.find("hunter2").unwrap();
        finding.hidden.push(secret..secret + 7);
        let shown = finding.render(&text);
        assert!(shown.contains("key: ******* y") && !shown.contains("hunter2"), "{shown}");
        assert!(shown.lines().all(|line| line.len() < 200), "{shown}");
    }

    proptest::proptest! {
        #[test]
        fn any_place_renders(text in "\\PC{0,20}\n?\\PC{0,20}", start in 0usize..60, len in 0usize..60) {
            Finding::new("some-code", "f", &text, start..start + len, "m").render(&text);
        }
    }
}
