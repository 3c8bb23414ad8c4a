//! `tributary infer`: what a source says about itself, as a mapping; or how that differs from the mapping that there is.
//!
//! Every source is looked at by a module of its own and gives the same [`Seen`]. Nothing at the source is changed, and no
//! file is written.

mod airtable;
mod compare;
mod draft;
mod dynamodb;
mod odk;
mod sequin;

use serde_json::json;
use tributary_core::Error;
use tributary_core::auto::{column_name, free};
use tributary_core::column_type::ColumnType;
use tributary_core::pipeline::{Mapping, Pipeline};

use crate::args::{Args, Infer, Inferred};
use crate::failure::{End, Failure};
use crate::mapping;
use crate::output::{Output, progress};

/// What a source has said, or shown.
struct Answer {
    /// The lines of its datastore, as key and value.
    datastore: Vec<(&'static str, String)>,
    /// Its name.
    name: &'static str,
    /// What rows could be made of.
    seen: Vec<Seen>,
}

/// Something of a source whose items are rows: a table, a collection.
struct Seen {
    /// What it is, for people.
    title: String,
    /// What a pipeline and a table may be called.
    name: String,
    /// The lines of the pipeline's source, beside its datastore: key, value, remark.
    source: Vec<(&'static str, String, &'static str)>,
    /// The key; empty where the mapping needs none.
    key: Vec<Column>,
    /// The other fields.
    columns: Vec<Column>,
    /// Columns of what is no field of the source.
    others: Vec<Column>,
    /// Lists inside of an item that are tables.
    lists: Vec<List>,
    /// More lines of the table, as key and value.
    lines: Vec<(&'static str, String)>,
    /// What else could be a table, as lines.
    asides: Vec<String>,
    /// What somebody should know, as lines.
    remarks: Vec<String>,
    /// Whether a field that isn't among the columns isn't there.
    is_whole: bool,
    /// Whether a pipeline of a mapping reads this.
    is_read_by: Box<dyn Fn(&Pipeline) -> bool>,
}

/// A list inside of an item whose elements are rows of a table.
struct List {
    /// As a mapping names it.
    name: String,
    /// The fields of an element.
    columns: Vec<Column>,
    /// Columns of what is no field of the source.
    others: Vec<Column>,
}

/// A field and the column that would hold it.
struct Column {
    /// By which name it stands in an item.
    field: String,
    /// Its place in the item as a mapping writes it; `None` where no path can name it.
    place: Option<String>,
    /// What people call it, where its place doesn't say.
    label: String,
    name: String,
    ty: ColumnType,
    /// What else is known of it.
    remark: String,
}

impl Column {
    fn label(&self) -> &str {
        if self.label.is_empty() { &self.field } else { &self.label }
    }
}

/// Columns with names of their own; `taken` are those of others.
fn columns(fields: impl IntoIterator<Item = (String, String, ColumnType, String)>, taken: &[String]) -> Vec<Column> {
    const OURS: [&str; 8] =
        ["_version", "_deleted", "_synced_at", "_source_at", "_errors", "_versions", "updated_idx", "record_id"];
    let mut columns: Vec<Column> = Vec::new();
    for (field, label, ty, remark) in fields {
        let is_taken = |name: &str| {
            OURS.contains(&name)
                || taken.iter().any(|other| other == name)
                || columns.iter().any(|column| column.name == name)
        };
        let name = free(&column_name(&label), is_taken);
        let place = draft::place(&field);
        columns.push(Column { field, place, label, name, ty, remark });
    }
    columns
}

pub(crate) async fn run(args: &Args, infer: &Infer, output: &mut Output) -> Result<End, Failure> {
    let known = if infer.draft { None } else { known(args)? };
    let answer = match &infer.source {
        Inferred::Airtable(airtable) => Box::pin(airtable::ask(airtable)).await?,
        Inferred::Sequin(sequin) => Box::pin(sequin::ask(sequin)).await?,
        Inferred::Dynamodb(dynamodb) => Box::pin(dynamodb::ask(dynamodb)).await?,
        Inferred::Odk(odk) => Box::pin(odk::ask(odk)).await?,
    };
    if answer.seen.is_empty() {
        return Err(Error::config("the source shows nothing that rows could be made of").into());
    }
    if let Some((text, mapping)) = &known {
        let pipelines: Vec<(&Seen, &Pipeline)> = answer
            .seen
            .iter()
            .flat_map(|seen| mapping.pipelines.iter().map(move |pipeline| (seen, pipeline)))
            .filter(|(seen, pipeline)| (seen.is_read_by)(pipeline))
            .collect();
        if !pipelines.is_empty() {
            return compare::print(&answer, &pipelines, text, output);
        }
    }
    let draft = draft::render(&answer);
    output.document(|| json!({ "mapping": draft, "tables": answer.seen.iter().map(document).collect::<Vec<_>>() }))?;
    if !draft_is_fine(&draft) {
        progress("the draft has findings: `tributary check` shows them; please report this");
    }
    output.line(draft.trim_end())?;
    Ok(End::Fine)
}

/// The mapping that is there, with its text; none where there is no such file.
fn known(args: &Args) -> Result<Option<(String, Mapping)>, Failure> {
    if !args.mapping.exists() {
        return Ok(None);
    }
    let (file, text) = mapping::text(&args.mapping)?;
    Ok(Some((text.clone(), mapping::parse(file, text)?)))
}

fn draft_is_fine(draft: &str) -> bool {
    let checked = tributary_core::mapping::load("draft", draft);
    checked.mapping.is_some() && checked.findings.is_empty()
}

fn document(seen: &Seen) -> serde_json::Value {
    let column = |column: &Column| json!({ "column": column.name, "field": column.field, "label": column.label(), "type": column.ty.to_string() });
    let all: Vec<_> = seen.key.iter().chain(&seen.columns).map(column).collect();
    let mut document = json!({ "table": seen.name, "of": seen.title, "columns": all });
    if !seen.lists.is_empty() {
        let list = |list: &List| {
            let columns: Vec<_> = list.columns.iter().map(column).collect();
            json!({ "list": list.name, "columns": columns })
        };
        document["lists"] = seen.lists.iter().map(list).collect();
    }
    document
}
