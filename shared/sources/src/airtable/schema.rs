//! What Airtable says of a table: its fields with their types, and the columns that hold them.
//!
//! `GET /v0/meta/bases/{base}/tables`, scope `schema.bases:read`.

use serde::Deserialize;
use tributary_core::column_type::{Base, ColumnType};
use tributary_core::{Error, Result};

/// A table of a base.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetaTable {
    /// The id, `tbl…`.
    pub id: String,
    /// The name, which people change.
    pub name: String,
    /// The field that names a record.
    #[serde(default)]
    pub primary_field_id: String,
    /// What somebody wrote about it.
    #[serde(default)]
    pub description: Option<String>,
    /// The fields.
    #[serde(default)]
    pub fields: Vec<MetaField>,
}

/// A field of a table.
#[derive(Clone, Debug, Deserialize)]
pub struct MetaField {
    /// The id, `fld…`, which survives a rename.
    pub id: String,
    /// The name.
    pub name: String,
    /// The type, in Airtable's word: `singleLineText`, `multipleRecordLinks`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// What somebody wrote about it.
    #[serde(default)]
    pub description: Option<String>,
    /// What belongs to the type.
    #[serde(default)]
    pub options: Option<MetaOptions>,
}

/// What belongs to a field's type, as far as we use it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetaOptions {
    /// What a formula, a rollup, a lookup or an automatic time gives; null while it is not valid.
    #[serde(default)]
    pub result: Option<MetaResult>,
    /// The table that a link leads to.
    #[serde(default)]
    pub linked_table_id: Option<String>,
    /// The fields that a `lastModifiedTime` watches; none: all.
    #[serde(default)]
    pub referenced_field_ids: Option<Vec<String>>,
}

/// The type of what a computed field gives.
#[derive(Clone, Debug, Deserialize)]
pub struct MetaResult {
    /// As [`MetaField::kind`].
    #[serde(rename = "type")]
    pub kind: String,
}

/// A field as whoever makes columns of it wants to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The field's id, `fld…`.
    pub id: String,
    /// The field's name.
    pub name: String,
    /// Airtable's word for its type.
    pub kind: String,
    /// The type of a column that holds any cell of it.
    pub ty: ColumnType,
    /// Whether Airtable computes it. Such a cell may be an error, and may change without the record being changed.
    pub computed: bool,
    /// The id of the table that it links to.
    pub links: Option<String>,
    /// What somebody wrote about it.
    pub description: Option<String>,
}

/// The fields of a table with the columns that hold them, in the order of the table.
///
/// Numbers are `numeric`, because a field's precision says how it is shown, not what it holds. What we don't know is
/// `jsonb`, as is what has several forms.
pub fn fields(table: &MetaTable) -> Vec<Described> {
    let described = |field: &MetaField| Described {
        id: field.id.clone(),
        name: field.name.clone(),
        kind: field.kind.clone(),
        ty: field.column_type(),
        computed: field.is_computed(),
        links: field.options.as_ref().and_then(|options| options.linked_table_id.clone()),
        description: field.description.clone().filter(|text| !text.is_empty()),
    };
    table.fields.iter().map(described).collect()
}

impl MetaField {
    fn result(&self) -> Option<&str> {
        Some(self.options.as_ref()?.result.as_ref()?.kind.as_str())
    }

    /// The type of a column that holds any cell of this field.
    pub fn column_type(&self) -> ColumnType {
        match self.kind.as_str() {
            "formula" | "rollup" => self.result().map_or(ColumnType::scalar(Base::Jsonb), column_type),
            // Whether they tell a date or a time.
            "createdTime" | "lastModifiedTime" => column_type(self.result().unwrap_or("dateTime")),
            kind => column_type(kind),
        }
    }

    /// Whether Airtable computes it from other cells. Neither a webhook nor a `lastModifiedTime` tells when it changes.
    pub fn is_computed(&self) -> bool {
        matches!(self.kind.as_str(), "formula" | "rollup" | "multipleLookupValues" | "lookup" | "count" | "aiText")
    }

    /// What an empty cell of this field is. Airtable leaves empty cells out, and knows no difference between an empty list
    /// and none.
    pub fn empty(&self) -> Empty {
        match self.kind.as_str() {
            "checkbox" => Empty::False,
            "multipleSelects"
            | "multipleRecordLinks"
            | "multipleAttachments"
            | "multipleCollaborators"
            | "multipleLookupValues"
            | "lookup" => Empty::List,
            _ => Empty::Null,
        }
    }

