//! Good and bad files with ODK Central.

/// Everything that one may say of ODK Central.
pub(in crate::mapping::tests) const GOOD: &str = "
datastores:
  warehouse: { type: postgres, url: { env: DATABASE_URL } }
  field: { type: odk, base_url: 'https://odk.example.org', auth: { secret: prod/odk } }
  named: { type: odk, base_url: 'http://localhost:8383/', auth: { email: sync@example.org, password: { env: ODK_PASSWORD }, basic: true } }
  hidden: { type: odk, base_url: 'https://odk.example.org', auth: { email: { env: ODK_EMAIL }, password: { file: /run/odk } } }
pipelines:
  plain:
    source: { datastore: field, project: 1, form: household }
    sink: { datastore: warehouse, tables: { household: { columns: auto, children: auto, view: household_unified } } }
  survey:
    source:
      datastore: named
      project: 7
      form: Rental survey (2026)
      every: 5m
      key: [UUID, __id, meta.instanceID]
      geo: geometry
      overlap: 30m
      sweep_every: 12h
      mass_delete: 10%
      retry_attachments_for: 60d
    sink:
      datastore: warehouse
      schema: odk
      delete: { mode: soft, column: gone, at: gone_at }
      tables:
        submission:
          columns:
            survey_date: date
            rent: { from: property_description.rent, type: numeric }
            review: { from: __system.reviewState, type: text }
            '*': auto
          children:
            person_details: auto
            person_details.income: { table: incomes, columns: { amount: numeric, '*': auto }, delete: soft }
            children.child: { key: { submission: { from: $root.$id, type: text }, n: { from: $position, type: integer } }, columns: { first_name: text } }
            '*': auto
          view: submission_unified
        visit: { from: 'visits[].visit[]', columns: { on: date, of: { from: $submission, type: text } } }
        late: { when: rent > 1000, key: { id: { from: $id, type: text } } }
      attachments: { to: { s3: my-bucket, prefix: odk/pictures/, region: eu-west-1, endpoint: 'http://localhost:9000' }, path: '{pipeline}/{project}/{form}/{submission}/{field}/{name}', table: files.picture, max_workers: 2 }
  local:
    source: { datastore: hidden, project: 1, form: local, key: __id }
    sink: { datastore: warehouse, tables: { local: { columns: { note: text } } }, attachments: { to: { directory: ./pictures } } }
  properties:
    source: { datastore: field, project: 1, dataset: properties, every: 1h, mass_delete: 1 }
    sink: { datastore: warehouse, tables: { property: { columns: auto } } }
";

