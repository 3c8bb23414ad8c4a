//! Which columns would hold the records of a collection, by its own schema.
//!
//! Called where a mapping says `columns: auto`, and by `tributary infer`. Types are wide: a number is `numeric` and an object
//! `jsonb`, so that what comes later fits too. Of messages of Sequin Stream only values tell ([`crate::guess`]).

use tributary_core::column_type::{Base, ColumnType};
use tributary_core::path::Path;

use super::collection::{Collection, Field};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
