//! What Airtable says of the tables of a base.

use tributary_core::Error;
use tributary_core::pipeline::SourceKind;
use tributary_core::sink::Unlimited;
use tributary_sources::airtable::Airtable;
use tributary_sources::airtable::client::Pace;
use tributary_sources::airtable::schema::{self, Described, MetaTable};

use super::draft::scalar;
use super::{Answer, Seen, columns};
use crate::args::InferAirtable;

const PUBLIC: &str = "https://api.airtable.com";

pub(super) async fn ask(args: &InferAirtable) -> Result<Answer, Error> {
    let token = super::sequin::token(&args.token_env)?;
    let address = args.base_url.as_deref().unwrap_or(PUBLIC);
    let client = Airtable::new(address, &token, Pace::default());
    let all = client.tables(&args.base, &Unlimited).await.map_err(Error::from)?;
    let wanted: Vec<&MetaTable> = if args.tables.is_empty() {
        all.iter().collect()
    } else {
        args.tables.iter().map(|name| schema::table(&all, &args.base, name)).collect::<Result<_, _>>()?
    };
    let title = |id: &str| all.iter().find(|table| table.id == id).map(|table| table.name.clone());
    let mut datastore = vec![("type", "airtable".to_owned())];
    if args.base_url.is_some() {
        datastore.push(("base_url", scalar(address)));
    }
    datastore.push(("token", format!("{{ env: {} }}", scalar(&args.token_env))));
    let seen = wanted.into_iter().map(|table| seen(&args.base, table, &title)).collect();
    Ok(Answer { datastore, name: "airtable", seen })
}

fn seen(base: &str, table: &MetaTable, title: &dyn Fn(&str) -> Option<String>) -> Seen {
    let name = tributary_core::auto::column_name(&table.name);
    let fields = schema::fields(table);
    let remark = |field: &Described| {
        let mut remark = vec![field.kind.clone()];
        if let Some(linked) = &field.links {
            remark.push(format!("links to {} ({linked})", title(linked).unwrap_or_default()));
        }
        remark.extend(field.computed.then(|| "computed: changes show in a sweep".to_owned()));
        remark.extend(field.description.clone());
        remark.join(" · ")
    };
    let of_fields = fields.iter().map(|field| (field.id.clone(), field.name.clone(), field.ty.clone(), remark(field)));
    let columns = columns(of_fields, &[]);
    let mut asides = Vec::new();
    for column in columns.iter().filter(|column| fields.iter().any(|f| f.id == column.field && f.links.is_some())) {
        asides.push(format!("a row for each link of {}:", column.label.replace(char::is_control, " ")));
        asides.push(format!("{}:", scalar(&format!("{name}_{}", column.name))));
        asides.push(format!("  from: \"{}[]\"", column.field));
        asides.push(format!(
            "  key: {{ {}: {{ from: $root.$id, type: text }}, {}: {{ from: $value, type: text }} }}",
            scalar(&format!("{name}_id")),
            scalar(&format!("{}_id", column.name))
        ));
    }
    let (base_of, id, label) = (base.to_owned(), table.id.clone(), table.name.clone());
    Seen {
        title: format!("the Airtable table {} ({})", table.name, table.id),
        name,
        source: vec![
            ("base", scalar(base), ""),
            ("table", scalar(&table.id), ""),
            ("every", "1m".into(), ""),
            ("feed", "webhook".into(), "takes a token with webhook:manage; `feed: sweep` takes none"),
        ],
        key: Vec::new(),
        columns,
        others: Vec::new(),
        lists: Vec::new(),
        lines: Vec::new(),
        asides,
        remarks: table.description.iter().filter(|text| !text.is_empty()).cloned().collect(),
        is_whole: true,
        is_read_by: Box::new(move |pipeline| {
            matches!(&pipeline.source.kind, SourceKind::Airtable(source)
                if source.base == base_of && (source.table == id || source.table == label))
        }),
    }
}