/// Bad files, each with the codes of its findings in the order of the file.
pub(in crate::mapping::tests) const BAD: &[(&[&str], &str)] = &[
    (
        &[
            "literal-secret",
            "missing-key",
            "missing-key",
            "bad-email",
            "literal-secret",
            "conflict",
            "clear-token",
            "unknown-key",
            "missing-key",
            "wrong-type",
            "bad-reference",
            "no-pipelines",
        ],
        "datastores:
  a: { type: odk, base_url: 'https://odk.example.org', auth: hunter2 }
  b: { type: odk, auth: { email: a@b.c } }
  c: { type: odk, base_url: 'https://odk.example.org', auth: { email: sync, password: hunter2 } }
  d: { type: odk, base_url: 'https://odk.example.org', auth: { secret: s, password: { env: P } } }
  e: { type: odk, base_url: 'http://odk.example.org', auth: { secret: s, user: me } }
  f: { type: odk, base_url: 'https://odk.example.org', auth: { password: { env: P }, basic: sometimes } }
  g: { type: odk, base_url: 'https://odk.example.org', auth: { secret: '' } }
pipelines: {}
",
    ),
    (
        &[
            "wrong-type",
            "conflict",
            "missing-key",
            "missing-key",
            "bad-id",
            "bad-source-key",
            "bad-source-key",
            "unknown-word",
            "bad-duration",
            "wrong-type",
            "conflict",
        ],
        "datastores:
  w: { type: postgres, url: { env: U } }
  o: { type: odk, base_url: 'https://odk.example.org', auth: { secret: s } }
pipelines:
  a: { source: { datastore: o, project: one, form: f }, sink: { datastore: w, tables: { a: { columns: auto } } } }
  b: { source: { datastore: o, project: 1, form: f, dataset: d }, sink: { datastore: w, tables: { b: { columns: auto } } } }
  c: { source: { datastore: o }, sink: { datastore: w, tables: { c: { columns: auto } } } }
  d: { source: { datastore: o, project: 1, form: ' ' }, sink: { datastore: w, tables: { d: { columns: auto } } } }
  e: { source: { datastore: o, project: 1, form: f, key: [] }, sink: { datastore: w, tables: { e: { columns: auto } } } }
  f: { source: { datastore: o, project: 1, form: f, key: [a, $raw] }, sink: { datastore: w, tables: { f: { columns: auto } } } }
  g: { source: { datastore: o, project: 1, form: f, geo: wkt, overlap: 15, mass_delete: 2 }, sink: { datastore: w, tables: { g: { columns: auto } } } }
  h: { source: { datastore: o, project: 1, dataset: d, geo: jsonb }, sink: { datastore: w, tables: { h: { columns: auto } } } }
",
    ),
    (
        &[
            "no-items",
            "bad-delete",
            "key-not-carried",
            "bad-path",
            "duplicate-column",
            "bad-children",
            "bad-children",
            "bad-auto",
            "unknown-key",
            "bad-path",
            "bad-children",
            "bad-view",
            "two-writers",
        ],
        "datastores:
  w: { type: postgres, url: { env: U } }
  o: { type: odk, base_url: 'https://odk.example.org', auth: { secret: s } }
pipelines:
  a: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { a: { from: 'people[]', columns: auto } } } }
  b: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { b: { columns: auto, delete: ignore } } } }
  c: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { c: { key: { id: { from: UUID, type: text } } } } } }
  d: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { d: { columns: { at: { from: $position, type: int } } } } } }
  e: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { e: { columns: { _system: text } } } } }
  g: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { g: { columns: auto, children: auto }, g2: { columns: auto, children: auto } } } }
  h: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { h: { columns: auto }, h2: { from: 'people[]', columns: auto, view: v } } } }
  i: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { i: { children: { a: auto, '*': text, b: { colums: auto }, 'c..d': auto } } } } }
  j: { source: { datastore: o, project: 1, dataset: d }, sink: { datastore: w, tables: { j: { columns: auto, children: auto, view: v } } } }
  k: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { k: { columns: auto, children: { a: { table: k } } } } } }
",
    ),
    (
        &[
            "duplicate-name",
            "view-apart",
            "view-apart",
            "missing-key",
            "bad-destination",
            "conflict",
            "bad-bucket",
            "bad-path",
            "bad-endpoint",
            "bad-path",
            "wrong-type",
            "bad-attachments",
            "bad-attachments",
        ],
        "datastores:
  w: { type: postgres, url: { env: U } }
  o: { type: odk, base_url: 'https://odk.example.org', auth: { secret: s } }
  d: { type: dynamodb }
pipelines:
  a: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { a: { columns: auto, view: a } } } }
  b: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { b: { key: { id: { from: __id, type: text } }, columns: auto, children: auto, view: bv } } } }
  c: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { c: { columns: auto, view: cv }, c2: { from: 'people[]', key: { s: { from: $root.__id, type: text }, n: { from: $index, type: int } } } } } }
  e: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { e: { columns: auto } }, attachments: {} } }
  f: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { f: { columns: auto } }, attachments: { to: {} } } }
  g: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { g: { columns: auto } }, attachments: { to: { directory: ., region: r } } } }
  h: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { h: { columns: auto } }, attachments: { to: { s3: My_Bucket } } } }
  i: { source: { datastore: o, project: 1, form: f }, sink: { datastore: w, tables: { i: { columns: auto } }, attachments: { to: { s3: bucket, prefix: ../x, endpoint: here }, path: '{form}/{name}', max_workers: 9 } } }
  j: { source: { datastore: d, table: tab }, sink: { datastore: w, tables: { j: { key: { id: text } } }, attachments: { to: { s3: bucket } } } }
  k: { source: { datastore: o, project: 1, dataset: f }, sink: { datastore: w, tables: { k: { columns: auto } }, attachments: { to: { s3: bucket } } } }
",
    ),
];
