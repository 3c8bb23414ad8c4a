//! Maps of the grammar: which keys they may have, and how their values are taken.

use std::ops::Range;

use super::node::{Entry, Node, Shape, Text};
use super::report::Report;
use super::spelling::nearest;

/// Keys that belong to sources and features of later releases. They are refused by name.
const LATER: &[&str] = &[
    "enrichment",
    "externalstores",
    "reconciliation",
    "sourcestate",
    "sinkstate",
    "joins",
    "filters",
    "batch_size",
    "merge_strategy",
];

/// A map of the grammar.
pub(super) struct Fields<'n> {
    /// What it is, for messages.
    what: &'static str,
    /// Where findings about the map as a whole point.
    pub(super) at: Range<usize>,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// Opens a map that may have these keys; reports unknown ones, keys that stand there twice, and what is no map.
    pub(super) fn open(
        node: &'n Node,
        what: &'static str,
        at: Range<usize>,
        known: &[&str],
        report: &mut Report<'_>,
    ) -> Option<Self> {
        Fields::open_beside(node, what, at, known, &[], report)
    }

    /// As [`Fields::open`], without a finding for these other keys, which have findings of their own.
    pub(super) fn open_beside(
        node: &'n Node,
        what: &'static str,
        at: Range<usize>,
        known: &[&str],
        others: &[&str],
        report: &mut Report<'_>,
    ) -> Option<Self> {
        let Shape::Map(entries) = &node.shape else {
            let keys = known.iter().map(|key| format!("`{key}:`")).collect::<Vec<_>>().join(", ");
            let span = if node.span.is_empty() { at } else { node.span.clone() };
            report.add(
                "wrong-type",
                span,
                format!("{what} is a map, not {}", node.kind()),
                format!("it has the keys {keys}"),
            );
            return None;
        };
        for (position, Entry { key, .. }) in entries.iter().enumerate() {
            if entries[..position].iter().any(|earlier| earlier.key.text == key.text) {
                let message = format!("`{}` stands here twice", key.text);
                report.add("duplicate-key", key.span.clone(), message, "remove one of the two");
            } else if !known.iter().chain(others).any(|known| *known == key.text) {
                unknown(what, key, known, report);
            }
        }
        Some(Fields { what, at, entries })
    }

    /// A map without keys, at a place of the file.
    pub(super) fn none(what: &'static str, at: Range<usize>) -> Self {
        Fields { what, at, entries: &[] }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Where the key stands.
    pub(super) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.entry(key).map(|entry| entry.key.span.clone())
    }

    fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key.text == key)
    }

    /// The value of a key that must be there.
    pub(super) fn required(&self, key: &str, example: &str, report: &mut Report<'_>) -> Option<&'n Node> {
        let value = self.get(key);
        if value.is_none() {
            let message = format!("{} has no `{key}`", self.what);
            report.add("missing-key", self.at.clone(), message, format!("write `{key}: {example}`"));
        }
        value
    }

    /// The text of a key, where it is there.
    pub(super) fn text(&self, key: &str, report: &mut Report<'_>) -> Option<Text> {
        let node = self.get(key)?;
        text_of(node, key, report)
    }

    /// The text of a key that must be there.
    pub(super) fn required_text(&self, key: &str, example: &str, report: &mut Report<'_>) -> Option<Text> {
        let node = self.required(key, example, report)?;
        text_of(node, key, report)
    }

    /// True or false, where it is there.
    pub(super) fn boolean(&self, key: &str, report: &mut Report<'_>) -> Option<bool> {
        let node = self.get(key)?;
        match node.literal() {
            Some(crate::value::Value::Bool(value)) => Some(value),
            _ => {
                let message = format!("`{key}` is true or false, not {}", node.kind());
                report.add("wrong-type", node.span.clone(), message, format!("write `{key}: true` or `{key}: false`"));
                None
            }
        }
    }

    /// One of these words, where it is there.
    pub(super) fn choice(&self, key: &str, words: &[&'static str], report: &mut Report<'_>) -> Option<&'static str> {
        let node = self.get(key)?;
        choice_of(node, key, words, report)
    }
}

/// The text of a node.
pub(super) fn text_of(node: &Node, what: &str, report: &mut Report<'_>) -> Option<Text> {
    let text = node.as_text();
    if text.is_none() {
        let written = report.text().get(node.span.clone()).unwrap_or_default();
        let hint = match &node.shape {
            Shape::Scalar { .. } if !written.is_empty() => format!("write \"{written}\", in quotes"),
            _ => format!("write `{what}: …`, a word"),
        };
        report.add("wrong-type", node.span.clone(), format!("`{what}` is text, not {}", node.kind()), hint);
    }
    text
}

