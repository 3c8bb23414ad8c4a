//! What an ODK Central says of its forms and datasets.

use tributary_core::auto::{self, column_name};
use tributary_core::column_type::{Base, ColumnType};
use tributary_core::path::Path;
use tributary_core::pipeline::{Geo, PARENT, POSITION, RAW, RAW_COLUMN, SYSTEM_COLUMN, SourceKind};
use tributary_core::sink::Unlimited;
use tributary_core::{Error, Result};
use tributary_sources::odk::{Card, Central, Login, Schema, Set};

use super::draft::scalar;
use super::{Answer, Column, List, Seen, columns};
use crate::args::InferOdk;

pub(super) async fn ask(args: &InferOdk) -> Result<Answer> {
    if args.forms.is_empty() && args.datasets.is_empty() {
        return Err(Error::config("no form and no dataset is named")
            .with_hint("name some with --form or --dataset; the id of a form stands in the address of its page"));
    }
    let login = Login { email: secret(&args.email_env)?, password: secret(&args.password_env)?, basic: false };
    let central = Central::new(&args.base_url, login);
    let form = |form: &String| Set::Submissions { project: args.project, form: form.clone() };
    let dataset = |dataset: &String| Set::Entities { project: args.project, dataset: dataset.clone() };
    let mut all = Vec::new();
    for set in args.forms.iter().map(form).chain(args.datasets.iter().map(dataset)) {
        let card = central.card(&set, &Unlimited).await.map_err(Error::from)?;
        let schema = central.fields(&set, &Unlimited).await.map_err(Error::from)?;
        all.push(seen(set, &card, &schema));
    }
    let env = |name: &str| format!("{{ env: {} }}", scalar(name));
    let auth = format!("{{ email: {}, password: {} }}", env(&args.email_env), env(&args.password_env));
    let datastore = vec![("type", "odk".to_owned()), ("base_url", scalar(&args.base_url)), ("auth", auth)];
    Ok(Answer { datastore, name: "odk", seen: all })
}

fn secret(variable: &str) -> Result<String> {
    std::env::var(variable).ok().filter(|text| !text.is_empty()).ok_or_else(|| {
        Error::config(format!("the environment variable {variable} is not set")).with_hint(
            "email and password of a web user are in two variables; name others with --email-env and --password-env",
        )
    })
}

fn seen(set: Set, card: &Card, schema: &Schema) -> Seen {
    let (id, key, title) = match &set {
        Set::Submissions { project, form } => {
            let version = Some(&card.version).filter(|version| !version.is_empty());
            let version = version.map(|version| format!(", version {version}")).unwrap_or_default();
            (form, "form", format!("the ODK form {} ({form}{version}) of the project {project}", card.name))
        }
        Set::Entities { project, dataset } => {
            (dataset, "dataset", format!("the ODK dataset {dataset} of the project {project}"))
        }
    };
    let name = column_name(id);
    let (project, id) = match &set {
        Set::Submissions { project, .. } | Set::Entities { project, .. } => (*project, id.clone()),
    };
    let all = schema.lists();
    let is_in = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
    let list = |list: &String| List {
        name: list.clone(),
        columns: of_fields(schema, Some(list), &["submission_id", "repeat_id", "position", "parent_id"]),
        others: beside_elements(all.iter().any(|other| is_in(list, other))),
    };
    let lists: Vec<List> = all.iter().map(list).collect();
    let mut remarks = Vec::new();
    if card.key_id.is_some() {
        remarks
            .push("its submissions are encrypted: of those only what the server says of them can be read".to_owned());
    }
    if schema.fields().iter().any(|field| field.kind.is_file()) {
        remarks.push("`attachments: { to: { s3: my-bucket } }` beside `tables:` fetches its files".to_owned());
    }
    Seen {
        title,
        lines: lists.first().map(|_| ("view", scalar(&format!("{name}_unified")))).into_iter().collect(),
        name,
        source: vec![("project", project.to_string(), ""), (key, scalar(&id), ""), ("every", "5m".into(), "")],
        key: Vec::new(),
        columns: of_fields(schema, None, &["submission_id", "entity_id", SYSTEM_COLUMN, RAW_COLUMN]),
        others: vec![other(RAW_COLUMN, Base::Jsonb, RAW, "the row as it was sent")],
        lists,
        asides: Vec::new(),
        remarks,
        is_whole: true,
        is_read_by: Box::new(
            move |pipeline| matches!(&pipeline.source.kind, SourceKind::Odk(source) if Set::of(source) == set),
        ),
    }
}

/// The columns of a submission, an entity or an element of a list.
fn of_fields(schema: &Schema, list: Option<&String>, taken: &[&str]) -> Vec<Column> {
    let word = |id: &str| {
        let of = |field: &&tributary_sources::odk::Field| field.list.as_ref() == list && field.id() == id;
        schema.fields().iter().find(of).map(|field| field.remark().to_owned()).unwrap_or_default()
    };
    let fields = schema.auto_fields(Geo::Jsonb).into_iter().filter(|field| field.list.as_ref() == list);
    let taken: Vec<String> = taken.iter().map(ToString::to_string).collect();
    let mut all = Vec::new();
    for auto::Field { id, name, ty, .. } in fields {
        let ty = ty.unwrap_or(ColumnType::scalar(Base::Text));
        all.push((id.clone(), name, ty, word(&id)));
    }
    let mut all = columns(all, &taken);
    for column in &mut all {
        column.place = Some(Path::fields(column.field.split('/')).to_string());
        column.label.clear();
    }
    all
}

/// Where an element stood.
fn beside_elements(is_nested: bool) -> Vec<Column> {
    let position = other("position", Base::Int4, POSITION, "from 0, in its own list");
    let parent = other("parent_id", Base::Text, PARENT, "the element that it is in");
    std::iter::once(position).chain(Some(parent).filter(|_| is_nested)).collect()
}

fn other(name: &str, base: Base, field: &str, remark: &str) -> Column {
    Column {
        field: field.to_owned(),
        place: Some(field.to_owned()),
        label: String::new(),
        name: name.to_owned(),
        ty: ColumnType::scalar(base),
        remark: remark.to_owned(),
    }
}
