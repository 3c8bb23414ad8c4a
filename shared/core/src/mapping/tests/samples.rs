//! Good and bad files.

pub(super) mod odk;
pub(super) mod polled;
pub(super) mod webhook;

use super::{REFERENCE, around};

/// Files without a finding.
pub(super) fn good() -> Vec<String> {
    let tables = [
        "key: { id: text }",
        "key: [{ id: text }]\ncolumns: [{ name: text }, { name: a, from: b, type: 'int[]' }]\ndelete: hard",
        "from: doc\nkey: { id: { from: $root.id, type: text } }\nwhen: a > 1\ndelete: { mode: soft, keep: false, ttl: apply, purge_after: 7d }",
        "key: { id: { value: 'id ~ sort', type: text } }\ncolumns: { a: { type: varchar(3), on_error: null }, b: { type: jsonb, default: { x: [1] } } }",
        "from: lines[]\nkey: { id: { from: $root.id, type: text }, n: { from: $index, type: int } }\ndelete: { mode: hard, ttl: ignore }",
    ];
    let stores = [
        "{ type: postgres, secret: s, host: h, port: 1, dbname: d, tls: auto, schema: x, proxy: false, auto_migrate: off }",
        "{ type: postgres, host: h, user: u, auth: iam, region: r, tls: { root: system } }",
        "{ type: postgres, host: h, user: u, password: { file: /p } }",
    ];
    let mut all: Vec<String> = tables.into_iter().map(around).collect();
    let own = "{ type: postgres, url: { env: DATABASE_URL } }";
    all.extend(stores.into_iter().map(|store| around(tables[0]).replace(own, store)));
    all.push(
        around(tables[0])
            .replace("  app: {", "  app: { endpoint: 'http://127.0.0.1:8000', ")
            .replace("[id, sort]", "id"),
    );
    all.push(REFERENCE.to_owned());
    all.push(polled::GOOD.to_owned());
    all.push(odk::GOOD.to_owned());
    all.push(webhook::GOOD.to_owned());
    all
}

/// Bad tables, each with the codes of its findings in the order of the file.
pub(super) const TABLES: &[(&[&str], &str)] = &[
    (&["unknown-key"], "key: { id: text }\ncolums: { name: text }"),
    (&["unknown-key", "unknown-key"], "key: { id: text }\nbanana: 1\ncolumns: { a: { type: text, form_: x } }"),
    (&["missing-key"], "columns: { name: text }"),
    (&["no-key"], "key: {}\ncolumns: { name: text }"),
    (&["duplicate-key"], "key: { id: text }\ncolumns: { name: text }\ncolumns: { other: text }"),
    (&["duplicate-key"], "key: { id: text }\ncolumns: { name: text, name: int }"),
    (&["wrong-type"], "key: { id: text }\ncolumns: text"),
    (&["wrong-type", "wrong-type"], "key: { id: text }\ncolumns: { a: 1, b: { type: true } }"),
    (&["missing-key"], "key: { id: text }\ncolumns: { a: { from: b } }"),
    (
        &["unknown-type", "unknown-type", "unknown-type"],
        "key: { id: text }\ncolumns: { a: varchr(3), b: serial, c: two words }",
    ),
    (&["bad-key-type", "bad-key-type"], "key: { id: real, sort: { type: 'text[]' } }"),
    (
        &["bad-path", "bad-path"],
        "key: { id: text }\ncolumns: { a: { from: 'a..b', type: text }, b: { from: $root, type: text } }",
    ),
    (
        &["bad-program", "bad-program"],
        "key: { id: text }\ncolumns: { a: { value: 'name + shout(x)', type: text } }\nwhen: '{{ a }} {{ b }}'",
    ),
    (
        &["bad-program"],
        "key: { id: text }\ncolumns:\n  a:\n    type: text\n    value: >-\n      lambda r:\n      r.name +",
    ),
    (&["conflict"], "key: { id: text }\ncolumns: { a: { from: b, value: c, type: text } }"),
    (&["duplicate-column", "duplicate-column"], "key: { id: text }\ncolumns: { id: text, _version: int }"),
    (&["no-parent-key"], "from: lines[]\nkey: { n: { from: $index, type: int } }"),
    (&["no-element-key"], "from: lines[]\nkey: { id: { from: $root.id, type: text } }"),
    (
        &["index-outside-list", "index-outside-list"],
        "key: { id: text, n: { from: $index, type: int } }\nwhen: index > 0",
    ),
    (&["key-not-carried", "key-not-carried"], "key: { id: text, mail: text, x: { value: 'id ~ r.name', type: text } }"),
    (&["key-inside-document"], "from: doc\nkey: { id: text }"),
    (&["bad-path"], "from: a[].b[]\nkey: { id: { from: $root.id, type: text } }"),
    (
        &["bad-child-delete"],
        "from: l[]\nkey: { id: { from: $root.id, type: text }, n: { from: $index, type: int } }\ndelete: ignore",
    ),
    (&["short-purge"], "key: { id: text }\ndelete: { mode: soft, purge_after: 12h }"),
    (&["bad-duration"], "key: { id: text }\ndelete: { mode: soft, purge_after: a month }"),
    (&["conflict", "conflict"], "key: { id: text }\ndelete: { mode: hard, keep: true, purge_after: 30d }"),
    (&["unknown-word"], "key: { id: text }\ndelete: sotf"),
    (&["missing-key"], "key: { id: text }\ndelete: { column: deleted }"),
    (
        &["bad-delete-column", "bad-delete-column"],
        "key: { id: text }\ncolumns: { d: text, a: date }\ndelete: { mode: soft, column: d, at: a }",
    ),
    (
        &["duplicate-column", "duplicate-column"],
        "key: { id: text }\ndelete: { mode: soft, column: id, at: x, reason: x }",
    ),
    (
        &["default-in-key", "bad-default", "bad-default"],
        "key: { id: { type: text, default: x } }\ncolumns: { a: { type: int, default: many }, b: { type: int, default: null } }",
    ),
    (
        &["bad-on-error", "bad-on-error", "bad-on-error"],
        "key: { id: { type: text, on_error: null } }\ncolumns: { a: { type: text, on_error: truncate }, b: { type: inet, on_error: null } }",
    ),
    (
        &["long-name"],
        "key: { id: text }\ncolumns: { a_name_that_is_so_long_that_postgres_would_cut_it_without_saying_so_at_all: text }",
    ),
    (
        &["not-in-this-release", "bad-view", "bad-children"],
        "key: { id: text }\ncolumns: auto\nview: users_view\nchildren: { a: auto }",
    ),
    (&["not-in-this-release"], "key: { id: text }\ncolumns: auto"),
    (&["missing-key"], "key: { id: text }\ncolumns: [{ from: a, type: text }]"),
];

