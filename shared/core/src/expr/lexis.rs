//! What a program names: fields, functions, methods. Found by its words, because minijinja finds an unknown function
//! only when a row arrives at it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use minijinja::Environment;

use super::Flaw;
use super::python::METHODS;

/// Names of fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// Any field: the map is used as a whole.
    All,
    /// These.
    These(Vec<String>),
}

impl Names {
    /// No field.
    pub fn none() -> Self {
        Names::These(Vec::new())
    }

    /// Whether this field is among them.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Names::All => true,
            Names::These(names) => names.iter().any(|n| n == name),
        }
    }

    /// These and those.
    #[must_use]
    pub fn and(self, other: Names) -> Names {
        match (self, other) {
            (Names::These(mut these), Names::These(those)) => {
                these.extend(those);
                these.sort_unstable();
                these.dedup();
                Names::These(these)
            }
            _ => Names::All,
        }
    }
}

/// The names of a program.
#[derive(Clone, Debug)]
pub(super) struct Lexis {
    /// Names that stand for values, with the fields that are read of each.
    free: BTreeMap<Arc<str>, Names>,
    compares: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Word<'s> {
    Name(&'s str),
    Text(&'s str),
    Sign(char),
}

type Words<'s> = Vec<(Word<'s>, Range<usize>)>;

/// Words of the language that are no names of values.
const KEYWORDS: [&str; 12] = ["and", "or", "not", "if", "else", "in", "is", "true", "false", "none", "True", "False"];

/// Words that begin a `{% … %}`, beside those of [`UNSUPPORTED`].
const TAGS: [&str; 18] = [
    "if",
    "elif",
    "else",
    "endif",
    "for",
    "endfor",
    "set",
    "endset",
    "with",
    "endwith",
    "filter",
    "endfilter",
    "macro",
    "endmacro",
    "call",
    "endcall",
    "raw",
    "endraw",
];

/// Tags that would need other templates.
const UNSUPPORTED: [&str; 8] = ["include", "import", "from", "extends", "block", "endblock", "do", "autoescape"];

/// Filters and tests that compare numbers.
const COMPARING: [&str; 24] = [
    "in",
    "sort",
    "min",
    "max",
    "unique",
    "groupby",
    "dictsort",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "equalto",
    "sorted",
    "lessthan",
    "greaterthan",
    "sameas",
    "select",
    "reject",
    "selectattr",
    "rejectattr",
    "index",
    "count",
];

impl Lexis {
    pub(super) fn of_expression(source: &str, language: &Environment<'_>) -> Result<Self, Flaw> {
        let mut words = Vec::new();
        words_of(source, 0..source.len(), &mut words);
        Lexis::of(&words, &[], language)
    }

    pub(super) fn of_template(source: &str, language: &Environment<'_>) -> Result<Self, Flaw> {
        let mut words = Vec::new();
        let mut tags = Vec::new();
        let mut at = 0;
        while let Some(open) = source[at..].find('{').map(|found| at + found) {
            let (close, tag) = match source.as_bytes().get(open + 1) {
                Some(b'{') => ("}}", false),
                Some(b'%') => ("%}", true),
                Some(b'#') => {
                    at = source[open..].find("#}").map_or(source.len(), |found| open + found + 2);
                    continue;
                }
                _ => {
                    at = open + 1;
                    continue;
                }
            };
            let end = end_of(source, open + 2, close);
            // A sign no program has, so that words of two parts never stand beside each other.
            words.push((Word::Sign('\0'), open..open));
            let first = words.len();
            words_of(source, open + 2..end, &mut words);
            if tag {
                let first = first + usize::from(matches!(words.get(first), Some((Word::Sign('-' | '+'), _))));
                tags.push(first);
            }
            at = (end + 2).min(source.len());
        }
        Lexis::of(&words, &tags, language)
    }

    fn of(words: &Words<'_>, tags: &[usize], language: &Environment<'_>) -> Result<Self, Flaw> {
        let word = |at: Option<usize>| at.and_then(|at| words.get(at)).map(|(word, _)| *word);
        let is = |at: Option<usize>, sign: char| word(at) == Some(Word::Sign(sign));
        let mut lexis = Lexis { free: BTreeMap::new(), compares: false };
        let assigned = assigned(words, tags);
        for (at, (this, range)) in words.iter().enumerate() {
            let (before, after) = (at.checked_sub(1), Some(at + 1));
            let name = match this {
                Word::Name(name) => *name,
                Word::Sign('<' | '>') => {
                    lexis.compares = true;
                    continue;
                }
                Word::Sign('=') if is(before, '=') || is(before, '!') => {
                    lexis.compares = true;
                    if [at.checked_sub(2), after]
                        .iter()
                        .any(|at| matches!(word(*at), Some(Word::Name("none" | "None"))))
                    {
                        let message = "a missing value is never equal to anything";
                        return Err(
                            Flaw::new(message, range.start - 1..range.end).hint("write `is none` or `is not none`")
                        );
                    }
                    continue;
                }
                _ => continue,
            };
            lexis.compares |= COMPARING.contains(&name);
            if tags.contains(&at) {
                if UNSUPPORTED.contains(&name) {
                    return Err(Flaw::new(format!("`{name}` has no place in a mapping"), range.clone()));
                }
                if TAGS.contains(&name) {
                    continue;
                }
            }
            let called = is(after, '(');
            if is(before, '.') {
                if called && !METHODS.contains(&name) {
                    let methods = METHODS.join(", ");
                    return Err(Flaw::new(format!("unknown method `{name}`"), range.clone())
                        .hint(format!("there are {methods}")));
                }
            } else if is(before, '|') {
                known(name, "filter", language, range)?;
            } else if is_test(words, at) {
                known(name, "test", language, range)?;
            } else if KEYWORDS.contains(&name) || name == "None" || (is(after, '=') && !is(Some(at + 2), '=')) {
                // A keyword, or the name of an argument or of what `set` sets.
            } else if language.globals().any(|(global, _)| global == name) {
                // A function. A field of such a name is `row.name`.
            } else if called && !assigned.contains(&name) {
                let functions = language.globals().map(|(name, _)| name.to_owned()).collect::<Vec<_>>().join(", ");
                return Err(Flaw::new(format!("unknown function `{name}`"), range.clone())
                    .hint(format!("there are {functions}")));
            } else {
                let read = field_read(words, at);
                let known = lexis.free.remove(name).unwrap_or_else(Names::none);
                lexis.free.insert(name.into(), known.and(read));
            }
        }
        Ok(lexis)
    }

