//! `json` and `jsonb`, and every other place where a value is shown as JSON.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::cast::misfit::Misfit;
use crate::cast::number::{NUMERIC_DECIMALS, NUMERIC_INTEGER_DIGITS};
use crate::decimal::Decimal;
use crate::value::Value;

/// Above this many zeros a number gets an exponent: `1e100000` must not grow to 100 000 characters, and a list of them
/// to gigabytes.
const MOST_ZEROS: u32 = 400;

/// A value as JSON: numbers with all their digits, binary as base64 strings, sets as arrays, the fields of a map in
/// their order. Text is a JSON string, also when it holds JSON itself.
///
/// # Errors
/// A [`Misfit`] for what `jsonb` cannot hold: U+0000, in a map's field names too, and numbers beyond `numeric`.
pub fn json_text(value: &Value) -> Result<String, Misfit> {
    let mut out = String::new();
    write(value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut String) -> Result<(), Misfit> {
    match value {
        Value::Null | Value::Failed(_) => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(number, out)?,
        Value::Text(text) => write_string(text, out)?,
        Value::Bytes(bytes) => {
            out.push('"');
            STANDARD.encode_string(bytes, out);
            out.push('"');
        }
        Value::List(items) | Value::Set(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Value::Map(fields) => {
            out.push('{');
            for (index, (name, field)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(name, out)?;
                out.push(':');
                write(field, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn write_number(number: &Decimal, out: &mut String) -> Result<(), Misfit> {
    if number.scale() > NUMERIC_DECIMALS || number.integer_digits() > NUMERIC_INTEGER_DIGITS {
        return Err(Misfit::new("a number beyond the range of numeric, which is that of numbers in jsonb"));
    }
    if number.exponent().unsigned_abs() > MOST_ZEROS {
        if number.is_negative() {
            out.push('-');
        }
        out.push_str(number.digits());
        // Writing to a string cannot fail.
        let _ = write!(out, "e{}", number.exponent());
    } else {
        let _ = write!(out, "{number}");
    }
    Ok(())
}

fn write_string(text: &str, out: &mut String) -> Result<(), Misfit> {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut written = 0;
    for (index, byte) in text.bytes().enumerate() {
        let short = match byte {
            0 => return Err(Misfit::nul()),
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            1..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[written..index]);
        written = index + 1;
        if short.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(short);
        }
    }
    out.push_str(&text[written..]);
    out.push('"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use indexmap::IndexMap;
    use proptest::prelude::*;

    use crate::cast::json_text;
    use crate::cast::samples::{any_value, check, misfit, number};
    use crate::decimal::Decimal;
    use crate::value::Value;

    #[test]
    fn json_is_exact() {
        for ty in ["json", "jsonb"] {
            check(ty, "a \"b\" \\ \n\r\t\u{1}\u{1f} ä😀/", r#""a \"b\" \\ \n\r\t\u0001\u001f ä😀/""#);
            check(ty, r#"{"a":1}"#, r#""{\"a\":1}""#);
            check(ty, number("12345678901234567890123456789012345678.5"), "12345678901234567890123456789012345678.5");
            check(ty, number("-1e-3"), "-0.001");
            check(ty, number("-12e5000"), "-12e5000");
            check(ty, number("12e-5000"), "12e-5000");
            check(ty, true, "true");
            check(ty, Value::Bytes([0, 255].into()), "\"AP8=\"");
            check(ty, Value::Set(vec!["a".into(), "b".into()]), r#"["a","b"]"#);
            check(
                ty,
                Value::from([("z", Value::List(vec![Value::Null, Value::from([])])), ("a \"", false.into())]),
                r#"{"z":[null,{}],"a \"":false}"#,
            );
            let nul = "U+0000, which Postgres text cannot hold";
            misfit(ty, "\0", nul);
            misfit(ty, Value::List(vec![Value::from([("a", "b\0".into())])]), nul);
            misfit(ty, Value::from([("a\0", 1.into())]), nul);
            let range = "a number beyond the range of numeric, which is that of numbers in jsonb";
            misfit(ty, number("1e-16384"), range);
            misfit(ty, Value::List(vec![number(&format!("1{}e99999", "0".repeat(31_073)))]), range);
        }
    }

    proptest! {
        #[test]
        fn serde_reads_back_what_was_written(value in any_value()) {
            let text = json_text(&value).unwrap();
            prop_assert!(same(&value, &text), "{}", text);
        }
    }

    /// Digit by digit: a `serde_json::Value` would read the numbers as floats.
    fn same(value: &Value, text: &str) -> bool {
        use serde_json::from_str;
        use serde_json::value::RawValue;
        match value {
            Value::Null | Value::Failed(_) => text == "null",
            Value::Bool(value) => from_str(text).is_ok_and(|read: bool| read == *value),
            Value::Number(value) => {
                from_str::<&RawValue>(text).is_ok() && Decimal::parse(text).is_ok_and(|read| read == *value)
            }
            Value::Text(value) => from_str(text).is_ok_and(|read: String| *read == **value),
            Value::Bytes(value) => from_str(text).is_ok_and(|read: String| STANDARD.decode(read).unwrap() == **value),
            Value::List(items) | Value::Set(items) => from_str(text).is_ok_and(|read: Vec<&RawValue>| {
                read.len() == items.len() && items.iter().zip(read).all(|(item, read)| same(item, read.get()))
            }),
            Value::Map(fields) => from_str(text).is_ok_and(|read: IndexMap<String, &RawValue>| {
                read.len() == fields.len()
                    && fields.iter().zip(read).all(|((a, field), (b, read))| **a == *b && same(field, read.get()))
            }),
        }
    }
}
