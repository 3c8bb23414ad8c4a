//! YAML as a tree in which every word knows its place. YAML's syntax and nothing of our grammar.

use std::collections::HashMap;
use std::ops::Range;

use serde_saphyr::granit_parser::{self as granit, Event, Parser, ScalarStyle};

use super::report::Report;
use crate::decimal::Decimal;
use crate::value::Value;

/// How many nodes a file may have once its aliases are filled in.
const MOST_NODES: usize = 200_000;

/// How deep it may nest.
const DEEPEST: usize = 64;

/// A piece of YAML.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where it stands, in bytes.
    pub(super) span: Range<usize>,
    pub(super) shape: Shape,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Scalar {
        text: String,
        /// Without quotes, so that it may be a number, a boolean or null.
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Text,
    pub(super) value: Node,
}

/// Text with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) span: Range<usize>,
}

impl Node {
    /// What this is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match (&self.shape, self.literal()) {
            (Shape::Scalar { .. }, literal) => literal.as_ref().map_or("text", Value::kind),
            (Shape::List(_), _) => "a list",
            (Shape::Map(_), _) => "a map",
        }
    }

    /// The value of a key, when this is a map that has it.
    pub(super) fn entry(&self, key: &str) -> Option<&Node> {
        match &self.shape {
            Shape::Map(entries) => entries.iter().find(|entry| entry.key.text == key).map(|entry| &entry.value),
            _ => None,
        }
    }

    /// The text, when this is text and not a number, a boolean or null.
    pub(super) fn as_text(&self) -> Option<Text> {
        match (&self.shape, self.literal()) {
            (Shape::Scalar { text, .. }, Some(Value::Text(_))) => {
                Some(Text { text: text.clone(), span: self.span.clone() })
            }
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        self.literal() == Some(Value::Null)
    }

    /// The value that stands here; `None` when a map has a key twice.
    pub(super) fn literal(&self) -> Option<Value> {
        match &self.shape {
            Shape::Scalar { text, plain: false } => Some(Value::text(text.as_str())),
            Shape::Scalar { text, plain: true } => Some(plain(text)),
            Shape::List(items) => items.iter().map(Node::literal).collect::<Option<_>>().map(Value::List),
            Shape::Map(entries) => {
                let fields = entries.iter().map(|entry| Some((entry.key.text.as_str().into(), entry.value.literal()?)));
                let fields: indexmap::IndexMap<_, _> = fields.collect::<Option<_>>()?;
                (fields.len() == entries.len()).then_some(Value::Map(fields))
            }
        }
    }

    fn size(&self) -> (usize, usize) {
        let children: Vec<(usize, usize)> = match &self.shape {
            Shape::Scalar { .. } => Vec::new(),
            Shape::List(items) => items.iter().map(Node::size).collect(),
            Shape::Map(entries) => entries.iter().map(|entry| entry.value.size()).collect(),
        };
        let height = children.iter().map(|(_, height)| *height).max().unwrap_or(0);
        (children.iter().map(|(count, _)| count).sum::<usize>() + 1, height + 1)
    }
}

/// What an unquoted word means by YAML's core schema.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        text => Decimal::parse(text).map_or_else(|_| Value::text(text), Value::Number),
    }
}

/// Reads the file; `None` when it is no YAML, or no single document.
pub(super) fn parse(text: &str, report: &mut Report<'_>) -> Option<Node> {
    let options = granit::options! { emit_comments: false, flow_nesting_limit: DEEPEST, block_nesting_limit: DEEPEST };
    let events = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { events, anchors: HashMap::new(), nodes: 0, text };
    let parsed = builder.document();
    match parsed {
        Ok(Some(node)) => Some(node),
        Ok(None) => {
            report.add("empty", 0..0, "the mapping is empty", "write `datastores:` and `pipelines:`");
            None
        }
        Err(Trouble { span, message }) => {
            hide_line(text, &span, report);
            report.add("yaml", span, message, "mend the YAML here or just above");
            None
        }
    }
}

/// A broken file may hold a secret where a reference belongs, and the snippet must not show it.
fn hide_line(text: &str, span: &Range<usize>, report: &mut Report<'_>) {
    let start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    for word in ["password:", "url:", "token:", "secret:", "secrets:"] {
        if let Some(found) = line.find(word) {
            report.hide(start + found + word.len()..start + line.len());
        }
    }
}