    /// The names that stand for values from outside, with the fields that are read of each.
    pub(super) fn free(&self) -> impl Iterator<Item = (&Arc<str>, &Names)> {
        self.free.iter()
    }

    /// The fields that are read of a name; none when the program doesn't have the name.
    pub(super) fn fields_of(&self, name: &str) -> Names {
        self.free.get(name).cloned().unwrap_or_else(Names::none)
    }

    /// Whether numbers may be compared or sorted.
    pub(super) fn compares(&self) -> bool {
        self.compares
    }
}

/// The field in `name.field`, `name["field"]`, `name.get("field"`; all of them where the name stands otherwise.
fn field_read(words: &Words<'_>, at: usize) -> Names {
    let next = |ahead: usize| words.get(at + ahead).map(|(word, _)| *word);
    let field = match (next(1), next(2), next(3), next(4), next(5)) {
        (
            Some(Word::Sign('.')),
            Some(Word::Name("get")),
            Some(Word::Sign('(')),
            Some(Word::Text(field)),
            Some(Word::Sign(')' | ',')),
        ) => field,
        (Some(Word::Sign('.')), Some(Word::Name(_)), Some(Word::Sign('(')), ..) => return Names::All,
        (Some(Word::Sign('.')), Some(Word::Name(field)), ..) => field,
        (Some(Word::Sign('[')), Some(Word::Text(field)), Some(Word::Sign(']')), ..) => field,
        _ => return Names::All,
    };
    // With an escape in it, the text is not the name of the field.
    if field.contains('\\') { Names::All } else { Names::These(vec![field.to_owned()]) }
}

/// Names that may be called because the template defines them: macros, their parameters, what a `for` runs through.
fn assigned<'s>(words: &Words<'s>, tags: &[usize]) -> Vec<&'s str> {
    let mut names: Vec<&'s str> = Vec::new();
    for tag in tags {
        let Some((Word::Name(kind @ ("for" | "macro" | "call")), _)) = words.get(*tag) else { continue };
        names.extend(if *kind == "for" { &["loop"][..] } else { &["caller", "varargs", "kwargs"] });
        for (word, _) in &words[tag + 1..] {
            match word {
                Word::Name("in") | Word::Sign('\0') => break,
                Word::Name(name) => names.push(name),
                _ => {}
            }
        }
    }
    names
}

fn is_test(words: &Words<'_>, at: usize) -> bool {
    let name = |back: usize| at.checked_sub(back).and_then(|at| words.get(at)).map(|(word, _)| *word);
    match name(1) {
        Some(Word::Name("is")) => words[at].0 != Word::Name("not"),
        Some(Word::Name("not")) => name(2) == Some(Word::Name("is")),
        _ => false,
    }
}

fn known(name: &str, what: &str, language: &Environment<'_>, range: &Range<usize>) -> Result<(), Flaw> {
    let question = format!("'{name}' is {what}");
    let answer =
        language.compile_expression_owned(question).and_then(|question| question.eval(()).map(|a| a.is_true()));
    if answer.unwrap_or(false) { Ok(()) } else { Err(Flaw::new(format!("unknown {what} `{name}`"), range.clone())) }
}

/// Where the part that begins at `start` ends: at the delimiter outside of texts.
fn end_of(source: &str, start: usize, close: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in source[start..].char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if source[start + at..].starts_with(close) => return start + at,
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {}
        }
    }
    source.len()
}

fn words_of<'s>(source: &'s str, part: Range<usize>, words: &mut Words<'s>) {
    let mut at = part.start;
    while let Some(c) = source[at..part.end].chars().next() {
        let rest = &source[at..part.end];
        let end = if c == '"' || c == '\'' {
            let close = closing(rest, c).map_or(part.end, |close| at + close);
            words.push((Word::Text(&source[at + 1..close]), at..(close + 1).min(part.end)));
            (close + 1).min(part.end)
        } else if c.is_alphabetic() || c == '_' {
            let end = at + rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            words.push((Word::Name(&source[at..end]), at..end));
            end
        } else if c.is_ascii_digit() {
            at + rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len())
        } else {
            if !c.is_whitespace() {
                words.push((Word::Sign(c), at..at + c.len_utf8()));
            }
            at + c.len_utf8()
        };
        at = end;
    }
}

/// Where the text that begins with this quote is closed.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}
