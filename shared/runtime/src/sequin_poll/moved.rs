//! Rows whose key has changed: an update with another primary key leaves the row of the old one behind.
//!
//! Sequin tells it where the source table has `replica identity full`, by the old value in `changes`; so do webhooks that
//! send the row as it was. Elsewhere nobody can know. The row under the old key is deleted at the version of the update: later changes of that key still win.
//!
//! It is decided for each table by itself, because the key of a table may be made of other columns than the primary key.
//! Two rows that swap their keys within one transaction, which takes a deferrable constraint, cannot be told from two that
//! moved on; one of them is then missing until its next change.

use tributary_core::change::Change;
use tributary_core::event::{Body, Event};
use tributary_core::expr::Names;
use tributary_core::path::Path;
use tributary_core::pipeline::{From, Pipeline, Route, Scope, SourceKind};
use tributary_core::route::route;
use tributary_core::value::Value;

/// Adds the deletes of the rows that an event leaves behind. `from` is where its own changes begin.
pub(crate) fn route_moved(
    pipeline: &Pipeline,
    event: &Event,
    position: u32,
    received: i64,
    changes: &mut Vec<Change>,
    from: usize,
) {
    if !matches!(pipeline.source.kind, SourceKind::Sequin(_) | SourceKind::Webhook(_)) {
        return;
    }
    let (Body::Image { now, before: Some(before) } | Body::Part { now, before: Some(before) }) = &event.body else {
        return;
    };
    // Most updates leave the key alone, and then nothing is routed twice.
    if !pipeline.routes.iter().any(|route| differs(route, now, before)) {
        return;
    }
    let body = Body::Gone { key: before.clone(), before: Some(before.clone()), expired: false };
    let gone = Event { origin: event.origin.clone(), version: event.version, at: event.at, body };
    // An old key that doesn't fit its column never had a row.
    let (mut deletes, mut unfit) = (Vec::new(), Vec::new());
    route(pipeline, &gone, position, received, &mut deletes, &mut unfit);
    deletes.retain(|delete| {
        // Where the update itself has no change, it is a dead letter; its replay does both.
        changes[from..].iter().any(|change| change.table == delete.table && change.key != delete.key)
    });
    changes.extend(deletes);
}

/// Whether a field that the table's key is made of has changed.
fn differs(route: &Route, now: &Value, before: &Value) -> bool {
    let scope = match &route.scope {
        Scope::Root => None,
        Scope::Document(path) | Scope::Elements(path) => Some(path),
    };
    let changed = |name: &str| now.get(name) != before.get(name);
    let any = |names: &Names| match names {
        Names::All => now != before,
        Names::These(names) => names.iter().any(|name| changed(name)),
    };
    let top = |path: &Path| path.first_field().is_some_and(changed);
    route.key.iter().any(|binding| match &binding.from {
        From::Root(path) => top(path),
        From::Row(path) => top(scope.unwrap_or(path)),
        From::Whole => scope.map_or(now != before, top),
        From::Program(program) => any(&program.root_fields()) || scope.map_or_else(|| any(&program.row_fields()), top),
        From::Index | From::Nothing => false,
    })
}

#[cfg(test)]
mod tests {
    use tributary_core::change::Op;
    use tributary_core::event::Origin;
    use tributary_core::mapping;
    use tributary_core::version::Version;

    use super::*;

    const MAPPING: &str = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  cdc: { type: sequin, base_url: 'http://localhost:7376', token: { env: TOKEN } }
pipelines:
  orders:
    source: { datastore: cdc, consumer: orders, table: orders, replica_identity: full }
    sink:
      datastore: warehouse
      tables:
        orders: { key: { id: bigint }, columns: { status: text } }
        by_customer: { key: { customer: text }, columns: { status: text } }
        made: { key: { id: { value: \"{{ id }}-{{ part }}\", type: text } }, columns: { status: text } }
        line: { from: 'lines[]', key: { id: { from: $root.id, type: bigint }, n: { from: n, type: int } }, columns: { sku: text } }
";

    fn item(id: i64, customer: &str, part: &str, status: &str) -> Value {
        let fields =
            [("id", Value::from(id)), ("customer", customer.into()), ("part", part.into()), ("status", status.into())];
        Value::from(fields)
    }

    /// The deletes that an update means, as table and key.
    fn deletes(now: Value, before: Value) -> Vec<String> {
        let checked = mapping::load("t.yaml", MAPPING);
        let findings: Vec<String> = checked.findings.iter().map(|finding| finding.render(MAPPING)).collect();
        let mapping = checked.mapping.unwrap_or_else(|| panic!("{}", findings.join("\n")));
        let pipeline = &mapping.pipelines[0];
        let event = Event {
            origin: Origin { position: "1".into(), key: "".into(), payload: Default::default() },
            version: Version::from_u128(0, 7),
            at: None,
            body: Body::Image { now, before: Some(before) },
        };
        let (mut changes, mut rejected) = (Vec::new(), Vec::new());
        route(pipeline, &event, 0, 0, &mut changes, &mut rejected);
        let own = changes.len();
        route_moved(pipeline, &event, 0, 0, &mut changes, 0);
        assert!(changes.iter().all(|change| change.version == event.version));
        let shown = |change: &Change| {
            assert!(matches!(&change.op, Op::Delete(_) | Op::Replace(_)));
            format!("{} {:?}", pipeline.tables[usize::from(change.table)].name, change.key)
        };
        changes[own..].iter().map(shown).collect()
    }

    #[test]
    fn the_row_of_an_old_key_is_deleted_in_the_tables_whose_key_it_was() {
        let check = |now, before, expect: &[&str]| assert_eq!(deletes(now, before), expect);
        check(item(1, "a", "x", "new"), item(1, "a", "x", "old"), &[]);
        check(
            item(2, "a", "x", "new"),
            item(1, "a", "x", "old"),
            &["orders [Int(1)]", "made [Text(\"1-x\")]", "line [Int(1)]"],
        );
        check(item(1, "b", "x", "new"), item(1, "a", "x", "old"), &["by_customer [Text(\"a\")]"]);
        check(item(1, "a", "y", "new"), item(1, "a", "x", "old"), &["made [Text(\"1-x\")]"]);
        // An update that is itself a dead letter for a table deletes nothing there.
        let unfit = Value::from([("id", "no number".into()), ("customer", "a".into()), ("part", "x".into())]);
        check(unfit, item(1, "a", "x", "old"), &["made [Text(\"1-x\")]"]);
    }
}
