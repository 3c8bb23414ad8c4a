//! The body of an OData feed, cut into rows while it arrives: `{"value":[{…},{…}],"@odata.context":"…"}`.
//!
//! A server that fails while it sends ends the body where it is, with status 200. So a body counts only when it is a
//! whole JSON document that says of what it is: what follows the rows is written last.

use serde::Deserialize;
use serde::de::IgnoredAny;
use tributary_core::{Error, Result};

/// How long what stands around the rows may be, in bytes.
const AROUND: usize = 1024 * 1024;

/// What stands around the rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    /// How many rows the filter admits, where that was asked.
    pub(super) count: Option<u64>,
    /// The address of the next page.
    pub(super) next: Option<String>,
}

/// Cuts a body into rows. They are given as they were written; whether each is JSON is seen by who reads it.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    /// All but the rows.
    around: Vec<u8>,
    /// The row that is being read.
    row: Vec<u8>,
    place: Place,
    depth: u32,
    text: Text,
    had_rows: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Outside of the list of rows.
    #[default]
    Around,
    /// In the list, where a row or its end may come.
    First,
    /// In the list after a comma.
    Next,
    /// In the list after a row.
    After,
    /// In a row.
    Row,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Text {
    #[default]
    No,
    Yes,
    Escape,
}

impl Splitter {
    /// Reads on; each row that ends here is given.
    ///
    /// # Errors
    /// `Data` when it is no such document; what `each` gives.
    pub(super) fn take(&mut self, part: &[u8], mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut from = 0;
        for (at, byte) in part.iter().copied().enumerate() {
            let is_text = self.text != Text::No;
            self.text = text_after(self.text, byte);
            match self.place {
                Place::First | Place::Next | Place::After => {
                    if self.in_list(byte)? {
                        from = at;
                    }
                }
                Place::Row => {
                    if !is_text && self.closes(byte) && self.depth == 0 {
                        self.row.extend_from_slice(&part[from..=at]);
                        each(&self.row)?;
                        self.row.clear();
                        (self.place, self.depth) = (Place::After, 1);
                    }
                }
                Place::Around => {
                    self.around.push(byte);
                    if !is_text && !self.closes(byte) && byte == b'[' && self.depth == 2 && self.is_value() {
                        (self.place, self.had_rows) = (Place::First, true);
                    }
                }
            }
        }
        if self.place == Place::Row {
            self.row.extend_from_slice(&part[from..]);
        }
        if self.around.len() > AROUND {
            return Err(Error::data("the answer of ODK Central is no feed of rows"));
        }
        Ok(())
    }

    /// A byte in the list beside its rows: whether a row begins.
    fn in_list(&mut self, byte: u8) -> Result<bool> {
        match (self.place, byte) {
            (_, b' ' | b'\t' | b'\n' | b'\r') => {}
            (Place::First | Place::After, b']') => {
                self.around.push(byte);
                (self.place, self.depth) = (Place::Around, 1);
            }
            (Place::After, b',') => self.place = Place::Next,
            (Place::First | Place::Next, b'{') => {
                (self.place, self.depth) = (Place::Row, 1);
                return Ok(true);
            }
            _ => return Err(Error::data("a feed of ODK Central has something else among its rows")),
        }
        Ok(false)
    }

    /// Counts brackets: whether this is one that closes.
    fn closes(&mut self, byte: u8) -> bool {
        match byte {
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return true;
            }
            _ => {}
        }
        false
    }

    /// Whether what begins with the last byte is the value of `value`.
    fn is_value(&self) -> bool {
        let before = self.around[..self.around.len() - 1].trim_ascii_end();
        let Some(name) = before.strip_suffix(b":") else { return false };
        let Some(before) = name.trim_ascii_end().strip_suffix(b"\"value\"") else { return false };
        !self.had_rows && matches!(before.trim_ascii_end().last(), Some(b'{' | b','))
    }

    /// What stood around the rows.
    ///
    /// # Errors
    /// `Unavailable` when the body was cut.
    pub(super) fn finish(self) -> Result<Envelope> {
        #[derive(Deserialize)]
        struct Around {
            #[serde(rename = "value")]
            _value: Vec<IgnoredAny>,
            #[serde(rename = "@odata.context")]
            _context: String,
            #[serde(rename = "@odata.nextLink")]
            next: Option<String>,
            #[serde(rename = "@odata.count")]
            count: Option<u64>,
        }
        // A list would be read as the fields in their order.
        let is_map = self.around.trim_ascii_start().starts_with(b"{");
        let around = serde_json::from_slice(&self.around).ok().filter(|_| is_map);
        let around: Around = around.ok_or_else(|| {
            Error::unavailable("the answer of ODK Central was cut: it is no whole feed")
                .with_hint("the server failed while it sent it; its log says why. Nothing was taken from it")
        })?;
        Ok(Envelope { count: around.count, next: around.next })
    }
}

