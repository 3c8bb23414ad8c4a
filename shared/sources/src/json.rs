//! Plain JSON, read straight into [`Value`]s: no tree in between, no number ever a float.
//!
//! Called by the sources that send plain JSON. What is wrong is said by its place, never by what stands there.

use indexmap::IndexMap;
use tributary_core::decimal::Decimal;
use tributary_core::value::Value;
use tributary_core::{Error, Result};

/// How deep lists and maps may nest.
const MAX_DEPTH: usize = 100;

/// Reads one JSON value and nothing after it. Of a name that comes twice the last value stays, as Postgres' `jsonb` does
/// it; half a surrogate pair becomes U+FFFD.
///
/// # Errors
/// `Data` when this is no JSON, nests deeper than 100 levels, or has a number whose exponent is beyond ±100 000.
pub fn read(text: &str) -> Result<Value> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = reader.value()?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.wrong("the JSON goes on after its end"));
    }
    Ok(value)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn wrong(&self, what: &str) -> Error {
        Error::data(format!("{what}, at byte {}", self.at))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// The next byte that is no space.
    fn next(&mut self) -> Option<u8> {
        self.space();
        self.peek()
    }

    fn value(&mut self) -> Result<Value> {
        match self.next() {
            Some(b'{') => self.nested(Reader::map),
            Some(b'[') => self.nested(Reader::list),
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let words = [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))];
                let rest = &self.text.as_bytes()[self.at..];
                let found = words.into_iter().find(|(word, _)| rest.starts_with(word.as_bytes()));
                let (word, value) = found.ok_or_else(|| self.wrong("this is no JSON"))?;
                self.at += word.len();
                Ok(value)
            }
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Value>) -> Result<Value> {
        if self.depth == MAX_DEPTH {
            return Err(self.wrong("the JSON nests too deep"));
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// After an element: whether another one follows.
    fn goes_on(&mut self, end: u8) -> Result<bool> {
        match self.next() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.wrong("a comma or an end is missing")),
        }
    }

    fn map(&mut self) -> Result<Value> {
        let mut fields = IndexMap::new();
        if self.next() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(fields));
        }
        loop {
            if self.next() != Some(b'"') {
                return Err(self.wrong("a name is missing"));
            }
            let name = self.string()?;
            if self.next() != Some(b':') {
                return Err(self.wrong("a colon is missing"));
            }
            self.at += 1;
            let value = self.value()?;
            fields.insert(name, value);
            if !self.goes_on(b'}')? {
                return Ok(Value::Map(fields));
            }
        }
    }

    fn list(&mut self) -> Result<Value> {
        let mut elements = Vec::new();
        if self.next() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(elements));
        }
        loop {
            elements.push(self.value()?);
            if !self.goes_on(b']')? {
                return Ok(Value::List(elements));
            }
        }
    }

    fn number(&mut self) -> Result<Value> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let number = Decimal::parse(&rest[..end]).map_err(|error| self.wrong(&error.to_string()))?;
        self.at += end;
        Ok(Value::Number(number))
    }

    /// A string from its opening quote to its closing one.
    fn string(&mut self) -> Result<Box<str>> {
        let text = self.text;
        let start = self.at + 1;
        let bytes = text.as_bytes();
        let stop =
            |from: usize| bytes[from..].iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).map(|n| from + n);
        let mut end = stop(start).ok_or_else(|| self.wrong("a string has no end"))?;
        if bytes[end] == b'"' {
            self.at = end + 1;
            return Ok(text[start..end].into());
        }
        let mut out = String::with_capacity(end - start + 16);
        let mut from = start;
        loop {
            out.push_str(&text[from..end]);
            self.at = end;
            match bytes[end] {
                b'"' => {
                    self.at += 1;
                    return Ok(out.into());
                }
                b'\\' => out.push(self.escape()?),
                _ => return Err(self.wrong("a string has a control character")),
            }
            from = self.at;
            end = stop(from).ok_or_else(|| self.wrong("a string has no end"))?;
        }
    }

    /// The character that an escape stands for, from its backslash on.
    fn escape(&mut self) -> Result<char> {
        let letter = self.text.as_bytes().get(self.at + 1).copied();
        self.at += 2;
        Ok(match letter {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'u') => {
                let high = self.unit()?;
                let low_follows = (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with("\\u");
                if !low_follows {
                    return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                let back = self.at;
                self.at += 2;
                let low = self.unit()?;
                if (0xdc00..0xe000).contains(&low) {
                    let pair = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    return Ok(char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                self.at = back;
                char::REPLACEMENT_CHARACTER
            }
            _ => return Err(self.wrong("a string has an unknown escape")),
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u32> {
        let digits = self.text.get(self.at..self.at + 4).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        unit.ok_or_else(|| self.wrong("a string has an unknown escape"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tributary_core::cast::json_text;

    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_escapes_are_read() {
        let check = |text: &str, expect: &str| assert_eq!(json_text(&read(text).unwrap()).unwrap(), expect, "{text}");
        check(
            " [ 12345678901234567890.10 , -1e2,0.0 ,9007199254740993] ",
            "[12345678901234567890.1,-100,0,9007199254740993]",
        );
        check(r#"{"a":{"b":[]},"a":null,"":true}"#, r#"{"a":null,"":true}"#);
        check(r#""\u00e4\ud83d\ude00\ud83dx\ude00\/\b""#, "\"ä😀\u{fffd}x\u{fffd}/\\u0008\"");
        check(r#""\ud83d\u0041""#, "\"\u{fffd}A\"");
        assert_eq!(read(r#""a\u0000""#).unwrap(), Value::from("a\0"));
    }

    #[test]
    fn what_is_no_json_is_refused_and_not_quoted() {
        let deep = "[".repeat(101);
        for bad in [
            "",
            "nul",
            "tru",
            "{",
            "[",
            "[1",
            "[1,]",
            "{\"hunter2\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{1:2}",
            "1 2",
            "-",
            "1.2.3",
            "\"hunter2",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12é4\"",
            "\"\\",
            "\"\n\"",
            "1e999999",
            "é",
            &deep,
        ] {
            let error = read(bad).unwrap_err();
            assert!(!error.chain().contains("hunter2"), "{error}");
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|fields| fields.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    fn same(read: &Value, expect: &serde_json::Value) -> bool {
        use serde_json::Value as Json;
        match (read, expect) {
            (Value::Null, Json::Null) => true,
            (Value::Bool(a), Json::Bool(b)) => a == b,
            (Value::Number(a), Json::Number(b)) => a.to_string() == b.to_string(),
            (Value::Text(a), Json::String(b)) => **a == **b,
            (Value::List(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Value::Map(a), Json::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(name, a)| b.get(&**name).is_some_and(|b| same(a, b)))
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn reads_what_others_write(json in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) }.unwrap();
            prop_assert!(same(&read(&text).unwrap(), &json), "{}", text);
        }

        #[test]
        fn never_panics(text in any::<String>(), json in any_json(), cut in any::<prop::sample::Index>()) {
            let _ = read(&text);
            let whole = json.to_string();
            let at = cut.index(whole.len() + 1);
            if whole.is_char_boundary(at) {
                let _ = read(&whole[..at]);
            }
        }
    }
}
