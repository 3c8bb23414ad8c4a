//! `pipelines:` — from one source to the tables of one sink.

use super::datastore::Datastores;
use super::delete::Policy;
use super::fields::{Fields, Named, named};
use super::report::Report;
use super::table::{self, identifier};
use super::writers::Writers;
use super::{delete, source};
use crate::pipeline::{Datastore, Pipeline, SourceKind};
use crate::table::MetaColumns;

pub(super) const KEYS: &[&str] = &["source", "sink"];
pub(super) const SINK_KEYS: &[&str] = &["datastore", "schema", "delete", "meta", "tables"];
pub(super) const META_KEYS: &[&str] = &["version", "deleted", "synced_at", "source_at", "errors", "versions"];

/// What all tables of a sink have in common.
pub(super) struct Common {
    /// The schema of tables that name none.
    pub(super) schema: Option<String>,
    /// The delete policy of tables that have none.
    pub(super) delete: Option<Policy>,
    /// The columns that Tributary keeps; `errors` is set, `versions` where the source sends parts.
    pub(super) meta: MetaColumns,
    /// The key attributes of the source's table, where they are known.
    pub(super) source_key: Option<Vec<String>>,
}

/// Lowers all pipelines of the file; `None` when one of them is bad.
pub(super) fn lower_all(root: &Fields<'_>, stores: &Datastores, report: &mut Report<'_>) -> Option<Vec<Pipeline>> {
    let example = "{ users: { source: { … }, sink: { … } } }";
    let node = root.required("pipelines", example, report)?;
    let parts = named(node, "pipeline", false, report);
    let mut writers = Writers::default();
    if parts.is_empty() {
        report.add(
            "no-pipelines",
            node.span.clone(),
            "there are no pipelines",
            format!("write `pipelines: {example}`"),
        );
    }
    let all: Vec<_> = parts.iter().map(|part| lower(part, stores, &mut writers, report)).collect();
    all.into_iter().collect()
}

fn lower(part: &Named<'_>, stores: &Datastores, writers: &mut Writers, report: &mut Report<'_>) -> Option<Pipeline> {
    let fields = part.open("a pipeline", KEYS, report)?;
    let source = source::lower(&fields, stores, report);
    let sink = fields.required("sink", "{ datastore: warehouse, tables: { … } }", report)?;
    let at = fields.key_span("sink").unwrap_or_default();
    let sink = Fields::open(sink, "a sink", at, SINK_KEYS, report)?;
    let datastore = sink.required_text("datastore", "warehouse", report);
    let store = datastore.as_ref().and_then(|name| stores.find(name, report));
    let is_sink = matches!(store, Some(Datastore::Postgres(_)));
    let store_schema = match store {
        Some(Datastore::Postgres(store)) => store.schema.clone(),
        Some(source) => {
            let message = format!("{} is a source, and cannot be written", source.noun());
            let span = datastore.as_ref().map(|name| name.span.clone()).unwrap_or_default();
            report.add("wrong-datastore", span, message, "name a datastore of type `postgres`");
            None
        }
        None => None,
    };
    let schema = sink.text("schema", report).and_then(|schema| identifier(&schema, "a schema", report));
    let common = Common {
        schema: schema.or(store_schema),
        delete: sink.get("delete").and_then(|node| delete::lower(node, report)),
        meta: meta(&sink, source.as_ref().is_some_and(|source| source.kind.sends_parts()), report),
        source_key: source.as_ref().and_then(|source| match &source.kind {
            SourceKind::Dynamodb { key, .. } => key.clone(),
            SourceKind::Sequin(_) | SourceKind::SequinLegacy(_) | SourceKind::Airtable(_) => None,
        }),
    };
    let tables = sink.required("tables", "{ users: { key: { … }, columns: { … } } }", report)?;
    let parts = named(tables, "table", false, report);
    if parts.is_empty() {
        let span = sink.key_span("tables").unwrap_or_default();
        report.add("no-tables", span, "the sink has no tables", "write at least one, or remove the pipeline");
    }
    let mut lowered = Vec::new();
    for table in &parts {
        let result = table::lower(table, &common, report);
        if let (Some((written, _)), Some(datastore), true) = (&result, &datastore, is_sink) {
            writers.add(&datastore.text, written, &part.name.text, &table.name, report);
        }
        lowered.push(result);
    }
    let (tables, routes) = lowered.into_iter().collect::<Option<Vec<_>>>()?.into_iter().unzip();
    Some(Pipeline { name: part.name.text.clone(), source: source?, sink: datastore?.text, tables, routes })
}

/// The names of our own columns. `errors` and `versions` are set, and taken out again of tables that need no such column.
fn meta(sink: &Fields<'_>, parts: bool, report: &mut Report<'_>) -> MetaColumns {
    let versions = parts.then(|| "_versions".to_owned());
    let mut meta = MetaColumns { errors: Some("_errors".into()), versions, ..MetaColumns::default() };
    let Some(node) = sink.get("meta") else { return meta };
    let at = sink.key_span("meta").unwrap_or_default();
    let Some(fields) = Fields::open(node, "meta", at, META_KEYS, report) else { return meta };
    let mut name = |key: &str, place: &mut String| {
        if let Some(name) = fields.text(key, report).and_then(|name| identifier(&name, "a column", report)) {
            *place = name;
        }
    };
    name("version", &mut meta.version);
    name("deleted", &mut meta.deleted);
    name("synced_at", &mut meta.synced_at);
    name("source_at", &mut meta.source_at);
    if let Some(errors) = &mut meta.errors {
        name("errors", errors);
    }
    if let Some(versions) = &mut meta.versions {
        name("versions", versions);
    }
    meta
}
