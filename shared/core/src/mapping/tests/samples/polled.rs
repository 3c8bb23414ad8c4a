//! Good and bad files with sources that are polled.

/// Every kind of polled source with everything that one may say.
pub(in crate::mapping::tests) const GOOD: &str = "
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

/// Bad files, each with the codes of its findings in the order of the file.
pub(in crate::mapping::tests) const BAD: &[(&[&str], &str)] = &[
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
    (&["yaml"], "datastores:\n  b: { type: airtable, token: hunter2: x }\n"),
    // While a datastore is bad, nobody knows whether a table of its source needs a key.
    (
        &["literal-secret"],
        "datastores:
  w: { type: postgres, url: { env: U } }
  b: { type: airtable, token: hunter2 }
pipelines:
  a:
    source: { datastore: b, base: appAbCdEfGhIjKlMn, table: T }
    sink: { datastore: w, tables: { a: { columns: auto } } }
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
    // Columns that a part of an item would leave stale.
    (
        &["part-of-item", "part-of-item", "part-of-item", "part-of-item"],
        "datastores:
  w: { type: postgres, url: { env: U } }
  s: { type: sequin, base_url: 'https://sequin.example.org', token: { env: T } }
pipelines:
  parts:
    source: { datastore: s, consumer: a }
    sink:
      datastore: w
      tables:
        a:
          key: { id: text }
          columns:
            count: { value: 'row | length', type: integer }
            label: { value: '{{ id }} {{ name }}', type: text }
        b:
          from: address
          key: { id: { from: $root.id, type: text } }
          columns: { city: text, again: { from: $root.id, type: text }, name: { from: $root.name, type: text } }
        c:
          from: 'lines[]'
          key: { id: { from: $root.id, type: text }, line: { from: $index, type: integer } }
          columns: { sku: text, name: { value: \"root['name'] ~ sku\", type: text }, whole: { value: root, type: text } }
",
    ),
    // Sources that may send parts of items, and sources that don't.
    (
        &["hard-delete-of-parts", "hard-delete-of-parts", "conflict"],
        "datastores:
  w: { type: postgres, url: { env: U } }
  s: { type: sequin, base_url: 'https://sequin.example.org', token: { env: T } }
  l: { type: sequin, protocol: legacy, base_url: 'https://example.org', token: { env: T }, credential: c }
pipelines:
  parts:
    source: { datastore: s, consumer: a }
    sink: { datastore: w, meta: { versions: v }, delete: hard, tables: { a: { key: { id: text } } } }
  records:
    source: { datastore: l, consumer: a, collection: c }
    sink: { datastore: w, tables: { b: { delete: { mode: hard } } } }
  whole:
    source: { datastore: s, consumer: b, replica_identity: full }
    sink: { datastore: w, meta: { versions: v }, delete: hard, tables: { c: { key: { id: text } } } }
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
            "bad-path",
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
        nested: { from: Barcode, columns: { a: { from: $id, type: text } } }
        list: { from: 'L[]', key: { id: { from: $root.$id, type: text }, v: { from: $value, type: text } }, columns: { '*': auto } }
",
    ),
];
