//! How a command ends: the exit codes, and how errors and findings are shown. The one place that knows either.

use std::io;
use std::process::ExitCode;

use owo_colors::OwoColorize as _;
use serde_json::{Value, json};
use tributary_core::finding::Finding;
use tributary_core::{Error, Kind};

use crate::output::Output;

/// How a command ended that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Fine.
    Fine,
    /// The result is printed, and it is a failure.
    Failed,
    /// The result is printed, and it is that the input is wrong.
    WrongInput,
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error, shown with its causes and its hint.
    Error(Error),
    /// The mapping has findings.
    Mapping(Findings),
    /// Nobody reads what we write any more.
    Closed,
}

/// What is wrong in a mapping file, with its text for the snippets.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) file: String,
    pub(crate) text: String,
    pub(crate) findings: Vec<Finding>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Error(Error::unavailable("cannot write the result").with_source(error)),
        }
    }
}

/// Shows what went wrong and gives the exit code.
pub(crate) fn exit(result: Result<End, Failure>, output: &mut Output) -> ExitCode {
    match result.and_then(|end| Ok(output.flush().map(|()| end)?)) {
        Ok(End::Fine) | Err(Failure::Closed) => ExitCode::SUCCESS,
        Ok(End::Failed) => ExitCode::from(1),
        Ok(End::WrongInput) => ExitCode::from(2),
        Err(Failure::Error(error)) => {
            show(&error);
            // Scripts read stdout; that nobody does is no further trouble.
            let _ = output.document(|| json!({ "error": error_json(&error) }));
            ExitCode::from(code(error.kind()))
        }
        Err(Failure::Mapping(wrong)) => {
            for line in wrong.lines() {
                anstream::eprintln!("{line}");
            }
            let _ = output.document(|| wrong.json());
            ExitCode::from(2)
        }
    }
}

fn code(kind: Kind) -> u8 {
    match kind {
        Kind::Config | Kind::Data => 2,
        _ => 1,
    }
}

fn show(error: &Error) {
    anstream::eprintln!("{} {}", "error:".red().bold(), error.chain());
    if let Some(hint) = error.hint() {
        anstream::eprintln!("{} {hint}", " hint:".cyan().bold());
    }
}

fn error_json(error: &Error) -> Value {
    let kind = match error.kind() {
        Kind::Config => "config",
        Kind::Data => "data",
        Kind::Unavailable => "unavailable",
        Kind::Auth => "auth",
        Kind::Conflict => "conflict",
        _ => "bug",
    };
    json!({ "kind": kind, "message": error.chain(), "hint": error.hint() })
}

impl Findings {
    /// For people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.findings.iter().map(|finding| painted(&finding.render(&self.text))).collect();
        let number = self.findings.len();
        let s = if number == 1 { "" } else { "s" };
        lines.push(format_args!("{}: {number} finding{s}", self.file).red().bold().to_string());
        lines
    }

    /// For people, where they refuse nothing.
    pub(crate) fn warning_lines(&self) -> Vec<String> {
        self.findings.iter().map(|finding| painted(&finding.render_warning(&self.text))).collect()
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({ "mapping": self.file, "findings": self.list() })
    }

    /// For programs, the list alone.
    pub(crate) fn list(&self) -> Vec<Value> {
        let finding = |finding: &Finding| {
            json!({
                "code": finding.code,
                "message": finding.message,
                "hint": finding.hint,
                "file": finding.file,
                "line": finding.line,
                "column": finding.column,
            })
        };
        self.findings.iter().map(finding).collect()
    }
}

/// A rendered finding in colours: its lines begin with `error`, a gutter up to `|`, ` --> ` or ` = `.
fn painted(plain: &str) -> String {
    let mut out = String::new();
    for line in plain.lines() {
        let margin = line.find(|c: char| c != ' ' && !c.is_ascii_digit()).unwrap_or(line.len());
        let (gutter, rest) = line.split_at(margin);
        let headed = |level: &str| line.strip_prefix(level)?.strip_prefix('[')?.split_once("]: ");
        let line = if let Some((head, message)) = headed("error") {
            format!("{}{} {}", format_args!("error[{head}]").red().bold(), ":".bold(), message.bold())
        } else if let Some((head, message)) = headed("warning") {
            format!("{}{} {}", format_args!("warning[{head}]").yellow().bold(), ":".bold(), message.bold())
        } else if let Some(carets) = rest.strip_prefix('|').filter(|carets| carets.trim_start().starts_with('^')) {
            format!("{gutter}{}{}", "|".blue(), carets.red().bold())
        } else if let Some(code) = rest.strip_prefix('|') {
            format!("{}{}{code}", gutter.blue(), "|".blue())
        } else if let Some(hint) = rest.strip_prefix("= ") {
            format!("{gutter}{} {}", "=".blue(), hint.cyan())
        } else {
            format!("{gutter}{}", rest.blue())
        };
        out.push_str(&line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_change_no_word_of_a_finding() {
        let text = "a: 1\nb: | ^ = x\n";
        let finding = Finding::new("some-code", "f.yaml", text, 5..6, "wrong = | ^").with_hint("write | x");
        let plain = finding.render(text);
        let shown = painted(&plain);
        assert_ne!(shown, plain);
        assert_eq!(anstream::adapter::strip_str(&shown).to_string(), plain);
    }
}
