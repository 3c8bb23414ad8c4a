//! The functions and methods of Python that configurations use, in the meaning they have there, except that a missing
//! value gives a missing value where Python raises.

use minijinja::value::{Kwargs, Rest, ValueKind, from_args};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value as Jinja};

use super::convert::Digits;
use crate::decimal::Decimal;

/// What our own error details begin with: they name kinds, never values.
pub(super) const OURS: &str = "\u{1}";

/// The methods that a program may call.
pub(super) const METHODS: [&str; 28] = [
    "capitalize",
    "count",
    "endswith",
    "find",
    "get",
    "index",
    "isalnum",
    "isalpha",
    "isdigit",
    "islower",
    "isupper",
    "items",
    "join",
    "keys",
    "lower",
    "lstrip",
    "removeprefix",
    "removesuffix",
    "replace",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "title",
    "upper",
    "values",
    "zfill",
];

/// The widest text that `zfill` or a `format` may ask for.
const WIDEST: usize = 999;

type Result<T> = std::result::Result<T, Error>;

/// Adds the functions and methods, and takes out what could eat memory.
pub(super) fn install(language: &mut Environment<'static>) {
    language.add_function("str", |value: &Jinja| unless_missing(value, |v| printed(v).map(Jinja::from)));
    language.add_function("int", |value: &Jinja| unless_missing(value, int));
    language.add_function("float", |value: &Jinja| unless_missing(value, float));
    language.add_function("bool", |value: &Jinja| value.is_true());
    language.add_function("len", |value: &Jinja| {
        unless_missing(value, |v| v.len().map(Jinja::from).ok_or_else(|| refused("len", v)))
    });
    language.add_function("round", |value: &Jinja, digits: Option<i32>| unless_missing(value, |v| round(v, digits)));
    for name in ["abs", "min", "max", "sum", "list"] {
        language
            .add_function(name, move |state: &mut State, arguments: Rest<Jinja>| of_filter(state, name, &arguments));
    }
    language.add_function("sorted", |state: &mut State, items: Jinja| state.apply_filter("sort", &[items]));
    language.remove_global("debug");
    for filter in ["indent", "batch", "slice", "pprint"] {
        language.remove_filter(filter);
    }
    language.add_filter("format", |template: &str, arguments: Rest<Jinja>| format(template, &arguments));
    for name in ["none", "None", "undefined"] {
        language.add_test(name, is_missing);
    }
    language.add_test("defined", |value: &Jinja| !is_missing(value));
    language.add_test("True", |value: &Jinja| value.kind() == ValueKind::Bool && value.is_true());
    language.add_test("False", |value: &Jinja| value.kind() == ValueKind::Bool && !value.is_true());
    language.set_formatter(|out: &mut Output, _, value: &Jinja| {
        if !is_missing(value) {
            std::fmt::Write::write_str(out, &printed(value)?)?;
        }
        Ok(())
    });
    language.set_unknown_method_callback(|state, value, method, arguments| match value {
        value if is_missing(value) => Ok(Jinja::UNDEFINED),
        value if value.as_str().is_some() => of_text(value.as_str().unwrap_or_default(), method, arguments),
        value if value.kind() == ValueKind::Map => of_map(state, value, method, arguments),
        value if value.kind() == ValueKind::Seq => of_list(value, method, arguments),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    });
}

/// A value as text. Bytes that are no text are refused, not mended.
pub(super) fn printed(value: &Jinja) -> Result<String> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(String::new()),
        ValueKind::Bytes => {
            let text = std::str::from_utf8(value.as_bytes().unwrap_or_default());
            text.map(str::to_owned).map_err(|_| ours("binary that is no UTF-8 cannot be printed"))
        }
        _ => Ok(value.to_string()),
    }
}

fn ours(detail: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{OURS}{detail}"))
}

fn refused(function: &str, value: &Jinja) -> Error {
    ours(&format!("{function} does not take this {}", value.kind()))
}

fn is_missing(value: &Jinja) -> bool {
    value.is_undefined() || value.is_none()
}

fn unless_missing(value: &Jinja, then: impl FnOnce(&Jinja) -> Result<Jinja>) -> Result<Jinja> {
    if is_missing(value) { Ok(Jinja::UNDEFINED) } else { then(value) }
}

