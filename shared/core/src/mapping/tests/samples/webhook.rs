//! Good and bad files with sources that are webhooks.

/// Every scheme and every envelope, with everything that one may say.
pub(in crate::mapping::tests) const GOOD: &str = "
datastores:
  w: { type: postgres, url: { env: U } }
  b: { type: airtable, token: { env: T } }
  s: { type: sequin, base_url: 'https://sequin.example.org', token: { env: T } }
pipelines:
  payments:
    source:
      type: webhook
      hook: stripe
      verify: { scheme: stripe, secrets: [ { secret: prod/stripe, field: new }, { env: OLD } ], tolerance: 10m }
      envelope: { type: stripe, objects: [customer, invoice] }
      version: $root.created
      id: { header: X-Id }
      mode: queue
      too_large: s3
    sink: { datastore: w, tables: { payments: { key: { id: text }, columns: { name: text } } } }
  invoices:
    source: { type: webhook, hook: stripe, envelope: stripe }
    sink: { datastore: w, tables: { invoices: { key: { id: text, kind: { from: object, type: text } } } } }
  standard:
    source: { type: webhook, verify: { scheme: standard, secret: { file: /run/s } }, envelope: plain, id: event.id }
    sink: { datastore: w, tables: { standard: { key: { id: text } } } }
  github:
    source: { type: webhook, verify: { scheme: github, secret: { env: S } }, envelope: { type: github, events: issues }, version: issue.updated_at }
    sink: { datastore: w, tables: { github: { from: issue, key: { id: { from: $root.issue.id, type: bigint } }, columns: { title: text } } } }
  shopify:
    source: { type: webhook, verify: { scheme: shopify, secret: { env: S } }, envelope: data, mode: direct }
    sink: { datastore: w, tables: { shopify: { key: { id: bigint } } } }
  convoy:
    source: { type: webhook, verify: { scheme: convoy, secret: { env: S }, header: X-C, algorithm: sha512, encoding: base64, signature: advanced, tolerance: 7d }, envelope: { type: plain }, mode: queue }
    sink: { datastore: w, tables: { convoy: { key: { id: text } } } }
  simple:
    source: { type: webhook, verify: { scheme: convoy, secret: { env: S } }, envelope: plain, mode: queue, too_large: refuse }
    sink: { datastore: w, tables: { simple: { key: { id: text } } } }
  hmac:
    source:
      type: webhook
      verify:
        scheme: hmac
        secret: { env: S }
        header: X-Slack-Signature
        prefix: v0=
        algorithm: sha1
        encoding: hex
        secret_encoding: base64
        signed: 'v0:{timestamp}:{id}:{body}'
        timestamp: { header: X-Time, unit: iso, tolerance: 1m }
        id: X-Id
      envelope:
        type: mapped
        rows: payload.items
        row: after
        before: before
        operation: { path: $root.op, delete: [d, false], upsert: [u, 1], skip: ping }
        time: $root.at
      id: $root.event
    sink: { datastore: w, tables: { hmac: { key: { id: text, other: text } } } }
  bearer:
    source: { type: webhook, verify: { scheme: bearer, secret: { env: S } }, envelope: { type: sequin, table: public.orders, key: [id, line], epoch: 2 } }
    sink: { datastore: w, tables: { bearer: { key: { id: bigint, line: int }, columns: { a: text } } } }
  whole:
    source: { type: webhook, verify: { scheme: header, header: X-API-Key, secret: { env: S } }, envelope: { type: sequin, replica_identity: full }, version: meta.v }
    sink: { datastore: w, tables: { whole: { key: { any: bigint }, delete: hard } } }
  basic:
    source: { type: webhook, verify: { scheme: basic, secret: { env: S } }, envelope: { type: hasura, table: public.users } }
    sink: { datastore: w, tables: { basic: { key: { id: bigint } } } }
  open:
    source: { type: webhook, hook: supa.base-1, verify: none, envelope: { type: supabase, table: users } }
    sink: { datastore: w, tables: { open: { key: { id: bigint } } } }
  one_key:
    source: { type: webhook, verify: { scheme: bearer, secret: { env: S } }, envelope: { type: mapped, key: meta.id, operation: { path: type, delete: gone } } }
    sink: { datastore: w, tables: { one_key: { key: { id: bigint } }, other_key: { key: { id: bigint, region: text } } } }
  apartments:
    source: { datastore: b, base: appAbCdEfGhIjKlMn, table: T }
    sink: { datastore: w, tables: { apartments: {} } }
  orders:
    source: { datastore: s, consumer: orders }
    sink: { datastore: w, tables: { orders: { key: { id: bigint } } } }
  ping:
    source: { type: webhook, verify: { scheme: airtable, secret: { secret: prod/airtable } }, envelope: { type: airtable, runs: apartments } }
  schedule:
    source: { type: webhook, verify: { scheme: header, header: X-Key, secret: { env: S } }, envelope: { type: hasura_schedule, runs: [apartments, orders] } }
  refresh:
    source: { type: webhook, verify: { scheme: header, header: X-API-Key, secret: { env: S } }, envelope: { type: central, runs: [orders] } }
