//! What a feed is asked for: the `$` options of an address, and their way back into a nextLink.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::answer::Answer;
use super::filter::{Filter, Problem};
use super::release::Release;

/// Options of a feed.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) select: Option<Vec<String>>,
    pub(super) expand: bool,
    pub(super) filter: Option<Filter>,
    pub(super) top: Option<usize>,
    pub(super) skip: usize,
    pub(super) anchor: Option<String>,
    pub(super) count: bool,
    /// Names and values as they were given, less the place.
    given: Vec<(String, String)>,
}

/// Percent-encodes what isn't unreserved.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Undoes percent-encoding; in a query, `+` is a space.
pub(super) fn decode(text: &str, in_query: bool) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let hex =
            (bytes[at] == b'%').then(|| text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()));
        match hex.flatten() {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if in_query && bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The options of an address in their order.
pub(super) fn options(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, true), decode(value, true))
        })
        .collect()
}

/// The place after a row, as Central writes it.
pub(super) fn skiptoken(name: &str, id: &str) -> String {
    let mut named = json!({});
    named[name] = json!(id);
    format!("01{}", STANDARD.encode(named.to_string()))
}

fn anchor(name: &str, token: &str) -> Option<String> {
    let bytes = STANDARD.decode(token.strip_prefix("01")?).ok()?;
    let named: Json = serde_json::from_slice(&bytes).ok()?;
    Some(named[name].as_str()?.to_owned())
}

impl Query {
    /// Reads the options of a feed whose places name rows by `place`, and whose filters know these fields.
    pub(super) fn read(
        pairs: &[(String, String)],
        place: &str,
        release: Release,
        known: &dyn Fn(&str) -> bool,
    ) -> Result<Self, Answer> {
        let mut query = Query {
            select: None,
            expand: false,
            filter: None,
            top: None,
            skip: 0,
            anchor: None,
            count: false,
            given: Vec::new(),
        };
        let mut ordered = false;
        for (name, value) in pairs {
            let number = || value.parse::<usize>().map_err(|_| Answer::problem(400, 400.11, "Invalid input data type"));
            match name.as_str() {
                "$select" if value == "*" => {}
                "$select" => query.select = Some(value.split(',').map(|name| name.trim().to_owned()).collect()),
                "$expand" if value == "*" => query.expand = true,
                "$filter" => query.filter = Some(Filter::read(value, known).map_err(|problem| refused(&problem))?),
                "$top" => query.top = Some(number()?),
                "$skip" => query.skip = number()?,
                "$skiptoken" if release.has_cursors() => {
                    let found = anchor(place, value);
                    query.anchor = Some(found.ok_or_else(|| Answer::problem(400, 400.35, "Invalid $skiptoken"))?);
                }
                "$count" => query.count = value == "true",
                "$orderby" => ordered = true,
                // Others are told to whoever looks: an answer that silently leaves out a part would mislead a test.
                name => return Err(Answer::unsupported(name)),
            }
            if !matches!(name.as_str(), "$skiptoken" | "$skip") {
                query.given.push((name.clone(), value.clone()));
            }
        }
        if query.expand && query.select.is_some() {
            let words = "This server doesn't support $select query parameter with $expand.";
            return Err(Answer::problem(501, 501.11, words));
        }
        if ordered {
            // The real one orders, and fails on its own nextLink; a pass that would begin so must not.
            return Err(Answer::unsupported("using $orderby and $skiptoken together"));
        }
        Ok(query)
    }

    /// The query of the next page: the same, from another place.
    pub(super) fn next(&self, place: (&str, String)) -> String {
        let given = self.given.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let all = given.chain([place]).map(|(name, value)| format!("{}={}", encode(name), encode(&value)));
        all.collect::<Vec<_>>().join("&")
    }
}

fn refused(problem: &Problem) -> Answer {
    let unsupported = |code, what: &str| {
        let words = "The given OData filter expression uses features not supported by this server";
        Answer::problem(501, code, &format!("{words}: {what}"))
    };
    match problem {
        Problem::Syntax => {
            Answer::problem(400, 400.18, "The OData filter expression you provided could not be parsed: syntax")
        }
        Problem::Field(name) => {
            let words = "The given OData filter expression references fields not supported by this server";
            Answer::problem(501, 501.5, &format!("{words}: {name} at 0"))
        }
        Problem::Function(name) if name == "now" => Answer::problem(500, 500.1, "Completely unhandled exception: now"),
        Problem::Function(name) => unsupported(501.4, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_that_of_the_samples() {
        let token = "01eyJpbnN0YW5jZUlkIjoidXVpZDoxODI5OTI4MC0yYjMyLTQyOTYtYTAwMS0wMDQxOGFiYzc3OWQifQ==";
        let id = "uuid:18299280-2b32-4296-a001-00418abc779d";
        assert_eq!(skiptoken("instanceId", id), token);
        assert_eq!(anchor("instanceId", token).as_deref(), Some(id));
        assert_eq!(anchor("instanceId", "zz"), None);
        assert_eq!(anchor("uuid", token), None);
    }

    #[test]
    fn a_plus_is_a_space_in_a_query_only() {
        assert_eq!(decode("a+b%2Bc%20d", true), "a b+c d");
        assert_eq!(decode("a+b%2Bc%20d", false), "a+b+c d");
        assert_eq!(
            options("$top=2&%24filter=a%20eq+b"),
            [("$top".to_owned(), "2".to_owned()), ("$filter".to_owned(), "a eq b".to_owned())]
        );
        assert_eq!(encode("uuid:1 é"), "uuid%3A1%20%C3%A9");
    }
}
