//! A dead letter on one line: what is in the way of which table, and which item it is.

use serde_json::Value;
use tributary_postgres::Letter;

/// Which table refused the record, in words.
pub(crate) fn table(letter: &Letter) -> String {
    match letter.tables.as_slice() {
        [] => "the record".to_owned(),
        [only] => only.clone(),
        [first, more @ ..] => format!("{first} and {} more", more.len()),
    }
}

/// What is wrong. A table that [`table`] names isn't named again, and of several tables the first one's trouble tells it.
pub(crate) fn error(letter: &Letter) -> &str {
    let Some(first) = letter.tables.first() else { return &letter.error };
    let one = if letter.tables.len() == 1 { Some(letter.error.as_str()) } else { letter.error.split("; ").next() };
    one.and_then(|error| error.strip_prefix(first.as_str())?.strip_prefix(": ")).unwrap_or(&letter.error)
}

/// The item's key: the values of its attributes, without their names.
pub(crate) fn key(letter: &Letter) -> String {
    let Ok(Value::Object(attributes)) = serde_json::from_str(&letter.key) else { return letter.key.clone() };
    let value = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    attributes.values().map(value).collect::<Vec<_>>().join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_names_a_table_once() {
        let check = |tables: &[&str], trouble: &str, item: &str, expect: [&str; 3]| {
            let letter = Letter {
                id: 1,
                pipeline: String::new(),
                position: String::new(),
                key: item.to_owned(),
                tables: tables.iter().map(|name| (*name).to_owned()).collect(),
                error: trouble.to_owned(),
                payload: Vec::new(),
                attempts: 1,
                first_at: 0.0,
                last_at: 0.0,
                retry_at: None,
                received: None,
            };
            assert_eq!([table(&letter).as_str(), error(&letter), key(&letter).as_str()], expect);
        };
        check(&[], "is missing; see view: type", "", ["the record", "is missing; see view: type", ""]);
        check(&["t"], "t: a; b", r#"{"id":"x"}"#, ["t", "a; b", "x"]);
        check(&["t", "u", "v"], "t: a; u: b", r#"{"id":"x","n":2}"#, ["t and 2 more", "a", "x / 2"]);
        check(&["t"], "u: a", "no json", ["t", "u: a", "no json"]);
    }
}
