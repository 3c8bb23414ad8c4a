//! The rows of the benchmark: a table like those that people sync, and changes to it. The same seed gives the same rows.

use fastrand::Rng;
use tributary_core::batch::Batch;
use tributary_core::cell::{Cell, Row};
use tributary_core::change::{Change, Op};
use tributary_core::column_type::{Base, ColumnType};
use tributary_core::decimal::Decimal;
use tributary_core::table::{Column, DeleteMode, DeletePolicy, MetaColumns, Role, Table};
use tributary_core::version::Version;

/// The schema that the benchmark makes and drops.
pub(crate) const SCHEMA: &str = "write_path";
/// The name under which batches are applied.
pub(crate) const PIPELINE: &str = "write_path";
/// A stream's label as microseconds: what the versions of a DynamoDB stream start with.
const EPOCH: i64 = 1_771_200_000_000_000;
/// 2026-01-01, in microseconds since 1970.
const JANUARY: i64 = 1_767_225_600_000_000;
const WORDS: [&str; 16] = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jetty", "knoll", "larch",
    "marsh", "north", "ocean", "pearl",
];

/// The twelve columns beside the key.
const COLUMNS: [(&str, Base); 12] = [
    ("name", Base::Text),
    ("email", Base::Text),
    ("city", Base::Text),
    ("status", Base::Text),
    ("note", Base::Text),
    ("amount", Base::Numeric(Some((14, 2)))),
    ("quantity", Base::Int4),
    ("score", Base::Float8),
    ("active", Base::Bool),
    ("created_at", Base::Timestamptz),
    ("attributes", Base::Jsonb),
    ("ref", Base::Uuid),
];

/// A table of the benchmark, by its name in [`SCHEMA`].
pub(crate) fn table(name: &str) -> Table {
    let column = |name: &str, base: Base| Column {
        name: name.to_owned(),
        ty: ColumnType::scalar(base),
        role: Role::Data,
        default: None,
    };
    Table {
        schema: Some(SCHEMA.to_owned()),
        name: name.to_owned(),
        key: vec![column("id", Base::Text)],
        columns: COLUMNS.into_iter().map(|(name, base)| column(name, base)).collect(),
        delete: DeletePolicy { mode: DeleteMode::Soft { keep: true }, ttl: true, purge_after: None },
        meta: MetaColumns::default(),
        children: None,
    }
}

/// A batch of these changes to the first of the tables, as a function of a stream has it: no checkpoint.
pub(crate) fn batch(tables: &[Table], changes: Vec<Change>) -> Batch<'_> {
    Batch {
        pipeline: PIPELINE,
        tables,
        origins: Vec::new(),
        changes,
        rejected: Vec::new(),
        checkpoint: None,
        replay: false,
        only_writer: false,
        receipts: Vec::new(),
        received: Vec::new(),
    }
}

/// The version of a stream's `number`-th record: an epoch and a sequence number of 21 digits.
pub(crate) fn version(number: u64) -> Version {
    let seq = format!("{}", 400_000_000_000_000_000_000_u128 + u128::from(number) * 97);
    Version::new(EPOCH, &seq).expect("digits")
}

/// A source of changes.
pub(crate) struct Rows {
    rng: Rng,
    number: u64,
}

impl Rows {
    pub(crate) fn new(seed: u64) -> Self {
        Rows { rng: Rng::with_seed(seed), number: 1_000_000 }
    }

    /// Keys of new rows: uuids as text, in no order.
    pub(crate) fn keys(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.uuid()).collect()
    }

    /// Keys drawn from these without taking one twice.
    pub(crate) fn draw<'k>(&mut self, keys: &'k [String], count: usize) -> Vec<&'k String> {
        self.rng.choose_multiple(keys.iter(), count)
    }

    /// Shuffles changes.
    pub(crate) fn shuffle(&mut self, changes: &mut [Change]) {
        self.rng.shuffle(changes);
    }

    /// A change to this row, newer than all before it.
    pub(crate) fn newer(&mut self, key: &str) -> Change {
        self.number += 1;
        self.change(key, self.number)
    }

    /// A change to this row, older than any other.
    pub(crate) fn stale(&mut self, key: &str) -> Change {
        self.change(key, 1)
    }

    /// A tombstone of this row, newer than all before it, with the row's last values as a stream of old images has them.
    pub(crate) fn delete(&mut self, key: &str) -> Change {
        let change = self.newer(key);
        let Op::Upsert(row, _) = change.op else { return change };
        Change { op: Op::Delete(row), ..change }
    }

    fn change(&mut self, key: &str, number: u64) -> Change {
        Change {
            table: 0,
            event: 0,
            key: Box::new([Cell::Text(key.into())]),
            version: version(number),
            at: Some(JANUARY + number as i64 * 1_003),
            op: Op::Upsert(self.row(), None),
        }
    }

    fn row(&mut self) -> Row {
        let [a, b, c, d, e, f, g, h] = [0; 8].map(|_| self.word());
        let status = *self.rng.choice(&["active", "invited", "suspended"]).unwrap_or(&"active");
        let attributes = format!(
            r#"{{"tags":["{a}","{b}","{c}"],"rank":{},"source":{{"region":"{d}","shard":{}}}}}"#,
            self.rng.u32(..1000),
            self.rng.u32(..64)
        );
        let amount = format!("{}.{:02}", self.rng.u32(..1_000_000_000), self.rng.u32(..100));
        let created = JANUARY + i64::from(self.rng.u32(..31_000_000)) * 1_000_000 + 125_000;
        let text = |text: String| Cell::Text(text.into_boxed_str());
        Box::new([
            text(format!("{e} {f}")),
            text(format!("{g}.{h}{}@example.org", self.rng.u32(..10_000))),
            text(format!("{a} upon {h}")),
            text(status.to_owned()),
            text(format!("seen near the {b} and the {c} of {e}")),
            Cell::Numeric(Decimal::parse(&amount).expect("a number")),
            Cell::Int(i64::from(self.rng.u32(..100_000))),
            Cell::Float(self.rng.f64() * 100.0),
            Cell::Bool(self.rng.u8(..10) < 8),
            Cell::from_unix_micros(created),
            text(attributes),
            Cell::Uuid(self.rng.u128(..).to_be_bytes()),
        ])
    }

    fn word(&mut self) -> &'static str {
        WORDS[self.rng.usize(..WORDS.len())]
    }

    fn uuid(&mut self) -> String {
        let hex = format!("{:032x}", self.rng.u128(..));
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}