    /// Whether it tells when anything in a record was last changed: what a feed by time needs.
    ///
    /// # Errors
    /// `Config` that says what is wrong with it.
    pub fn check_last_modified(&self) -> Result<()> {
        let wrong = |what: &str, hint: &str| {
            Err(Error::config(format!("the field `{}` {what}", self.name)).with_hint(hint.to_owned()))
        };
        if self.kind != "lastModifiedTime" {
            let hint =
                "name a field of the type \"Last modified time\" in `feed: { last_modified: … }`, or use another feed";
            return wrong(&format!("is of the type {}, not lastModifiedTime", self.kind), hint);
        }
        if self.result() == Some("date") {
            return wrong("tells days, which is too coarse", "let the field include the time, in its formatting");
        }
        let watched = self.options.as_ref().and_then(|options| options.referenced_field_ids.as_deref());
        if watched.is_some_and(|fields| !fields.is_empty()) {
            return wrong("watches some of the fields only", "let it watch all editable fields");
        }
        Ok(())
    }
}

/// What an empty cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// NULL.
    Null,
    /// `false`: an unchecked box.
    False,
    /// The empty list: nothing chosen, linked or attached.
    List,
}

/// The column for a type. Those that have a type of their own for their result come as that.
fn column_type(kind: &str) -> ColumnType {
    let (base, array) = match kind {
        "singleLineText" | "multilineText" | "richText" | "email" | "url" | "phoneNumber" | "singleSelect"
        | "externalSyncSource" => (Base::Text, false),
        "number" | "currency" | "percent" | "duration" => (Base::Numeric(None), false),
        "autoNumber" | "count" | "rating" => (Base::Int8, false),
        "checkbox" => (Base::Bool, false),
        "date" => (Base::Date, false),
        "dateTime" | "createdTime" | "lastModifiedTime" => (Base::Timestamptz, false),
        "multipleSelects" | "multipleRecordLinks" => (Base::Text, true),
        _ => (Base::Jsonb, false),
    };
    ColumnType { base, array }
}

impl MetaTable {
    /// The field of this id or name. An id wins over a field of that name.
    pub fn field(&self, spelling: &str) -> Option<&MetaField> {
        let by_id = self.fields.iter().find(|field| field.id == spelling);
        by_id.or_else(|| self.fields.iter().find(|field| field.name == spelling))
    }

    /// The field of this id or name.
    ///
    /// # Errors
    /// `Config` that says which fields there are.
    pub fn need_field(&self, spelling: &str) -> Result<&MetaField> {
        self.field(spelling).ok_or_else(|| {
            let what = if spelling.starts_with("fld") { "removed" } else { "removed or renamed" };
            Error::config(format!("the Airtable table `{}` has no field `{spelling}`", self.name)).with_hint(format!(
                "it was {what}, or never was; there are {}. A field's id stays when it is renamed",
                names(self.fields.iter().map(|field| (field.name.as_str(), field.id.as_str())))
            ))
        })
    }
}

/// The table of this id or name.
///
/// # Errors
/// `Config` that says which tables there are.
pub fn table<'t>(tables: &'t [MetaTable], base: &str, spelling: &str) -> Result<&'t MetaTable> {
    let by_id = tables.iter().find(|table| table.id == spelling);
    by_id.or_else(|| tables.iter().find(|table| table.name == spelling)).ok_or_else(|| {
        Error::config(format!("the Airtable base {base} has no table `{spelling}`")).with_hint(format!(
            "there are {}. A table's id stays when it is renamed",
            names(tables.iter().map(|table| (table.name.as_str(), table.id.as_str())))
        ))
    })
}

