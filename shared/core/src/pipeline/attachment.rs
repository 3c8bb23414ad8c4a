//! Where the files that belong to items go.

use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, Result};

/// Where the files that belong to items go, and which table knows of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachments {
    /// The table with a row a file: its position in the pipeline's tables.
    pub table: usize,
    /// Where files are put.
    pub to: Destination,
    /// By which name.
    pub path: KeyTemplate,
    /// How many files are on their way at once, from 1 to 4.
    pub max_workers: usize,
}

/// Where files are put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A bucket of S3, or of what speaks its protocol.
    S3 {
        /// The bucket.
        bucket: String,
        /// What every key begins with, without a slash at its end.
        prefix: Option<String>,
        /// The bucket's region; the function's own by default.
        region: Option<String>,
        /// Another endpoint.
        endpoint: Option<String>,
    },
    /// A directory of this machine.
    Directory(String),
}

/// What names of files are made of: `{form}/{submission}/{name}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTemplate(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(Placeholder),
}

/// What stands for a part of a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The pipeline's name.
    Pipeline,
    /// The project's number.
    Project,
    /// The form's id.
    Form,
    /// The id of the submission.
    Submission,
    /// The path of the field that names the file.
    Field,
    /// The file's own name.
    Name,
}

impl Placeholder {
    const ALL: [(&str, Placeholder); 6] = [
        ("pipeline", Placeholder::Pipeline),
        ("project", Placeholder::Project),
        ("form", Placeholder::Form),
        ("submission", Placeholder::Submission),
        ("field", Placeholder::Field),
        ("name", Placeholder::Name),
    ];

    /// The word between the braces.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, place)| *place == self).map_or("", |(word, _)| word)
    }
}

impl KeyTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// `Config` when a placeholder is unknown, when two files could have one name, or when the name could lead out of its
    /// folder.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |what: String, hint: &str| {
            Error::config(format!("`{text}` is no name for files: {what}")).with_hint(hint.to_owned())
        };
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(['{', '}']).unwrap_or(rest.len());
            if end > 0 {
                pieces.push(Piece::Text(rest[..end].to_owned()));
                rest = &rest[end..];
                continue;
            }
            let inside = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let (word, after) = inside.ok_or_else(|| bad("a brace has no partner".into(), "write `{name}`"))?;
            let place = Placeholder::ALL.iter().find(|(known, _)| *known == word.trim());
            let Some((_, place)) = place else {
                let hint = "the placeholders are {pipeline}, {project}, {form}, {submission}, {field} and {name}";
                return Err(bad(format!("there is no placeholder `{word}`"), hint));
            };
            pieces.push(Piece::Place(*place));
            rest = after;
        }
        for needed in [Placeholder::Submission, Placeholder::Name] {
            if !pieces.contains(&Piece::Place(needed)) {
                let what = format!("without {{{}}} two files could have the same", needed.word());
                return Err(bad(what, "write `{form}/{submission}/{name}`"));
            }
        }
        let places = pieces.iter().enumerate().filter(|(_, piece)| matches!(piece, Piece::Place(_))).map(|(at, _)| at);
        let places: Vec<usize> = places.collect();
        // What no value ever holds must stand between two of them.
        let is_apart = |two: &[usize]| {
            let between = &pieces[two[0] + 1..two[1]];
            between.iter().any(|piece| matches!(piece, Piece::Text(text) if text.bytes().any(|byte| !stays(byte, false) && byte != b'=')))
        };
        if !places.windows(2).all(is_apart) {
            let what = "nothing tells where one placeholder ends and the next begins, so two files could have the same";
            return Err(bad(what.to_owned(), "write a slash between them"));
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) || text.contains(['\\', '\0']) {
            let what = "a part between two slashes is empty, `.` or `..`".to_owned();
            return Err(bad(what, "write `{form}/{submission}/{name}`"));
        }
        Ok(KeyTemplate(pieces))
    }

    /// The name of a file. `value` gives what a placeholder stands for; each is made safe for a key and a file name.
    pub fn fill<'v>(&self, value: impl Fn(Placeholder) -> Cow<'v, str>) -> String {
        let mut key = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => key.push_str(text),
                Piece::Place(place) => key.push_str(&safe(&value(*place))),
            }
        }
        key
    }
}

impl fmt::Display for KeyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Place(place) => write!(f, "{{{}}}", place.word()),
        })
    }
}

/// Letters and digits of ASCII, `-`, `_`, `.` and `:` stay as they are, every other byte becomes `=` and two hexadecimal digits, so that
/// different values stay different. A value of dots alone has no dot left.
fn safe(value: &str) -> Cow<'_, str> {
    let dots = value.bytes().all(|byte| byte == b'.');
    if !value.is_empty() && value.bytes().all(|byte| stays(byte, dots)) {
        return Cow::Borrowed(value);
    }
    if value.is_empty() {
        // A part of a key must not be empty.
        return Cow::Borrowed("=");
    }
    let mut safe = String::with_capacity(value.len() + 8);
    for byte in value.bytes() {
        if stays(byte, dots) {
            safe.push(char::from(byte));
        } else {
            safe.push_str(&format!("={byte:02X}"));
        }
    }
    Cow::Owned(safe)
}

fn stays(byte: u8, dots: bool) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':') || (byte == b'.' && !dots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_read_or_refused() {
        let check = |text: &str, expect: Option<&str>| {
            let result = KeyTemplate::parse(text);
            match expect {
                None => assert_eq!(result.unwrap().to_string(), text),
                Some(expect) => {
                    let error = result.unwrap_err().to_string();
                    assert!(error.contains(expect), "{text}: {error}");
                }
            }
        };
        check("{form}/{submission}/{name}", None);
        check("a/{pipeline}/x-{project}-x/{submission}/{field} {name}", None);
        check("{form}/{name}", Some("without {submission}"));
        check("{submission}", Some("without {name}"));
        check("{submission}{name}", Some("where one placeholder ends"));
        check("{submission}-{name}", Some("where one placeholder ends"));
        check("{submission}/{nam}", Some("no placeholder `nam`"));
        check("{submission}/{name", Some("no partner"));
        check("{submission}/name}", Some("no partner"));
        check("/{submission}/{name}", Some("between two slashes"));
        check("../{submission}/{name}", Some("between two slashes"));
        check("{submission}//{name}", Some("between two slashes"));
    }

    #[test]
    fn values_are_made_safe_and_stay_different() {
        let template = KeyTemplate::parse("{form}/{submission}/{name}").unwrap();
        let check = |submission: &str, name: &str, expect: &str| {
            let key = template.fill(|place| match place {
                Placeholder::Form => "survey".into(),
                Placeholder::Submission => submission.into(),
                _ => name.into(),
            });
            assert_eq!(key, expect);
        };
        check("uuid:08-a", "building.jpg", "survey/uuid:08-a/building.jpg");
        check("a/b", "my file=1.jpg", "survey/a=2Fb/my=20file=3D1.jpg");
        check("..", ".", "survey/=2E=2E/=2E");
        check("a", "é.jpg", "survey/a/=C3=A9.jpg");
        check("", "..x", "survey/=/..x");
    }
}
