//! Which columns would hold what a source sends: by a collection's own schema, or by messages that were seen.
//!
//! Called where a mapping says `columns: auto`, and by `tributary infer`. Types are wide: a number is `numeric` and an object
//! `jsonb`, so that what comes later fits too.

use tributary_core::column_type::{Base, ColumnType};
use tributary_core::event::{Body, Event};
use tributary_core::path::Path;

use super::collection::{Collection, Field};
use crate::guess::{self, Guess};

/// A field of the source and the column that holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Inferred {
    /// The field's name.
    pub name: String,
    /// Where it stands: by its id where there is one, so that a rename does no harm.
    pub path: Path,
    /// The type of a column that holds it.
    pub ty: ColumnType,
    /// Whether it links to records of another collection.
    pub links: bool,
}

/// The fields of a collection, by its schema.
pub fn of_collection(collection: &Collection) -> Vec<Inferred> {
    let inferred = |field: &Field| Inferred {
        name: field.name.clone(),
        path: Path::field(field.id.as_deref().unwrap_or(&field.name)),
        ty: of_schema(field),
        links: field.links,
    };
    collection.fields.iter().map(inferred).collect()
}

fn of_schema(field: &Field) -> ColumnType {
    let base = match (field.kind.as_str(), field.format.as_str()) {
        ("string", "date") => Base::Date,
        ("string", "date-time") => Base::Timestamptz,
        ("string", _) => Base::Text,
        ("integer", _) => Base::Int8,
        ("number", _) => Base::Numeric(None),
        ("boolean", _) => Base::Bool,
        // A link is a list of ids. Of other lists the schema doesn't say what is in them.
        ("array", _) if field.links => return ColumnType { base: Base::Text, array: true },
        _ => Base::Jsonb,
    };
    ColumnType::scalar(base)
}

/// The fields of these events, by the values that stand there; one that was always null is text.
pub fn of_events<'e>(events: impl IntoIterator<Item = &'e Event>) -> Vec<Inferred> {
    let items = events.into_iter().filter_map(|event| match &event.body {
        Body::Image { now, .. } | Body::Part { now, .. } => Some(now),
        Body::Gone { .. } => None,
    });
    let inferred = |(name, guess): (&Box<str>, &Guess)| Inferred {
        name: name.to_string(),
        path: Path::field(name),
        ty: guess.ty(),
        links: false,
    };
    guess::fields(items).iter().map(inferred).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tributary_core::event::Origin;
    use tributary_core::version::Version;

    use super::*;
    use crate::json;

    #[test]
    fn a_collection_has_a_column_for_each_field() {
        let check = |kind: &str, format: &str, links: bool, expect: &str| {
            let (kind, format) = (kind.to_owned(), format.to_owned());
            let field = Field { name: "A b".into(), id: Some("fldA".into()), kind, format, links };
            let collection =
                Collection { id: String::new(), name: String::new(), upstream_id: String::new(), fields: vec![field] };
            let inferred = of_collection(&collection).remove(0);
            assert_eq!((inferred.name.as_str(), inferred.path.to_string().as_str()), ("A b", "fldA"));
            assert_eq!(inferred.ty.to_string(), expect);
        };
        check("string", "", false, "text");
        check("string", "date", false, "date");
        check("string", "date-time", false, "timestamptz");
        check("integer", "", false, "bigint");
        check("number", "", false, "numeric");
        check("boolean", "", false, "boolean");
        check("array", "", true, "text[]");
        check("array", "", false, "jsonb");
        check("object", "", false, "jsonb");
        check("", "", false, "jsonb");
    }

    #[test]
    fn messages_tell_the_widest_type_that_was_seen() {
        let event = |row: &str| Event {
            origin: Origin { position: "1".into(), key: "".into(), payload: Bytes::new() },
            version: Version::ZERO,
            at: None,
            body: Body::Part { now: json::read(row).unwrap(), before: None },
        };
        let check = |rows: &[&str], expect: &str| {
            let events: Vec<Event> = rows.iter().map(|row| event(&format!("{{\"a\":{row}}}"))).collect();
            assert_eq!(of_events(&events)[0].ty.to_string(), expect, "{rows:?}");
        };
        check(&["null"], "text");
        check(&["1", "null", "2"], "numeric");
        check(&["true"], "boolean");
        check(&["true", "1"], "jsonb");
        check(&["\"2026-02-01\"", "\"2026-02-28\""], "date");
        check(&["\"2026-02-31\""], "text");
        check(&["\"2026-02-01\"", "\"soon\""], "text");
        check(&["\"2026-02-01T10:00:00Z\"", "\"2026-02-01 10:00:00.5+02:00\""], "timestamptz");
        check(&["\"2026-02-01T10:00:00.123\""], "timestamp");
        check(&["\"7c0d1b9e-2f4c-4b60-9a53-0f6c2f6a1d11\""], "uuid");
        check(&["{\"b\":1}"], "jsonb");
        check(&["[1]", "\"x\""], "jsonb");
        check(&["\"1.50\""], "text");
        let events = [event(r#"{"a.b":1}"#), event(r#"{"a.b":1,"c":"x"}"#)];
        let paths: Vec<String> = of_events(&events).iter().map(|field| field.path.to_string()).collect();
        assert_eq!(paths, ["\"a.b\"", "c"]);
    }
}
