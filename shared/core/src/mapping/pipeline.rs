//! `pipelines:` — from one source to the tables of one sink.

use super::consumers::Consumers;
use super::datastore::Datastores;
use super::delete::Policy;
use super::fields::{Fields, Named, named};
use super::hooks::Hooks;
use super::report::Report;
use super::table::identifier;
use super::tables::{self, Tables};
use super::writers::Writers;
use super::{delete, source, trigger};
use crate::pipeline::{Datastore, Pipeline, SourceKind};
use crate::table::{MetaColumns, VersionType};
use crate::webhook::Trigger;

pub(super) const KEYS: &[&str] = &["source", "sink"];
pub(super) const SINK_KEYS: &[&str] = &["datastore", "schema", "delete", "meta", "tables", "attachments"];
pub(super) const META_KEYS: &[&str] =
    &["version", "version_type", "deleted", "synced_at", "source_at", "errors", "versions"];

/// What all tables of a sink have in common.
pub(super) struct Common<'s> {
    /// The schema of tables that name none.
    pub(super) schema: Option<String>,
    /// The delete policy of tables that have none.
    pub(super) delete: Option<Policy>,
    /// The columns that Tributary keeps; `errors` is set, `versions` where the source sends parts.
    pub(super) meta: MetaColumns,
    /// The source; `None` when it is bad.
    pub(super) source: Option<&'s SourceKind>,
    /// The source's datastore, also when the source is bad otherwise.
    pub(super) reads: Option<&'s Datastore>,
}

/// Lowers all pipelines of the file, and the hooks without rows among them; `None` when one of them is bad.
pub(super) fn lower_all(
    root: &Fields<'_>,
    stores: &Datastores,
    report: &mut Report<'_>,
) -> Option<(Vec<Pipeline>, Vec<Trigger>)> {
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
    let mut consumers = Consumers::default();
    let mut hooks = Hooks::gather(&parts);
    let (mut all, mut triggers) = (Vec::new(), Vec::new());
    for part in &parts {
        if trigger::is_trigger(part) {
            triggers.push(trigger::lower(part, &mut hooks, report));
        } else {
            let mut shared = Shared { writers: &mut writers, consumers: &mut consumers, hooks: &mut hooks };
            all.push(lower(part, stores, &mut shared, report));
        }
    }
    consumers.check(report);
    hooks.check(report);
    let names: Vec<&str> =
        parts.iter().filter(|part| !trigger::is_trigger(part)).map(|part| part.name.text.as_str()).collect();
    for (trigger, runs) in triggers.iter().flatten() {
        trigger::check(trigger, runs, &names, &all, report);
    }
    let triggers = triggers.into_iter().map(|trigger| trigger.map(|(trigger, _)| trigger)).collect::<Option<_>>();
    Some((all.into_iter().collect::<Option<_>>()?, triggers?))
}

/// What pipelines have in common.
pub(super) struct Shared<'a, 'n> {
    writers: &'a mut Writers,
    pub(super) consumers: &'a mut Consumers,
    pub(super) hooks: &'a mut Hooks<'n>,
}

fn lower(
    part: &Named<'_>,
    stores: &Datastores,
    shared: &mut Shared<'_, '_>,
    report: &mut Report<'_>,
) -> Option<Pipeline> {
    let fields = part.open("a pipeline", KEYS, report)?;
    let source = source::lower(&fields, part, stores, shared, report);
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
        meta: meta(&sink, source.as_ref().map(|source| &source.kind), &fields, report),
        source: source.as_ref().map(|source| &source.kind),
        reads: fields.get("source").and_then(|node| node.entry("datastore")).and_then(|node| stores.peek(node)),
    };
    let tables = sink.required("tables", "{ users: { key: { … }, columns: { … } } }", report)?;
    let parts = named(tables, "table", false, report);
    if parts.is_empty() {
        let span = sink.key_span("tables").unwrap_or_default();
        report.add("no-tables", span, "the sink has no tables", "write at least one, or remove the pipeline");
    }
    let lowered = tables::lower(&sink, &parts, &common, report, |table, name, report| {
        if let (Some(datastore), true) = (&datastore, is_sink) {
            shared.writers.add(&datastore.text, table, &part.name.text, name, report);
        }
    });
    let Tables { tables, routes, attachments, views, names, view_names } = lowered?;
    let (name, sink) = (part.name.text.clone(), datastore?.text);
    let pipeline = Pipeline { name, source: source?, sink, tables, routes, attachments, views };
    tables::check(&pipeline, &names, &view_names, report);
    Some(pipeline)
}

/// Our own columns. `errors` and `versions` are set, and taken out again of tables that need no such column.
fn meta(sink: &Fields<'_>, source: Option<&SourceKind>, pipeline: &Fields<'_>, report: &mut Report<'_>) -> MetaColumns {
    let versions = source.is_some_and(SourceKind::sends_parts).then(|| "_versions".to_owned());
    let mut meta = MetaColumns { errors: Some("_errors".into()), versions, ..MetaColumns::default() };
    if let Some(SourceKind::SequinLegacy(_)) = source {
        meta.version = "updated_idx".into();
        meta.version_type = VersionType::Bigint;
    }
    let at = sink.key_span("meta").unwrap_or_default();
    let fields = sink.get("meta").and_then(|node| Fields::open(node, "meta", at, META_KEYS, report));
    if let Some(fields) = &fields {
        names(&mut meta, fields, report);
        if let (Some(span), Some(_), None) = (fields.key_span("versions"), source, &meta.versions) {
            let message = "this source sends whole items, whose columns need no versions of their own";
            report.add("conflict", span, message, "remove `versions`");
        }
        if let Some(ty) = fields.choice("version_type", &["numeric", "bigint"], report) {
            meta.version_type = if ty == "bigint" { VersionType::Bigint } else { VersionType::Numeric };
        }
    }
    let Some(source) = source.filter(|_| meta.version_type == VersionType::Bigint) else { return meta };
    match source {
        SourceKind::SequinLegacy(source) if source.epoch > 0 => {
            let span = pipeline.get("source").and_then(|node| node.entry("epoch")).map(|node| node.span.clone());
            let message = format!("a version of epoch {} is more than `{} bigint` holds", source.epoch, meta.version);
            let hint = "write `meta: { version_type: numeric }` at the sink; a table that exists needs \
                        `alter column … type numeric`";
            report.add("small-version", span.unwrap_or_default(), message, hint);
        }
        SourceKind::SequinLegacy(_) => {}
        _ => {
            let span = fields.and_then(|fields| fields.key_span("version_type")).unwrap_or_default();
            let message = format!("the versions of {} are more than a bigint holds", source.noun());
            report.add("small-version", span, message, "remove `version_type`, or write `numeric`");
        }
    }
    meta
}

fn names(meta: &mut MetaColumns, fields: &Fields<'_>, report: &mut Report<'_>) {
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
}