/// `min(a, b)` and `min(list)` by the filter of that name.
fn of_filter(state: &mut State, name: &str, arguments: &[Jinja]) -> Result<Jinja> {
    match arguments {
        [one] if is_missing(one) => Ok(Jinja::UNDEFINED),
        [one] => state.apply_filter(name, std::slice::from_ref(one)),
        several => state.apply_filter(name, &[Jinja::from(several.to_vec())]),
    }
}

fn int(value: &Jinja) -> Result<Jinja> {
    let bad = || refused("int", value);
    let whole = |number: &Decimal| {
        let text = number.to_string();
        let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
        Decimal::parse(whole).ok().and_then(|whole| whole.to_i128()).map(Jinja::from).ok_or_else(bad)
    };
    match value.kind() {
        ValueKind::Bool => Ok(Jinja::from(i64::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => Ok(value.clone()),
        ValueKind::Number => whole(&Decimal::parse(&value.to_string()).map_err(|_| bad())?),
        // As in Python, `int("1.5")` is refused.
        ValueKind::String => {
            value.as_str().unwrap_or_default().trim().parse::<i128>().map(Jinja::from).map_err(|_| bad())
        }
        _ => value.downcast_object_ref::<Digits>().map_or_else(|| Err(bad()), |Digits(number)| whole(number)),
    }
}

fn float(value: &Jinja) -> Result<Jinja> {
    let number = match value.kind() {
        ValueKind::Bool => f64::from(u8::from(value.is_true())),
        ValueKind::Number => f64::try_from(value.clone()).or_else(|_| value.to_string().parse()).unwrap_or(f64::NAN),
        ValueKind::String => value.as_str().unwrap_or_default().trim().parse().unwrap_or(f64::NAN),
        _ => value.downcast_object_ref::<Digits>().map_or(f64::NAN, |Digits(number)| number.to_f64()),
    };
    if number.is_finite() { Ok(Jinja::from(number)) } else { Err(refused("float", value)) }
}

/// Python's `round`: halves go to the even neighbour, and without digits the result is an integer.
fn round(value: &Jinja, digits: Option<i32>) -> Result<Jinja> {
    if value.is_integer() && digits.unwrap_or(0) >= 0 {
        return Ok(value.clone());
    }
    let number = match value.kind() {
        ValueKind::Number => f64::try_from(value.clone()).map_err(|_| refused("round", value))?,
        _ => return Err(refused("round", value)),
    };
    match digits {
        None => int(&Jinja::from(number.round_ties_even())),
        // The formatter rounds the exact binary value, as Python does.
        Some(digits @ 0..=300) => {
            let text = format!("{number:.*}", digits.unsigned_abs() as usize);
            text.parse::<f64>().map(Jinja::from).map_err(|_| refused("round", value))
        }
        Some(_) => Err(ours("round takes 0 to 300 digits")),
    }
}

/// `"%05d"|format(n)`, with widths that a program cannot make huge.
fn format(template: &str, arguments: &[Jinja]) -> Result<String> {
    let widths = template.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    if template.contains('*') || widths > 3 {
        return Err(ours("format takes widths up to 999"));
    }
    minijinja::formatting::format(minijinja::formatting::FormatStyle::Printf, template, arguments)
}

fn of_text(text: &str, method: &str, arguments: &[Jinja]) -> Result<Jinja> {
    let none = || from_args::<()>(arguments);
    let each = |test: fn(char) -> bool| Ok(Jinja::from(!text.is_empty() && text.chars().all(test)));
    let trimmed = |start: bool, end: bool| {
        let (set,): (Option<&str>,) = from_args(arguments)?;
        let out = |c: char| set.map_or(c.is_whitespace(), |set| set.contains(c));
        let text = if start { text.trim_start_matches(out) } else { text };
        Ok(Jinja::from(if end { text.trim_end_matches(out) } else { text }))
    };
    match method {
        "upper" => none().map(|()| Jinja::from(text.to_uppercase())),
        "lower" => none().map(|()| Jinja::from(text.to_lowercase())),
        "capitalize" => none().map(|()| Jinja::from(capitalized(text))),
        "title" => none().map(|()| Jinja::from(titled(text))),
        "strip" => trimmed(true, true),
        "lstrip" => trimmed(true, false),
        "rstrip" => trimmed(false, true),
        "split" => {
            let (at, limit): (Option<&str>, Option<usize>) = from_args(arguments)?;
            let parts: Vec<Jinja> = match (at, limit) {
                (None, None) => text.split_whitespace().map(Jinja::from).collect(),
                (Some(at), limit) if !at.is_empty() => {
                    let most = limit.map_or(usize::MAX, |limit| limit.saturating_add(1));
                    text.splitn(most, at).map(Jinja::from).collect()
                }
                _ => return Err(ours("split takes a separator, and a limit only with one")),
            };
            Ok(Jinja::from(parts))
        }
        "splitlines" => none().map(|()| text.lines().map(Jinja::from).collect::<Vec<_>>().into()),
        "replace" => {
            let (old, new): (&str, &str) = from_args(arguments)?;
            if old.is_empty() {
                Err(ours("replace takes a text that is not empty"))
            } else {
                Ok(text.replace(old, new).into())
            }
        }
        "startswith" => from_args(arguments).map(|(start,): (&str,)| text.starts_with(start).into()),
        "endswith" => from_args(arguments).map(|(end,): (&str,)| text.ends_with(end).into()),
        "removeprefix" => from_args(arguments).map(|(p,): (&str,)| text.strip_prefix(p).unwrap_or(text).into()),
        "removesuffix" => from_args(arguments).map(|(s,): (&str,)| text.strip_suffix(s).unwrap_or(text).into()),
        "count" => from_args(arguments).map(|(what,): (&str,)| text.matches(what).count().into()),
        "find" => from_args(arguments)
            .map(|(what,): (&str,)| text.find(what).map_or(Jinja::from(-1), |at| text[..at].chars().count().into())),
        "join" => {
            let (items,): (&Jinja,) = from_args(arguments)?;
            let items = items.try_iter()?.map(|item| printed(&item)).collect::<Result<Vec<_>>>()?;
            Ok(items.join(text).into())
        }
        "zfill" => {
            let (width,): (usize,) = from_args(arguments)?;
            let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
            let zeros = width.min(WIDEST).saturating_sub(text.chars().count());
            Ok(format!("{sign}{}{digits}", "0".repeat(zeros)).into())
        }
        "isdigit" => each(|c| c.is_ascii_digit()),
        "isalpha" => each(char::is_alphabetic),
        "isalnum" => each(char::is_alphanumeric),
        "islower" => Ok((text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)).into()),
        "isupper" => Ok((text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)).into()),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn of_map(state: &mut State, map: &Jinja, method: &str, arguments: &[Jinja]) -> Result<Jinja> {
    match method {
        "get" => {
            let (name, default, _): (&Jinja, Option<&Jinja>, Kwargs) = from_args(arguments)?;
            let value = map.get_item(name)?;
            Ok(if is_missing(&value) { default.cloned().unwrap_or_default() } else { value })
        }
        "keys" => from_args::<()>(arguments).and_then(|()| Ok(map.try_iter()?.collect::<Vec<_>>().into())),
        "values" => {
            from_args::<()>(arguments)?;
            map.try_iter()?.map(|name| map.get_item(&name)).collect::<Result<Vec<_>>>().map(Jinja::from)
        }
        "items" => from_args::<()>(arguments).and_then(|()| state.apply_filter("items", std::slice::from_ref(map))),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn of_list(list: &Jinja, method: &str, arguments: &[Jinja]) -> Result<Jinja> {
    let (what,): (&Jinja,) = from_args(arguments)?;
    match method {
        "count" => Ok(list.try_iter()?.filter(|item| item == what).count().into()),
        "index" => {
            list.try_iter()?.position(|item| item == *what).map(Jinja::from).ok_or_else(|| ours("index finds nothing"))
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect())
        .unwrap_or_default()
}

fn titled(text: &str) -> String {
    let mut inside = false;
    let mut title = String::with_capacity(text.len());
    for c in text.chars() {
        if inside {
            title.extend(c.to_lowercase());
        } else {
            title.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    title
}
