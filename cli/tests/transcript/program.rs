//! Running the binary, and writing down what it said.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run has left behind.
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

/// A command line in the root of the repository, with nothing of our environment that it would heed.
pub(crate) struct Program {
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    input: String,
    directory: PathBuf,
}

/// `tributary` with these arguments, split at spaces.
pub(crate) fn tributary(arguments: &str) -> Program {
    Program {
        arguments: arguments.split_whitespace().map(str::to_owned).collect(),
        variables: Vec::new(),
        input: String::new(),
        directory: root(),
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

impl Program {
    pub(crate) fn on(self, database: &tributary_tests::Database) -> Self {
        self.with("DATABASE_URL", database.url())
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn argument(mut self, argument: impl AsRef<Path>) -> Self {
        self.arguments.push(argument.as_ref().to_str().unwrap().to_owned());
        self
    }

    pub(crate) fn input(mut self, text: &str) -> Self {
        self.input = text.to_owned();
        self
    }

    pub(crate) fn inside(mut self, directory: &Path) -> Self {
        self.directory = directory.to_owned();
        self
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        command.args(&self.arguments).current_dir(&self.directory);
        let heeded =
            ["DATABASE_URL", "TRIBUTARY_MAPPING", "RUST_LOG", "TRIBUTARY_LOG", "CLICOLOR_FORCE", "NO_COLOR", "COLUMNS"];
        for (name, _) in std::env::vars_os() {
            let known = name.to_str().is_some_and(|name| heeded.contains(&name) || name.starts_with("AWS_"));
            if known {
                command.env_remove(name);
            }
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(self) -> Said {
        let mut child = self.command().spawn().unwrap();
        // A program that reads no input may have ended already.
        let _ = child.stdin.take().unwrap().write_all(self.input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Said {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code().unwrap_or(-1),
        }
    }
}

impl Said {
    /// Fails unless it ended with this code.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The one JSON document on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }

    /// Without the widths of columns, which follow from ages.
    pub(crate) fn narrowed(mut self) -> Self {
        let mut lines = Vec::new();
        for line in self.stdout.lines() {
            let words: Vec<&str> = line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
            lines.push(if line.starts_with('─') { "─".to_owned() } else { words.join("  ") });
        }
        self.stdout = lines.join("\n");
        self
    }

    /// Without the log.
    pub(crate) fn stdout_only(mut self) -> Self {
        self.stderr.clear();
        self
    }

    /// Only the lines that begin so.
    pub(crate) fn narrowed_to(mut self, start: &str) -> Self {
        let lines: Vec<&str> = self.stdout.lines().filter(|line| line.starts_with(start)).collect();
        self.stdout = lines.join("\n");
        self
    }

    /// What was said, for a snapshot.
    pub(crate) fn transcript(&self) -> String {
        let Said { stdout, stderr, code } = self;
        let mut text = stdout.clone();
        if !stderr.is_empty() {
            text.push_str(&format!("--- stderr\n{stderr}"));
        }
        format!("{}\n--- exit code {code}", text.trim_end())
    }
}

/// Compares what was said with the snapshot of this name; times, numbers of processes and versions are left out.
macro_rules! snapshot {
    ($name:literal, $said:expr) => {
        let filters = [
            (r"\d+ (ms|s|min) ago", "[age]"),
            (r"Postgres \d+(\.\d+)?", "Postgres [version]"),
            (r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[time]"),
            // What is in there is the business of the crate that writes it.
            (r"(?s)-- The tables that Tributary keeps.*?\n\n-- table profile", "[own tables]\n\n-- table profile"),
            (r" +\n", "\n"),
        ];
        insta::with_settings!({ filters => filters, prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($name, $said.transcript());
        });
    };
}
pub(crate) use snapshot;
