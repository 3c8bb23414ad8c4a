//! A source of type `odk`: the submissions of a form, or the entities of a dataset.

use std::time::Duration;

use super::super::column;
use super::super::duration::duration;
use super::super::fields::{Fields, text_of};
use super::super::node::{Node, Shape};
use super::super::report::Report;
use super::airtable::share;
use crate::path::{Path, Step};
use crate::pipeline::{ELEMENT_ID, Geo, OdkSet, OdkSource, SourceKind};
use crate::value::Value;

pub(in crate::mapping) const KEYS: &[&str] = &[
    "datastore",
    "project",
    "form",
    "dataset",
    "every",
    "key",
    "geo",
    "overlap",
    "sweep_every",
    "mass_delete",
    "retry_attachments_for",
];

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A submission may commit as long after the time that it bears as a request may take: 2 minutes in the nginx of Central.
const LONGEST_REQUEST: Duration = Duration::from_secs(2 * 60);

pub(super) fn lower(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<SourceKind> {
    let project = fields.required("project", "1", report).and_then(|node| project(node, report));
    let set = set(fields, report);
    let key = fields.get("key").map_or_else(|| Some(vec![Path::field(ELEMENT_ID)]), |node| key(node, report));
    let geo = fields.choice("geo", &["jsonb", "geometry"], report);
    let time = |key: &str, default: Duration, report: &mut Report<'_>| match fields.get(key) {
        Some(node) => duration(node, "15m", report),
        None => Some(default),
    };
    let overlap = time("overlap", 15 * MINUTE, report);
    if let (Some(node), Some(overlap)) = (fields.get("overlap"), overlap)
        && overlap < LONGEST_REQUEST
    {
        let message = "a submission may commit up to two minutes after the time that it bears, and is found late then";
        report.warn("short-overlap", node.span.clone(), message, "write `overlap: 15m`");
    }
    let sweep_every = time("sweep_every", DAY, report);
    let retry = time("retry_attachments_for", 30 * DAY, report);
    let mass_delete = fields.get("mass_delete").map_or(Some(0.2), |node| share(node, report));
    if let Some(OdkSet::Dataset(_)) = set {
        for key in ["geo", "retry_attachments_for"] {
            if let Some(span) = fields.key_span(key) {
                let message = format!("`{key}` has no meaning for entities, whose properties are all text");
                report.add("conflict", span, message, "remove it");
            }
        }
    }
    Some(SourceKind::Odk(OdkSource {
        project: project?,
        set: set?,
        key: key?,
        overlap: overlap?,
        sweep_every: sweep_every?,
        mass_delete: mass_delete?,
        geo: if geo == Some("geometry") { Geo::Geometry } else { Geo::Jsonb },
        retry_attachments_for: retry?,
    }))
}

fn project(node: &Node, report: &mut Report<'_>) -> Option<u64> {
    let project = match node.literal() {
        Some(Value::Number(number)) => number.to_i128().and_then(|number| u64::try_from(number).ok()),
        _ => None,
    };
    let project = project.filter(|project| *project > 0);
    if project.is_none() {
        let message = "a project is a whole number; it stands in the address of its page";
        report.add("wrong-type", node.span.clone(), message, "write `project: 1`");
    }
    project
}

fn set(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<OdkSet> {
    if let (Some(_), Some(span)) = (fields.get("form"), fields.key_span("dataset")) {
        let message = "`form` and `dataset` exclude each other";
        report.add("conflict", span, message, "write a pipeline each");
        return None;
    }
    let key = if fields.get("dataset").is_some() { "dataset" } else { "form" };
    let name = fields.required_text(key, "household_survey", report)?;
    if name.text.trim().is_empty() {
        let message = format!("this is not the id of a {key}");
        report.add("bad-id", name.span, message, "write it as Central shows it");
        return None;
    }
    Some(if key == "form" { OdkSet::Form(name.text) } else { OdkSet::Dataset(name.text) })
}

/// `key:` — a path, or several of which the first that isn't empty counts.
fn key(node: &Node, report: &mut Report<'_>) -> Option<Vec<Path>> {
    let nodes = match &node.shape {
        Shape::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    if nodes.is_empty() {
        let message = "the key names no field";
        report.add("bad-source-key", node.span.clone(), message, "write `key: __id`, or remove it");
        return None;
    }
    let mut paths: Vec<Path> = Vec::new();
    for node in nodes {
        let text = text_of(node, "key", report)?;
        let path = column::path(&text.text, &text.span, report)?;
        let is_reserved = text.text.starts_with('$') || path.steps().iter().any(|step| matches!(step, Step::Index(_)));
        if is_reserved || paths.contains(&path) {
            let message = format!("`{}` is no field of the submission, or stands here twice", text.text);
            report.add("bad-source-key", text.span, message, "write fields of the form, `__id` last");
            return None;
        }
        if path == Path::fields(["meta", "instanceID"]) {
            let message =
                "`meta.instanceID` is another one after every edit, so that an edited submission becomes a new row";
            report.warn("unstable-key", text.span, message, "write `__id`, which stays");
        }
        paths.push(path);
    }
    Some(paths)
}
