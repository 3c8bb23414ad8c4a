//! Histories of a table: items that come, change, go and come back; its stream, enabled anew now and then; and what
//! scans find meanwhile.

use std::collections::BTreeMap;

use fastrand::Rng;
use tributary_core::decimal::Decimal;
use tributary_core::value::Value;
use tributary_sources::dynamodb::arn::StreamArn;
use tributary_sources::dynamodb::record::{Change, record_json};

/// How large a history is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) seed: u64,
    pub(crate) keys: usize,
    pub(crate) changes: usize,
    /// How often the stream is enabled.
    pub(crate) streams: usize,
}

/// The records of a stream, and what scans found while it was the current one.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// In the order of their numbers.
    pub(crate) records: Vec<String>,
    /// Two scans at different times, items in the order in which they were found. All have the first version of the
    /// stream; where the two differ, the stream tells why.
    pub(crate) scans: [Vec<String>; 2],
}

const START_MICROS: i64 = 1_767_225_600_000_000;
/// Soon a digit is added: as text, the numbers after that are smaller.
const FIRST_NUMBER: u128 = 999_999_999_999_999_999_500;

/// The streams of a history, the oldest first. Between two of them the table changes unseen.
pub(crate) fn history(size: Size) -> Vec<Stream> {
    let mut table = Table { dice: Rng::with_seed(size.seed), items: BTreeMap::new(), micros: START_MICROS };
    let one = |number: usize| {
        for _ in 0..if number > 0 { size.keys } else { 0 } {
            table.change(size.keys, |_, _| ());
        }
        table.stream(number, size)
    };
    (0..size.streams).map(one).collect()
}

/// The table at the source.
struct Table {
    dice: Rng,
    items: BTreeMap<usize, Value>,
    micros: i64,
}

impl Table {
    fn stream(&mut self, number: usize, size: Size) -> Stream {
        let text = format!(
            "arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/2026-01-{:02}T00:00:00.{number:03}",
            number + 1
        );
        let arn: StreamArn = text.parse().unwrap();
        let mut stream = Stream::default();
        let mut sequence = FIRST_NUMBER - self.dice.u128(..500);
        let changes = size.changes / size.streams;
        let mut scans = [self.dice.usize(0..=changes), changes];
        scans[0] = scans[0].min(scans[1]);
        for at in 0..=changes {
            for (scan, moment) in stream.scans.iter_mut().zip(scans) {
                if moment == at {
                    scan.extend(self.scan(&arn));
                }
            }
            sequence += 1 + self.dice.u128(..3);
            let records = &mut stream.records;
            self.change(size.keys, |change, micros| {
                records.push(record_json(change, &["id"], &arn, &sequence.to_string(), Some(micros)).unwrap());
            });
        }
        stream
    }

    fn scan(&mut self, arn: &StreamArn) -> Vec<String> {
        let micros = self.micros;
        let mut found: Vec<String> = self
            .items
            .values()
            .map(|item| record_json(Change::Insert(item), &["id"], arn, "0", Some(micros)).unwrap())
            .collect();
        self.dice.shuffle(&mut found);
        found
    }

    fn change(&mut self, keys: usize, seen: impl FnOnce(Change<'_>, i64)) {
        self.micros += self.dice.i64(0..2_000_000);
        let key = self.dice.usize(0..keys);
        let before = self.items.remove(&key);
        let gone = before.is_some() && self.dice.u8(..) < 50;
        let now = (!gone).then(|| self.item(key));
        match (&before, &now) {
            (None, Some(now)) => seen(Change::Insert(now), self.micros),
            (Some(before), Some(now)) => seen(Change::Modify(before, now), self.micros),
            (Some(before), None) => seen(Change::Remove(before, self.dice.u8(..) < 60), self.micros),
            (None, None) => unreachable!("what isn't there cannot go"),
        }
        if let Some(now) = now {
            self.items.insert(key, now);
        }
    }

    fn item(&mut self, key: usize) -> Value {
        let dice = &mut self.dice;
        let mut fields: Vec<(Box<str>, Value)> = vec![("id".into(), Value::text(format!("user-{key:04}")))];
        let mut maybe = |name: &str, chance: f64, value: &mut dyn FnMut(&mut Rng) -> Value| {
            if dice.f64() < chance {
                fields.push((name.into(), value(dice)));
            }
        };
        maybe("name", 0.9, &mut |dice| Value::text(*dice.choice(NAMES).unwrap()));
        maybe("score", 0.9, &mut number);
        maybe("rank", 0.8, &mut |dice| Value::Number(Decimal::parse(&dice.u8(..100).to_string()).unwrap()));
        maybe("seen", 0.7, &mut |dice| Value::text(format!("2026-02-{:02}T10:00:00.5Z", dice.u8(1..29))));
        maybe("part", 0.7, &mut |dice| {
            if dice.u8(..) < 40 {
                return Value::Null;
            }
            Value::from([("mode", Value::text(*dice.choice(NAMES).unwrap())), ("weight", number(dice))])
        });
        maybe("lines", 0.8, &mut |dice| {
            let line =
                |dice: &mut Rng| Value::from([("sku", Value::text(format!("s{}", dice.u8(..9)))), ("n", number(dice))]);
            Value::List((0..dice.usize(0..5)).map(|_| line(dice)).collect())
        });
        Value::Map(fields.into_iter().collect())
    }
}

fn number(dice: &mut Rng) -> Value {
    let text = match dice.u8(..10) {
        0 => "0.1000000000000000000000000000000000001".to_owned(),
        1 => "12345678901234567890123456789012345678".to_owned(),
        _ => format!("{}.{}", dice.i32(-500..500), dice.u8(..100)),
    };
    Value::Number(Decimal::parse(&text).unwrap())
}

const NAMES: &[&str] = &["", "Ann", "O'Neil", "李小龙", "مريم", "back\\slash \"q\"", "line\nline", "{NULL,\\N}", "🚀"];
