//! Sample data: users who sign up, change their profile and leave, the same ones for the same seed.
//!
//! For `tributary generate`, which writes them to a table or to an event file, and for tests. The items are those of
//! the sample mapping, with what makes life hard: missing and null sub-documents, 38-digit numbers, text of every
//! script, attributes that vanish.

use indexmap::IndexMap;
use tributary_core::decimal::Decimal;
use tributary_core::value::Value;

use super::record::Change;

/// The key attribute of a user.
pub const KEY: [&str; 1] = ["id"];

/// Something that happens to the table.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// A new user.
    Put(Value),
    /// A user before and after.
    Update(Value, Value),
    /// A user who leaves; the item as it was.
    Delete(Value),
}

impl Operation {
    /// What a stream record says of it.
    pub fn change(&self) -> Change<'_> {
        match self {
            Operation::Put(now) => Change::Insert(now),
            Operation::Update(before, now) => Change::Modify(before, now),
            Operation::Delete(before) => Change::Remove(before, false),
        }
    }
}

/// An endless sequence of operations on users. An `at` in microseconds since 1970 comes with each call, for the times
/// in the items; all else follows from the seed.
#[derive(Clone, Debug)]
pub struct Users {
    dice: Dice,
    present: Vec<Value>,
    sequence: u64,
}

impl Users {
    /// Begins with an empty table.
    pub fn new(seed: u64) -> Self {
        Users { dice: Dice(seed), present: Vec::new(), sequence: 0 }
    }

    /// What happens next: sign-ups until there is a crowd, then mostly updates, and one in twelve leaves.
    pub fn next(&mut self, at: i64) -> Operation {
        let known = self.present.len() as u64;
        match self.dice.below(12) {
            _ if known == 0 => self.sign_up(at),
            0 => Operation::Delete(self.present.swap_remove(self.dice.below(known) as usize)),
            roll if roll < 5 || known < 4 => self.sign_up(at),
            _ => {
                let position = self.dice.below(known) as usize;
                self.change(position)
            }
        }
    }

    /// A sequence number as AWS writes them, greater with each call: 21 digits and more, not padded.
    pub fn sequence_number(&mut self) -> String {
        self.sequence += 1 + self.dice.below(9);
        format!("{}00000000{:013}", 4000 + self.sequence / 1_000_000, 2_513_011_000 + self.sequence)
    }

    fn sign_up(&mut self, at: i64) -> Operation {
        let user = self.user(at);
        self.present.push(user.clone());
        Operation::Put(user)
    }

    fn change(&mut self, position: usize) -> Operation {
        let before = self.present[position].clone();
        let mut now = before.clone();
        if let Value::Map(fields) = &mut now {
            self.alter(fields);
        }
        while now == before {
            // A write that changes nothing leaves no record in the stream; make it one that does.
            if let Value::Map(fields) = &mut now {
                fields.insert("repScore".into(), self.rep_score());
            }
        }
        self.present[position] = now.clone();
        Operation::Update(before, now)
    }

    fn alter(&mut self, fields: &mut IndexMap<Box<str>, Value>) {
        match self.dice.below(8) {
            0 => drop(fields.shift_remove("appearance")),
            1 => drop(fields.shift_remove("bio")),
            2 => drop(fields.insert("website".into(), Value::Null)),
            3 => drop(fields.insert("location".into(), Value::text(self.dice.pick(&LOCATIONS)))),
            4 => drop(fields.insert("appearance".into(), self.appearance())),
            5 => drop(fields.insert("notifications".into(), self.notifications())),
            6 => drop(fields.insert("bio".into(), Value::text(self.dice.pick(&BIOS)))),
            _ => drop(fields.insert("repScore".into(), self.rep_score())),
        }
    }