/// Names with their ids, not too many of them.
fn names<'n>(all: impl ExactSizeIterator<Item = (&'n str, &'n str)>) -> String {
    const SHOWN: usize = 40;
    let count = all.len();
    let shown: Vec<String> = all.take(SHOWN).map(|(name, id)| format!("`{name}` ({id})")).collect();
    match count.checked_sub(SHOWN) {
        Some(more @ 1..) => format!("{} and {more} more", shown.join(", ")),
        _ if shown.is_empty() => "none".to_owned(),
        _ => shown.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(json: &str) -> MetaField {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_type_has_its_column_and_its_empty_cell() {
        let check = |kind: &str, column: &str, empty: Empty| {
            let field = field(&format!(r#"{{"id":"fld1","name":"x","type":"{kind}"}}"#));
            assert_eq!((field.column_type().to_string().as_str(), field.empty()), (column, empty), "{kind}");
        };
        for kind in [
            "singleLineText",
            "multilineText",
            "richText",
            "email",
            "url",
            "phoneNumber",
            "singleSelect",
            "externalSyncSource",
        ] {
            check(kind, "text", Empty::Null);
        }
        for kind in ["number", "currency", "percent", "duration"] {
            check(kind, "numeric", Empty::Null);
        }
        for kind in ["autoNumber", "count", "rating"] {
            check(kind, "bigint", Empty::Null);
        }
        check("checkbox", "boolean", Empty::False);
        check("date", "date", Empty::Null);
        for kind in ["dateTime", "createdTime", "lastModifiedTime"] {
            check(kind, "timestamptz", Empty::Null);
        }
        check("multipleSelects", "text[]", Empty::List);
        check("multipleRecordLinks", "text[]", Empty::List);
        for kind in ["multipleAttachments", "multipleCollaborators", "multipleLookupValues", "lookup"] {
            check(kind, "jsonb", Empty::List);
        }
        for kind in [
            "singleCollaborator",
            "createdBy",
            "lastModifiedBy",
            "barcode",
            "button",
            "aiText",
            "manualSort",
            "formula",
            "rollup",
            "neverHeardOf",
        ] {
            check(kind, "jsonb", Empty::Null);
        }
    }

    #[test]
    fn a_computed_field_has_the_type_of_its_result() {
        let check = |kind: &str, options: &str, column: &str| {
            let field = field(&format!(r#"{{"id":"fld1","name":"x","type":"{kind}","options":{options}}}"#));
            assert_eq!(field.column_type().to_string(), column, "{kind} {options}");
        };
        check("formula", r#"{"isValid":true,"result":{"type":"number","options":{"precision":2}}}"#, "numeric");
        check("formula", r#"{"isValid":false,"result":null}"#, "jsonb");
        check("rollup", r#"{"result":{"type":"singleLineText"}}"#, "text");
        check("rollup", r#"{"result":{"type":"dateTime"}}"#, "timestamptz");
        check("formula", r#"{"result":{"type":"checkbox"}}"#, "boolean");
        check("lastModifiedTime", r#"{"isValid":true,"referencedFieldIds":[],"result":{"type":"date"}}"#, "date");
        check("createdTime", r#"{"result":{"type":"dateTime"}}"#, "timestamptz");
        check("multipleLookupValues", r#"{"result":{"type":"number"}}"#, "jsonb");
    }

    #[test]
    fn a_feed_by_time_needs_a_field_that_sees_every_change() {
        let check = |kind: &str, options: &str, expect: Option<&str>| {
            let field = field(&format!(r#"{{"id":"fld1","name":"When","type":"{kind}","options":{options}}}"#));
            let error = field.check_last_modified().err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), expect);
        };
        check("lastModifiedTime", r#"{"referencedFieldIds":[],"result":{"type":"dateTime"}}"#, None);
        check("lastModifiedTime", "null", None);
        check("dateTime", "{}", Some("the field `When` is of the type dateTime, not lastModifiedTime"));
        check(
            "lastModifiedTime",
            r#"{"result":{"type":"date"}}"#,
            Some("the field `When` tells days, which is too coarse"),
        );
        let some = r#"{"referencedFieldIds":["fld2"],"result":{"type":"dateTime"}}"#;
        check("lastModifiedTime", some, Some("the field `When` watches some of the fields only"));
    }

    #[test]
    fn a_name_that_is_not_there_is_answered_with_those_that_are() {
        let json = r#"[{"id":"tbl1","name":"Homes","primaryFieldId":"fld1","fields":[
            {"id":"fld1","name":"Name","type":"singleLineText"},{"id":"fld2","name":"fld1","type":"number"}]}]"#;
        let tables: Vec<MetaTable> = serde_json::from_str(json).unwrap();
        let homes = table(&tables, "app1", "Homes").unwrap();
        assert_eq!(table(&tables, "app1", "tbl1").unwrap().id, "tbl1");
        assert_eq!(
            (homes.field("fld1").unwrap().name.as_str(), homes.field("Name").unwrap().id.as_str()),
            ("Name", "fld1")
        );
        let error = homes.need_field("Nam").unwrap_err();
        assert_eq!(error.to_string(), "the Airtable table `Homes` has no field `Nam`");
        assert!(error.hint().unwrap().contains("`Name` (fld1), `fld1` (fld2)"), "{:?}", error.hint());
        let error = table(&tables, "app1", "Houses").unwrap_err();
        assert!(error.hint().unwrap().contains("`Homes` (tbl1)"), "{:?}", error.hint());
    }
}
