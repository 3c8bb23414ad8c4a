//! The type of a Postgres column, as the mapping names it.

use std::fmt;

use crate::error::{Error, Result};

/// The types that we encode ourselves. All others are `Other`: sent as text and read by the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric`, with precision and scale where the mapping gives them.
    Numeric(Option<(u32, u32)>),
    /// `text`
    Text,
    /// `varchar`, with its length in characters where the mapping gives one.
    Varchar(Option<u32>),
    /// `char(n)`
    Char(u32),
    /// `bytea`
    Bytea,
    /// `uuid`
    Uuid,
    /// `date`
    Date,
    /// `time` without time zone
    Time,
    /// `timestamp` without time zone
    Timestamp,
    /// `timestamptz`
    Timestamptz,
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
    /// Any other type by its name: `interval`, `inet`, an enum, a domain, `geometry`, … The type modifier is kept apart,
    /// because it belongs to the table and never to a cast (a cast to `varchar(3)` cuts in silence).
    Other {
        /// The name without modifier, as a user writes it; may be qualified by a schema.
        name: String,
        /// `(Point,4326)` of `geometry(Point,4326)`; empty when there is none.
        modifier: String,
    },
}

/// A column's type: a base type, or an array of it (of any number of dimensions, as in Postgres).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnType {
    /// The type, or the type of the array's elements.
    pub base: Base,
    /// Whether the column holds arrays.
    pub array: bool,
}

impl ColumnType {
    /// A scalar of this base type.
    pub fn scalar(base: Base) -> Self {
        ColumnType { base, array: false }
    }

    /// Reads a type as Postgres users write it: `varchar(210)`, `numeric(14, 2)`, `text[]`, `double precision`,
    /// `timestamp with time zone`, `geometry(Point,4326)`.
    ///
    /// # Errors
    /// `Config` when this cannot be the name of a type, or a modifier makes no sense.
    pub fn parse(text: &str) -> Result<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let mut name = lower.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut array = false;
        while let Some(element) = name.strip_suffix("[]") {
            name = element.trim_end().to_owned();
            array = true;
        }
        let (plain, modifier) = split_modifier(&name)?;
        let numbers: Option<Vec<u32>> = modifier
            .as_deref()
            .map(|m| m.split(',').map(|n| n.trim().parse().ok()).collect::<Option<_>>())
            .unwrap_or(Some(Vec::new()));
        let base = match (plain.as_str(), numbers.as_deref()) {
            ("boolean" | "bool", Some([])) => Base::Bool,
            ("smallint" | "int2", Some([])) => Base::Int2,
            ("integer" | "int" | "int4", Some([])) => Base::Int4,
            ("bigint" | "int8", Some([])) => Base::Int8,
            ("real" | "float4", Some([])) => Base::Float4,
            ("double precision" | "float8" | "float", Some([])) => Base::Float8,
            ("numeric" | "decimal", Some([])) => Base::Numeric(None),
            ("numeric" | "decimal", Some(&[precision])) if (1..=1000).contains(&precision) => {
                Base::Numeric(Some((precision, 0)))
            }
            ("numeric" | "decimal", Some(&[precision, scale]))
                if (1..=1000).contains(&precision) && scale <= precision =>
            {
                Base::Numeric(Some((precision, scale)))
            }
            ("text", Some([])) => Base::Text,
            ("varchar" | "character varying", Some([])) => Base::Varchar(None),
            ("varchar" | "character varying", Some(&[length])) if length > 0 => Base::Varchar(Some(length)),
            ("char" | "character" | "bpchar", Some([])) => Base::Char(1),
            ("char" | "character" | "bpchar", Some(&[length])) if length > 0 => Base::Char(length),
            ("bytea", Some([])) => Base::Bytea,
            ("uuid", Some([])) => Base::Uuid,
            ("date", Some([])) => Base::Date,
            ("time" | "time without time zone", Some([])) => Base::Time,
            ("timestamp" | "timestamp without time zone", Some([])) => Base::Timestamp,
            ("timestamptz" | "timestamp with time zone", Some([])) => Base::Timestamptz,
            ("json", Some([])) => Base::Json,
            ("jsonb", Some([])) => Base::Jsonb,
            ("numeric" | "decimal" | "varchar" | "character varying" | "char" | "character" | "bpchar", _) => {
                return Err(Error::config(format!("`{text}` has a modifier that Postgres doesn't take")));
            }
            (
                "boolean" | "bool" | "smallint" | "int2" | "integer" | "int" | "int4" | "bigint" | "int8" | "real"
                | "float4" | "double precision" | "text" | "bytea" | "uuid" | "date" | "json" | "jsonb",
                _,
            ) => return Err(Error::config(format!("`{plain}` takes no modifier"))),
            ("serial" | "bigserial" | "smallserial" | "serial4" | "serial8" | "serial2", _) => {
                return Err(Error::config(format!(
                    "`{plain}` numbers rows by itself; a synced column takes its value from the source"
                ))
                .with_hint("write integer or bigint"));
            }
            (other, _) if is_type_name(other) => {
                Base::Other { name: other.to_owned(), modifier: modifier.map(|m| format!("({m})")).unwrap_or_default() }
            }
            _ => return Err(Error::config(format!("`{text}` is not the name of a Postgres type"))),
        };
        Ok(ColumnType { base, array })
    }

    /// Whether a key may have this type: only types whose equality is that of their cells. `char(n)` ignores trailing
    /// spaces, floats round, and how the server compares a type that it reads itself is not ours to know.
    pub fn can_be_key(&self) -> bool {
        !self.array
            && !matches!(
                self.base,
                Base::Float4 | Base::Float8 | Base::Char(_) | Base::Json | Base::Jsonb | Base::Other { .. }
            )
    }

    /// Whether a value that doesn't fit can be told before the server reads it. Of a geometry of PostGIS only what comes as
    /// GeoJSON, as the forms of ODK Central give it.
    pub fn read_by_us(&self) -> bool {
        !self.read_by_server() || (!self.array && self.base.is_geometry())
    }

    /// Whether the server, not we, reads this type's text: then only it can say that a value doesn't fit.
    pub fn read_by_server(&self) -> bool {
        matches!(self.base, Base::Other { .. })
    }

    /// The name without modifiers, quoted where it must be: what a cast may name.
    pub fn cast_name(&self) -> String {
        let array = if self.array { "[]" } else { "" };
        match &self.base {
            // A cast to `bit` means `bit(1)` and cuts; the assignment to the column checks the length.
            Base::Other { name, .. } if name == "bit" => format!("bit varying{array}"),
            Base::Numeric(_) => format!("numeric{array}"),
            Base::Varchar(_) => format!("varchar{array}"),
            Base::Char(_) => format!("text{array}"),
            Base::Other { name, .. } => format!("{name}{array}"),
            _ => self.to_string(),
        }
    }
}

