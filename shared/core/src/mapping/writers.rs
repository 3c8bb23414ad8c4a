//! One table has one writer: versions of two sources don't compare, so the newest could not win.

use std::collections::HashMap;

use super::node::Text;
use super::report::Report;
use crate::table::Table;

/// The tables that pipelines write, with the pipeline's name.
#[derive(Default)]
pub(super) struct Writers {
    tables: HashMap<(String, String, String), String>,
}

impl Writers {
    /// Notes that this pipeline writes the table, and reports when another does already.
    pub(super) fn add(&mut self, sink: &str, table: &Table, pipeline: &str, name: &Text, report: &mut Report<'_>) {
        // A table without schema is looked up by the `search_path`, which is `public` unless somebody changed it.
        let schema = table.schema.as_deref().unwrap_or("public");
        let place = (sink.to_owned(), schema.to_owned(), table.name.clone());
        if let Some(other) = self.tables.insert(place, pipeline.to_owned()) {
            let message = if other == pipeline {
                format!("this pipeline writes `{}` twice", table.qualified_name())
            } else {
                format!(
                    "pipeline `{other}` writes `{}` too, and versions of two sources don't compare",
                    table.qualified_name()
                )
            };
            report.add("two-writers", name.span.clone(), message, "write each pipeline's rows to a table of its own");
        }
    }
}