/// Bad files.
pub(super) const FILES: &[(&[&str], &str)] = &[
    (&["empty"], ""),
    (&["yaml"], "datastores:\n  a: [1, 2\npipelines: {}\n"),
    (&["yaml"], "datastores: {}\n---\npipelines: {}\n"),
    (&["yaml"], "datastores:\n  w: { type: postgres, password: hunter2: x }\n"),
    (&["wrong-type"], "- a\n- b\n"),
    (&["not-in-this-release", "missing-key", "missing-key"], "externalstores: {}\n"),
    (&["no-pipelines"], "datastores: { a: { type: dynamodb } }\npipelines: {}\n"),
    (
        &[
            "literal-secret",
            "literal-secret",
            "unknown-key",
            "not-in-this-release",
            "unknown-word",
            "missing-key",
            "no-pipelines",
        ],
        "datastores:
  a: { type: postgres, url: 'postgres://u:hunter2@h/d' }
  b: { type: postgres, host: h, user: u, password: hunter2, colour: red }
  c: { type: mysql, base_url: https://odk.example.org, token: hunter2 }
  d: { type: postgress, pasword: hunter2 }
  e: { region: us-east-2 }
pipelines: []
",
    ),
    (
        &[
            "conflict",
            "conflict",
            "missing-key",
            "bad-reference",
            "conflict",
            "wrong-type",
            "unknown-word",
            "bad-endpoint",
            "no-pipelines",
        ],
        "datastores:
  a: { type: postgres, url: { env: A }, host: h, region: r }
  b: { type: postgres, dbname: d }
  c: { type: postgres, url: { env: A, file: B } }
  d: { type: postgres, host: h, user: u, auth: iam, password: { env: P } }
  e: { type: postgres, secret: s, port: 99999, tls: { root: mine } }
  f: { type: dynamodb, endpoint: localhost }
pipelines: {}
",
    ),
    (
        &["unknown-datastore", "wrong-datastore", "no-tables", "wrong-datastore", "wrong-datastore"],
        "datastores:
  warehouse: { type: postgres, url: { env: U } }
  app: { type: dynamodb }
pipelines:
  one:
    source: { datastore: ap, table: users }
    sink: { datastore: app, tables: { t: { key: { id: text } } } }
  two:
    source: { datastore: app, table: users }
    sink: { datastore: warehouse, tables: {} }
  three:
    source: { datastore: warehouse, table: users }
    sink: { datastore: app, tables: { t: { key: { id: text } } } }
",
    ),
    (
        &["two-writers", "unknown-key", "not-in-this-release", "two-writers"],
        "datastores:
  w: { type: postgres, url: { env: U } }
  a: { type: dynamodb }
pipelines:
  one:
    source: { datastore: a, table: users }
    sink: { datastore: w, tables: { t: { key: { id: text } }, public.t: { key: { id: text } } } }
  two:
    source: { datastore: a, table: others, every: 5m }
    enrichment: []
    sink: { datastore: w, tables: [{ name: t, key: { id: text } }] }
",
    ),
];
