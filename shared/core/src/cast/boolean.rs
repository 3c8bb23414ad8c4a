//! `boolean`.

use crate::cast::misfit::Misfit;
use crate::cell::Cell;
use crate::column_type::Base;
use crate::value::Value;

pub(super) fn boolean(value: &Value) -> Result<Cell, Misfit> {
    match value {
        Value::Bool(value) => Ok(Cell::Bool(*value)),
        Value::Text(text) => read(text).map(Cell::Bool).ok_or_else(|| Misfit::form("true or false", &Base::Bool)),
        Value::Number(number) => match (number.digits(), number.exponent(), number.is_negative()) {
            ("", ..) => Ok(Cell::Bool(false)),
            ("1", 0, false) => Ok(Cell::Bool(true)),
            _ => Err(Misfit::new("a number other than 0 and 1 where boolean is expected")),
        },
        _ => Err(Misfit::kind(value, &Base::Bool)),
    }
}

/// As `parse_bool` of Postgres reads it: any case, any prefix of a word that leaves no doubt, spaces around it.
fn read(text: &str) -> Option<bool> {
    let word = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let begins =
        |full: &str| full.as_bytes().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()));
    match word.len() {
        0 => None,
        _ if begins("true") || begins("yes") || word == "1" => Some(true),
        _ if begins("false") || begins("no") || word == "0" => Some(false),
        1 => None,
        _ if begins("on") => Some(true),
        _ if begins("off") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::cast::samples::{check, misfit, number};
    use crate::value::Value;

    #[test]
    fn reads_what_postgres_reads() {
        for yes in ["true", "TRUE", "t", "Tru", "yes", "y", "on", "ON", "1", " true\n"] {
            check("boolean", yes, "true");
        }
        for no in ["false", "f", "no", "N", "off", "of", "0", "\tFalse "] {
            check("boolean", no, "false");
        }
        for bad in ["", " ", "o", "truer", "01", "2", "ja", "null", "tr ue"] {
            misfit("boolean", bad, "text that is not true or false where boolean is expected");
        }
        check("boolean", number("1.0"), "true");
        check("boolean", number("0"), "false");
        for bad in ["-1", "2", "10", "0.1"] {
            misfit("boolean", number(bad), "a number other than 0 and 1 where boolean is expected");
        }
        misfit("boolean", Value::List(vec![]), "a list where boolean is expected");
    }
}