fn text_after(text: Text, byte: u8) -> Text {
    match (text, byte) {
        (Text::No, b'"') | (Text::Escape, _) => Text::Yes,
        (Text::No, _) | (Text::Yes, b'"') => Text::No,
        (Text::Yes, b'\\') => Text::Escape,
        (Text::Yes, _) => Text::Yes,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(parts: &[&[u8]]) -> Result<(Vec<String>, Envelope)> {
        let (mut splitter, mut rows) = (Splitter::default(), Vec::new());
        for part in parts {
            splitter.take(part, |row| {
                rows.push(String::from_utf8_lossy(row).into_owned());
                Ok(())
            })?;
        }
        Ok((rows, splitter.finish()?))
    }

    const FEED: &str = r#"{"value":[{"__id":"a","x":[1,{"y":"]}\"\\"}]},
        {} ],"@odata.context":"c[0","@odata.nextLink":"n","@odata.count":7}"#;

    #[test]
    fn rows_are_as_they_were_written() {
        let check = |body: &str, expect: &[&str], envelope: (Option<u64>, Option<&str>)| {
            let (rows, read) = read(&[body.as_bytes()]).unwrap();
            assert_eq!(
                (rows, read.count, read.next.as_deref()),
                (expect.iter().map(ToString::to_string).collect(), envelope.0, envelope.1)
            );
        };
        check(FEED, &[r#"{"__id":"a","x":[1,{"y":"]}\"\\"}]}"#, "{}"], (Some(7), Some("n")));
        check(r#"{"value":[],"@odata.context":"c"}"#, &[], (None, None));
        check(r#" { "@odata.context" : "c" , "value" : [ {} ] } "#, &["{}"], (None, None));
        check(r#"{"@odata.context":"\"value\":[{","value":[{}]}"#, &["{}"], (None, None));
        check(
            r#"{"other":{"value":[{}]},"other value":[{}],"value":[{"a":1}],"@odata.context":"c"}"#,
            &[r#"{"a":1}"#],
            (None, None),
        );
    }

    #[test]
    fn what_is_no_whole_feed_is_none() {
        let check = |body: &str, retry: bool| {
            let error = read(&[body.as_bytes()]).unwrap_err();
            assert_eq!(error.retry(), retry, "{body}: {error:?}");
            assert!(!error.chain().contains("hunter2"), "{error:?}");
        };
        // Each place at which it may be cut.
        for end in 0..FEED.len() {
            check(&FEED[..end], true);
        }
        check(r#"{"value":[]}"#, true);
        check(r#"{"@odata.context":"c"}"#, true);
        check(r#"{"value":{},"@odata.context":"c"}"#, true);
        check(r#"{"value":[],"@odata.context":"c"}{"#, true);
        check(r#"{"value":[],"value":[{}],"@odata.context":"c"}"#, true);
        check(r#"{"value":["hunter2"],"@odata.context":"c"}"#, false);
        check(r#"{"value":[{},],"@odata.context":"c"}"#, false);
        check(r#"{"value":[{}{}],"@odata.context":"c"}"#, false);
        check(r#"{"value":[,{}],"@odata.context":"c"}"#, false);
        check(r#"[[],"c",null,7]"#, true);
        check("<html>hunter2</html>", true);
    }

    #[test]
    fn of_many_rows_one_is_held() {
        let (mut splitter, mut rows) = (Splitter::default(), 0);
        let mut each = |_: &[u8]| {
            rows += 1;
            Ok(())
        };
        splitter.take(br#"{"value":["#, &mut each).unwrap();
        let part = r#"{"__id":"uuid:b2ec2d2d-7ffb-4322-bb60-7ff5f915f4b7"},"#.repeat(100);
        (0..1_000).for_each(|_| splitter.take(part.as_bytes(), &mut each).unwrap());
        splitter.take(br#"{}],"@odata.context":"c"}"#, &mut each).unwrap();
        assert!(splitter.row.capacity() < 10_000 && splitter.around.capacity() < 100);
        splitter.finish().unwrap();
        assert_eq!(rows, 100_001);
    }

    proptest! {
        #[test]
        fn it_makes_no_difference_where_a_body_is_parted(at in prop::collection::vec(0..FEED.len(), 0..6)) {
            let mut at = at;
            at.sort_unstable();
            at.push(FEED.len());
            let mut from = 0;
            let mut parts = Vec::new();
            for end in at {
                parts.push(&FEED.as_bytes()[from..end]);
                from = end;
            }
            prop_assert_eq!(read(&parts).unwrap(), read(&[FEED.as_bytes()]).unwrap());
        }

        #[test]
        fn never_panics(body in prop::collection::vec(prop::sample::select(br#"{}[]",:\ value1"#.to_vec()), 0..60)) {
            let _ = read(&[&body]);
        }
    }
}
