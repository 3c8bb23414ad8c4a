//! Arrays, as the literals that Postgres reads: `unnest` flattens real arrays, so an array column travels as text.
//!
//! A list of lists is an array of two dimensions, and so on, up to the six that Postgres allows. In `json[]` and
//! `jsonb[]` an inner list is an element, because any list is JSON.

use crate::cast::misfit::{Misfit, name};
use crate::cast::{print, scalar};
use crate::cell::Cell;
use crate::column_type::Base;
use crate::value::Value;

/// `MAXDIM` of Postgres.
const MOST_DIMENSIONS: usize = 6;

pub(super) fn array(value: &Value, base: &Base) -> Result<Cell, Misfit> {
    let Some(items) = items(value) else {
        return Err(Misfit::new(format!("{} where {}[] is expected", value.kind(), name(base))));
    };
    if items.is_empty() {
        return Ok(Cell::Text("{}".into()));
    }
    let shape = shape(items, base)?;
    let mut literal = Literal { out: String::new(), base, delimiter: delimiter(base) };
    literal.level(items, &shape)?;
    Ok(Cell::Text(literal.out.into()))
}

fn items(value: &Value) -> Option<&[Value]> {
    match value {
        Value::List(items) | Value::Set(items) => Some(items),
        _ => None,
    }
}

/// The lengths of the dimensions within, as the first elements have them; all others must have the same.
fn shape(mut of: &[Value], base: &Base) -> Result<Vec<usize>, Misfit> {
    let mut shape = Vec::new();
    if matches!(base, Base::Json | Base::Jsonb) {
        return Ok(shape);
    }
    while let Some(inner) = of.first().and_then(items) {
        if inner.is_empty() {
            return Err(Misfit::new("an empty list in a list, for which Postgres arrays have no form"));
        }
        if shape.len() + 1 == MOST_DIMENSIONS {
            return Err(Misfit::new("lists in lists deeper than the 6 dimensions of Postgres arrays"));
        }
        shape.push(inner.len());
        of = inner;
    }
    Ok(shape)
}

/// What stands between elements: a property of the type (`typdelim`), a comma for nearly all.
fn delimiter(base: &Base) -> char {
    match base {
        Base::Other { name, .. } => match name.rsplit('.').next() {
            Some("box") => ';',
            // PostGIS declares its types so.
            Some("geometry" | "geography") => ':',
            _ => ',',
        },
        _ => ',',
    }
}

struct Literal<'a> {
    out: String,
    base: &'a Base,
    delimiter: char,
}

