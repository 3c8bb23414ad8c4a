//! The columns that `columns: auto` makes of a form or a dataset.

use tributary_core::auto;
use tributary_core::column_type::{Base, ColumnType};
use tributary_core::pipeline::Geo;

use super::schema::{Field, Kind, Schema};

/// What a server says of a submission, as far as it says of what it is about. `deletedAt` isn't among it: a row that has it
/// is gone.
const OF_A_SUBMISSION: [(&str, &str, Base); 11] = [
    ("submissionDate", "system_submission_date", Base::Timestamptz),
    ("updatedAt", "system_updated_at", Base::Timestamptz),
    ("submitterId", "system_submitter_id", Base::Text),
    ("submitterName", "system_submitter_name", Base::Text),
    ("attachmentsPresent", "system_attachments_present", Base::Int8),
    ("attachmentsExpected", "system_attachments_expected", Base::Int8),
    ("status", "system_status", Base::Text),
    ("reviewState", "system_review_state", Base::Text),
    ("deviceId", "system_device_id", Base::Text),
    ("edits", "system_edits", Base::Int8),
    ("formVersion", "system_form_version", Base::Text),
];

/// What it says of an entity.
const OF_AN_ENTITY: [(&str, &str, Base); 7] = [
    ("createdAt", "system_created_at", Base::Timestamptz),
    ("updatedAt", "system_updated_at", Base::Timestamptz),
    ("creatorId", "system_creator_id", Base::Text),
    ("creatorName", "system_creator_name", Base::Text),
    ("updates", "system_updates", Base::Int8),
    ("version", "system_version", Base::Int8),
    ("conflict", "system_conflict", Base::Text),
];

impl Kind {
    /// The type of a column that holds any answer to such a question, as far as there is one: what doesn't fit is kept in
    /// the raw row.
    pub fn column_type(self, geo: Geo) -> ColumnType {
        let base = match (self, geo) {
            (Kind::Choices, _) => return ColumnType { base: Base::Text, array: true },
            (Kind::Text | Kind::File, _) => Base::Text,
            (Kind::Int, _) => Base::Int8,
            (Kind::Decimal, _) => Base::Numeric(None),
            (Kind::Bool, _) => Base::Bool,
            (Kind::Date, _) => Base::Date,
            (Kind::DateTime, _) => Base::Timestamptz,
            (Kind::Geo, Geo::Jsonb) => Base::Jsonb,
            (Kind::Geo, Geo::Geometry) => Base::Other { name: "geometry".to_owned(), modifier: String::new() },
        };
        ColumnType::scalar(base)
    }
}

impl Field {
    /// The name by which it is known for ever: its path below its list. Central knows no other ids.
    pub fn id(&self) -> String {
        self.path.join("/")
    }

    /// What people call it.
    pub fn name(&self) -> String {
        self.path.join("_")
    }
}

impl Schema {
    /// The fields that columns are made of: the questions in their order, then what the server says of each row.
    pub fn auto_fields(&self, geo: Geo) -> Vec<auto::Field> {
        let asked = self.fields().iter().map(|field| auto::Field {
            id: field.id(),
            name: field.name(),
            ty: Some(field.kind.column_type(geo)),
            list: field.list.clone(),
        });
        asked.chain(self.system_fields()).collect()
    }

    /// As [`Schema::auto_fields`], with a field without a type for each repeat that has no question of its own, so that whoever
    /// makes tables of repeats knows of it.
    pub fn all_fields(&self, geo: Geo) -> Vec<auto::Field> {
        let mut all = self.auto_fields(geo);
        for list in self.lists() {
            if !all.iter().any(|field| field.list.as_ref() == Some(&list)) {
                all.push(auto::Field { id: String::new(), name: String::new(), ty: None, list: Some(list) });
            }
        }
        all
    }

    /// What the server says of each row.
    pub fn system_fields(&self) -> Vec<auto::Field> {
        let said = if self.is_of_entities() { &OF_AN_ENTITY[..] } else { &OF_A_SUBMISSION[..] };
        let field = |(id, name, base): &(&str, &str, Base)| auto::Field {
            id: format!("__system/{id}"),
            name: (*name).to_owned(),
            ty: Some(ColumnType::scalar(base.clone())),
            list: None,
        };
        said.iter().map(field).collect()
    }
}

#[cfg(test)]
mod tests {
    use tributary_core::auto::column_name;
    use tributary_core::value::Value;

    use super::*;
    use crate::odk::call::Gather;
    use crate::odk::page::Rows;

    fn shown(schema: &Schema, geo: Geo) -> String {
        let field = |field: &auto::Field| {
            let list = field.list.as_deref().unwrap_or("-");
            format!("{list} | {} | {} | {}\n", field.id, column_name(&field.name), field.ty.as_ref().unwrap())
        };
        schema.auto_fields(geo).iter().map(field).collect()
    }

    fn form() -> Schema {
        Schema::of_form(include_bytes!("samples/fields.json")).unwrap()
    }

    fn dataset() -> Schema {
        let body = br#"{"name":"d","properties":[{"name":"owner"},{"name":"geometry"},{"name":"status"}]}"#;
        Schema::of_dataset(body).unwrap()
    }

    #[test]
    fn every_question_has_its_column() {
        insta::assert_snapshot!(shown(&form(), Geo::Jsonb));
        let geometry = shown(&form(), Geo::Geometry);
        assert!(geometry.contains("- | walk | walk | geometry\n") && !geometry.contains("jsonb"), "{geometry}");
        insta::assert_snapshot!(shown(&dataset(), Geo::Jsonb));
    }

    #[test]
    fn a_repeat_without_a_question_is_told_too() {
        let body = br#"[{"path":"/a","name":"a","type":"repeat"},{"path":"/a/b","name":"b","type":"repeat"},
            {"path":"/a/b/c","name":"c","type":"string"}]"#;
        let schema = Schema::of_form(body).unwrap();
        let lists = |fields: Vec<auto::Field>| fields.into_iter().filter_map(|field| field.list).collect::<Vec<_>>();
        assert_eq!(lists(schema.auto_fields(Geo::Jsonb)), ["a.b"]);
        assert_eq!(lists(schema.all_fields(Geo::Jsonb)), ["a.b", "a"]);
        assert_eq!(schema.all_fields(Geo::Jsonb).iter().filter(|field| field.ty.is_none()).count(), 1);
    }

    #[test]
    fn every_field_of_a_real_row_is_told() {
        let check = |schema: &Schema, feed: &str, others: &[&str]| {
            let mut rows = Rows::default();
            rows.take(feed.as_bytes()).unwrap();
            let fields = schema.auto_fields(Geo::Jsonb);
            for row in rows.finish().unwrap().0 {
                let Value::Map(row) = row.value.unwrap() else { panic!() };
                for (name, value) in &row {
                    let inner: Vec<String> = match value {
                        Value::Map(inner) if !["walk", "plot"].contains(&&**name) => {
                            inner.keys().map(|inner| format!("{name}/{inner}")).collect()
                        }
                        _ => vec![name.to_string()],
                    };
                    for id in inner {
                        let is_told = fields.iter().any(|field| field.list.is_none() && field.id == id);
                        assert!(is_told || others.contains(&id.as_str()), "{id}");
                    }
                }
            }
        };
        let links = ["__id", "person_details", "person_details@odata.navigationLink", "__system/deletedAt"];
        check(&form(), include_str!("samples/all.json"), &links);
        check(&dataset(), include_str!("samples/entities.json"), &["__id", "__system/deletedAt"]);
    }
}
