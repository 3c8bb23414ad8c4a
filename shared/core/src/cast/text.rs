//! `text`, `varchar` and `char`, and the text of types that the server reads.
//!
//! Lengths are in characters, as Postgres counts them in a UTF-8 database.

use crate::cast::json::json_text;
use crate::cast::misfit::{Misfit, name};
use crate::cell::Cell;
use crate::column_type::{Base, ColumnType};
use crate::value::Value;

pub(super) fn text(value: &Value) -> Result<Cell, Misfit> {
    match value {
        Value::Map(_) | Value::List(_) | Value::Set(_) => json_text(value).map(|text| Cell::Text(text.into())),
        _ => plain(value, &Base::Text).map(Cell::Text),
    }
}

pub(super) fn varying(value: &Value, base: &Base, length: Option<u32>) -> Result<Cell, Misfit> {
    let text = plain(value, base)?;
    match length {
        // No character is shorter than a byte, so most texts need no counting.
        Some(length) if text.len() > length as usize => {
            let characters = text.chars().count();
            if characters > length as usize {
                return Err(Misfit::new(format!("text of {characters} characters does not fit {}", name(base))));
            }
            Ok(Cell::Text(text))
        }
        _ => Ok(Cell::Text(text)),
    }
}

/// The text that the server will read as its own type: an enum, an interval, an address.
pub(super) fn literal(value: &Value, base: &Base) -> Result<Cell, Misfit> {
    plain(value, base).map(Cell::Text)
}

fn plain(value: &Value, base: &Base) -> Result<Box<str>, Misfit> {
    match value {
        Value::Text(text) if text.as_bytes().contains(&0) => Err(Misfit::nul()),
        Value::Text(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string().into()),
        Value::Bool(true) => Ok("true".into()),
        Value::Bool(false) => Ok("false".into()),
        _ => Err(Misfit::kind(value, base)),
    }
}

/// The text cut to the length of a `varchar(n)` or `char(n)`, for columns with `on_error: truncate`.
///
/// `None` when cutting does not make it fit: the type has no length, it is an array, or U+0000 stands in what is left.
pub fn truncate(text: &str, ty: &ColumnType) -> Option<Box<str>> {
    let length = match ty.base {
        Base::Varchar(Some(length)) | Base::Char(length) if !ty.array => length,
        _ => return None,
    };
    let end = text.char_indices().nth(length as usize).map_or(text.len(), |(end, _)| end);
    let cut = &text[..end];
    (!cut.as_bytes().contains(&0)).then(|| cut.into())
}

#[cfg(test)]
mod tests {
    use crate::cast::samples::{check, misfit, number};
    use crate::cast::truncate;
    use crate::column_type::ColumnType;
    use crate::value::Value;

    #[test]
    fn text_keeps_everything_but_u0000() {
        check("text", "  a\n", "  a\n");
        check("text", "", "");
        check("text", number("12345678901234567890123456789012345678"), "12345678901234567890123456789012345678");
        check("text", number("1.50"), "1.5");
        check("text", true, "true");
        check("text", Value::from([("a", Value::List(vec![1.into(), Value::Null]))]), r#"{"a":[1,null]}"#);
        check("text", Value::Set(vec!["x".into()]), r#"["x"]"#);
        misfit("text", "a\0b", "U+0000, which Postgres text cannot hold");
        misfit("text", Value::Bytes([1].into()), "binary where text is expected");
        misfit("text", Value::List(vec!["a\0".into()]), "U+0000, which Postgres text cannot hold");
    }

    #[test]
    fn varchar_counts_characters_and_trailing_spaces() {
        check("varchar(3)", "äöü", "äöü");
        check("varchar(3)", "😀😀😀", "😀😀😀");
        check("varchar(3)", number("123"), "123");
        check("varchar(5)", false, "false");
        check("varchar", "any length", "any length");
        check("char(3)", "ab", "ab");
        misfit("varchar(3)", "ab  ", "text of 4 characters does not fit varchar(3)");
        misfit("varchar(3)", "äöüß", "text of 4 characters does not fit varchar(3)");
        misfit("varchar(3)", number("1234"), "text of 4 characters does not fit varchar(3)");
        misfit("char(2)", "abc", "text of 3 characters does not fit char(2)");
        misfit("varchar(9)", "\0", "U+0000, which Postgres text cannot hold");
        misfit("varchar(9)", Value::List(vec![]), "a list where varchar(9) is expected");
        misfit("char(9)", Value::from([]), "a map where char(9) is expected");
    }

    #[test]
    fn the_server_reads_what_is_text() {
        check("interval", "1 day", "1 day");
        check("app.mood", "happy", "happy");
        check("money", number("12.50"), "12.5");
        check("bit(1)", true, "true");
        misfit("inet", "\0", "U+0000, which Postgres text cannot hold");
        misfit("point", Value::List(vec![1.into(), 2.into()]), "a list where point is expected");
        misfit("hstore", Value::from([("a", 1.into())]), "a map where hstore is expected");
        misfit("bit(8)", Value::Bytes([1].into()), "binary where bit(8) is expected");
    }

    #[test]
    fn truncation_cuts_characters_and_only_where_a_length_is_given() {
        for (ty, text, cut) in [
            ("varchar(3)", "abcd", Some("abc")),
            ("varchar(3)", "äöüß", Some("äöü")),
            ("varchar(3)", "ab", Some("ab")),
            ("char(2)", "😀😀😀", Some("😀😀")),
            ("varchar(3)", "abc\0", Some("abc")),
            ("varchar(3)", "a\0", None),
            ("varchar", "abcd", None),
            ("text", "abcd", None),
            ("varchar(3)[]", "abcd", None),
        ] {
            assert_eq!(truncate(text, &ColumnType::parse(ty).unwrap()).as_deref(), cut, "{ty}");
        }
    }
}