";

/// Bad files, each with the codes of its findings in the order of the file.
pub(in crate::mapping::tests) const BAD: &[(&[&str], &str)] = &[
    // Who may send.
    (
        &[
            "missing-verify",
            "literal-secret",
            "wrong-type",
            "unknown-word",
            "missing-key",
            "missing-key",
            "unknown-word",
            "unknown-key",
            "bad-duration",
            "bad-duration",
            "conflict",
            "wrong-type",
            "duplicate-key",
            "unknown-key",
        ],
        "datastores: { w: { type: postgres, url: { env: U } } }
pipelines:
  a: { source: { type: webhook, envelope: plain }, sink: { datastore: w, tables: { a: { key: { id: text } } } } }
  b: { source: { type: webhook, verify: { scheme: stripe, secret: hunter2 }, envelope: plain }, sink: { datastore: w, tables: { b: { key: { id: text } } } } }
  c: { source: { type: webhook, verify: hunter2, envelope: plain }, sink: { datastore: w, tables: { c: { key: { id: text } } } } }
  d: { source: { type: webhook, verify: { scheme: none }, envelope: plain }, sink: { datastore: w, tables: { d: { key: { id: text } } } } }
  e: { source: { type: webhook, verify: { secret: { env: S } }, envelope: plain }, sink: { datastore: w, tables: { e: { key: { id: text } } } } }
  f: { source: { type: webhook, verify: { scheme: bearer }, envelope: plain }, sink: { datastore: w, tables: { f: { key: { id: text } } } } }
  g: { source: { type: webhook, verify: { scheme: stripes, secret: { env: S } }, envelope: plain }, sink: { datastore: w, tables: { g: { key: { id: text } } } } }
  h: { source: { type: webhook, verify: { scheme: github, secret: { env: S }, tolerance: 5m }, envelope: plain }, sink: { datastore: w, tables: { h: { key: { id: text } } } } }
  i: { source: { type: webhook, verify: { scheme: stripe, secret: { env: S }, tolerance: 0s }, envelope: plain }, sink: { datastore: w, tables: { i: { key: { id: text } } } } }
  j: { source: { type: webhook, verify: { scheme: stripe, secret: { env: S }, tolerance: 8d }, envelope: plain }, sink: { datastore: w, tables: { j: { key: { id: text } } } } }
  k: { source: { type: webhook, verify: { scheme: stripe, secret: { env: S }, secrets: [ { env: S } ] }, envelope: plain }, sink: { datastore: w, tables: { k: { key: { id: text } } } } }
  l: { source: { type: webhook, verify: { scheme: stripe, secrets: [] }, envelope: plain }, sink: { datastore: w, tables: { l: { key: { id: text } } } } }
  m: { source: { type: webhook, verify: { scheme: stripe, secrets: [ { env: S }, { env: S } ] }, envelope: plain }, sink: { datastore: w, tables: { m: { key: { id: text } } } } }
  n: { source: { type: webhook, verify: { scheme: bearer, secret: { env: S }, tokn: hunter2 }, envelope: plain }, sink: { datastore: w, tables: { n: { key: { id: text } } } } }
",
    ),
    // Signatures of any kind.
    (
        &[
            "missing-key",
            "bad-header",
            "bad-header",
            "bad-template",
            "missing-key",
            "missing-key",
            "conflict",
            "conflict",
            "conflict",
            "missing-key",
        ],
        "datastores: { w: { type: postgres, url: { env: U } } }
pipelines:
  a: { source: { type: webhook, verify: { scheme: hmac, secret: { env: S } }, envelope: plain }, sink: { datastore: w, tables: { a: { key: { id: text } } } } }
  b: { source: { type: webhook, verify: { scheme: hmac, secret: { env: S }, header: 'X Y' }, envelope: plain }, sink: { datastore: w, tables: { b: { key: { id: text } } } } }
  c: { source: { type: webhook, verify: { scheme: hmac, secret: { env: S }, header: X, prefix: 'a,' }, envelope: plain }, sink: { datastore: w, tables: { c: { key: { id: text } } } } }
  d: { source: { type: webhook, verify: { scheme: hmac, secret: { env: S }, header: X, signed: '{ts}' }, envelope: plain }, sink: { datastore: w, tables: { d: { key: { id: text } } } } }
  e: { source: { type: webhook, verify: { scheme: hmac, secret: { env: S }, header: X, signed: '{timestamp}.{body}' }, envelope: plain }, sink: { datastore: w, tables: { e: { key: { id: text } } } } }
  f: { source: { type: webhook, verify: { scheme: hmac, secret: { env: S }, header: X, signed: '{id}.{body}' }, envelope: plain }, sink: { datastore: w, tables: { f: { key: { id: text } } } } }
  g: { source: { type: webhook, verify: { scheme: hmac, secret: { env: S }, header: X, timestamp: { header: T } }, envelope: plain }, sink: { datastore: w, tables: { g: { key: { id: text } } } } }
  h: { source: { type: webhook, verify: { scheme: hmac, secret: { env: S }, header: X, id: I }, envelope: plain }, sink: { datastore: w, tables: { h: { key: { id: text } } } } }
  i: { source: { type: webhook, verify: { scheme: convoy, secret: { env: S }, tolerance: 5m }, envelope: plain }, sink: { datastore: w, tables: { i: { key: { id: text } } } } }
  j: { source: { type: webhook, verify: { scheme: header, secret: { env: S } }, envelope: plain }, sink: { datastore: w, tables: { j: { key: { id: text } } } } }
",
    ),
    // Envelopes, and what stands beside them.
    (
        &[
            "missing-key",
            "unknown-word",
            "unknown-key",
            "conflict",
            "bad-path",
            "bad-path",
            "conflict",
            "conflict",
            "wrong-type",
            "conflict",
            "unknown-word",
            "bad-id",
            "bad-id",
            "key-not-carried",
            "key-not-carried",
            "hard-delete-of-parts",
            "bad-auto",
            "unknown-word",
        ],
        "datastores: { w: { type: postgres, url: { env: U } } }
pipelines:
  a: { source: { type: webhook, verify: none }, sink: { datastore: w, tables: { a: { key: { id: text } } } } }
  b: { source: { type: webhook, verify: none, envelope: stripes }, sink: { datastore: w, tables: { b: { key: { id: text } } } } }
  c: { source: { type: webhook, verify: none, envelope: { type: plain, table: x } }, sink: { datastore: w, tables: { c: { key: { id: text } } } } }
  d: { source: { type: webhook, verify: none, envelope: { type: sequin, key: id, replica_identity: full } }, sink: { datastore: w, tables: { d: { key: { id: text } } } } }
  e: { source: { type: webhook, verify: none, envelope: { type: mapped, rows: $root.items } }, sink: { datastore: w, tables: { e: { key: { id: text } } } } }
  f: { source: { type: webhook, verify: none, envelope: plain, version: $root }, sink: { datastore: w, tables: { f: { key: { id: text } } } } }
  g: { source: { type: webhook, verify: none, envelope: { type: mapped, key: id } }, sink: { datastore: w, tables: { g: { key: { id: text } } } } }
  h: { source: { type: webhook, verify: none, envelope: { type: mapped, operation: { path: t, delete: [x], skip: [x] } } }, sink: { datastore: w, tables: { h: { key: { id: text } } } } }
  i: { source: { type: webhook, verify: none, envelope: { type: stripe, objects: [] } }, sink: { datastore: w, tables: { i: { key: { id: text } } } } }
  j: { source: { type: webhook, verify: none, envelope: plain, too_large: s3 }, sink: { datastore: w, tables: { j: { key: { id: text } } } } }
  k: { source: { type: webhook, verify: none, envelope: plain, mode: qeue }, sink: { datastore: w, tables: { k: { key: { id: text } } } } }
  a name: { source: { type: webhook, verify: none, envelope: plain }, sink: { datastore: w, tables: { l: { key: { id: text } } } } }
  m: { source: { type: webhook, hook: a/b, verify: none, envelope: plain }, sink: { datastore: w, tables: { m: { key: { id: text } } } } }
  n: { source: { type: webhook, verify: none, envelope: stripe }, sink: { datastore: w, tables: { n: { key: { email: text } } } } }
  o: { source: { type: webhook, verify: none, envelope: { type: sequin, key: id } }, sink: { datastore: w, tables: { o: { key: { name: text } } } } }
  p: { source: { type: webhook, verify: none, envelope: sequin }, sink: { datastore: w, tables: { p: { key: { id: text }, delete: hard } } } }
  q: { source: { type: webhook, verify: none, envelope: plain }, sink: { datastore: w, tables: { q: { key: { id: text }, columns: auto } } } }
  r: { source: { type: webhok, verify: none, envelope: plain }, sink: { datastore: w, tables: { r: { key: { id: text } } } } }
",
    ),
    // Hooks that pipelines share, and those without rows.
    (
        &[
            "shared-hook",
            "shared-hook",
            "shared-hook",
            "missing-key",
            "conflict",
            "conflict",
            "unknown-pipeline",
            "not-polled",
            "not-polled",
            "duplicate-key",
        ],
        "datastores:
  w: { type: postgres, url: { env: U } }
  s: { type: sequin, base_url: 'https://sequin.example.org', token: { env: T } }
  b: { type: airtable, token: { env: T } }
pipelines:
  a: { source: { type: webhook, hook: x, verify: { scheme: bearer, secret: { env: A } }, envelope: plain, mode: queue }, sink: { datastore: w, tables: { a: { key: { id: text } } } } }
  b: { source: { type: webhook, hook: x, verify: { scheme: bearer, secret: { env: B } }, envelope: plain, mode: direct }, sink: { datastore: w, tables: { b: { key: { id: text } } } } }
  polled: { source: { datastore: s, consumer: c }, sink: { datastore: w, tables: { polled: { key: { id: text } } } } }
  swept: { source: { datastore: b, base: appAbCdEfGhIjKlMn, table: T, feed: sweep }, sink: { datastore: w, tables: { swept: {} } } }
  c: { source: { type: webhook, hook: x, envelope: { type: central, runs: polled } } }
  d: { source: { type: webhook, verify: none, envelope: airtable } }
  e: { source: { type: webhook, verify: none, envelope: { type: central, runs: polled }, version: v }, sink: { datastore: w, tables: { e: { key: { id: text } } } } }
  f: { source: { type: webhook, verify: none, envelope: { type: central, runs: poled } } }
  g: { source: { type: webhook, verify: none, envelope: { type: central, runs: a } } }
  h: { source: { type: webhook, verify: none, envelope: { type: airtable, runs: swept } } }
  i: { source: { type: webhook, verify: none, envelope: { type: central, runs: [polled, polled] } } }
",
    ),
    (&["yaml"], "pipelines:\n  a: { source: { type: webhook, verify: { scheme: bearer, secret: hunter2: x } } }\n"),
];
