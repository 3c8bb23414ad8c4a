//! The command line.

use std::path::PathBuf;

use crate::Failure;

const USAGE: &str = "usage: write-path [all|insert|update|replay|writers|memory] [--repetitions N] [--database-url URL]\n\
       write-path peer --rows-file FILE --database-url URL [--batch N]";

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    All,
    Insert,
    Update,
    Replay,
    Writers,
    Memory,
    Peer(PathBuf),
}

/// What the command line asks for.
pub(crate) struct Options {
    pub(crate) subject: Subject,
    pub(crate) url: Option<String>,
    pub(crate) batch: usize,
    pub(crate) repetitions: usize,
}

impl Options {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let (mut subject, mut file) = (None, None);
        let mut options = Options { subject: Subject::All, url: None, batch: 1_000, repetitions: 15 };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
            match word.as_str() {
                "--rows-file" => file = Some(PathBuf::from(value()?)),
                "--database-url" => options.url = Some(value()?),
                "--batch" => options.batch = value()?.parse()?,
                "--repetitions" => options.repetitions = value()?.parse()?,
                _ if subject.is_none() => subject = Some(word),
                _ => return Err(format!("what is {word}?\n{USAGE}").into()),
            }
        }
        options.subject = match (subject.as_deref().unwrap_or("all"), file) {
            ("all", None) => Subject::All,
            ("insert", None) => Subject::Insert,
            ("update", None) => Subject::Update,
            ("replay", None) => Subject::Replay,
            ("writers", None) => Subject::Writers,
            ("memory", None) => Subject::Memory,
            ("peer", Some(file)) => Subject::Peer(file),
            _ => return Err(USAGE.into()),
        };
        if options.batch == 0 || options.repetitions == 0 {
            return Err("--batch and --repetitions are at least 1".into());
        }
        Ok(options)
    }

    pub(crate) fn asks_for(&self, subject: &Subject) -> bool {
        self.subject == Subject::All || self.subject == *subject
    }
}