struct Trouble {
    span: Range<usize>,
    message: String,
}

struct Builder<'t> {
    events: Parser<'t, granit::StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    text: &'t str,
}

impl<'t> Builder<'t> {
    fn document(&mut self) -> Result<Option<Node>, Trouble> {
        let mut document = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(document),
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                _ if document.is_some() => {
                    return Err(Trouble { span, message: "a mapping file is one YAML document".into() });
                }
                event => document = Some(self.node(event, span, 0)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Range<usize>), Trouble> {
        match self.events.next_event() {
            None => Ok((Event::StreamEnd, self.text.len()..self.text.len())),
            Some(Ok((event, span))) => Ok((event, self.inside(span.byte_range().unwrap_or(0..0)))),
            Some(Err(error)) => {
                let at = error.marker().byte_offset().unwrap_or(self.text.len());
                let span = self.inside(at..at + 1);
                Err(Trouble { span, message: format!("this is not YAML: {}", lowercase(&error.info())) })
            }
        }
    }

    /// The parser's places, made safe to cut the text with.
    fn inside(&self, range: Range<usize>) -> Range<usize> {
        let boundary = |mut at: usize| {
            at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = boundary(range.start);
        start..boundary(range.end).max(start)
    }

    fn node(&mut self, event: Event<'t>, span: Range<usize>, depth: usize) -> Result<Node, Trouble> {
        self.nodes += 1;
        if depth > DEEPEST || self.nodes > MOST_NODES {
            return Err(Trouble { span, message: "the file nests too deep or has too many parts".into() });
        }
        let start = span.start;
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some() {
                    return Err(Trouble { span, message: "a mapping has no YAML tags".into() });
                }
                (anchor, Node { span, shape: Shape::Scalar { text: text.into(), plain: style == ScalarStyle::Plain } })
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        break (anchor, Node { span: start..span.end.max(start), shape: Shape::List(items) });
                    }
                    items.push(self.node(event, span, depth + 1)?);
                }
            }
            Event::MappingStart(_, anchor, _) => {
                let mut entries = Vec::new();
                let mut merged = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::MappingEnd {
                        add_merged(&mut entries, merged);
                        break (anchor, Node { span: start..span.end.max(start), shape: Shape::Map(entries) });
                    }
                    let key = self.node(event, span, depth + 1)?;
                    let (event, span) = self.next()?;
                    let value = self.node(event, span, depth + 1)?;
                    let Shape::Scalar { text, plain } = key.shape else {
                        return Err(Trouble { span: key.span, message: "a key is a word, no list or map".into() });
                    };
                    if plain && text == "<<" {
                        merged.push((key.span, value));
                    } else {
                        entries.push(Entry { key: Text { text, span: key.span }, value });
                    }
                }
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(Trouble { span, message: "this alias stands inside its own anchor".into() });
                };
                let (count, height) = node.size();
                self.nodes += count;
                if self.nodes > MOST_NODES || depth + height > DEEPEST {
                    return Err(Trouble { span, message: "aliases make the file too large".into() });
                }
                return Ok(node.clone());
            }
            _ => return Err(Trouble { span, message: "this is not YAML: a value is missing".into() }),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }
}

/// `<<: *other` brings the keys of another map that this one doesn't have.
fn add_merged(entries: &mut Vec<Entry>, merged: Vec<(Range<usize>, Node)>) {
    for (span, node) in merged {
        let maps = match node.shape {
            Shape::List(maps) => maps,
            shape => vec![Node { span: node.span, shape }],
        };
        for map in maps {
            match map.shape {
                Shape::Map(others) => {
                    for other in others {
                        if !entries.iter().any(|entry| entry.key.text == other.key.text) {
                            entries.push(other);
                        }
                    }
                }
                // Not a map: it stays a key of its own, which is then found to be unknown.
                shape => entries.push(Entry {
                    key: Text { text: "<<".into(), span: span.clone() },
                    value: Node { span: map.span, shape },
                }),
            }
        }
    }
}

fn lowercase(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
