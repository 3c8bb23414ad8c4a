//! Good and bad files.

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
    all.push(POLLED.to_owned());
    all
}

/// Every kind of polled source with everything that one may say.
pub(super) const POLLED: &str = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  orders_cdc: { type: sequin, base_url: 'https://sequin.example.org:7376', token: { secret: prod/sequin } }
  old_sync: { type: sequin, protocol: legacy, base_url: 'https://api.sequin.io/', token: { env: SEQUIN_API_KEY }, credential: b006439c-9d80-4f71-bfe1-59aa1175709f }
  local: { type: sequin, protocol: stream, base_url: 'http://localhost:7376', token: { file: /run/token } }
  bases: { type: airtable, token: { secret: prod/airtable, field: token } }
  fake: { type: airtable, base_url: 'http://127.0.0.1:9', token: { env: T } }
pipelines:
  orders:
    source: { datastore: orders_cdc, consumer: orders-sink, table: public.orders, every: 1m, epoch: 2, replica_identity: full, version: meta.updated_idx, ack_wait: 45s }
    sink: { datastore: warehouse, tables: { orders: { key: { id: bigint }, columns: { status: text, '*': auto } } } }
  lines:
    source: { datastore: orders_cdc, consumer: orders-sink, table: lines, key: [order_id, line], every: 1m, ack_wait: 45s }
    sink: { datastore: warehouse, tables: { lines: { key: { order_id: bigint, line: int }, columns: auto } } }
  everything:
    source: { datastore: local, consumer: all, key: id }
    sink: { datastore: warehouse, tables: { everything: { key: { id: bigint }, columns: { doc: { from: doc, type: jsonb } } } } }
  members:
    source: { datastore: old_sync, consumer: 3f0e0b7c-5f4f-4a35-9a7d-0d5ad1b1c7a2, collection: tblrZN6sFVhMD0P07 }
    sink: { datastore: warehouse, tables: { members: { columns: { name: { from: fldrZN6sFVhMD0P07, type: text }, made: { from: $created, type: timestamptz }, seen: { from: $updated, type: timestamptz } } } } }
  appointments:
    source: { datastore: old_sync, consumer: 3f0e0b7c-5f4f-4a35-9a7d-0d5ad1b1c7a2, collection: Appointments, epoch: 1, ack_wait: 30s }
    sink: { datastore: warehouse, meta: { version_type: numeric }, tables: [{ name: appointments, columns: [{ '*': auto }] }] }
  apartments:
    source: { datastore: bases, base: appAbCdEfGhIjKlMn, table: tblAbCdEfGhIjKlMn, every: 5m, sweep_every: 12h, mass_delete: 25% }
    sink:
      datastore: warehouse
      tables:
        apartment: { columns: { id: text, name: varchar(20), everything: { from: $value, type: jsonb }, '*': auto } }
        apartment_barcode: { from: Barcode, columns: { text: text } }
        apartment_district:
          from: fldDistrict[]
          key: { apartment: { from: $root.$id, type: text }, district: { from: $value, type: text } }
        apartment_photo:
          from: Photos[]
          key: { apartment: { value: \"root['$id']\", type: text }, id: text }
          columns: { filename: text }
  hooks:
    source: { datastore: bases, base: appAbCdEfGhIjKlMn, table: Hooks, feed: { webhook: achAbCdEfGhIjKlMn }, mass_delete: 1 }
    sink: { datastore: warehouse, tables: { hooks: { key: { record: { value: \"row['$id']\", type: text } }, columns: auto } } }
  modified:
    source: { datastore: fake, base: appAbCdEfGhIjKlMn, table: 'A table', feed: { last_modified: Last modified }, every: 0s }
    sink: { datastore: warehouse, tables: { modified: {} } }
  swept:
    source: { datastore: fake, base: appAbCdEfGhIjKlMn, table: tbl, feed: sweep, every: 30d }
    sink: { datastore: warehouse, tables: { swept: { columns: { a: text }, delete: { mode: soft, keep: false } } } }
  hooked:
    source: { datastore: fake, base: appAbCdEfGhIjKlMn, table: T, feed: webhook, mass_delete: 0.1 }
    sink: { datastore: warehouse, tables: { hooked: { columns: { a: text } } } }
";

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
        &["not-in-this-release", "not-in-this-release", "not-in-this-release"],
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
  c: { type: odk, base_url: https://odk.example.org, token: hunter2 }
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
    (
        &[
            "clear-token",
            "literal-secret",
            "unknown-word",
            "bad-address",
            "missing-key",
            "missing-key",
            "bad-address",
            "literal-secret",
            "conflict",
            "bad-address",
            "unknown-key",
            "missing-key",
            "unknown-key",
            "bad-id",
            "unknown-word",
            "no-pipelines",
        ],
        "datastores:
  a: { type: sequin, base_url: 'http://sequin.example.org', token: hunter2 }
  b: { type: sequin, protocol: old, base_url: 'https://x.example.org/v1', token: { env: T } }
  c: { type: sequin, protocol: legacy, base_url: api.example.org }
  d: { type: sequin, base_url: 'https://u:hunter2@example.org', token: { env: T }, credential: b0 }
  e: { type: airtable, base_url: 'https://example.org/?key=hunter2', token: { env: T }, region: x }
  f: { type: airtable, tokn: hunter2 }
  g: { type: sequin, protocol: legacy, base_url: 'https://example.org', token: { env: T }, credential: a/b }
  h: { type: sequinn, token: hunter2 }
pipelines: {}
",
    ),
    // Sources of a Sequin.
    (
        &[
            "missing-key",
            "wrong-protocol",
            "unknown-key",
            "bad-id",
            "bad-name",
            "bad-duration",
            "wrong-type",
            "unknown-word",
            "bad-path",
            "bad-duration",
            "conflict",
            "bad-source-key",
            "missing-key",
            "key-not-carried",
            "bad-value",
            "bad-path",
            "wrong-protocol",
            "unknown-key",
            "small-version",
            "wrong-type",
            "key-not-carried",
            "small-version",
            "bad-path",
            "missing-key",
        ],
        "datastores:
  w: { type: postgres, url: { env: U } }
  s: { type: sequin, base_url: 'https://sequin.example.org', token: { env: T } }
  l: { type: sequin, protocol: legacy, base_url: 'https://example.org', token: { env: T }, credential: c }
pipelines:
  a:
    source: { datastore: s, collection: tblrZN6sFVhMD0P07, feed: webhook }
    sink: { datastore: w, tables: { a: { key: { id: text } } } }
  b:
    source: { datastore: s, consumer: a/b, table: a.b.c, every: often, epoch: -1, replica_identity: fully, version: a..b, ack_wait: 0s }
    sink: { datastore: w, tables: { b: { key: { id: text } } } }
  c:
    source: { datastore: s, consumer: c, key: [id, id], replica_identity: full }
    sink: { datastore: w, tables: { c: { columns: auto } } }
  d:
    source: { datastore: s, consumer: d, key: id }
    sink: { datastore: w, tables: { d: { key: { mail: text }, columns: { a: { from: $value, type: jsonb }, b: { from: $id, type: text } } } } }
  e:
    source: { datastore: l, consumer: e, table: orders, replica_identity: full, epoch: 1 }
    sink: { datastore: w, tables: { e: {} } }
  f:
    source: { datastore: l, consumer: f, collection: c, epoch: 1 }
    sink: { datastore: w, tables: { f: {} } }
  g:
    source: { datastore: l, consumer: g, collection: 1, epoch: 1 }
    sink: { datastore: w, tables: { g: {} } }
  h:
    source: { datastore: l, consumer: h, collection: c }
    sink: { datastore: w, tables: { h: { key: { name: text } } } }
  i:
    source: { datastore: s, consumer: i }
    sink: { datastore: w, meta: { version_type: bigint }, tables: { i: { key: { id: text } } } }
  j:
    source: { datastore: l, consumer: j, collection: c }
    sink: { datastore: w, tables: { j: { columns: { a: { from: $upstream_id, type: text } } }, k: { from: 'list[]', columns: { a: text } } } }
",
    ),
    // Pipelines of one consumer.
    (
        &["shared-consumer", "shared-consumer", "shared-consumer"],
        "datastores:
  w: { type: postgres, url: { env: U } }
  s: { type: sequin, base_url: 'https://sequin.example.org', token: { env: T } }
pipelines:
  one:
    source: { datastore: s, consumer: c, table: orders, every: 5m }
    sink: { datastore: w, tables: { one: { key: { id: text } } } }
  two:
    source: { datastore: s, consumer: c }
    sink: { datastore: w, tables: { two: { key: { id: text } } } }
  three:
    source: { datastore: s, consumer: c, table: orders, every: 5m, ack_wait: 1m }
    sink: { datastore: w, tables: { three: { key: { id: text } } } }
  four:
    source: { datastore: s, consumer: d }
    sink: { datastore: w, tables: { four: { key: { id: text } } } }
",
    ),
    // Sources of an Airtable.
    (
        &[
            "missing-key",
            "missing-key",
            "unknown-key",
            "unknown-key",
            "bad-id",
            "bad-id",
            "bad-id",
            "conflict",
            "wrong-type",
            "bad-duration",
            "bad-feed",
            "conflict",
            "wrong-type",
            "bad-id",
            "unknown-word",
            "bad-id",
        ],
        "datastores:
  w: { type: postgres, url: { env: U } }
  b: { type: airtable, token: { env: T } }
pipelines:
  a:
    source: { datastore: b, epoch: 1, collection: x }
    sink: { datastore: w, tables: { a: {} } }
  b:
    source: { datastore: b, base: appX, table: tblAbCdEfGhIjKlM, feed: { webhook: hook }, sweep_every: 0s, mass_delete: 50 }
    sink: { datastore: w, tables: { b: {} } }
  c:
    source: { datastore: b, base: appAbCdEfGhIjKlMn, table: T, every: 7d }
    sink: { datastore: w, tables: { c: {} } }
  d:
    source: { datastore: b, base: appAbCdEfGhIjKlMn, table: T, feed: { webhook: achAbCdEfGhIjKlMn, last_modified: f } }
    sink: { datastore: w, tables: { d: {} } }
  e:
    source: { datastore: b, base: appAbCdEfGhIjKlMn, table: T, feed: sweep, sweep_every: 1d, mass_delete: half }
    sink: { datastore: w, tables: { e: {} } }
  f:
    source: { datastore: b, base: appAbCdEfGhIjKlMn, table: ' ', feed: webhooks }
    sink: { datastore: w, tables: { f: {} } }
  g:
    source: { datastore: b, base: appAbCdEfGhIjKlMn, table: T, feed: { last_modified: '' } }
    sink: { datastore: w, tables: { g: {} } }
",
    ),
    // Tables of records.
    (
        &[
            "bad-path",
            "bad-path",
            "bad-path",
            "bad-path",
            "bad-path",
            "bad-value",
            "bad-auto",
            "bad-auto",
            "key-not-carried",
            "key-not-carried",
            "bad-auto",
            "no-element-key",
            "key-not-carried",
            "duplicate-column",
            "bad-auto",
        ],
        "datastores:
  w: { type: postgres, url: { env: U } }
  b: { type: airtable, token: { env: T } }
pipelines:
  a:
    source: { datastore: b, base: appAbCdEfGhIjKlMn, table: T }
    sink:
      datastore: w
      tables:
        paths:
          columns:
            a: { from: $create, type: timestamptz }
            b: { from: $price, type: text }
            c: { from: $id.x, type: text }
            d: { from: $updated, type: text }
            e: { from: $value.x, type: text }
        whole: { key: { id: { from: $value, type: text } }, columns: { a: auto, '*': text } }
        name: { key: { name: text } }
        inside: { from: Barcode, key: { id: { from: $root.text, type: text } }, columns: auto }
        elements: { from: 'L[]', key: { id: { from: $root.$id, type: text } }, columns: { id_again: text } }
        program: { key: { id: { value: 'row.name', type: text } } }
        preset: { columns: { record_id: text } }
        list: { from: 'L[]', key: { id: { from: $root.$id, type: text }, v: { from: $value, type: text } }, columns: { '*': auto } }
",
    ),
];