    fn user(&mut self, at: i64) -> Value {
        let name = self.dice.pick(&NAMES);
        let id = self.uuid();
        let handle = format!("{}_{}", name.split(' ').next().unwrap_or(name).to_lowercase(), &id[..4]);
        let mut fields: IndexMap<Box<str>, Value> = IndexMap::new();
        let mut put = |name: &str, value: Value| drop(fields.insert(name.into(), value));
        put("id", Value::text(id.as_str()));
        put("createdAt", Value::text(iso(at)));
        put("name", Value::text(name));
        put("handle", Value::text(handle.as_str()));
        put("imageUrl", Value::text(format!("https://images.example.com/{handle}.webp")));
        match self.dice.below(6) {
            0 => {}
            1 => put("bio", Value::text("")),
            _ => put("bio", Value::text(self.dice.pick(&BIOS))),
        }
        match self.dice.below(6) {
            0 => put("location", Value::Null),
            _ => put("location", Value::text(self.dice.pick(&LOCATIONS))),
        }
        put("repScore", self.rep_score());
        match self.dice.below(3) {
            0 => {}
            1 => put("website", Value::Null),
            _ => put("website", Value::text(format!("https://{}.example.com", handle.replace('_', "-")))),
        }
        if self.dice.below(4) > 0 {
            let born = 1950 + self.dice.below(55);
            let (month, day) = (1 + self.dice.below(12), 1 + self.dice.below(28));
            put("birthdate", Value::text(format!("{born}-{month:02}-{day:02}T00:00:00.000Z")));
        }
        put("deleted", Value::Bool(false));
        match self.dice.below(8) {
            0 => {}
            1 => put("appearance", Value::Null),
            _ => put("appearance", self.appearance()),
        }
        if self.dice.below(8) > 0 {
            put("notifications", self.notifications());
        }
        Value::Map(fields)
    }

    fn appearance(&mut self) -> Value {
        Value::from([
            ("mode", Value::text(self.dice.pick(&["light", "dark", "system"]))),
            ("colorway", Value::text(self.dice.pick(&["ocean", "forest", "sand", "ink"]))),
            ("theme", Value::text(self.dice.pick(&["classic", "compact", "large"]))),
            ("deleted", Value::Bool(false)),
        ])
    }

    fn notifications(&mut self) -> Value {
        let mut fields: IndexMap<Box<str>, Value> = IndexMap::new();
        for way in ["push", "app"] {
            for what in ["follows", "comments", "quotes", "likes", "mentions", "app_wide", "tp_invites", "tp_replies"] {
                // An item written by an older client lacks a switch now and then.
                if self.dice.below(16) > 0 {
                    fields.insert(format!("{way}_{what}").into(), Value::Bool(self.dice.below(2) == 0));
                }
            }
        }
        fields.insert("deleted".into(), Value::Bool(false));
        Value::Map(fields)
    }

    fn rep_score(&mut self) -> Value {
        let text = match self.dice.below(10) {
            0 => "0".to_owned(),
            1 => "0.1000000000000000000000000000000000001".to_owned(),
            2 => "12345678901234567890123456789012345678".to_owned(),
            _ => format!("{}.{}", self.dice.below(10_000), self.dice.below(10)),
        };
        Decimal::parse(&text).map_or(Value::Null, Value::Number)
    }

    /// A random uuid (version 4).
    fn uuid(&mut self) -> String {
        let (high, low) = (self.dice.next(), self.dice.next());
        let high = (high & !0xf000) | 0x4000;
        let low = (low >> 2) | 0x8000_0000_0000_0000;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

fn iso(micros: i64) -> String {
    let millis = jiff::Timestamp::from_millisecond(micros.div_euclid(1000)).unwrap_or_default();
    format!("{millis:.3}")
}

/// SplitMix64: eight lines that give the same numbers in every version of every library.
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn pick(&mut self, of: &[&'static str]) -> &'static str {
        of[self.below(of.len() as u64) as usize]
    }
}

const NAMES: [&str; 10] = [
    "Ada Lovelace",
    "Grace Hopper",
    "Katherine Johnson",
    "Edsger Dijkstra",
    "Zoë Müller",
    "José Núñez",
    "李小龙",
    "Ольга Ладыженская",
    "مريم ميرزاخاني",
    "Ann 🚀 O'Neil",
];

const BIOS: [&str; 6] = [
    "Writes programs for machines that don't exist yet.",
    "Line one\nline two\twith a tab",
    "\"quoted\", back\\slash, {brace}, NULL, \\N",
    "日本語のプロフィール、絵文字つき 🎉👩‍👩‍👧",
    "e\u{301} is not é, and neither is Ａ",
    "The column holds two hundred and ten characters, and this biography goes nearly up to that limit, which is more of \
     an achievement than most of what is told in here.",
];

const LOCATIONS: [&str; 6] =
    ["London", "Arlington, Virginia", "São Paulo", "Zürich", "東京", "Llanfairpwllgwyngyll, Ynys Môn"];

#[cfg(test)]
#[path = "generate_tests.rs"]
mod tests;
