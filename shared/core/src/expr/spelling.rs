//! How a program may be written: plainly, or in the spellings of DataSyncTool configurations.

use std::ops::Range;

use super::Flaw;

/// A program's source without its wrapping.
pub(super) struct Spelling {
    /// The template or expression itself, in bytes of the source.
    pub(super) body: Range<usize>,
    /// The parameter of a lambda.
    pub(super) parameter: Option<String>,
    /// Whether the body is a template.
    pub(super) template: bool,
}

impl Spelling {
    /// Reads `TMPL(…)`, `lambda x: …`, `lambda: …`, or what has no wrapping.
    pub(super) fn read(source: &str) -> Result<Self, Flaw> {
        let start = source.len() - source.trim_start().len();
        let end = source.trim_end().len().max(start);
        let text = &source[start..end];
        if let Some(inside) = text.strip_prefix("TMPL(") {
            let Some(inside) = inside.strip_suffix(')') else {
                return Err(Flaw::new("`TMPL(` is not closed", start..end).hint("end it with `)`"));
            };
            let body = start + "TMPL(".len()..start + "TMPL(".len() + inside.len();
            return Ok(Spelling { body, parameter: None, template: true });
        }
        let after_lambda = text.strip_prefix("lambda").filter(|rest| rest.starts_with([' ', '\t', ':']));
        let Some(rest) = after_lambda else {
            let template = text.contains("{{") || text.contains("{%");
            // A template keeps the blanks around it; they are part of its text.
            let body = if template { 0..source.len() } else { start..end };
            return Ok(Spelling { body, parameter: None, template });
        };
        let Some(colon) = rest.find(':') else {
            return Err(Flaw::new("a lambda has a colon after its parameter", start..end).hint("write `lambda r: …`"));
        };
        let body_start = start + "lambda".len() + colon + 1;
        let name = rest[..colon].trim();
        let parameter = match name {
            "" => None,
            name if is_name(name) => Some(name.to_owned()),
            _ => {
                let message = "a lambda here takes one parameter, the row";
                return Err(Flaw::new(message, start..body_start).hint("write `lambda r: …`"));
            }
        };
        Ok(Spelling { body: body_start..end, parameter, template: false })
    }
}

/// The expression of a template that is one `{{ … }}` and nothing else.
pub(super) fn single(template: &str) -> Option<&str> {
    let inside = template.strip_prefix("{{")?.strip_suffix("}}")?;
    let inside = inside.strip_prefix(['-', '+']).unwrap_or(inside);
    let inside = inside.strip_suffix(['-', '+']).unwrap_or(inside);
    Some(inside)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