fn split_modifier(name: &str) -> Result<(String, Option<String>)> {
    let Some((head, rest)) = name.split_once('(') else { return Ok((name.to_owned(), None)) };
    let Some((modifier, tail)) = rest.split_once(')') else {
        return Err(Error::config(format!("`{name}` lacks a closing parenthesis")));
    };
    if !modifier.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ',' | ' ' | '_')) {
        return Err(Error::config(format!("`({modifier})` is not a type modifier")));
    }
    // `timestamp(3) with time zone`: the words after the modifier belong to the name.
    let plain = format!("{} {}", head.trim(), tail.trim());
    Ok((plain.trim().to_owned(), Some(modifier.replace(' ', ""))))
}

fn is_type_name(name: &str) -> bool {
    const OF_SEVERAL_WORDS: [&str; 4] =
        ["bit varying", "time with time zone", "timestamp with time zone", "timestamp without time zone"];
    let word = |w: &str| {
        w.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && w.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    OF_SEVERAL_WORDS.contains(&name) || name.split('.').count() <= 2 && name.split('.').all(word)
}

impl Base {
    /// Whether it is a place on a map, of PostGIS.
    pub(crate) fn is_geometry(&self) -> bool {
        match self {
            Base::Other { name, .. } => {
                matches!(name.rsplit('.').next(), Some("geometry" | "geography"))
            }
            _ => false,
        }
    }
}

/// The type as a `create table` names it, modifiers included.
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.base {
            Base::Bool => f.write_str("boolean"),
            Base::Int2 => f.write_str("smallint"),
            Base::Int4 => f.write_str("integer"),
            Base::Int8 => f.write_str("bigint"),
            Base::Float4 => f.write_str("real"),
            Base::Float8 => f.write_str("double precision"),
            Base::Numeric(None) => f.write_str("numeric"),
            Base::Numeric(Some((precision, scale))) => write!(f, "numeric({precision},{scale})"),
            Base::Text => f.write_str("text"),
            Base::Varchar(None) => f.write_str("varchar"),
            Base::Varchar(Some(length)) => write!(f, "varchar({length})"),
            Base::Char(length) => write!(f, "char({length})"),
            Base::Bytea => f.write_str("bytea"),
            Base::Uuid => f.write_str("uuid"),
            Base::Date => f.write_str("date"),
            Base::Time => f.write_str("time"),
            Base::Timestamp => f.write_str("timestamp"),
            Base::Timestamptz => f.write_str("timestamptz"),
            Base::Json => f.write_str("json"),
            Base::Jsonb => f.write_str("jsonb"),
            // `time with time zone` takes its modifier in the middle.
            Base::Other { name, modifier } => match name.split_once(' ') {
                Some((head, tail)) if head != "bit" => write!(f, "{head}{modifier} {tail}"),
                _ => write!(f, "{name}{modifier}"),
            },
        }?;
        f.write_str(if self.array { "[]" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_types_as_users_write_them() {
        for (written, canonical) in [
            ("VARCHAR(210)", "varchar(210)"),
            ("character varying", "varchar"),
            ("numeric(14, 2)", "numeric(14,2)"),
            ("decimal(5)", "numeric(5,0)"),
            ("text[]", "text[]"),
            ("int4[][]", "integer[]"),
            ("timestamp with time zone", "timestamptz"),
            ("timestamp(3) with time zone", "timestamp(3) with time zone"),
            ("timestamptz(3)", "timestamptz(3)"),
            ("geometry(Point,4326)", "geometry(point,4326)"),
            ("bit varying(8)", "bit varying(8)"),
            ("app.mood", "app.mood"),
        ] {
            assert_eq!(ColumnType::parse(written).unwrap().to_string(), canonical, "{written}");
        }
        for bad in
            ["varchar(0)", "numeric(2,5)", "text(3)", "uuid(1)", "serial", "a;drop", "varchar(3", "two words", "a.b.c"]
        {
            assert!(ColumnType::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cast_never_names_a_modifier() {
        for (written, cast) in [
            ("varchar(3)", "varchar"),
            ("char(3)", "text"),
            ("bit(8)", "bit varying"),
            ("numeric(4,1)[]", "numeric[]"),
            ("geometry(Point)", "geometry"),
        ] {
            assert_eq!(ColumnType::parse(written).unwrap().cast_name(), cast);
        }
    }
}