/// One of these words. Unquoted `null` and `off` are words too.
pub(super) fn choice_of(
    node: &Node,
    what: &str,
    words: &[&'static str],
    report: &mut Report<'_>,
) -> Option<&'static str> {
    let written = match &node.shape {
        Shape::Scalar { text, .. } => text.as_str(),
        _ => "",
    };
    let word = words.iter().find(|word| **word == written);
    if word.is_none() {
        let all = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let hint = match nearest(written, words.iter().copied()) {
            Some(word) => format!("write `{what}: {word}`"),
            None => format!("write one of {all}"),
        };
        let message = if written.is_empty() {
            format!("`{what}` is one of {all}")
        } else {
            format!("`{written}` is not one of {all}")
        };
        report.add("unknown-word", node.span.clone(), message, hint);
    }
    word.copied()
}

fn unknown(what: &str, key: &Text, known: &[&str], report: &mut Report<'_>) {
    let name = &key.text;
    if LATER.contains(&name.as_str()) {
        let message = format!("`{name}` is not in this release");
        report.add("not-in-this-release", key.span.clone(), message, "remove it; nothing would read it");
        return;
    }
    let hint = match nearest(name, known.iter().copied()) {
        Some(meant) => format!("write `{meant}`"),
        None => {
            format!("it has the keys {}", known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "))
        }
    };
    report.add("unknown-key", key.span.clone(), format!("`{name}` is not a key of {what}"), hint);
}

/// A named part of the grammar.
pub(super) struct Named<'n> {
    pub(super) name: Text,
    pub(super) body: &'n Node,
    /// Whether the name is a key of the body.
    pub(super) inline: bool,
}

impl<'n> Named<'n> {
    /// Opens the body as a map, of which `name` is a key when it stands in a list.
    pub(super) fn open(&self, what: &'static str, known: &[&str], report: &mut Report<'_>) -> Option<Fields<'n>> {
        let mut known = known.to_vec();
        if self.inline {
            known.push("name");
        }
        Fields::open(self.body, what, self.name.span.clone(), &known, report)
    }
}

/// The parts of `name: {…}`, or of a list of `{name: …, …}` or of `{name: {…}}`.
///
/// With `words`, a part may also be one word, so that an only key is always the name: `- name: text`.
pub(super) fn named<'n>(node: &'n Node, what: &'static str, words: bool, report: &mut Report<'_>) -> Vec<Named<'n>> {
    let mut all: Vec<Named<'n>> = Vec::new();
    let items: Vec<Option<Named<'n>>> = match &node.shape {
        Shape::Map(entries) => entries.iter().map(|entry| Some(whole(entry))).collect(),
        Shape::List(items) => items.iter().map(|item| of_item(item, what, words, report)).collect(),
        Shape::Scalar { .. } => {
            let message = format!("here stand {what}s by name, not {}", node.kind());
            report.add("wrong-type", node.span.clone(), message, "write `name: { … }`");
            Vec::new()
        }
    };
    for item in items.into_iter().flatten() {
        if item.name.text.is_empty() {
            report.add("empty-name", item.name.span.clone(), format!("a {what} has a name"), "write a name");
        } else if all.iter().any(|earlier| earlier.name.text == item.name.text) {
            let message = format!("there are two {what}s `{}`", item.name.text);
            report.add("duplicate-key", item.name.span.clone(), message, "remove or rename one of the two");
        } else {
            all.push(item);
        }
    }
    all
}

fn whole(entry: &Entry) -> Named<'_> {
    Named { name: entry.key.clone(), body: &entry.value, inline: false }
}

fn of_item<'n>(item: &'n Node, what: &'static str, words: bool, report: &mut Report<'_>) -> Option<Named<'n>> {
    if let Shape::Map(entries) = &item.shape {
        match entries.as_slice() {
            [only] if words || matches!(only.value.shape, Shape::Map(_)) => return Some(whole(only)),
            several => {
                if let Some(name) = several.iter().find(|entry| entry.key.text == "name") {
                    let name = text_of(&name.value, "name", report)?;
                    return Some(Named { name, body: item, inline: true });
                }
            }
        }
    }
    let message = format!("a {what} in a list has a name");
    report.add("missing-key", item.span.clone(), message, "write `- name: …` and the rest below it");
    None
}
