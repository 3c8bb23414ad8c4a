//! The mapping file: from its text to a checked [`Mapping`], or to everything that is wrong in it.
//!
//! The text becomes a tree that knows the place of every word (the module `node`). The tree is lowered part by part, one module a
//! part of the grammar; each part reports what is wrong in it and goes on, so that a user sees all findings at once.
//! Nothing is read beside the text, and no secret: the mapping only refers to them.

mod address;
mod attachments;
mod children;
mod column;
mod consumers;
mod datastore;
mod delete;
mod duration;
mod fields;
mod hooks;
mod key;
mod node;
mod odk;
mod parts;
mod pipeline;
mod report;
mod schema;
mod source;
mod spelling;
mod table;
mod tables;
mod trigger;
mod writers;

use crate::finding::Finding;
use crate::pipeline::Mapping;
use fields::Fields;
use report::Report;
pub use schema::schema;

/// The largest file that is read, in bytes.
pub const LARGEST_FILE: usize = 1024 * 1024;

/// What came of checking a mapping file.
#[derive(Debug)]
pub struct Checked {
    /// The mapping, when there are no findings.
    pub mapping: Option<Mapping>,
    /// Everything that is wrong, in the order of the file.
    pub findings: Vec<Finding>,
    /// What is allowed and should be known, in the order of the file. It refuses nothing.
    pub warnings: Vec<Finding>,
}

/// The keys at the top of the file.
const KEYS: &[&str] = &["datastores", "pipelines"];

/// Checks a mapping file. `file` is its name as findings show it.
pub fn load(file: &str, text: &str) -> Checked {
    let mut report = Report::new(file, text);
    let mapping = lower(text, &mut report);
    if mapping.is_none() && report.is_clean() {
        report.add("bug", 0..0, "the mapping was refused without a reason", "report this as a bug, with the file");
    }
    let (findings, warnings) = report.finish();
    Checked { mapping: mapping.filter(|_| findings.is_empty()), findings, warnings }
}

fn lower(text: &str, report: &mut Report<'_>) -> Option<Mapping> {
    if text.len() > LARGEST_FILE {
        report.add("too-large", 0..0, format!("a mapping file has at most {LARGEST_FILE} bytes"), "split it");
        return None;
    }
    let root = node::parse(text, report)?;
    let fields = Fields::open(&root, "the mapping", 0..0, KEYS, report)?;
    let datastores = datastore::lower_all(&fields, report);
    let pipelines = pipeline::lower_all(&fields, &datastores, report);
    let (pipelines, triggers) = pipelines?;
    Some(Mapping { datastores: datastores.into_good()?, pipelines, triggers })
}

#[cfg(test)]
mod tests;
