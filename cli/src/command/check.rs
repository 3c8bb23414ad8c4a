//! `tributary check`: everything that is wrong with the mapping.

use serde_json::json;
use tributary_core::mapping::load;

use crate::args::Args;
use crate::failure::{End, Failure, Findings};
use crate::mapping;
use crate::output::Output;

pub(crate) fn run(args: &Args, output: &mut Output) -> Result<End, Failure> {
    let (file, text) = mapping::text(&args.mapping)?;
    let checked = load(&file, &text);
    let warnings = Findings { file: file.clone(), text: text.clone(), findings: checked.warnings };
    for line in warnings.warning_lines() {
        output.line(&line)?;
    }
    let Some(mapping) = checked.mapping.filter(|_| checked.findings.is_empty()) else {
        let wrong = Findings { file, text, findings: checked.findings };
        output.document(|| wrong.json())?;
        for line in wrong.lines() {
            output.line(&line)?;
        }
        return Ok(End::WrongInput);
    };
    let warnings = warnings.list();
    let tables: usize = mapping.pipelines.iter().map(|pipeline| pipeline.tables.len()).sum();
    let pipelines = mapping.pipelines.len();
    let views: usize = mapping.pipelines.iter().map(|pipeline| pipeline.views.len()).sum();
    output.document(|| {
        json!({ "mapping": file, "findings": [], "warnings": warnings, "pipelines": pipelines, "tables": tables, "views": views })
    })?;
    let hooks = match mapping.triggers.len() {
        0 => String::new(),
        pings => format!(", {}", count(pings, "trigger")),
    };
    let follow = mapping.pipelines.iter().flat_map(|pipeline| &pipeline.routes).any(|route| route.lists.is_some());
    let more = if follow { " and those of repeats" } else { "" };
    let views = if views == 0 { String::new() } else { format!(", {}", count(views, "view")) };
    let (pipelines, tables) = (count(pipelines, "pipeline"), count(tables, "table"));
    output.line(&format!("{file} is fine: {pipelines}, {tables}{more}{views}{hooks}"))?;
    Ok(End::Fine)
}

fn count(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}