impl Literal<'_> {
    fn level(&mut self, items_here: &[Value], shape: &[usize]) -> Result<(), Misfit> {
        self.out.push('{');
        for (index, item) in items_here.iter().enumerate() {
            if index > 0 {
                self.out.push(self.delimiter);
            }
            match (shape.split_first(), items(item)) {
                (Some((length, within)), Some(inner)) if inner.len() == *length => {
                    self.level(inner, within).map_err(|misfit| misfit.at(index))?;
                }
                (None, None) => self.element(item).map_err(|misfit| misfit.at(index))?,
                (None, Some(_)) if matches!(self.base, Base::Json | Base::Jsonb) => {
                    self.element(item).map_err(|misfit| misfit.at(index))?;
                }
                _ => return Err(Misfit::new("arrays of arrays must be rectangular").at(index)),
            }
        }
        self.out.push('}');
        Ok(())
    }

    fn element(&mut self, item: &Value) -> Result<(), Misfit> {
        match scalar(item, self.base)? {
            Cell::Null => self.out.push_str("NULL"),
            Cell::Bool(value) => self.out.push(if value { 't' } else { 'f' }),
            Cell::Text(text) => self.quoted(&text),
            cell => {
                let start = self.out.len();
                print::write(&cell, self.base, &mut self.out);
                let text = self.out.split_off(start);
                self.quoted(&text);
            }
        }
        Ok(())
    }

    /// As `array_out` of Postgres prints it.
    fn quoted(&mut self, text: &str) {
        let special = |c: char| matches!(c, '"' | '\\' | '{' | '}' | ' ' | '\t'..='\r') || c == self.delimiter;
        if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special) {
            self.out.push_str(text);
            return;
        }
        self.out.push('"');
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                self.out.push('\\');
            }
            self.out.push(c);
        }
        self.out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::cast::samples::{check, misfit, number};
    use crate::cast::{cast, cell_text};
    use crate::cell::Cell;
    use crate::column_type::ColumnType;
    use crate::value::Value;

    fn list<const N: usize>(items: [Value; N]) -> Value {
        Value::List(items.into())
    }

    #[test]
    fn a_list_is_the_literal_that_postgres_prints() {
        check("text[]", list([]), "{}");
        check("text[]", Value::Set(vec!["a".into(), "b c".into()]), r#"{a,"b c"}"#);
        check(
            "text[]",
            list(["".into(), "null".into(), "a\"b\\c".into(), "{x}".into(), "a,b".into(), " ".into(), "ä\u{b}".into()]),
            "{\"\",\"null\",\"a\\\"b\\\\c\",\"{x}\",\"a,b\",\" \",\"ä\u{b}\"}",
        );
        check("text[]", list([Value::Null, "x".into()]), "{NULL,x}");
        check("text[]", list([Value::from([("a", 1.into())])]), r#"{"{\"a\":1}"}"#);
        check("integer[]", list([number("1.0"), "2".into(), Value::Null]), "{1,2,NULL}");
        check("boolean[]", list([true.into(), "off".into()]), "{t,f}");
        check(
            "numeric[]",
            list([number("12345678901234567890123456789012345678")]),
            "{12345678901234567890123456789012345678}",
        );
        check("real[]", list(["NaN".into(), number("1e20")]), "{NaN,1e+20}");
        check("bytea[]", list([Value::Bytes([0, 255].into())]), r#"{"\\x00ff"}"#);
        check("uuid[]", list(["A0EEBC999C0B4EF8BB6D6BB9BD380A11".into()]), "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}");
        check("timestamptz[]", list(["2024-01-01T02:00:00+02".into()]), r#"{"2024-01-01 00:00:00+00"}"#);
        check("date[]", list(["2024-01-01".into(), "infinity".into()]), "{2024-01-01,infinity}");
        check("time[]", list(["12:34".into()]), "{12:34:00}");
        check("box[]", list(["(1,1),(0,0)".into(), "(2,2),(0,0)".into()]), "{(1,1),(0,0);(2,2),(0,0)}");
        check("public.geometry[]", list(["POINT(0 0)".into(), "a".into()]), r#"{"POINT(0 0)":a}"#);
    }

    #[test]
    fn lists_of_lists_are_dimensions_or_json() {
        check("integer[]", list([list([1.into(), Value::Null]), list([3.into(), 4.into()])]), "{{1,NULL},{3,4}}");
        check("integer[][]", list([list([1.into()])]), "{{1}}");
        let nested = |depth: usize| (1..depth).fold(list([1.into()]), |inner, _| list([inner]));
        check("integer[]", nested(6), "{{{{{{1}}}}}}");
        misfit("integer[]", nested(7), "lists in lists deeper than the 6 dimensions of Postgres arrays");
        check("jsonb[]", list([list([1.into()]), "a".into(), Value::Null, list([])]), r#"{[1],"\"a\"",NULL,[]}"#);
        let ragged = "element 2: arrays of arrays must be rectangular";
        misfit("integer[]", list([list([1.into(), 2.into()]), list([3.into()])]), ragged);
        misfit("integer[]", list([list([1.into()]), Value::Null]), ragged);
        misfit("integer[]", list([1.into(), list([1.into()])]), ragged);
        misfit(
            "integer[]",
            list([list([1.into()]), list([list([1.into()])])]),
            "element 2: element 1: arrays of arrays must be rectangular",
        );
        misfit(
            "integer[]",
            list([list([]), list([])]),
            "an empty list in a list, for which Postgres arrays have no form",
        );
    }

    #[test]
    fn an_element_that_does_not_fit_is_named() {
        misfit(
            "varchar(2)[]",
            list(["ab".into(), "abc".into()]),
            "element 2: text of 3 characters does not fit varchar(2)",
        );
        misfit(
            "integer[]",
            list([list([number("0.5")])]),
            "element 1: element 1: a number with 1 decimal does not fit integer",
        );
        misfit("text[]", list(["\0".into()]), "element 1: U+0000, which Postgres text cannot hold");
        misfit("text[]", "{a,b}", "text where text[] is expected");
        misfit("varchar(2)[]", Value::from([]), "a map where varchar(2)[] is expected");
    }

    /// Reads an array literal as the documentation of Postgres describes it ("Array Input and Output Syntax").
    fn parse(literal: &str) -> Value {
        fn level(rest: &mut std::iter::Peekable<std::str::Chars>) -> Value {
            assert_eq!(rest.next(), Some('{'));
            let mut items = Vec::new();
            while rest.peek() != Some(&'}') {
                match rest.peek() {
                    Some('{') => items.push(level(rest)),
                    Some('"') => {
                        rest.next();
                        let mut text = String::new();
                        loop {
                            match rest.next().unwrap() {
                                '"' => break,
                                '\\' => text.push(rest.next().unwrap()),
                                c => text.push(c),
                            }
                        }
                        items.push(Value::text(text));
                    }
                    _ => {
                        let mut text = String::new();
                        while let Some(c) = rest.next_if(|c| !matches!(c, ',' | '}')) {
                            assert!(!c.is_ascii_whitespace() && !matches!(c, '{' | '"' | '\\'), "unquoted {c:?}");
                            text.push(c);
                        }
                        assert!(!text.is_empty());
                        items.push(if text == "NULL" { Value::Null } else { Value::text(text) });
                    }
                }
                rest.next_if_eq(&',');
            }
            rest.next();
            Value::List(items)
        }
        level(&mut literal.chars().peekable())
    }

    proptest! {
        #[test]
        fn the_literal_reads_back(
            width in 1..4usize,
            texts in proptest::collection::vec(prop_oneof![Just(None), "[^\0]{0,6}".prop_map(Some), "[nul{}\",\\\\ ]{0,4}".prop_map(Some)], 0..12),
        ) {
            let items: Vec<Value> = texts.into_iter().map(|text| text.map_or(Value::Null, Value::text)).collect();
            let ty = ColumnType::parse("text[]").unwrap();
            let read = |value: &Value| -> Value {
                let cell = cast(value, &ty).unwrap();
                assert!(matches!(cell, Cell::Text(_)));
                parse(&cell_text(&cell, &ty).unwrap())
            };
            let rows = Value::List(items.chunks_exact(width).map(|row| Value::List(row.into())).collect());
            prop_assert_eq!(read(&rows), rows);
            let flat = Value::List(items);
            prop_assert_eq!(read(&flat), flat);
        }
    }
}
