//! The headers of a request.

use std::fmt;

use indexmap::IndexMap;

/// The headers of a request, by their names in lower case. A header that came several times is one, its values joined by
/// commas, as Lambda does it.
#[derive(Clone, Default)]
pub struct Headers(IndexMap<String, String>);

impl Headers {
    /// Headers from names in any case and values.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut headers = IndexMap::new();
        for (name, value) in pairs {
            let (name, value) = (name.as_ref().to_ascii_lowercase(), value.as_ref());
            headers
                .entry(name)
                .and_modify(|all: &mut String| {
                    all.push(',');
                    all.push_str(value);
                })
                .or_insert_with(|| value.to_owned());
        }
        Headers(headers)
    }

    /// The value of the header with this name, without the spaces around it. The name may be in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = match self.0.get(name) {
            Some(value) => value,
            None => self.0.get(&name.to_ascii_lowercase())?,
        };
        Some(value.trim_matches([' ', '\t']))
    }
}

/// Names only: values are secrets.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_and_a_header_that_came_twice_is_one() {
        let headers = Headers::new([("X-Key", " a "), ("x-kEY", "b"), ("Other", "\tc")]);
        assert_eq!(headers.get("X-KEY"), Some("a ,b"));
        assert_eq!(headers.get("other"), Some("c"));
        assert_eq!(headers.get("missing"), None);
        assert_eq!(format!("{headers:?}"), r#"["x-key", "other"]"#);
    }
}
