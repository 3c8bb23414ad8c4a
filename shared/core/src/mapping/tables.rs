//! All tables of a sink with what belongs to them: the tables of lists, of files, and the views.

use super::fields::{Fields, Named};
use super::node::Text;
use super::pipeline::Common;
use super::report::Report;
use super::table::{self, WrittenView};
use super::{attachments, odk};
use crate::pipeline::{Attachments, Pipeline, Route, Scope, View};
use crate::table::{DeleteMode, Table};
use crate::view::{Apart, unified};

/// What a pipeline writes.
pub(super) struct Tables {
    pub(super) tables: Vec<Table>,
    pub(super) routes: Vec<Route>,
    pub(super) attachments: Option<Attachments>,
    pub(super) views: Vec<View>,
    /// Where the name of each table stands.
    pub(super) names: Vec<Text>,
    /// Where the name of each view stands.
    pub(super) view_names: Vec<Text>,
}

/// Lowers the tables of a sink. `note` is told of each that is good.
pub(super) fn lower(
    sink: &Fields<'_>,
    parts: &[Named<'_>],
    common: &Common<'_>,
    report: &mut Report<'_>,
    mut note: impl FnMut(&Table, &Text, &mut Report<'_>),
) -> Option<Tables> {
    // The poller compares whole tables: one with `when` lacks rows.
    let is_whole = |part: &Named<'_>| part.body.entry("from").is_none() && part.body.entry("when").is_none();
    let watched = parts.iter().position(is_whole);
    let is_odk = odk::source(common.source).is_some();
    if is_odk && watched.is_none() && !parts.is_empty() {
        let message = "no table has all items, so nothing tells which of them the server has no more";
        let hint = "add a table without `from` and `when`: `submission: { columns: auto }`";
        report.add("no-items", sink.key_span("tables").unwrap_or_default(), message, hint);
    }
    let mut all: Vec<(Text, Option<(Table, Route)>)> = Vec::new();
    let (mut views, mut view_names, mut with_lists) = (Vec::new(), Vec::new(), 0);
    let (mut good, mut watched_table) = (true, None);
    for (position, part) in parts.iter().enumerate() {
        let is_watched = is_odk && watched == Some(position);
        let written = table::lower(part, is_watched, common, report);
        let at = all.len();
        if let (true, Some((table, route))) = (is_watched, &written.table) {
            refuse_ignore(table, route, &part.name, report);
            watched_table = Some(table.clone());
        }
        if part.body.entry("children").is_some() {
            with_lists += 1;
            if with_lists == 2 {
                let message = "the lists of an item belong to one table, and two say `children`";
                report.add("bad-children", part.name.span.clone(), message, "remove one of the two");
            }
        }
        match written.view {
            Some(WrittenView { text, name: Some((schema, name)) }) => {
                let schema = schema.or_else(|| written.table.as_ref().and_then(|(table, _)| table.schema.clone()));
                views.push(View { schema, name, table: at });
                view_names.push(text);
            }
            Some(WrittenView { name: None, .. }) => good = false,
            None => {}
        }
        all.push((part.name.clone(), written.table));
        all.extend(written.children);
    }
    let files = attachments::lower(sink, watched_table.as_ref(), common, report);
    good &= files.is_some() == sink.get("attachments").is_some();
    let mut attachments = None;
    if let Some((mut lowered, name, table)) = files {
        lowered.table = all.len();
        attachments = Some(lowered);
        all.push((name, Some(table)));
    }
    let (mut tables, mut routes, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (name, lowered) in all {
        let Some((table, route)) = lowered else {
            good = false;
            continue;
        };
        note(&table, &name, report);
        tables.push(table);
        routes.push(route);
        names.push(name);
    }
    good.then_some(Tables { tables, routes, attachments, views, names, view_names })
}

fn refuse_ignore(table: &Table, route: &Route, name: &Text, report: &mut Report<'_>) {
    if table.delete.mode == DeleteMode::Ignore && matches!(route.scope, Scope::Root) {
        let message =
            "the poller compares this table with the server, and rows of deleted items would be found again and again";
        report.add("bad-delete", name.span.clone(), message, "write `delete: soft`, which keeps the values");
    }
}

/// Checks what only the whole pipeline tells: that views find the rows of their lists, and that no two things share a name.
pub(super) fn check(pipeline: &Pipeline, names: &[Text], views: &[Text], report: &mut Report<'_>) {
    for (position, (view, text)) in pipeline.views.iter().zip(views).enumerate() {
        let same_table =
            |table: &&Table| table.name == view.name && (table.schema == view.schema || view.schema.is_none());
        let same_view = |other: &View| other.name == view.name && other.schema == view.schema;
        if pipeline.tables.iter().find(same_table).is_some() || pipeline.views[..position].iter().any(same_view) {
            let message = format!("`{}` is the name of a table or of another view already", view.qualified_name());
            report.add("duplicate-name", text.span.clone(), message, "write another name");
        }
    }
    if let Err(Apart { view, table }) = unified(pipeline) {
        let (name, span) = match table {
            Some(table) => (pipeline.tables[table].qualified_name(), names[table].span.clone()),
            None => ("the tables of its lists".to_owned(), views[view].span.clone()),
        };
        let message = format!(
            "the view `{}` cannot find the rows of {name}: the key of the items and that of the rows are not made of the \
             same fields",
            pipeline.views[view].qualified_name()
        );
        let hint =
            "make the key of the items of `$id`, and that of the rows of `$root.$id` and what tells elements apart";
        report.add("view-apart", span, message, hint);
    }
}
