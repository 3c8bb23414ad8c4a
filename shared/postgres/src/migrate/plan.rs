//! What has to be done to a database before it can be written, and what only a person can settle.

use std::fmt;

use tributary_core::{Error, Result};

/// What has to be done before the mapping's tables can be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Statements that add what is missing, in order.
    pub steps: Vec<Step>,
    /// What only a person can settle.
    pub refusals: Vec<Refusal>,
}

/// A statement of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The statement.
    pub sql: String,
    /// Why it is needed.
    pub why: String,
}

/// A table that cannot serve as it is, or something in the way of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The table or view.
    pub table: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}: {}; {}", self.table, self.problem, self.remedy)
    }
}

impl Plan {
    /// Whether nothing has to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.refusals.is_empty()
    }

    /// An error with all that only a person can settle, unless that is nothing.
    pub(crate) fn must_have_no_refusals(&self) -> Result<()> {
        if !self.refusals.is_empty() {
            let all: Vec<String> = self.refusals.iter().map(Refusal::to_string).collect();
            return Err(Error::config(format!("the mapping and the database disagree: {}", all.join("; ")))
                .with_hint("`tributary migrate --dry-run` shows each with its remedy"));
        }
        Ok(())
    }

    /// An error with all that has to be done, unless that is nothing.
    pub(crate) fn must_be_empty(&self) -> Result<()> {
        self.must_have_no_refusals()?;
        if let Some(first) = self.steps.first() {
            let more = self.steps.len() - 1;
            return Err(Error::config(format!("the database is not ready: {} (and {more} more)", first.why))
                .with_hint("run `tributary migrate`, or set `auto_migrate: additive` on the datastore"));
        }
        Ok(())
    }
}
